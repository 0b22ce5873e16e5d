//! Master keys against files of the stock client, and against OpenSSL.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pve_escrow::master::{self, PrivateFile, PrivateKey, PublicKey, Wrapped};
use pve_escrow::pbs::{Datastore, SnapshotId};
use pve_escrow::{Error, Fingerprint, KeyFile, SecretString};
use tempfile::TempDir;

const PASSPHRASE: &str = "master passphrase 1";
const LIVE: &str = "03:6b:8f:61:0c:da:d8:85";
const OTHER: &str = "7d:34:d4:ed:c3:20:5d:a3";

fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(name)
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn client_private() -> PrivateKey {
    let file = PrivateFile::read(&vectors("master/master-private.pem")).unwrap();
    assert!(file.is_protected());
    file.open(Some(&secret(PASSPHRASE))).unwrap()
}

fn client_public() -> PublicKey {
    PublicKey::read(&vectors("master/master-public.pem")).unwrap()
}

fn live() -> KeyFile {
    KeyFile::read(&vectors("keys/live.enc")).unwrap()
}

/// Runs OpenSSL in `room`; the arguments hold no spaces. What it prints on standard output.
fn openssl(room: &Path, arguments: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(room);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A room with a fresh key of OpenSSL's in `key.pem`, and its passphrase in `pass`.
fn room(bits: u32) -> TempDir {
    let room = tempfile::tempdir().unwrap();
    openssl(room.path(), &format!("genrsa -out key.pem {bits}"));
    fs::write(room.path().join("pass"), "pass phrase").unwrap();
    room
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::WrongMasterKey { .. } => "wrong master key",
        Error::WrongPassphrase { .. } => "wrong passphrase",
        Error::PassphraseNeeded { .. } => "passphrase needed",
        Error::FingerprintDiffers { .. } => "another key",
        Error::Damaged { .. } => "damaged",
        Error::Unsupported { .. } => "unsupported",
        Error::Refused(_) => "refused",
        _ => "something else",
    }
}

/// Does it fail in this way, with these words?
fn fails<T: std::fmt::Debug>(result: pve_escrow::Result<T>, how: &str, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(kind(&error), how, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn id(namespace: &str, snapshot: &str) -> SnapshotId {
    SnapshotId {
        namespace: namespace.parse().unwrap(),
        snapshot: snapshot.parse().unwrap(),
    }
}

#[test]
fn the_halves_of_the_client_belong_together() {
    assert_eq!(client_private().public(), client_public());
    assert_eq!(client_public().bits(), 4096);
    let pem = fs::read_to_string(vectors("master/master-public.pem")).unwrap();
    assert_eq!(client_public().to_pem(), pem);

    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("public.pem"), pem).unwrap();
    openssl(
        room.path(),
        "pkey -pubin -in public.pem -outform DER -out der",
    );
    let digest = openssl(room.path(), "dgst -sha256 -r der");
    let digest = String::from_utf8(digest).unwrap();
    assert!(
        digest.starts_with(&client_public().fingerprint().hex()),
        "{digest}"
    );
}

#[test]
fn what_the_client_has_restored_opens() {
    for (name, fingerprint) in [
        ("rsa-encrypted/ct100.rsa-encrypted.key", LIVE),
        ("rsa-encrypted/vm201.rsa-encrypted.key", OTHER),
    ] {
        let opened = Wrapped::read(&vectors(name))
            .unwrap()
            .open(&client_private(), None)
            .unwrap();
        assert_eq!(opened.fingerprint.short(), fingerprint, "{name}");
        assert!(opened.doubts.is_empty());
        let key = opened.file.open(None).unwrap();
        assert_eq!(Fingerprint::of(&key), opened.fingerprint);
    }
}

#[test]
fn every_snapshot_with_a_master_key_opens() {
    let datastore = Datastore::open(&vectors("datastore")).unwrap();
    let all = datastore
        .list(&pve_escrow::pbs::Scope::All)
        .unwrap()
        .snapshots;
    let (mut opened, mut without) = (0, 0);
    for id in all {
        match Wrapped::of_snapshot(&datastore, &id) {
            Ok(wrapped) => {
                let recovered = wrapped.open(&client_private(), None).unwrap();
                let expected = if id.snapshot.to_string().starts_with("vm/201") {
                    OTHER
                } else {
                    LIVE
                };
                assert_eq!(recovered.fingerprint.short(), expected, "{id}");
                assert_eq!(recovered.doubts, [], "{id}");
                opened += 1;
            }
            Err(err) => {
                fails(Err::<(), _>(err), "refused", "without a master key");
                without += 1;
            }
        }
    }
    assert_eq!((opened, without), (4, 4));
}

#[test]
fn the_expected_key_and_no_other() {
    let wrapped = Wrapped::read(&vectors("rsa-encrypted/ct100.rsa-encrypted.key")).unwrap();
    let key = client_private();
    wrapped.open(&key, Some(&LIVE.parse().unwrap())).unwrap();
    fails(
        wrapped.open(&key, Some(&OTHER.parse().unwrap())),
        "another key",
        OTHER,
    );
}

/// A copy of a snapshot's small files, to be tampered with.
fn copied(room: &Path, name: &str) -> PathBuf {
    let target = room.join(name);
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(room.join(".chunks")).unwrap();
    for entry in fs::read_dir(vectors("datastore").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::write(
            target.join(entry.file_name()),
            fs::read(entry.path()).unwrap(),
        )
        .unwrap();
    }
    target
}

#[test]
fn a_blob_that_does_not_fit_its_manifest() {
    const CT: &str = "ct/100/2024-06-05T16:00:00Z";
    const VM: &str = "vm/201/2024-06-05T18:00:00Z";
    let room = tempfile::tempdir().unwrap();
    let (ct, vm) = (copied(room.path(), CT), copied(room.path(), VM));
    let datastore = Datastore::open(room.path()).unwrap();
    let blob = ct.join("rsa-encrypted.key.blob");
    let open = |name| Wrapped::of_snapshot(&datastore, &id("", name));

    // that of another key, in one piece
    fs::copy(vm.join("rsa-encrypted.key.blob"), &blob).unwrap();
    fails(
        open(CT),
        "damaged",
        "checksum is not the one of the manifest",
    );
    fs::write(&blob, "short").unwrap();
    fails(open(CT), "damaged", "5 bytes, and 524 are expected");
    fs::remove_file(&blob).unwrap();
    fails(open(CT), "something else", "cannot read");
    // all of it, manifest too
    for name in ["rsa-encrypted.key.blob", "index.json.blob"] {
        fs::copy(vm.join(name), ct.join(name)).unwrap();
    }
    fails(open(CT), "damaged", VM);
    fails(
        open("vm/9/2024-06-05T18:00:00Z"),
        "something else",
        "cannot read",
    );
}

/// A blob as a server stores it.
fn blob(data: &[u8]) -> Vec<u8> {
    let mut blob = vec![66, 171, 56, 7, 190, 131, 112, 161];
    blob.extend(crc32fast::hash(data).to_le_bytes());
    blob.extend(data);
    blob
}

#[test]
fn a_manifest_that_names_another_key() {
    // wrapped by somebody else, in a snapshot that names the live key: checksums are of no help
    const CT: &str = "ct/100/2024-06-05T16:00:00Z";
    let room = tempfile::tempdir().unwrap();
    let ct = copied(room.path(), CT);
    let other = KeyFile::read(&vectors("keys/other.enc")).unwrap();
    let wrapped = blob(&client_public().wrap(&other).unwrap());
    fs::write(ct.join("rsa-encrypted.key.blob"), &wrapped).unwrap();
    change_manifest(&ct, |manifest| {
        use sha2::Digest;
        let files = manifest["files"].as_array_mut().unwrap();
        let mut files = files.iter_mut();
        let file = files
            .find(|file| file["filename"] == "rsa-encrypted.key.blob")
            .unwrap();
        let digest = sha2::Sha256::digest(&wrapped);
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        file["csum"] = digits.into();
    });
    let datastore = Datastore::open(room.path()).unwrap();
    let wrapped = Wrapped::of_snapshot(&datastore, &id("", CT)).unwrap();
    fails(wrapped.open(&client_private(), None), "another key", OTHER);
}

#[test]
fn a_manifest_that_was_changed_is_a_doubt() {
    const CT: &str = "ct/100/2024-06-05T16:00:00Z";
    let room = tempfile::tempdir().unwrap();
    let ct = copied(room.path(), CT);
    change_manifest(&ct, |manifest| {
        manifest["signature"] = serde_json::Value::Null
    });
    let datastore = Datastore::open(room.path()).unwrap();
    let wrapped = Wrapped::of_snapshot(&datastore, &id("", CT)).unwrap();
    let recovered = wrapped.open(&client_private(), None).unwrap();
    assert_eq!(recovered.fingerprint.short(), LIVE);
    let kinds: Vec<_> = recovered.doubts.iter().map(|fault| fault.kind()).collect();
    assert_eq!(kinds, ["not-signed"]);
}

fn change_manifest(snapshot: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = snapshot.join("index.json.blob");
    let bytes = fs::read(&path).unwrap();
    let json = match bytes[0] {
        66 => bytes[12..].to_vec(),
        _ => zstd::decode_all(&bytes[12..]).unwrap(),
    };
    let mut manifest = serde_json::from_slice(&json).unwrap();
    change(&mut manifest);
    fs::write(&path, blob(manifest.to_string().as_bytes())).unwrap();
}

#[test]
fn damage_and_a_wrong_key_are_told_apart() {
    let right = client_private();
    let raw = fs::read(vectors("rsa-encrypted/ct100.rsa-encrypted.key")).unwrap();
    let stored = fs::read(vectors(
        "datastore/ct/100/2024-06-05T16:00:00Z/rsa-encrypted.key.blob",
    ))
    .unwrap();
    assert_eq!((raw.len(), stored.len()), (512, 524));
    let open = |bytes: &[u8], key: &PrivateKey| Wrapped::parse(bytes, "x")?.open(key, None);

    // every byte of a blob
    for at in 0..stored.len() {
        let mut changed = stored.clone();
        changed[at] ^= 1 << (at % 8);
        fails(open(&changed, &right), "damaged", "");
    }
    for len in [0, 11, 12, 300, 523] {
        fails(open(&stored[..len], &right), "damaged", "");
    }
    // without CRC
    for at in (0..raw.len()).step_by(37) {
        let mut changed = raw.clone();
        changed[at] ^= 1 << (at % 8);
        fails(
            open(&changed, &right),
            "wrong master key",
            "can't be told apart",
        );
    }
    fails(open(&raw[..511], &right), "damaged", "511 bytes");
    fails(
        open(&[&raw[..], b"\n"].concat(), &right),
        "damaged",
        "513 bytes",
    );
    fails(open(&[], &right), "damaged", "0 bytes");

    // another key, of the same and of another size
    let same = room(4096);
    let same = PrivateFile::read(&same.path().join("key.pem"))
        .unwrap()
        .open(None)
        .unwrap();
    fails(open(&stored, &same), "wrong master key", "as it was stored");
    fails(open(&raw, &same), "wrong master key", "can't be told apart");
    let smaller = room(3072);
    let smaller = PrivateFile::read(&smaller.path().join("key.pem"))
        .unwrap()
        .open(None)
        .unwrap();
    for bytes in [&raw, &stored] {
        fails(
            open(bytes, &smaller),
            "wrong master key",
            "4096 bits, and this one has 3072",
        );
    }
}

#[test]
fn what_is_wrapped_has_to_be_a_key_file() {
    let room = tempfile::tempdir().unwrap();
    let public = vectors("master/master-public.pem").canonicalize().unwrap();
    let wrap = |content: &[u8]| {
        fs::write(room.path().join("content"), content).unwrap();
        openssl(
            room.path(),
            &format!(
                "pkeyutl -encrypt -pubin -inkey {} -in content -out wrapped",
                public.display()
            ),
        );
        Wrapped::read(&room.path().join("wrapped"))
            .unwrap()
            .open(&client_private(), None)
    };
    let key = |name: &str| fs::read(vectors("keys").join(name)).unwrap();
    assert_eq!(wrap(&key("live.enc")).unwrap().fingerprint.short(), LIVE);
    // as clients before fingerprints did it
    let legacy = wrap(&key("legacy-no-fingerprint.enc")).unwrap();
    assert_eq!(legacy.fingerprint.short(), LIVE);
    assert_eq!(legacy.file.claimed, Some(legacy.fingerprint));

    fails(wrap(&key("bad-wrong-fingerprint.enc")), "damaged", OTHER);
    fails(
        wrap(&key("live.escrow-by-client.enc")),
        "damaged",
        "protected once more",
    );
    for rubbish in [&b"{}"[..], b"", &[0; 32], &key("live.enc")[..200]] {
        fails(wrap(rubbish), "wrong master key", "");
    }
}

#[test]
fn each_form_of_a_private_key_opens() {
    let room = room(3072);
    let path = room.path();
    let public = {
        openssl(path, "pkey -in key.pem -pubout -out public.pem");
        PublicKey::read(&path.join("public.pem")).unwrap()
    };
    let wrapped = Wrapped::parse(&public.wrap(&live()).unwrap(), "wrapped").unwrap();
    for (how, protected) in [
        ("pkcs8 -topk8 -nocrypt -in key.pem -out form", false),
        ("rsa -traditional -in key.pem -out form", false),
        (
            "pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -passout file:pass -out form",
            true,
        ),
        (
            "pkcs8 -topk8 -v2 aes-128-cbc -in key.pem -passout file:pass -out form",
            true,
        ),
        (
            "pkcs8 -topk8 -scrypt -in key.pem -passout file:pass -out form",
            true,
        ),
        (
            "rsa -traditional -aes256 -in key.pem -passout file:pass -out form",
            true,
        ),
    ] {
        openssl(path, how);
        let file = PrivateFile::read(&path.join("form")).unwrap();
        assert_eq!(file.is_protected(), protected, "{how}");
        let key = file.open(Some(&secret("pass phrase"))).unwrap();
        assert_eq!(key.public(), public, "{how}");
        assert_eq!(
            wrapped.open(&key, None).unwrap().fingerprint.short(),
            LIVE,
            "{how}"
        );
        if protected {
            fails(file.open(None), "passphrase needed", "form");
            for wrong in [
                "",
                "pass phrase\n",
                "Pass phrase",
                "another",
                "one more",
                "x",
                "y",
                "z",
            ] {
                fails(file.open(Some(&secret(wrong))), "wrong passphrase", "form");
            }
        } else {
            file.open(None).unwrap();
        }
    }
}

#[test]
fn other_private_keys_are_refused() {
    let room = room(2048);
    let path = room.path();
    for (how, kind, words) in [
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out form",
            "unsupported",
            "no RSA key",
        ),
        (
            "ecparam -name prime256v1 -genkey -noout -out form",
            "unsupported",
            "EC PRIVATE KEY",
        ),
        (
            "pkcs8 -topk8 -v2 des3 -in key.pem -passout file:pass -out form",
            "unsupported",
            "openssl pkey",
        ),
        (
            "pkcs8 -topk8 -v2prf hmacWithSHA1 -in key.pem -passout file:pass -out form",
            "unsupported",
            "openssl pkey",
        ),
        (
            "pkcs8 -topk8 -iter 20000000 -in key.pem -passout file:pass -out form",
            "unsupported",
            "20000000",
        ),
        (
            "rsa -traditional -aes128 -in key.pem -passout file:pass -out form",
            "unsupported",
            "openssl pkey",
        ),
        (
            "rsa -in key.pem -pubout -out form",
            "unsupported",
            "public half",
        ),
    ] {
        openssl(path, how);
        let file = PrivateFile::read(&path.join("form"));
        let opened = file.and_then(|file| file.open(Some(&secret("pass phrase"))));
        fails(opened, kind, words);
    }
    openssl(path, "rsa -traditional -in key.pem -out form");
    let text = fs::read_to_string(path.join("form")).unwrap();
    for damaged in [
        text.replacen('M', "N", 1),
        text[..500].to_owned(),
        text.replace("END RSA", "END XXX"),
        format!("{text}{text}"),
        String::new(),
    ] {
        fails(
            PrivateFile::parse(damaged.as_bytes(), "x").and_then(|file| file.open(None)),
            "damaged",
            "",
        );
    }
    // numbers that do not fit each other
    let other = self::room(2048);
    openssl(
        other.path(),
        "rsa -traditional -in key.pem -out form -outform DER",
    );
    openssl(path, "rsa -traditional -in key.pem -out der -outform DER");
    let (mut a, b) = (
        fs::read(path.join("der")).unwrap(),
        fs::read(other.path().join("form")).unwrap(),
    );
    a[40..200].copy_from_slice(&b[40..200]);
    fs::write(path.join("mixed"), a).unwrap();
    let digits = openssl(path, "base64 -in mixed");
    let text = [
        &b"-----BEGIN RSA PRIVATE KEY-----\n"[..],
        &digits,
        b"-----END RSA PRIVATE KEY-----\n",
    ]
    .concat();
    fails(
        PrivateFile::parse(&text, "x").unwrap().open(None),
        "damaged",
        "no RSA private key",
    );
}

#[test]
fn public_keys_with_which_backups_would_fail() {
    let room = room(2048);
    let path = room.path();
    fs::copy(
        vectors("master/master-public.pem").canonicalize().unwrap(),
        path.join("good.pem"),
    )
    .unwrap();
    for (how, kind, words) in [
        (
            "pkey -in key.pem -pubout -out form",
            "unsupported",
            "2048 bits",
        ),
        (
            "rsa -pubin -in good.pem -RSAPublicKey_out -out form",
            "unsupported",
            "BEGIN RSA PUBLIC KEY",
        ),
        ("pkey -in key.pem -out form", "unsupported", "PRIVATE half"),
        (
            "req -x509 -key key.pem -subj /CN=x -out form",
            "unsupported",
            "certificate",
        ),
        (
            "pkey -pubin -in good.pem -outform DER -out form",
            "damaged",
            "",
        ),
    ] {
        openssl(path, how);
        fails(PublicKey::read(&path.join("form")), kind, words);
    }
    openssl(
        path,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem",
    );
    openssl(path, "pkey -in ec.pem -pubout -out form");
    fails(
        PublicKey::read(&path.join("form")),
        "unsupported",
        "no RSA key",
    );

    let good = fs::read_to_string(path.join("good.pem")).unwrap();
    PublicKey::parse(good.replace('\n', "\r\n").as_bytes(), "x").unwrap();
    PublicKey::parse(good.trim_end().as_bytes(), "x").unwrap();
    let one_line = good
        .replace('\n', "")
        .replace("KEY-----MII", "KEY-----\nMII")
        .replace("==-----END", "==\n-----END");
    for (text, kind) in [
        (good.clone() + &good, "damaged"),
        (good[..400].to_owned(), "damaged"),
        (good.replacen("MII", "MIJ", 1), "damaged"),
        (format!("a remark\n{good}"), "unsupported"),
        (good.clone() + "behind it", "unsupported"),
        (one_line, "unsupported"),
    ] {
        fails(PublicKey::parse(text.as_bytes(), "x"), kind, "");
    }
}

#[test]
fn smaller_and_larger_moduli() {
    use pkcs8::{EncodePublicKey, LineEnding};
    use rsa::{BigUint, RsaPublicKey};
    // no one has the primes; nobody needs them to wrap
    let read = |bits: usize| {
        let n = (BigUint::from(3_u8) << (bits - 2)) + BigUint::from(1_u8);
        let key = RsaPublicKey::new_unchecked(n, BigUint::from(65537_u32));
        let pem = key.to_public_key_pem(LineEnding::LF).unwrap();
        PublicKey::parse(pem.as_bytes(), "x")
    };
    for bits in [512, 2048, 2120] {
        fails(read(bits), "unsupported", "every backup would fail");
    }
    for bits in [2128, 3071] {
        fails(read(bits), "unsupported", "3072 or more");
    }
    for bits in [3072, 4096, 8192, 16384] {
        assert_eq!(read(bits).unwrap().bits(), bits);
    }
    fails(read(16392), "damaged", "too large");
}

#[test]
fn a_new_one_is_read_by_openssl() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path();
    let passphrase = secret("pässphrase with spaces");
    let new = master::create(&passphrase).unwrap();
    assert!(
        new.private
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    );
    fs::write(path.join("private.pem"), new.private.as_bytes()).unwrap();
    fs::write(path.join("public.pem"), new.public.to_pem()).unwrap();
    fs::File::create(path.join("pass"))
        .unwrap()
        .write_all(passphrase.as_str().as_bytes())
        .unwrap();

    let scheme = openssl(path, "asn1parse -in private.pem");
    let scheme = String::from_utf8(scheme).unwrap();
    for part in ["PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"] {
        assert!(scheme.contains(part), "{part}: {scheme}");
    }
    let public = openssl(path, "pkey -in private.pem -passin file:pass -pubout");
    assert_eq!(String::from_utf8(public).unwrap(), new.public.to_pem());
    let text = openssl(
        path,
        "pkey -in private.pem -passin file:pass -noout -text -check",
    );
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("Key is valid") && text.contains("4096 bit"),
        "{text}"
    );

    // ours is opened by theirs
    let wrapped = new.public.wrap(&live()).unwrap();
    fs::write(path.join("wrapped"), &wrapped).unwrap();
    let opened = openssl(
        path,
        "pkeyutl -decrypt -inkey private.pem -passin file:pass -in wrapped",
    );
    assert_eq!(opened, live().to_json().to_vec());
    // and theirs by ours
    fs::write(path.join("content"), live().to_json()).unwrap();
    openssl(
        path,
        "pkeyutl -encrypt -pubin -inkey public.pem -in content -out theirs",
    );
    let read = PrivateFile::read(&path.join("private.pem")).unwrap();
    let read = read.open(Some(&passphrase)).unwrap();
    let recovered = Wrapped::read(&path.join("theirs"))
        .unwrap()
        .open(&read, None)
        .unwrap();
    assert_eq!(recovered.fingerprint.short(), LIVE);
}

#[test]
fn only_a_plain_key_is_wrapped() {
    let protected = KeyFile::read(&vectors("keys/scrypt.enc")).unwrap();
    fails(client_public().wrap(&protected), "refused", "passphrase");
    assert_eq!(client_public().wrap(&live()).unwrap().len(), 512);
}
