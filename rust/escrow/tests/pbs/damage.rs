//! Every kind of damage, one at a time: found, named, and where it is.

use std::fs;
use std::io::sink;

use pve_escrow::Error;
use pve_escrow::pbs::prove::{Depth, Report, Verdict};
use pve_escrow::pbs::restore::{Config, Output, restore};
use pve_escrow::pbs::{Damage, SnapshotId, Watch};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::store::{
    CT_NEW, CT_OLD, SIGNED, Store, VM, VM_OTHER, cut, digest, edit, encrypted, entry_at, fix_crc,
    flip, id, key, live, plain, prove_all, swap,
};

const IMAGE: &str = "drive-scsi0.img.fidx";
const TREE: &str = "root.pxar.didx";
const CONF: &str = "pct.conf.blob";
const MANIFEST: &str = "index.json.blob";

/// Name, what is done, and where what is found: snapshot, file (none of the manifest), kind.
type Case = (
    &'static str,
    fn(&Store),
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // chunks
    ("chunk missing", |s| fs::remove_file(s.chunk(VM, IMAGE, 1)).unwrap(), VM, IMAGE, "missing"),
    ("chunk and its directory missing", |s| fs::remove_dir_all(s.chunk(VM, IMAGE, 1).parent().unwrap()).unwrap(), VM, IMAGE, "missing"),
    ("chunk empty", |s| cut(&s.chunk(VM, IMAGE, 1), 0), VM, IMAGE, "truncated"),
    ("chunk cut in its header", |s| cut(&s.chunk(VM, IMAGE, 1), 43), VM, IMAGE, "truncated"),
    ("chunk cut to its header", |s| cut(&s.chunk(VM, IMAGE, 1), 44), VM, IMAGE, "wrong-crc"),
    ("chunk cut", |s| cut(&s.chunk(VM, IMAGE, 1), 9000), VM, IMAGE, "wrong-crc"),
    ("chunk longer", |s| edit(&s.chunk(VM, IMAGE, 1), |b| b.push(0)), VM, IMAGE, "wrong-crc"),
    ("chunk enormous", |s| cut(&s.chunk(VM, IMAGE, 1), 1 << 40), VM, IMAGE, "too-large"),
    ("bit in magic", |s| flip(&s.chunk(VM, IMAGE, 0), 3), VM, IMAGE, "wrong-magic"),
    ("bit in CRC", |s| flip(&s.chunk(VM, IMAGE, 0), 8), VM, IMAGE, "wrong-crc"),
    ("bit in IV", |s| flip(&s.chunk(VM, IMAGE, 0), 12), VM, IMAGE, "wrong-tag"),
    ("bit in tag", |s| flip(&s.chunk(VM, IMAGE, 0), 43), VM, IMAGE, "wrong-tag"),
    ("bit in data", |s| flip(&s.chunk(VM, IMAGE, 0), 44), VM, IMAGE, "wrong-crc"),
    ("bit in the last byte", |s| { let c = s.chunk(VM, IMAGE, 2); flip(&c, fs::metadata(&c).unwrap().len() as usize - 1) }, VM, IMAGE, "wrong-crc"),
    ("bit in data, CRC fixed", |s| edit(&s.chunk(VM, IMAGE, 0), |b| { b[9999] ^= 1; fix_crc(b) }), VM, IMAGE, "wrong-tag"),
    ("compressed said to be plain data", |s| edit(&s.chunk(VM, IMAGE, 0), |b| b[..8].copy_from_slice(&[123, 103, 133, 190, 34, 45, 76, 240])), VM, IMAGE, "wrong-size"),
    ("plain data said to be compressed", |s| edit(&s.chunk(CT_OLD, TREE, 2), |b| b[..8].copy_from_slice(&[230, 89, 27, 191, 11, 191, 216, 11])), CT_OLD, TREE, "wrong-compression"),
    ("two chunks swapped", |s| swap(&s.chunk(VM, IMAGE, 0), &s.chunk(VM, IMAGE, 2)), VM, IMAGE, "wrong-digest"),
    ("two chunks of other sizes swapped", |s| swap(&s.chunk(CT_OLD, TREE, 0), &s.chunk(CT_OLD, TREE, 1)), CT_OLD, TREE, "wrong-size"),
    ("another chunk of the key under the name", |s| { fs::copy(s.chunk(VM, IMAGE, 0), s.chunk(VM, IMAGE, 2)).unwrap(); }, VM, IMAGE, "wrong-digest"),
    ("chunk of another key under the name", |s| { fs::copy(s.chunk(VM_OTHER, IMAGE, 0), s.chunk(VM, IMAGE, 0)).unwrap(); }, VM, IMAGE, "wrong-tag"),
    ("other data, encrypted by somebody with the key", |s| fs::write(s.chunk(VM, IMAGE, 0), encrypted(&live(), &[1; 4 << 20])).unwrap(), VM, IMAGE, "wrong-digest"),
    ("less data, encrypted by somebody with the key", |s| fs::write(s.chunk(VM, IMAGE, 0), encrypted(&live(), &[1; 4000])).unwrap(), VM, IMAGE, "wrong-size"),
    ("plain chunk in an encrypted index", |s| fs::write(s.chunk(VM, IMAGE, 0), plain(&[1; 4 << 20])).unwrap(), VM, IMAGE, "wrong-crypt-mode"),
    ("encrypted chunk in a plain index", |s| fs::write(s.chunk(SIGNED, TREE, 0), encrypted(&live(), &[1; 506])).unwrap(), SIGNED, TREE, "wrong-crypt-mode"),
    ("other plain chunk in a plain index", |s| fs::write(s.chunk(SIGNED, TREE, 0), plain(&[1; 506])).unwrap(), SIGNED, TREE, "wrong-digest"),
    ("chunk a symbolic link", |s| link(s, "elsewhere"), VM, IMAGE, "not-a-file"),
    ("chunk a dangling link", |s| { link(s, "elsewhere"); fs::remove_file(s.path("elsewhere")).unwrap() }, VM, IMAGE, "not-a-file"),
    ("chunk a FIFO", |s| { let c = s.chunk(VM, IMAGE, 0); fs::remove_file(&c).unwrap(); nix::unistd::mkfifo(&c, nix::sys::stat::Mode::S_IRWXU).unwrap() }, VM, IMAGE, "not-a-file"),
    ("chunk a directory", |s| { let c = s.chunk(VM, IMAGE, 0); fs::remove_file(&c).unwrap(); fs::create_dir(&c).unwrap() }, VM, IMAGE, "not-a-file"),
    ("chunk a socket", |s| { let c = s.chunk(VM, IMAGE, 0); fs::remove_file(&c).unwrap(); socket(&c) }, VM, IMAGE, "not-a-file"),
    ("directory of the chunk a link", |s| { let c = s.chunk(VM, IMAGE, 0); let d = c.parent().unwrap(); fs::rename(d, s.path("elsewhere")).unwrap(); std::os::unix::fs::symlink("../elsewhere", d).unwrap() }, VM, IMAGE, "not-a-file"),
    // indexes
    ("index missing", |s| fs::remove_file(s.file(VM, IMAGE)).unwrap(), VM, IMAGE, "missing"),
    ("index empty", |s| cut(&s.file(VM, IMAGE), 0), VM, IMAGE, "truncated"),
    ("index cut in its header", |s| cut(&s.file(VM, IMAGE), 4095), VM, IMAGE, "truncated"),
    ("index of images cut to two entries", |s| cut(&s.file(VM, IMAGE), 4096 + 64), VM, IMAGE, "wrong-index"),
    ("index of files cut to three entries", |s| cut(&s.file(CT_OLD, TREE), 4096 + 120), CT_OLD, TREE, "wrong-index-checksum"),
    ("index of files cut in an entry", |s| cut(&s.file(CT_OLD, TREE), 4096 + 121), CT_OLD, TREE, "wrong-index"),
    ("index magic", |s| flip(&s.file(VM, IMAGE), 0), VM, IMAGE, "wrong-magic"),
    ("index checksum", |s| flip(&s.file(VM, IMAGE), 32), VM, IMAGE, "wrong-index-checksum"),
    ("index checksum does not fit the manifest", |s| flip(&s.file(VM, IMAGE), 32), VM, IMAGE, "wrong-checksum"),
    ("index entry", |s| flip(&s.file(VM, IMAGE), 4096), VM, IMAGE, "wrong-index-checksum"),
    ("index entry, checksum fixed", |s| drop(entry(s, VM, IMAGE)), VM, IMAGE, "wrong-checksum"),
    ("index end offset, checksum fixed", |s| edit(&s.file(CT_OLD, TREE), |b| { b[4096] ^= 1; drop(fix_csum(b)) }), CT_OLD, TREE, "wrong-checksum"),
    ("index end offset of 2^60, checksum fixed", |s| edit(&s.file(CT_OLD, TREE), |b| { b[4096 + 7] = 0x10; drop(fix_csum(b)) }), CT_OLD, TREE, "wrong-index"),
    ("index size", |s| edit(&s.file(VM, IMAGE), |b| b[64] ^= 1), VM, IMAGE, "wrong-index"),
    ("index size that needs as many entries", |s| edit(&s.file(VM, IMAGE), |b| b[64..72].copy_from_slice(&(11_u64 << 20).to_le_bytes())), VM, IMAGE, "wrong-size"),
    ("index size of 2^60", |s| edit(&s.file(VM, IMAGE), |b| b[64..72].copy_from_slice(&(1_u64 << 60).to_le_bytes())), VM, IMAGE, "wrong-index"),
    ("index chunk size", |s| edit(&s.file(VM, IMAGE), |b| b[72..80].copy_from_slice(&(5_u64 << 20).to_le_bytes())), VM, IMAGE, "wrong-size"),
    ("indexes swapped between snapshots", |s| swap(&s.file(CT_OLD, TREE), &s.file(CT_NEW, TREE)), CT_NEW, TREE, "wrong-checksum"),
    ("index of another key", |s| swap(&s.file(VM, IMAGE), &s.file(VM_OTHER, IMAGE)), VM, IMAGE, "wrong-checksum"),
    ("index of the other kind", |s| { fs::copy(s.file(CT_OLD, TREE), s.file(VM, IMAGE)).unwrap(); }, VM, IMAGE, "wrong-magic"),
    ("index a link", |s| { fs::rename(s.file(VM, IMAGE), s.path("aside")).unwrap(); std::os::unix::fs::symlink(s.path("aside"), s.file(VM, IMAGE)).unwrap() }, VM, IMAGE, "not-a-file"),
    // blobs
    ("blob missing", |s| fs::remove_file(s.file(CT_OLD, CONF)).unwrap(), CT_OLD, CONF, "missing"),
    ("blob cut", |s| cut(&s.file(CT_OLD, CONF), 217), CT_OLD, CONF, "wrong-size"),
    ("blob longer", |s| edit(&s.file(CT_OLD, CONF), |b| b.push(0)), CT_OLD, CONF, "wrong-size"),
    ("blob magic", |s| flip(&s.file(CT_OLD, CONF), 1), CT_OLD, CONF, "wrong-magic"),
    ("blob CRC", |s| flip(&s.file(CT_OLD, CONF), 8), CT_OLD, CONF, "wrong-crc"),
    ("blob IV", |s| flip(&s.file(CT_OLD, CONF), 20), CT_OLD, CONF, "wrong-tag"),
    ("blob data", |s| flip(&s.file(CT_OLD, CONF), 100), CT_OLD, CONF, "wrong-crc"),
    ("blob does not fit the manifest", |s| flip(&s.file(CT_OLD, CONF), 100), CT_OLD, CONF, "wrong-checksum"),
    ("blobs swapped between snapshots", |s| swap(&s.file(CT_OLD, CONF), &s.file(CT_NEW, CONF)), CT_NEW, CONF, "wrong-checksum"),
    ("blob of another data by somebody with the key", |s| fs::write(s.file(CT_OLD, CONF), encrypted(&live(), &[7; 174])).unwrap(), CT_OLD, CONF, "wrong-checksum"),
    ("blob in plain", |s| fs::write(s.file(CT_OLD, CONF), plain(&[7; 206])).unwrap(), CT_OLD, CONF, "wrong-crypt-mode"),
    ("key for the master key", |s| flip(&s.file(CT_OLD, "rsa-encrypted.key.blob"), 50), CT_OLD, "rsa-encrypted.key.blob", "wrong-checksum"),
    ("keys for the master key swapped", |s| swap(&s.file(CT_OLD, "rsa-encrypted.key.blob"), &s.file(CT_NEW, "rsa-encrypted.key.blob")), CT_OLD, "rsa-encrypted.key.blob", "wrong-checksum"),
    // manifests
    ("manifest bit", |s| flip(&s.file(VM, MANIFEST), 100), VM, "", "wrong-crc"),
    ("manifest cut", |s| cut(&s.file(VM, MANIFEST), 100), VM, "", "wrong-crc"),
    ("manifest empty", |s| cut(&s.file(VM, MANIFEST), 0), VM, "", "truncated"),
    ("manifest enormous", |s| cut(&s.file(VM, MANIFEST), 1 << 40), VM, "", "too-large"),
    ("manifest encrypted", |s| fs::write(s.file(VM, MANIFEST), encrypted(&live(), b"{}")).unwrap(), VM, "", "wrong-crypt-mode"),
    ("manifest no JSON", |s| fs::write(s.file(VM, MANIFEST), plain(b"{")).unwrap(), VM, "", "wrong-manifest"),
    ("manifest a link", |s| { fs::rename(s.file(VM, MANIFEST), s.path("aside")).unwrap(); std::os::unix::fs::symlink(s.path("aside"), s.file(VM, MANIFEST)).unwrap() }, VM, "", "not-a-file"),
    ("manifest lists a file less", |s| s.manifest(VM, |m| { m["files"].as_array_mut().unwrap().pop(); }), VM, "", "wrong-signature"),
    ("manifest lists another checksum", |s| s.manifest(VM, |m| m["files"][0]["csum"] = "00".repeat(32).into()), VM, "", "wrong-signature"),
    ("manifest lists another size", |s| s.manifest(VM, |m| m["files"][1]["size"] = (4 << 20).into()), VM, "", "wrong-signature"),
    ("manifest says not encrypted", |s| s.manifest(VM, |m| m["files"][1]["crypt-mode"] = "none".into()), VM, "", "wrong-signature"),
    ("manifest has a member more", |s| s.manifest(VM, |m| m["more"] = 1.into()), VM, "", "wrong-signature"),
    ("manifest and index changed alike", |s| { let csum = entry(s, VM, IMAGE); s.manifest(VM, |m| m["files"][1]["csum"] = csum.into()) }, VM, "", "wrong-signature"),
    ("signature changed", |s| s.manifest(VM, |m| m["signature"] = "00".repeat(32).into()), VM, "", "wrong-signature"),
    ("signature no signature", |s| s.manifest(VM, |m| m["signature"] = "".into()), VM, "", "wrong-signature"),
    ("signature null", |s| s.manifest(VM, |m| m["signature"] = Value::Null), VM, "", "not-signed"),
    ("signature removed", |s| s.manifest(VM, |m| remove(m, "signature")), VM, "", "not-signed"),
    ("signature of what is only signed removed", |s| s.manifest(SIGNED, |m| remove(m, "signature")), SIGNED, "", "not-signed"),
    ("fingerprint removed", |s| s.manifest(VM, |m| remove(&mut m["unprotected"], "key-fingerprint")), VM, "", "wrong-fingerprint"),
    ("everything unprotected removed", |s| s.manifest(VM, |m| remove(m, "unprotected")), VM, "", "wrong-fingerprint"),
    ("fingerprint of another key", |s| s.manifest(VM, other_label), VM, "", "wrong-fingerprint"),
    ("fingerprint no fingerprint", |s| s.manifest(VM, |m| m["unprotected"]["key-fingerprint"] = "00".into()), VM, "", "wrong-manifest"),
    ("fingerprint and signature removed", |s| s.manifest(VM, |m| { remove(m, "unprotected"); remove(m, "signature") }), VM, "", "not-signed"),
    ("all traces of the key removed", |s| s.manifest(VM, |m| { remove(m, "unprotected"); remove(m, "signature"); m["files"][0]["crypt-mode"] = "none".into(); m["files"][1]["crypt-mode"] = "none".into() }), VM, "", "not-signed"),
    ("fingerprint of another key, signature changed", |s| s.manifest(VM, |m| { other_label(m); m["signature"] = "00".repeat(32).into() }), VM, "", "wrong-signature"),
    ("unsigned, unnamed, and only its chunks tell", |s| { s.manifest(VM, |m| { remove(m, "unprotected"); remove(m, "signature"); m["files"].as_array_mut().unwrap().remove(0); }) }, VM, "", "not-signed"),
    ("an older snapshot in the place of a newer", |s| swap(&s.path(CT_OLD), &s.path(CT_NEW)), CT_NEW, "", "other-snapshot"),
    ("snapshot of another machine", |s| swap(&s.path(CT_OLD), &s.path(VM)), VM, "", "other-snapshot"),
];

fn link(store: &Store, name: &str) {
    let chunk = store.chunk(VM, IMAGE, 0);
    fs::rename(&chunk, store.path(name)).unwrap();
    std::os::unix::fs::symlink(store.path(name), chunk).unwrap();
}

fn socket(path: &std::path::Path) {
    // paths of sockets are short
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let short = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&short).unwrap());
    fs::rename(&short, path).unwrap();
}

fn remove(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().remove(member);
}

fn other_label(manifest: &mut Value) {
    let other = pve_escrow::Fingerprint::of(&key("other.enc"));
    manifest["unprotected"]["key-fingerprint"] = other.to_string().into();
}

fn fix_csum(index: &mut [u8]) -> String {
    let csum: [u8; 32] = Sha256::digest(&index[4096..]).into();
    index[32..64].copy_from_slice(&csum);
    hex::encode(csum)
}

/// The last chunk in the place of the first: the same size, and sound.
fn entry(store: &Store, snapshot: &str, index: &str) -> String {
    let path = store.file(snapshot, index);
    let last = digest(&path, 2);
    let at = entry_at(&path, 0);
    let mut csum = String::new();
    edit(&path, |bytes| {
        bytes[at..at + 32].copy_from_slice(&last);
        csum = fix_csum(bytes);
    });
    csum
}

fn damages<'r>(report: &'r Report, id: &SnapshotId, file: &str) -> &'r [Damage] {
    let snapshot = report
        .snapshots
        .iter()
        .find(|snapshot| snapshot.id == *id)
        .unwrap();
    assert_eq!(snapshot.result, Verdict::Invalid, "{snapshot:#?}");
    match file {
        "" => &snapshot.damages,
        file => {
            &snapshot
                .files
                .iter()
                .find(|report| report.name == file)
                .unwrap()
                .damages
        }
    }
}

#[test]
fn is_found_and_named() {
    let halves = CASES.split_at(CASES.len() / 2);
    std::thread::scope(|scope| {
        for half in [halves.0, halves.1] {
            scope.spawn(move || half.iter().for_each(check));
        }
    });
}

fn check((name, damage, snapshot, file, kind): &Case) {
    let store = Store::new();
    damage(&store);
    for depth in [Depth::Full, Depth::Sample(459)] {
        let report = prove_all(&store.open(), &live(), depth);
        assert_eq!(report.result, Verdict::Invalid, "{name}");
        let found = damages(&report, &id(snapshot), file);
        assert!(
            found.iter().any(|damage| damage.kind == *kind),
            "{name}: {found:#?}"
        );
        let is_valid = |other: &&str| {
            report
                .snapshots
                .iter()
                .any(|one| one.id == id(other) && one.result == Verdict::Valid)
        };
        let others = [CT_OLD, VM, SIGNED]
            .into_iter()
            .filter(|other| other != snapshot);
        assert!(
            others.clone().any(|other| is_valid(&other)),
            "{name}: the rest is sound"
        );
    }
    no_restore(&store, name, snapshot, file);
}

/// What is damaged is not restored without a word either.
fn no_restore(store: &Store, name: &str, snapshot: &str, file: &str) {
    let archive = match file {
        "" if snapshot == VM => IMAGE,
        "" => TREE,
        file => file,
    };
    let mut nowhere = sink();
    let output = Output::Stream(&mut nowhere);
    let result = restore(
        &store.open(),
        &id(snapshot),
        archive,
        Some(&live()),
        output,
        Config::default(),
        Watch::nobody(),
    );
    match result {
        Err(
            Error::Damaged { .. }
            | Error::Io { .. }
            | Error::Refused(_)
            | Error::FingerprintDiffers { .. },
        ) => {}
        // nothing in its manifest says that it ever was encrypted, but its chunks do
        result => panic!("{name}: {result:?}"),
    }
}

#[test]
fn says_where() {
    let store = Store::new();
    fs::remove_file(store.chunk(VM, IMAGE, 1)).unwrap();
    let report = prove_all(&store.open(), &live(), Depth::Full);
    let [damage] = damages(&report, &id(VM), IMAGE) else {
        panic!("{report:#?}")
    };
    assert_eq!(damage.offset, Some(4 << 20));
    assert_eq!(
        damage.digest,
        Some(hex::encode(digest(&store.file(VM, IMAGE), 1)))
    );
    assert_eq!(report.totals.damages, 1);

    let mut nowhere = sink();
    let output = Output::Stream(&mut nowhere);
    let err = restore(
        &store.open(),
        &id(VM),
        IMAGE,
        Some(&live()),
        output,
        Config::default(),
        Watch::nobody(),
    );
    let err = err.unwrap_err().to_string();
    assert!(
        err.contains("offset 4194304") && err.contains(damage.digest.as_ref().unwrap()),
        "{err}"
    );
}

#[test]
fn damage_never_stops_the_rest() {
    let store = Store::new();
    fs::remove_dir_all(store.path(".chunks")).unwrap();
    fs::create_dir(store.path(".chunks")).unwrap();
    cut(&store.file(CT_OLD, MANIFEST), 5);
    let report = prove_all(&store.open(), &live(), Depth::Full);
    assert_eq!(report.totals.snapshots, 6);
    assert_eq!(
        (report.totals.invalid, report.totals.valid),
        (5, 1),
        "{report:#?}"
    );
    // ct/103 has blobs only
    assert_eq!(report.totals.damages, 1 + (4 + 1) + (1 + 1) + (1 + 1) + 3);
}

#[test]
fn restore_goes_on_if_asked_to() {
    let store = Store::new();
    fs::remove_file(store.chunk(VM, IMAGE, 1)).unwrap();
    flip(&store.chunk(VM, IMAGE, 2), 50);
    let config = Config {
        keep_going: true,
        threads: 3,
    };
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("disk.raw");
    let output = Output::File(&target);
    let report = restore(
        &store.open(),
        &id(VM),
        IMAGE,
        Some(&live()),
        output,
        config,
        Watch::nobody(),
    )
    .unwrap();
    assert!(!report.is_sound());
    let [hole] = &report.holes[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (hole.offset, hole.length, hole.chunks, hole.first.kind),
        (4 << 20, 8 << 20, 2, "missing")
    );

    let mut whole = Vec::new();
    let output = Output::Stream(&mut whole);
    restore(
        &Store::new().open(),
        &id(VM),
        IMAGE,
        Some(&live()),
        output,
        config,
        Watch::nobody(),
    )
    .unwrap();
    let damaged = fs::read(&target).unwrap();
    assert!(damaged.len() == 12 << 20 && damaged[..4 << 20] == whole[..4 << 20]);
    assert!(damaged[4 << 20..].iter().all(|byte| *byte == 0));
}

#[test]
fn restore_goes_on_with_a_damaged_index_and_manifest() {
    let config = Config {
        keep_going: true,
        ..Config::default()
    };
    let run = |store: &Store| {
        let mut out = Vec::new();
        let output = Output::Stream(&mut out);
        let report = restore(
            &store.open(),
            &id(CT_OLD),
            TREE,
            Some(&live()),
            output,
            config,
            Watch::nobody(),
        )
        .unwrap();
        assert_eq!(out.len(), 286_839);
        report
    };
    let store = Store::new();
    flip(&store.file(CT_OLD, TREE), 4096 + 50);
    let report = run(&store);
    assert_eq!(report.damages[0].kind, "wrong-index-checksum");
    assert_eq!(
        (report.holes.len(), report.holes[0].first.kind),
        (1, "missing")
    );

    // an offset that can't be: the rest of the archive is lost
    let store = Store::new();
    edit(&store.file(CT_OLD, TREE), |bytes| {
        bytes[4096 + 80 + 7] = 0x10
    });
    let report = run(&store);
    assert_eq!(
        (report.holes[0].offset, report.holes[0].length),
        (58_083, 286_839 - 58_083)
    );

    let store = Store::new();
    store.manifest(CT_OLD, |manifest| manifest["signature"] = Value::Null);
    let report = run(&store);
    assert_eq!(
        (report.damages[0].kind, report.holes.len()),
        ("not-signed", 0)
    );
}

#[test]
fn a_failed_restore_leaves_no_file() {
    let store = Store::new();
    fs::remove_file(store.chunk(VM, IMAGE, 2)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("disk.raw");
    let output = Output::File(&target);
    restore(
        &store.open(),
        &id(VM),
        IMAGE,
        Some(&live()),
        output,
        Config::default(),
        Watch::nobody(),
    )
    .unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
