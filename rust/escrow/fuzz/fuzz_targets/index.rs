//! An index file, of either kind.
//!
//! Also with its checksum, and the size that fixed ones give, put right: hardly any change gets past these.
#![cfg_attr(not(test), no_main)]

use std::collections::HashSet;
use std::io::Cursor;

use pve_escrow::pbs::Fault;
use pve_escrow::pbs::blob::MAX_CHUNK;
use pve_escrow::pbs::index::{Entry, HEADER, Index, Kind};
use pve_escrow::pbs::sample::Sampler;
use sha2::{Digest, Sha256};

/// What must hold for every input.
pub fn run(data: &[u8]) {
    for kind in [Kind::Fixed, Kind::Dynamic] {
        check(data, kind);
        if let Some(mended) = mend(data, kind) {
            check(&mended, kind);
        }
    }
}

fn mend(data: &[u8], kind: Kind) -> Option<Vec<u8>> {
    let mut file = data.to_vec();
    let csum = Sha256::digest(data.get(HEADER..)?);
    file[32..64].copy_from_slice(&csum);
    if kind == Kind::Fixed {
        let number = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().unwrap());
        let (size, chunk_size) = (number(64), number(72));
        let whole = ((data.len() - HEADER) as u64 / 32).checked_sub(1)?;
        let last = size.checked_rem(chunk_size)? + 1;
        let size = whole.checked_mul(chunk_size)?.checked_add(last)?;
        file[64..72].copy_from_slice(&size.to_le_bytes());
    }
    Some(file)
}

fn check(file: &[u8], kind: Kind) {
    let len = file.len() as u64;
    if len > HEADER as u64 {
        let longer = Index::open(Cursor::new(file), kind, len + 32 * 40 * 1000);
        refused(&longer.expect_err("it ends before its last entry"));
    }
    let mut index = match Index::open(Cursor::new(file), kind, len) {
        Ok(index) => index,
        Err(fault) => return refused(&fault),
    };
    let (entries, fault) = read(&mut index);
    assert_eq!(
        (&entries, &fault),
        (&read(&mut index).0, &read(&mut index).1)
    );
    let mut end = 0;
    for entry in &entries {
        assert_eq!(entry.start, end);
        assert!(!entry.is_empty() && entry.len() <= MAX_CHUNK as u64);
        end = entry.end;
    }
    if let Some(fault) = fault {
        return refused(&fault);
    }
    let csum: [u8; 32] = Sha256::digest(&file[HEADER..]).into();
    assert_eq!(*index.csum(), csum);
    assert_eq!(index.count(), entries.len() as u64);
    assert_eq!(index.size(), end);
    assert_eq!(index.last(), entries.last().map(|entry| entry.digest));
    if kind == Kind::Fixed {
        let size = entries.first().map(Entry::len);
        let whole = &entries[..entries.len().saturating_sub(1)];
        assert!(whole.iter().all(|entry| Some(entry.len()) == size));
    }
    draw(&entries);
}

/// Up to the first fault, after which there is nothing.
fn read(index: &mut Index<Cursor<&[u8]>>) -> (Vec<Entry>, Option<Fault>) {
    let most = index.count() as usize;
    let mut read = index.entries().expect("memory is always readable");
    let mut entries = Vec::new();
    let mut fault = None;
    for entry in &mut read {
        assert!(fault.is_none(), "a fault is the last");
        match entry {
            Ok(entry) => entries.push(entry),
            Err(last) => fault = Some(last),
        }
    }
    assert!(entries.len() <= most && read.next().is_none());
    (entries, fault)
}

fn draw(entries: &[Entry]) {
    let Some(last) = entries.last() else { return };
    let distinct: HashSet<_> = entries.iter().map(|entry| entry.digest).collect();
    for most in [2, 3, 459] {
        let mut sampler = Sampler::new(most, last.digest);
        entries.iter().for_each(|entry| sampler.offer(*entry));
        let sample = sampler.finish();
        assert_eq!(sample.len(), distinct.len().min(most));
        for pinned in [&entries[0], last] {
            assert!(
                sample
                    .iter()
                    .any(|member| member.entry.digest == pinned.digest)
            );
        }
        if most >= distinct.len() {
            let times: u64 = sample.iter().map(|member| member.times).sum();
            assert_eq!(times, entries.len() as u64);
        }
    }
}

fn refused(fault: &Fault) {
    let text = fault.to_string();
    assert!(
        text.len() < 200 && !text.contains(char::is_control),
        "{text:?}"
    );
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
