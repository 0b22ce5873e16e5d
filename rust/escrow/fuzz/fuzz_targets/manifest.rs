//! A manifest: the blob, and the JSON that is in it.
#![cfg_attr(not(test), no_main)]

use std::collections::HashSet;
use std::path::{Component, Path};
use std::sync::LazyLock;

use pve_escrow::KeyFile;
use pve_escrow::pbs::blob::{Buffer, Mode};
use pve_escrow::pbs::manifest::{CryptMode, Manifest, Protection};
use pve_escrow::pbs::{Crypt, Fault, SnapshotName};
use serde_json::{Value, json};

static LIVE: LazyLock<Crypt> =
    LazyLock::new(|| crypt(include_bytes!("../../../../tests/vectors/keys/live.enc")));
static OTHER: LazyLock<Crypt> =
    LazyLock::new(|| crypt(include_bytes!("../../../../tests/vectors/keys/other.enc")));

fn crypt(file: &[u8]) -> Crypt {
    let key = KeyFile::parse(file, "a key file").and_then(|file| file.open(None));
    Crypt::new(&key.expect("it is sound"))
}

/// What must hold for every input.
pub fn run(data: &[u8]) {
    if let Err(fault) = decode(data).map(|manifest| sound(&manifest)) {
        refused(&fault);
    }
    let in_blob = decode(&blob(data));
    match (Manifest::parse(data), in_blob) {
        (Ok(manifest), Ok(same)) => {
            assert_same(&manifest, &same);
            sound(&manifest);
            rewritten(data, &manifest);
        }
        (Err(fault), Err(same)) => {
            assert_eq!(fault, same);
            refused(&fault);
        }
        (parsed, decoded) => panic!("{parsed:?}, but in a blob {decoded:?}"),
    }
}

fn decode(blob: &[u8]) -> Result<Manifest, Fault> {
    let mut buffer = Buffer::default();
    buffer.fill(blob, blob.len() as u64, 1 << 20)?;
    Manifest::decode(&mut buffer)
}

fn blob(data: &[u8]) -> Vec<u8> {
    let magic = [66, 171, 56, 7, 190, 131, 112, 161];
    [&magic[..], &crc32fast::hash(data).to_le_bytes(), data].concat()
}

fn sound(manifest: &Manifest) {
    let snapshot = &manifest.snapshot;
    assert_eq!(snapshot.to_string().parse().as_ref(), Ok(snapshot));
    let mut names = HashSet::new();
    for file in &manifest.files {
        let name = file.filename.as_str();
        assert!(names.insert(name), "{name} is there twice");
        let mut components = Path::new(name).components();
        assert_eq!(components.next(), Some(Component::Normal(name.as_ref())));
        assert!(manifest.has(name) && manifest.has(file.filename.stem()));
        if file.mode() == Mode::Encrypted {
            assert_eq!(file.crypt_mode, CryptMode::Encrypt);
            assert_eq!(manifest.protection(), Protection::Encrypted);
        }
    }
    assert!(!(manifest.is_signed_with(&LIVE) && manifest.is_signed_with(&OTHER)));
    for crypt in [&LIVE, &OTHER] {
        checked(manifest, crypt);
    }
}

fn checked(manifest: &Manifest, crypt: &Crypt) {
    let signed = manifest.is_signed_with(crypt);
    assert!(!signed || manifest.is_signed());
    assert!(!signed || manifest.belongs_to(crypt));
    let faults = manifest.check(&manifest.snapshot, crypt);
    faults.iter().for_each(refused);
    assert_eq!(
        faults.is_empty(),
        signed && manifest.claimed == Some(crypt.fingerprint())
    );
    let elsewhere = SnapshotName::new(
        manifest.snapshot.backup_type(),
        manifest.snapshot.id(),
        "1999-12-31T23:59:59Z",
    );
    let elsewhere = elsewhere.expect("it is a name");
    let moved = manifest.check(&elsewhere, crypt);
    assert_eq!(
        moved.len() - faults.len(),
        usize::from(elsewhere != manifest.snapshot)
    );
}

/// What is signed does not depend on how it is written, nor on what is not protected, but on all else.
fn rewritten(data: &[u8], manifest: &Manifest) {
    let mut value: Value = serde_json::from_slice(data).expect("it was JSON before");
    let parse = |value: &Value| {
        let pretty = serde_json::to_vec_pretty(value).expect("it was JSON before");
        Manifest::parse(&pretty)
    };
    assert_same(manifest, &parse(&value).expect("it was a manifest before"));
    if let Some(unprotected) = value.get_mut("unprotected").and_then(Value::as_object_mut) {
        unprotected.insert("notes".to_owned(), json!("changed"));
        assert_same(manifest, &parse(&value).expect("notes may be anything"));
    }
    let changed = json!("changed");
    let Some(members) = value.as_object_mut() else {
        return;
    };
    if members.insert("changed".to_owned(), changed.clone()) != Some(changed) {
        let changed = parse(&value).expect("further members are read");
        assert!(!manifest.is_signed_with(&LIVE) || !changed.is_signed_with(&LIVE));
    }
}

fn assert_same(manifest: &Manifest, same: &Manifest) {
    assert_eq!(manifest.snapshot, same.snapshot);
    assert_eq!(manifest.claimed, same.claimed);
    assert_eq!(format!("{:?}", manifest.files), format!("{:?}", same.files));
    assert_eq!(manifest.protection(), same.protection());
    assert_eq!(manifest.is_signed(), same.is_signed());
    assert_eq!(manifest.is_signed_with(&LIVE), same.is_signed_with(&LIVE));
}

/// Texts go to terminals and logs.
fn refused(fault: &Fault) {
    let text = fault.to_string();
    assert!(
        text.len() < 400 && !text.contains(char::is_control),
        "{text:?}"
    );
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
