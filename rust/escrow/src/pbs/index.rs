//! Indexes: the list of chunks that an archive consists of (`pbs-datastore/src/{fixed,dynamic}_index.rs`).
//!
//! ```text
//! .fidx  MAGIC(8) UUID(16) CTIME(8) CSUM(32) SIZE(8) CHUNK-SIZE(8), zeros up to byte 4096, then DIGEST(32)...
//! .didx  MAGIC(8) UUID(16) CTIME(8) CSUM(32), zeros up to byte 4096, then END-OFFSET(8) DIGEST(32)...
//! ```
//!
//! Numbers are little endian. CSUM is the SHA-256 of everything after byte 4096. An index is never in memory as
//! a whole: it is read in pieces, as often as it is needed, and every reading checks it anew.

use std::io::{Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use super::blob::{MAX_CHUNK, field};
use super::fault::Fault;

const FIXED: [u8; 8] = [47, 127, 65, 237, 145, 253, 15, 205];
const DYNAMIC: [u8; 8] = [28, 145, 78, 165, 25, 186, 179, 205];

/// Size of both headers.
pub const HEADER: usize = 4096;
/// More chunks than any archive has: 4 PiB of them. It bounds the time that a forged index can take.
const MAX_ENTRIES: u64 = 1 << 30;
/// How much of an index is read at once: whole entries of either kind.
const PIECE: usize = 32 * 40 * 200;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Chunks of one size, the last may be shorter: images.
    Fixed,
    /// Chunks that end where the content says: archives of files.
    Dynamic,
}

/// The header of an index, checked against the length of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: Kind,
    csum: [u8; 32],
    entries: u64,
    /// Of the decoded archive; known only for fixed ones.
    size: u64,
    chunk_size: u64,
}

impl Header {
    /// Parses the first [`HEADER`] bytes of an index file of `len` bytes.
    ///
    /// # Errors
    /// [`Fault::Truncated`], [`Fault::Magic`], [`Fault::Index`].
    pub fn parse(bytes: &[u8], kind: Kind, len: u64) -> Result<Self, Fault> {
        let magic: [u8; 8] = field(bytes, 0, HEADER)?;
        if magic != (if kind == Kind::Fixed { FIXED } else { DYNAMIC }) {
            return Err(Fault::Magic);
        }
        let body = len.checked_sub(HEADER as u64).ok_or(Fault::Truncated {
            is: len,
            least: HEADER as u64,
        })?;
        let mut header = Self {
            kind,
            csum: field(bytes, 32, HEADER)?,
            entries: 0,
            size: 0,
            chunk_size: 0,
        };
        header.entries = match kind {
            Kind::Dynamic if body % 40 != 0 => {
                return Err(Fault::Index(format!(
                    "its entries have {body} bytes, not a multiple of 40"
                )));
            }
            Kind::Dynamic => body / 40,
            Kind::Fixed => {
                header.size = u64::from_le_bytes(field(bytes, 64, HEADER)?);
                header.chunk_size = u64::from_le_bytes(field(bytes, 72, HEADER)?);
                header.fixed_entries(body)?
            }
        };
        if header.entries > MAX_ENTRIES {
            return Err(Fault::Index(format!(
                "it has {} entries, more than any archive",
                header.entries
            )));
        }
        Ok(header)
    }

    /// Both sizes may be anything up to 2^64: nothing is multiplied or allocated by them.
    fn fixed_entries(&self, body: u64) -> Result<u64, Fault> {
        if self.chunk_size == 0 || self.chunk_size > MAX_CHUNK as u64 {
            return Err(Fault::Index(format!(
                "its chunks have {} bytes",
                self.chunk_size
            )));
        }
        let entries = self.size.div_ceil(self.chunk_size);
        if entries.checked_mul(32) != Some(body) {
            return Err(Fault::Index(format!(
                "{} bytes in chunks of {} need {entries} entries, and it has {body} bytes of them",
                self.size, self.chunk_size
            )));
        }
        Ok(entries)
    }

    fn entry_len(&self) -> usize {
        match self.kind {
            Kind::Fixed => 32,
            Kind::Dynamic => 40,
        }
    }

    /// The entry in `bytes`, which begins at `start` of the decoded archive.
    fn entry(&self, bytes: &[u8], start: u64) -> Result<Entry, Fault> {
        let (end, digest) = match self.kind {
            Kind::Fixed => (
                self.size.min(start.saturating_add(self.chunk_size)),
                field(bytes, 0, 32)?,
            ),
            Kind::Dynamic => (
                u64::from_le_bytes(field(bytes, 0, 40)?),
                field(bytes, 8, 40)?,
            ),
        };
        Ok(Entry { start, end, digest })
    }
}

/// A chunk of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where its data begins in the decoded archive.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// The name of the chunk.
    pub digest: [u8; 32],
}

impl Entry {
    /// How many bytes it decodes to: never more than [`MAX_CHUNK`].
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never: no entry is empty.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// An index file with a sound header.
#[derive(Debug)]
pub struct Index<R> {
    header: Header,
    reader: R,
    last: Option<Entry>,
}

impl<R: Read + Seek> Index<R> {
    /// Reads the header, and the last entry for its end, of an index file of `len` bytes.
    ///
    /// # Errors
    /// As [`Header::parse`]; [`Fault::Unreadable`].
    pub fn open(mut reader: R, kind: Kind, len: u64) -> Result<Self, Fault> {
        let mut bytes = [0; HEADER];
        let there = len.min(HEADER as u64) as usize;
        read(&mut reader, 0, &mut bytes[..there])?;
        let header = Header::parse(&bytes[..there], kind, len)?;
        let mut index = Self {
            header,
            reader,
            last: None,
        };
        index.last = index.read_last()?;
        Ok(index)
    }

    fn read_last(&mut self) -> Result<Option<Entry>, Fault> {
        let header = &self.header;
        let Some(before) = header.entries.checked_sub(1) else {
            return Ok(None);
        };
        let len = header.entry_len();
        let mut bytes = [0; 40];
        read(
            &mut self.reader,
            HEADER as u64 + before * len as u64,
            &mut bytes[..len],
        )?;
        // where it begins is not known of dynamic ones, and not needed
        let start = before.saturating_mul(header.chunk_size);
        header.entry(&bytes[..len], start).map(Some)
    }

    /// The checksum that the header gives.
    pub fn csum(&self) -> &[u8; 32] {
        &self.header.csum
    }

    /// Size of the decoded archive, if the index is sound.
    pub fn size(&self) -> u64 {
        self.last.map_or(0, |last| last.end)
    }

    /// How many chunks it lists, repeated ones too.
    pub fn count(&self) -> u64 {
        self.header.entries
    }

    /// Name of the last chunk.
    pub fn last(&self) -> Option<[u8; 32]> {
        self.last.map(|last| last.digest)
    }

    /// All entries from the first on, checked on the way.
    ///
    /// # Errors
    /// [`Fault::Unreadable`].
    pub fn entries(&mut self) -> Result<Entries<&mut R>, Fault> {
        self.reader
            .seek(SeekFrom::Start(HEADER as u64))
            .map_err(|err| Fault::Unreadable(err.to_string()))?;
        Ok(Entries {
            header: self.header,
            reader: &mut self.reader,
            left: self.header.entries,
            piece: Vec::new(),
            at: 0,
            end: 0,
            hash: Some(Sha256::new()),
        })
    }
}

/// An iterator over entries.
///
/// Where an entry contradicts the one before, it gives the fault and ends. After the last entry comes a fault if the
/// checksum is wrong; the entries before it are as they are in the file then, sound in form but not to be trusted.
pub struct Entries<R> {
    header: Header,
    reader: R,
    /// Entries not yet read from the file.
    left: u64,
    piece: Vec<u8>,
    /// Where in `piece` the next entry begins.
    at: usize,
    /// Where in the archive the last entry ended.
    end: u64,
    /// `None` once everything was said.
    hash: Option<Sha256>,
}

impl<R: Read> Entries<R> {
    /// `false` at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        let len = self.header.entry_len();
        let entries = self.left.min((PIECE / len) as u64);
        if entries == 0 {
            return Ok(false);
        }
        self.piece.resize(entries as usize * len, 0);
        self.reader.read_exact(&mut self.piece).map_err(gone)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&self.piece);
        }
        self.left -= entries;
        self.at = 0;
        Ok(true)
    }

    fn advance(&mut self) -> Result<Option<Entry>, Fault> {
        if self.at == self.piece.len() && !self.refill()? {
            let is: [u8; 32] = self.hash.take().unwrap_or_default().finalize().into();
            return if is == self.header.csum {
                Ok(None)
            } else {
                Err(Fault::IndexChecksum)
            };
        }
        let len = self.header.entry_len();
        let entry = self
            .header
            .entry(&self.piece[self.at..self.at + len], self.end)?;
        if entry.end <= entry.start {
            return Err(Fault::Index(format!(
                "an entry ends at {}, and the one before at {}",
                entry.end, entry.start
            )));
        }
        if entry.len() > MAX_CHUNK as u64 {
            return Err(Fault::Index(format!(
                "the chunk at offset {} has {} bytes",
                entry.start,
                entry.len()
            )));
        }
        self.at += len;
        self.end = entry.end;
        Ok(Some(entry))
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.hash.as_ref()?;
        let next = self.advance().transpose();
        if let Some(Err(_)) = next {
            self.hash = None;
        }
        next
    }
}

fn read(reader: &mut (impl Read + Seek), at: u64, bytes: &mut [u8]) -> Result<(), Fault> {
    reader
        .seek(SeekFrom::Start(at))
        .map_err(|err| Fault::Unreadable(err.to_string()))?;
    reader.read_exact(bytes).map_err(gone)
}

/// Its length was checked: if it is shorter now, somebody else writes to it.
fn gone(err: std::io::Error) -> Fault {
    match err.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Fault::Index("it became shorter while it was read".to_owned())
        }
        _ => Fault::Unreadable(err.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// An index file with a right checksum.
    pub(in crate::pbs) fn file(kind: Kind, sizes: (u64, u64), body: &[u8]) -> Vec<u8> {
        let mut file = vec![0; HEADER];
        file[..8].copy_from_slice(if kind == Kind::Fixed {
            &FIXED
        } else {
            &DYNAMIC
        });
        file[32..64].copy_from_slice(&Sha256::digest(body));
        file[64..72].copy_from_slice(&sizes.0.to_le_bytes());
        file[72..80].copy_from_slice(&sizes.1.to_le_bytes());
        file.extend(body);
        file
    }

    fn dynamic(ends: &[u64]) -> Vec<u8> {
        let body: Vec<u8> = ends
            .iter()
            .flat_map(|end| [&end.to_le_bytes()[..], &[*end as u8; 32]].concat())
            .collect();
        file(Kind::Dynamic, (0, 0), &body)
    }

    fn all(file: &[u8], kind: Kind) -> Result<Vec<Entry>, Fault> {
        let mut index = Index::open(Cursor::new(file), kind, file.len() as u64)?;
        let entries = index.entries()?.collect::<Result<Vec<_>, _>>()?;
        assert_eq!(entries.len() as u64, index.count());
        assert_eq!(entries.last().map_or(0, |last| last.end), index.size());
        Ok(entries)
    }

    #[test]
    fn fixed_entries_cover_the_size() {
        let entries = all(&file(Kind::Fixed, (2500, 1000), &[1; 96]), Kind::Fixed).unwrap();
        let ranges: Vec<_> = entries
            .iter()
            .map(|entry| (entry.start, entry.end))
            .collect();
        assert_eq!(ranges, [(0, 1000), (1000, 2000), (2000, 2500)]);
        assert!(
            all(&file(Kind::Fixed, (0, 1000), &[]), Kind::Fixed)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn sizes_beyond_all_measure() {
        for (size, chunk_size) in [
            (1 << 60, 4 << 20),
            (u64::MAX, 4 << 20),
            (u64::MAX, 1),
            (1 << 60, 1 << 60),
            (u64::MAX, u64::MAX),
            (96, 0),
            (0, 0),
            (2001, 1000),
            (3001, 1000),
            (3 << 25, 1 << 25),
        ] {
            for body in [&[][..], &[1; 64], &[1; 96], &[1; 95]] {
                if size == 2001 && body.len() == 96 {
                    continue;
                }
                let kind = all(&file(Kind::Fixed, (size, chunk_size), body), Kind::Fixed)
                    .unwrap_err()
                    .kind();
                assert_eq!(kind, "wrong-index", "{size} {chunk_size} {}", body.len());
            }
        }
        for ends in [
            &[1 << 60][..],
            &[u64::MAX],
            &[1, 1 << 60],
            &[1, u64::MAX],
            &[0],
            &[5, 5],
            &[5, 4, 6],
        ] {
            assert_eq!(
                all(&dynamic(ends), Kind::Dynamic).unwrap_err().kind(),
                "wrong-index",
                "{ends:?}"
            );
        }
        assert_eq!(
            Header::parse(&dynamic(&[1]), Kind::Dynamic, 4096 + (1 << 60) * 2)
                .unwrap_err()
                .kind(),
            "wrong-index"
        );
    }

    #[test]
    fn ends_must_rise() {
        let entries = all(&dynamic(&[3, 4, 900]), Kind::Dynamic).unwrap();
        assert_eq!(
            entries.iter().map(Entry::len).collect::<Vec<_>>(),
            [3, 1, 896]
        );
    }

    #[test]
    fn every_bit_of_the_entries_counts() {
        for (file, kind) in [
            (dynamic(&[3, 400, 900]), Kind::Dynamic),
            (file(Kind::Fixed, (60, 30), &[5; 64]), Kind::Fixed),
        ] {
            for at in HEADER..file.len() {
                let mut changed = file.clone();
                changed[at] ^= 0x10;
                assert!(all(&changed, kind).is_err(), "{kind:?} byte {at}");
            }
            for len in 0..file.len() {
                assert!(all(&file[..len], kind).is_err(), "{kind:?} cut to {len}");
            }
            let other = if kind == Kind::Fixed {
                Kind::Dynamic
            } else {
                Kind::Fixed
            };
            assert_eq!(all(&file, other).unwrap_err(), Fault::Magic);
        }
    }

    #[test]
    fn a_wrong_checksum_comes_last() {
        let mut file = dynamic(&[3, 4, 900]);
        file[32] ^= 1;
        let mut index = Index::open(Cursor::new(&file), Kind::Dynamic, file.len() as u64).unwrap();
        let entries: Vec<_> = index.entries().unwrap().collect();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[3], Err(Fault::IndexChecksum));
    }

    #[test]
    fn more_than_one_piece() {
        let count = (3 * PIECE / 32 + 7) as u64;
        let body: Vec<u8> = (0..count)
            .flat_map(|n| [n.to_le_bytes(); 4].concat())
            .collect();
        let entries = all(&file(Kind::Fixed, (count * 10, 10), &body), Kind::Fixed).unwrap();
        assert!(entries.iter().zip(0..).all(|(entry, n)| entry.digest[..8] == u64::to_le_bytes(n) && entry.start == n * 10));
    }
}
