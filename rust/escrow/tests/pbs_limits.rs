//! Sizes beyond all measure: refused, or handled, in bounded memory.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use pve_escrow::pbs::index::{Index, Kind};
use pve_escrow::pbs::prove::{Config, Depth, Report, Verdict, prove};
use pve_escrow::pbs::restore::{self, Output, restore};
use pve_escrow::pbs::sample::{CHUNKS, Sampler};
use pve_escrow::pbs::{Datastore, SnapshotId, Watch};
use pve_escrow::{Fingerprint, Key, KeyFile, fingerprint};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SNAPSHOT: &str = "vm/300/2024-06-05T17:00:00Z";
const MIB: u64 = 1 << 20;
/// 1 TiB in chunks of 4 MiB.
const TERABYTE: u64 = 262_144;

/// Memory is that of the whole process, so one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes `run` needs beyond what is in use when it begins.
fn memory<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let status = |member: &str| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with(member))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            << 10
    };
    // the peak starts anew
    let reset = fs::write("/proc/self/clear_refs", "5");
    let before = if reset.is_ok() {
        status("VmRSS:")
    } else {
        status("VmHWM:")
    };
    let result = run();
    (result, status("VmHWM:").saturating_sub(before))
}

fn key() -> Key {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/keys/live.enc");
    KeyFile::read(&path).unwrap().open(None).unwrap()
}

fn id() -> SnapshotId {
    SnapshotId {
        namespace: Default::default(),
        snapshot: SNAPSHOT.parse().unwrap(),
    }
}

/// A datastore with one snapshot of one file, signed.
struct Store(TempDir);

impl Store {
    fn new(name: &str, mode: &str, content: &[u8], (csum, size): ([u8; 32], u64)) -> Self {
        let store = Self(tempfile::tempdir().unwrap());
        fs::create_dir(store.path(".chunks")).unwrap();
        fs::create_dir_all(store.path(SNAPSHOT)).unwrap();
        fs::write(store.path(SNAPSHOT).join(name), content).unwrap();
        let file =
            json!({"crypt-mode": mode, "csum": hex::encode(csum), "filename": name, "size": size});
        let mut manifest = json!({"backup-id": "300", "backup-time": 1_717_606_800, "backup-type": "vm", "files": [file]});
        // its members are sorted, so this is the canonical form
        let mut hmac = Hmac::<Sha256>::new_from_slice(&*fingerprint::id_key(&key())).unwrap();
        hmac.update(manifest.to_string().as_bytes());
        manifest["signature"] = hex::encode(hmac.finalize().into_bytes()).into();
        manifest["unprotected"] = json!({"key-fingerprint": Fingerprint::of(&key())});
        store.manifest(&manifest);
        store
    }

    fn blob(mode: &str, blob: &[u8]) -> Self {
        Self::new(
            "x.blob",
            mode,
            blob,
            (Sha256::digest(blob).into(), blob.len() as u64),
        )
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn manifest(&self, manifest: &Value) {
        fs::write(
            self.path(SNAPSHOT).join("index.json.blob"),
            plain(manifest.to_string().as_bytes(), false),
        )
        .unwrap();
    }

    fn open(&self) -> Datastore {
        Datastore::open(self.0.path()).unwrap()
    }

    fn prove(&self, depth: Depth) -> Report {
        let config = Config {
            depth,
            ..Config::default()
        };
        prove(&self.open(), &key(), &config, Watch::nobody()).unwrap()
    }
}

fn plain(data: &[u8], compressed: bool) -> Vec<u8> {
    let magic = if compressed {
        [49, 185, 88, 66, 111, 182, 163, 127]
    } else {
        [66, 171, 56, 7, 190, 131, 112, 161]
    };
    [&magic[..], &crc32fast::hash(data).to_le_bytes(), data].concat()
}

/// An image of so many chunks of 4 MiB; what is in them only their names tell.
fn image(chunks: u64, size: u64) -> (Vec<u8>, [u8; 32]) {
    let mut index = vec![0; 4096];
    index[..8].copy_from_slice(&[47, 127, 65, 237, 145, 253, 15, 205]);
    for n in 0..chunks {
        index.extend(Sha256::digest(n.to_le_bytes()));
    }
    let csum: [u8; 32] = Sha256::digest(&index[4096..]).into();
    index[32..64].copy_from_slice(&csum);
    index[64..72].copy_from_slice(&size.to_le_bytes());
    index[72..80].copy_from_slice(&(4 * MIB).to_le_bytes());
    (index, csum)
}

#[test]
fn an_index_of_a_terabyte() {
    let _alone = alone();
    let (bytes, _) = image(TERABYTE, TERABYTE * 4 * MIB);
    let (times, memory) = memory(|| {
        let once = || {
            let started = Instant::now();
            let mut index =
                Index::open(Cursor::new(&bytes), Kind::Fixed, bytes.len() as u64).unwrap();
            let mut sampler = Sampler::new(CHUNKS, index.last().unwrap());
            index
                .entries()
                .unwrap()
                .for_each(|entry| sampler.offer(entry.unwrap()));
            assert_eq!(sampler.finish().len(), 459);
            started.elapsed()
        };
        [once(), once(), once()]
    });
    println!("{times:?}, {} KiB", memory >> 10);
    assert!(memory < 64 * MIB, "{memory}");
    if !cfg!(debug_assertions) {
        assert!(
            times.iter().min().unwrap() < &Duration::from_millis(50),
            "{times:?}"
        );
    }
}

#[test]
fn a_terabyte_of_missing_chunks() {
    let _alone = alone();
    let (bytes, csum) = image(TERABYTE, TERABYTE * 4 * MIB);
    let store = Store::new(
        "disk.img.fidx",
        "encrypt",
        &bytes,
        (csum, TERABYTE * 4 * MIB),
    );
    for (depth, damages) in [(Depth::Sample(459), 459), (Depth::Full, TERABYTE)] {
        let (report, memory) = memory(|| store.prove(depth));
        println!(
            "{depth:?}: {} s, {} KiB",
            report.totals.seconds,
            memory >> 10
        );
        assert_eq!(
            (report.result, report.totals.damages),
            (Verdict::Invalid, damages)
        );
        assert!(report.snapshots[0].files[0].damages.len() <= 1000);
        assert!(memory < 64 * MIB, "{memory}");
    }
}

#[test]
fn index_sizes_of_2_60() {
    let _alone = alone();
    for size in [1 << 60, u64::MAX] {
        let (bytes, csum) = image(3, size);
        let store = Store::new("disk.img.fidx", "encrypt", &bytes, (csum, size));
        let (report, memory) = memory(|| store.prove(Depth::Full));
        assert_eq!(report.result, Verdict::Invalid);
        assert_eq!(report.snapshots[0].files[0].damages[0].kind, "wrong-index");
        assert!(memory < 16 * MIB, "{memory}");

        // nor does a file that claims to be as long take long
        let path = store.path(SNAPSHOT).join("disk.img.fidx");
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(1 << 43)
            .unwrap();
        let report = store.prove(Depth::Full);
        assert_eq!(report.snapshots[0].files[0].damages[0].kind, "wrong-index");
    }
}

#[test]
fn bombs() {
    let _alone = alone();
    // 16 GiB of zeros
    let frame = zstd::bulk::compress(&vec![0; 256 << 20], 19).unwrap();
    let bomb = plain(&frame.repeat(64), true);
    assert!(bomb.len() < 4 << 20);

    let store = Store::blob("none", &bomb);
    let (report, used) = memory(|| store.prove(Depth::Full));
    assert_eq!(report.snapshots[0].files[0].damages[0].kind, "too-large");
    assert!(used < 64 * MIB, "{used}");
    let target = store.path("out");
    let (result, used) = memory(|| {
        let output = Output::File(&target);
        restore(
            &store.open(),
            &id(),
            "x",
            Some(&key()),
            output,
            restore::Config::default(),
            Watch::nobody(),
        )
    });
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("larger than 134217728 bytes")
    );
    assert!(used < 64 * MIB && !target.exists(), "{used}");

    // as a manifest
    fs::write(store.path(SNAPSHOT).join("index.json.blob"), &bomb).unwrap();
    let (report, used) = memory(|| store.prove(Depth::Full));
    assert_eq!(report.snapshots[0].damages[0].kind, "too-large");
    assert!(used < 64 * MIB, "{used}");

    // as a chunk
    let (bytes, csum) = image(1, 1000);
    let store = Store::new("disk.img.fidx", "none", &bytes, (csum, 1000));
    let name = hex::encode(Sha256::digest(0_u64.to_le_bytes()));
    fs::create_dir(store.path(".chunks").join(&name[..4])).unwrap();
    fs::write(store.path(".chunks").join(&name[..4]).join(&name), &bomb).unwrap();
    let (report, used) = memory(|| store.prove(Depth::Full));
    assert_eq!(
        report.snapshots[0].files[0].damages[0].kind,
        "wrong-compression"
    );
    assert!(used < 16 * MIB, "{used}");
}

#[test]
fn the_largest_blob() {
    let _alone = alone();
    let store = Store::blob("sign-only", &plain(&vec![1; 128 << 20], false));
    let (report, used) = memory(|| store.prove(Depth::Full));
    assert_eq!(report.result, Verdict::Valid);
    assert!(used < 200 * MIB, "{used}");
}
