//! The datastore of the test vectors, and copies of it to damage.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInOut, KeyInit};
use pve_escrow::pbs::prove::{Config, Depth, Report, prove};
use pve_escrow::pbs::{Datastore, Scope, SnapshotId, Watch};
use pve_escrow::{Key, KeyFile};
use serde_json::Value;
use tempfile::TempDir;

pub const CT_OLD: &str = "ct/100/2024-06-05T16:00:00Z";
pub const CT_NEW: &str = "ct/100/2024-06-06T16:00:00Z";
pub const CT_TENANT: &str = "ns/tenant/ct/100/2024-06-05T22:00:00Z";
pub const SIGNED: &str = "ct/102/2024-06-05T20:00:00Z";
pub const LEGACY: &str = "ct/103/2024-06-05T21:00:00Z";
pub const VM: &str = "vm/200/2024-06-05T17:00:00Z";
pub const VM_OTHER: &str = "vm/201/2024-06-05T18:00:00Z";
pub const PLAIN: &str = "host/labhost/2024-06-05T19:00:00Z";

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

pub fn key(name: &str) -> Key {
    KeyFile::read(&vectors().join("keys").join(name))
        .unwrap()
        .open(None)
        .unwrap()
}

pub fn live() -> Key {
    key("live.enc")
}

/// From its path below the datastore.
pub fn id(path: &str) -> SnapshotId {
    let (namespace, snapshot) = match path.strip_prefix("ns/tenant/") {
        Some(snapshot) => ("tenant", snapshot),
        None => ("", path),
    };
    SnapshotId {
        namespace: namespace.parse().unwrap(),
        snapshot: snapshot.parse().unwrap(),
    }
}

pub fn original() -> Datastore {
    Datastore::open(&vectors().join("datastore")).unwrap()
}

pub fn prove_all(datastore: &Datastore, key: &Key, depth: Depth) -> Report {
    let config = Config {
        scope: Scope::All,
        depth,
        ..Config::default()
    };
    prove(datastore, key, &config, Watch::nobody()).unwrap()
}

/// A copy that may be damaged.
pub struct Store(TempDir);

impl Store {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&vectors().join("datastore"), dir.path());
        Self(dir)
    }

    pub fn open(&self) -> Datastore {
        Datastore::open(self.0.path()).unwrap()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub fn file(&self, snapshot: &str, name: &str) -> PathBuf {
        self.path(snapshot).join(name)
    }

    /// The file of a chunk of an archive.
    pub fn chunk(&self, snapshot: &str, index: &str, n: u64) -> PathBuf {
        let digest = digest(&self.file(snapshot, index), n);
        let name = hex::encode(digest);
        self.path(".chunks").join(&name[..4]).join(name)
    }

    /// Changes the JSON of a manifest, and stores it as the client might.
    pub fn manifest(&self, snapshot: &str, change: impl FnOnce(&mut Value)) {
        edit(&self.file(snapshot, "index.json.blob"), |blob| {
            let json = zstd::decode_all(&blob[12..]).unwrap();
            let mut value = serde_json::from_slice(&json).unwrap();
            change(&mut value);
            let json = serde_json::to_vec_pretty(&value).unwrap();
            *blob = plain(&json);
        });
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

pub fn entry_at(index: &Path, n: u64) -> usize {
    let fixed = index.extension().unwrap() == "fidx";
    4096 + n as usize * if fixed { 32 } else { 40 } + if fixed { 0 } else { 8 }
}

pub fn digest(index: &Path, n: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    File::open(index)
        .unwrap()
        .read_exact_at(&mut digest, entry_at(index, n) as u64)
        .unwrap();
    digest
}

pub fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

pub fn flip(path: &Path, at: usize) {
    edit(path, |bytes| bytes[at] ^= 0x20);
}

pub fn cut(path: &Path, len: u64) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(len)
        .unwrap();
}

pub fn swap(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    fs::rename(a, &aside).unwrap();
    fs::rename(b, a).unwrap();
    fs::rename(aside, b).unwrap();
}

/// What somebody does who wants a change not to be noticed by the checksum.
pub fn fix_crc(blob: &mut [u8]) {
    let encrypted = [0x7b, 0xe6].contains(&blob[0]);
    let header = if encrypted { 44 } else { 12 };
    let crc = crc32fast::hash(&blob[header..]);
    blob[8..12].copy_from_slice(&crc.to_le_bytes());
}

pub fn plain(data: &[u8]) -> Vec<u8> {
    let mut blob = vec![66, 171, 56, 7, 190, 131, 112, 161, 0, 0, 0, 0];
    blob.extend(data);
    fix_crc(&mut blob);
    blob
}

pub fn encrypted(key: &Key, data: &[u8]) -> Vec<u8> {
    let mut blob = vec![123, 103, 133, 190, 34, 45, 76, 240, 0, 0, 0, 0];
    let mut data = data.to_vec();
    let cipher = aes_gcm::AesGcm::<aes_gcm::aes::Aes256, U16>::new(key.as_bytes().into());
    let tag = cipher
        .encrypt_inout_detached(&[9; 16].into(), &[], (&mut data[..]).into())
        .unwrap();
    blob.extend([9; 16]);
    blob.extend(tag);
    blob.extend(data);
    fix_crc(&mut blob);
    blob
}
