//! Checks an index of 1 TiB and draws its sample, for `make bench`: prints nanoseconds.
//!
//! `draw DIR` makes the index there.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;
use std::time::Instant;

use pve_escrow::pbs::index::{Index, Kind};
use pve_escrow::pbs::sample::{CHUNKS, Sampler};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ENTRIES: u64 = 262_144;
const CHUNK: u64 = 4 << 20;

fn main() -> Result<()> {
    let dir = std::env::args_os().nth(1).ok_or("usage: draw DIR")?;
    let path = Path::new(&dir).join("terabyte.fidx");
    make(&path)?;

    let start = Instant::now();
    let file = File::open(&path)?;
    let len = file.metadata()?.len();
    let mut index = Index::open(file, Kind::Fixed, len)?;
    let mut sampler = Sampler::new(CHUNKS, index.last().ok_or("it is empty")?);
    for entry in index.entries()? {
        sampler.offer(entry?);
    }
    let sample = sampler.finish();
    let took = start.elapsed();

    assert_eq!(sample.len(), CHUNKS);
    println!("{}", took.as_nanos());
    Ok(())
}

fn make(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut header = [0; 4096];
    file.write_all(&header)?;
    let mut csum = Sha256::new();
    for number in 0..ENTRIES {
        let digest = Sha256::digest(number.to_le_bytes());
        csum.update(digest);
        file.write_all(&digest)?;
    }
    header[..8].copy_from_slice(&[47, 127, 65, 237, 145, 253, 15, 205]);
    header[32..64].copy_from_slice(&csum.finalize());
    header[64..72].copy_from_slice(&(ENTRIES * CHUNK).to_le_bytes());
    header[72..80].copy_from_slice(&CHUNK.to_le_bytes());
    file.rewind()?;
    file.write_all(&header)?;
    file.flush()?;
    Ok(())
}
