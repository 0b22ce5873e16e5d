//! What decrypting and hashing take by themselves, for `make bench`: prints nanoseconds.
//!
//! `limit DIR` takes the chunks of what the example `datastore` made there, one by one, into the same memory. Only AES-GCM in
//! place and SHA-256 of the result are timed, on one thread.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, aes::Aes256};
use pve_escrow::pbs::blob::Header;
use pve_escrow::{KeyFile, fingerprint};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Of an encrypted blob.
const HEADER: usize = 44;

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).ok_or("usage: limit DIR")?;
    let dir = Path::new(&dir);
    let key = KeyFile::read(&dir.join("key"))?.open(None)?;
    let (cipher, id_key) = (
        AesGcm::<Aes256, U16>::new(key.as_bytes().into()),
        fingerprint::id_key(&key),
    );
    let (mut took, mut chunk) = (Duration::ZERO, Vec::new());
    for prefix in fs::read_dir(dir.join("store/.chunks"))? {
        for path in fs::read_dir(prefix?.path())? {
            let path = path?.path();
            chunk.clear();
            File::open(&path)?.read_to_end(&mut chunk)?;
            let sealed = Header::parse(&chunk)?.sealed;
            let (iv, tag) = sealed.ok_or("a chunk is not encrypted")?;
            let data = &mut chunk[HEADER..];

            let start = Instant::now();
            cipher
                .decrypt_inout_detached(&iv.into(), &[], (&mut *data).into(), &tag.into())
                .map_err(|_| "a tag is wrong")?;
            let digest = Sha256::new()
                .chain_update(&*data)
                .chain_update(*id_key)
                .finalize();
            took += start.elapsed();

            if path.file_name() != Some(hex::encode(digest).as_ref()) {
                return Err("a digest is wrong".into());
            }
        }
    }
    println!("{}", took.as_nanos());
    Ok(())
}
