//! Makes a datastore for `make bench`: one snapshot with an image of random data, encrypted as the client does it.
//!
//! `datastore DIR CHUNKS` writes `DIR/key` and `DIR/store`, with so many chunks of 4 MiB.

use std::fs;
use std::path::{Path, PathBuf};

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, aes::Aes256};
use chrono::DateTime;
use hmac::{Hmac, Mac};
use pve_escrow::{Fingerprint, Key, KeyFile, fingerprint};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CHUNK: usize = 4 << 20;
/// 2024-06-05T16:00:00Z
const TIME: i64 = 1_717_603_200;

const PLAIN: [u8; 8] = [66, 171, 56, 7, 190, 131, 112, 161];
const ENCRYPTED: [u8; 8] = [123, 103, 133, 190, 34, 45, 76, 240];
const FIXED_INDEX: [u8; 8] = [47, 127, 65, 237, 145, 253, 15, 205];

fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [dir, chunks] = &args[..] else {
        return Err("usage: datastore DIR CHUNKS".into());
    };
    let (dir, chunks) = (Path::new(dir), chunks.parse()?);
    let key = Key::from_slice(&random::<32>()?).ok_or("a key has 32 bytes")?;
    let made = DateTime::from_timestamp(TIME, 0).ok_or("the time is one")?;
    let key_file = KeyFile::plain(key.clone(), made.into());
    fs::write(dir.join("key"), key_file.to_json())?;

    let backup = Backup::new(&dir.join("store"), &key)?;
    let index = backup.index(chunks)?;
    fs::write(backup.snapshot.join("drive-scsi0.img.fidx"), &index)?;
    let manifest = backup.manifest(&index, chunks);
    fs::write(
        backup.snapshot.join("index.json.blob"),
        blob(PLAIN, &[], manifest.to_string().as_bytes()),
    )?;
    Ok(())
}

/// A backup that is being made.
struct Backup<'k> {
    key: &'k Key,
    cipher: AesGcm<Aes256, U16>,
    chunks: PathBuf,
    snapshot: PathBuf,
}

impl<'k> Backup<'k> {
    fn new(store: &Path, key: &'k Key) -> Result<Self> {
        let (chunks, snapshot) = (
            store.join(".chunks"),
            store.join("vm/100/2024-06-05T16:00:00Z"),
        );
        fs::create_dir_all(&chunks)?;
        fs::create_dir_all(&snapshot)?;
        let cipher = AesGcm::new(key.as_bytes().into());
        Ok(Self {
            key,
            cipher,
            chunks,
            snapshot,
        })
    }

    /// Writes the chunks, and gives the index of them.
    fn index(&self, chunks: usize) -> Result<Vec<u8>> {
        let mut digests = Vec::new();
        for _ in 0..chunks {
            digests.extend(self.chunk()?);
        }
        let mut index = vec![0; 4096];
        index[..8].copy_from_slice(&FIXED_INDEX);
        index[32..64].copy_from_slice(&Sha256::digest(&digests));
        index[64..72].copy_from_slice(&((chunks * CHUNK) as u64).to_le_bytes());
        index[72..80].copy_from_slice(&(CHUNK as u64).to_le_bytes());
        index.extend(digests);
        Ok(index)
    }

    /// Writes a chunk, and gives its digest.
    fn chunk(&self) -> Result<[u8; 32]> {
        let mut data = vec![0; CHUNK];
        getrandom::fill(&mut data)?;
        let digest = Sha256::new()
            .chain_update(&data)
            .chain_update(*fingerprint::id_key(self.key))
            .finalize();
        let iv = random::<16>()?;
        let tag = self
            .cipher
            .encrypt_inout_detached(&iv.into(), &[], (&mut data[..]).into())
            .map_err(|_| "4 MiB are within the limits of GCM")?;
        let name = hex::encode(digest);
        let dir = self.chunks.join(&name[..4]);
        fs::create_dir_all(&dir)?;
        fs::write(
            dir.join(name),
            blob(ENCRYPTED, &[&iv[..], &tag[..]].concat(), &data),
        )?;
        Ok(digest.into())
    }

    /// Members are in the order of their names: that is what is signed.
    fn manifest(&self, index: &[u8], chunks: usize) -> Value {
        let mut manifest = json!({
            "backup-id": "100",
            "backup-time": TIME,
            "backup-type": "vm",
            "files": [{
                "crypt-mode": "encrypt",
                "csum": hex::encode(&index[32..64]),
                "filename": "drive-scsi0.img.fidx",
                "size": chunks * CHUNK,
            }],
        });
        let hmac = Hmac::<Sha256>::new_from_slice(&*fingerprint::id_key(self.key))
            .expect("HMAC takes keys of any length")
            .chain_update(manifest.to_string());
        manifest["signature"] = hex::encode(hmac.finalize().into_bytes()).into();
        manifest["unprotected"] =
            json!({ "key-fingerprint": Fingerprint::of(self.key).to_string() });
        manifest
    }
}

fn blob(magic: [u8; 8], sealed: &[u8], data: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(data).to_le_bytes();
    [&magic[..], &crc, sealed, data].concat()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
