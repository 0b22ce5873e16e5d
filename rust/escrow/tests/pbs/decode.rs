//! Everything that the client wrote decodes to what it was.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use pve_escrow::pbs::prove::Depth;
use pve_escrow::pbs::restore::{Config, Output, Report, restore};
use pve_escrow::pbs::{Scope, SnapshotId, Watch};
use pve_escrow::{Error, Fingerprint, Key};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::pxar;
use crate::store::{
    CT_NEW, CT_OLD, CT_TENANT, LEGACY, PLAIN, SIGNED, VM, VM_OTHER, id, key, live, original,
    prove_all, vectors,
};

const SNAPSHOTS: [(&str, Option<&str>); 8] = [
    (CT_OLD, Some("live.enc")),
    (CT_NEW, Some("live.enc")),
    (CT_TENANT, Some("live.enc")),
    (SIGNED, Some("live.enc")),
    (LEGACY, Some("legacy-no-fingerprint.enc")),
    (VM, Some("live.enc")),
    (VM_OTHER, Some("other.enc")),
    (PLAIN, None),
];

fn get(snapshot: &str, archive: &str, key: Option<&Key>) -> pve_escrow::Result<(Vec<u8>, Report)> {
    let mut out = Vec::new();
    let output = Output::Stream(&mut out);
    let report = restore(
        &original(),
        &id(snapshot),
        archive,
        key,
        output,
        Config::default(),
        Watch::nobody(),
    )?;
    assert_eq!(report.bytes, out.len() as u64);
    assert!(report.is_sound());
    Ok((out, report))
}

fn sums(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(vectors().join("source").join(file)).unwrap();
    text.lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name.into(), sum.into()))
        .collect()
}

fn source_sum(name: &str) -> String {
    sums("SHA256SUMS")
        .into_iter()
        .find(|(file, _)| file == name)
        .unwrap()
        .1
}

#[test]
fn every_archive_of_every_snapshot() {
    let listed: Vec<SnapshotId> = original().list(&Scope::All).unwrap().snapshots;
    assert_eq!(listed.len(), SNAPSHOTS.len());
    let mut archives = 0;
    for (snapshot, key_name) in SNAPSHOTS {
        assert!(listed.contains(&id(snapshot)));
        let key = key_name.map(key);
        for file in files_as_listed(snapshot) {
            let name = file["filename"].as_str().unwrap();
            if name == "index.json.blob" {
                continue;
            }
            let (data, report) = get(snapshot, name, key.as_ref()).unwrap();
            let (short, _) = get(snapshot, name.rsplit_once('.').unwrap().0, key.as_ref()).unwrap();
            assert!(data == short && report.archive == name);
            if name.ends_with("idx") {
                assert_eq!(
                    data.len() as u64,
                    file["size"].as_u64().unwrap(),
                    "{snapshot} {name}"
                );
            }
            let expected = match name {
                "drive-scsi0.img.fidx" => Some("drive-scsi0.raw"),
                "pct.conf.blob" => Some("pct.conf"),
                "qemu-server.conf.blob" => Some("qemu-server.conf"),
                _ => None,
            };
            if let Some(expected) = expected {
                assert_eq!(
                    hex::encode(Sha256::digest(&data)),
                    source_sum(expected),
                    "{snapshot} {name}"
                );
            }
            archives += 1;
        }
    }
    assert_eq!(archives, 4 + 4 + 4 + 3 + 1 + 2 + 3 + 2);
}

/// As `proxmox-backup-client snapshot list` has it.
fn files_as_listed(snapshot: &str) -> Vec<Value> {
    let id = id(snapshot);
    let file = if id.namespace.components().is_empty() {
        "snapshots.json"
    } else {
        "snapshots-tenant.json"
    };
    let all: Vec<Value> = serde_json::from_slice(&fs::read(vectors().join(file)).unwrap()).unwrap();
    let fits = |listed: &&Value| {
        listed["backup-type"] == id.snapshot.backup_type().as_str()
            && listed["backup-id"] == id.snapshot.id()
            && listed["backup-time"] == id.snapshot.time().timestamp()
    };
    all.iter().find(fits).unwrap()["files"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn the_tree_of_a_container() {
    let base = |name: String| name.rsplit_once('/').unwrap().1.to_owned();
    let source: BTreeSet<_> = sums("root.SHA256SUMS")
        .into_iter()
        .map(|(name, sum)| (base(name), sum))
        .collect();
    for (snapshot, lacks) in [(CT_OLD, Some("f040.dat")), (CT_NEW, None)] {
        let (archive, _) = get(snapshot, "root.pxar", Some(&live())).unwrap();
        let files: BTreeSet<_> = pxar::files(&archive).into_iter().collect();
        let missing: Vec<_> = source
            .difference(&files)
            .map(|(name, _)| name.as_str())
            .collect();
        // the second name of a file has no content of its own
        let link = if files.iter().any(|(name, _)| name == "hostname") {
            "hostname.hard"
        } else {
            "hostname"
        };
        let expected: BTreeSet<_> = lacks.into_iter().chain([link]).collect();
        assert_eq!(
            missing.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{snapshot}"
        );
        assert!(files.is_subset(&source));
    }
}

#[test]
fn the_key_for_the_holder_of_the_master_key_needs_no_key() {
    for key in [None, Some(live())] {
        let (data, _) = get(CT_OLD, "rsa-encrypted.key", key.as_ref()).unwrap();
        assert_eq!(data.len(), 512);
    }
    assert!(get(CT_OLD, "pct.conf", None).is_err());
}

#[test]
fn a_file_is_sparse_and_complete() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("disk.raw");
    let to_file = || {
        let output = Output::File(&target);
        restore(
            &original(),
            &id(VM),
            "drive-scsi0.img",
            Some(&live()),
            output,
            Config::default(),
            Watch::nobody(),
        )
    };
    let report = to_file().unwrap();
    assert_eq!(
        (report.bytes, report.archive.as_str()),
        (12 << 20, "drive-scsi0.img.fidx")
    );
    assert_eq!(
        hex::encode(Sha256::digest(fs::read(&target).unwrap())),
        source_sum("drive-scsi0.raw")
    );
    let metadata = fs::metadata(&target).unwrap();
    assert!(
        metadata.blocks() * 512 < 12 << 20,
        "{} blocks",
        metadata.blocks()
    );
    assert_eq!(metadata.mode() & 0o777, 0o600);

    assert!(matches!(to_file(), Err(Error::Exists(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn wrong_and_missing_keys_are_refused_by_name() {
    let short = |key: &str| Fingerprint::of(&crate::store::key(key)).short();
    for (snapshot, archive) in [
        (VM, "drive-scsi0.img"),
        (VM, "qemu-server.conf"),
        (SIGNED, "root.pxar"),
        (CT_OLD, "catalog.pcat1"),
    ] {
        let err = get(snapshot, archive, Some(&key("other.enc"))).unwrap_err();
        assert!(matches!(err, Error::FingerprintDiffers { .. }));
        for name in ["live.enc", "other.enc"] {
            assert!(err.to_string().contains(&short(name)), "{err}");
        }
        let err = get(snapshot, archive, None).unwrap_err();
        assert!(
            matches!(err, Error::KeyNeeded { .. }) && err.to_string().contains(&short("live.enc")),
            "{err}"
        );
    }
    assert!(get(CT_OLD, "rsa-encrypted.key", Some(&key("other.enc"))).is_err());
    // a plain one takes any
    get(PLAIN, "etc.pxar", Some(&key("other.enc"))).unwrap();
}

#[test]
fn what_is_not_there() {
    let err = get(VM, "root.pxar", Some(&live())).unwrap_err();
    assert!(
        err.to_string().contains("drive-scsi0.img"),
        "it says what there is: {err}"
    );
    for archive in ["", "../200/qemu-server.conf", "index.json", "owner"] {
        assert!(
            matches!(get(VM, archive, Some(&live())), Err(Error::Refused(_))),
            "{archive}"
        );
    }
    assert!(matches!(
        get("vm/999/2024-06-05T17:00:00Z", "x", None),
        Err(Error::Io { .. })
    ));
}

#[test]
fn proven_for_what_they_are() {
    for depth in [Depth::Full, Depth::Sample(459)] {
        let report = serde_json::to_value(prove_all(&original(), &live(), depth)).unwrap();
        assert_eq!(report["result"], "valid");
        assert_eq!(report["totals"]["snapshots"], 6, "{report:#}");
        assert_eq!(report["totals"]["skipped"], 2);
        let of = |path: &str| {
            let id = id(path);
            let fits = |one: &&Value| {
                one["snapshot"] == id.snapshot.to_string()
                    && one["namespace"] == id.namespace.to_string()
            };
            report["snapshots"]
                .as_array()
                .unwrap()
                .iter()
                .find(fits)
                .unwrap()
        };
        for (path, result, protection) in [
            (CT_OLD, "valid", "encrypted"),
            (CT_NEW, "valid", "encrypted"),
            (CT_TENANT, "valid", "encrypted"),
            (LEGACY, "valid", "encrypted"),
            (VM, "valid", "encrypted"),
            (SIGNED, "valid", "signed"),
            (VM_OTHER, "skipped", "encrypted"),
            (PLAIN, "skipped", "plain"),
        ] {
            assert_eq!(
                (&of(path)["result"], &of(path)["protection"]),
                (&result.into(), &protection.into()),
                "{path}"
            );
        }
        let other = Fingerprint::of(&key("other.enc")).short();
        let own = Fingerprint::of(&live()).short();
        let reason = of(VM_OTHER)["reason"].as_str().unwrap();
        assert!(reason.contains(&other) && reason.contains(&own), "{reason}");
        let image = &of(VM)["files"][1];
        assert_eq!(image["name"], "drive-scsi0.img.fidx");
        assert_eq!(
            image["chunks"],
            serde_json::json!({"total": 3, "checked": 3, "read": 3})
        );
        assert_eq!(image["bytes"], 12 << 20);
        // three of four chunks were seen in the older snapshot
        assert_eq!(
            of(CT_NEW)["files"][1]["chunks"],
            serde_json::json!({"total": 4, "checked": 4, "read": 1})
        );
    }
}
