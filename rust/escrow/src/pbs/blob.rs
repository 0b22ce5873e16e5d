//! Blobs: how Proxmox Backup stores chunks, small files and manifests (`pbs-datastore/src/data_blob.rs`).
//!
//! ```text
//! plain      MAGIC(8) CRC32(4) data
//! encrypted  MAGIC(8) CRC32(4) IV(16) TAG(16) AES-256-GCM(key, IV, no associated data, data)
//! ```
//!
//! The magic number says which, and whether `data` is one or more frames of zstd. The CRC (IEEE, little endian)
//! covers what follows the whole header, so neither IV nor tag; it finds accidents, the tag finds changes.
//! Everything is authenticated before zstd sees a byte of it.

use std::io::{self, Read, Write};
use std::ops::Range;

use super::crypt::Crypt;
use super::fault::Fault;

/// Largest chunk, decoded: four times the largest average size that the client makes.
pub const MAX_CHUNK: usize = 16 << 20;
/// Largest blob, stored and decoded, as the client and the server have it.
pub const MAX_BLOB: usize = 128 << 20;

const PLAIN: [u8; 8] = [66, 171, 56, 7, 190, 131, 112, 161];
const COMPRESSED: [u8; 8] = [49, 185, 88, 66, 111, 182, 163, 127];
const ENCRYPTED: [u8; 8] = [123, 103, 133, 190, 34, 45, 76, 240];
const ENCRYPTED_COMPRESSED: [u8; 8] = [230, 89, 27, 191, 11, 191, 216, 11];

const HEADER: usize = 12;
/// A header with IV and tag.
pub(crate) const ENCRYPTED_HEADER: usize = 44;

/// What zstd may keep in memory when the size is not known beforehand: 16 MiB. The client needs 512 KiB.
const WINDOW_LOG: u32 = 24;

/// The header of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of what follows the header.
    pub crc: u32,
    /// Initialisation vector and authentication tag, if it is encrypted.
    pub sealed: Option<([u8; 16], [u8; 16])>,
    /// Is the data zstd?
    pub compressed: bool,
}

impl Header {
    /// Parses the first bytes of a blob.
    ///
    /// # Errors
    /// [`Fault::Truncated`], [`Fault::Magic`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let magic: [u8; 8] = field(bytes, 0, HEADER)?;
        let (encrypted, compressed) = match magic {
            PLAIN => (false, false),
            COMPRESSED => (false, true),
            ENCRYPTED => (true, false),
            ENCRYPTED_COMPRESSED => (true, true),
            _ => return Err(Fault::Magic),
        };
        let crc = u32::from_le_bytes(field(bytes, 8, HEADER)?);
        let sealed = match encrypted {
            true => Some((
                field(bytes, 12, ENCRYPTED_HEADER)?,
                field(bytes, 28, ENCRYPTED_HEADER)?,
            )),
            false => None,
        };
        Ok(Self {
            crc,
            sealed,
            compressed,
        })
    }

    /// Where the data begins.
    fn len(&self) -> usize {
        if self.sealed.is_some() {
            ENCRYPTED_HEADER
        } else {
            HEADER
        }
    }
}

/// `N` bytes at `at`, which a file of `least` bytes has.
pub(super) fn field<const N: usize>(
    bytes: &[u8],
    at: usize,
    least: usize,
) -> Result<[u8; N], Fault> {
    let truncated = || Fault::Truncated {
        is: bytes.len() as u64,
        least: least as u64,
    };
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or_else(truncated)
}

/// What an archive's blob or chunks have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not encrypted.
    Plain,
    /// Encrypted.
    Encrypted,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "not encrypted",
            Self::Encrypted => "encrypted",
        }
    }
}

/// A blob as stored, and then what it decodes to. Used for one after the other, it allocates only once.
#[derive(Default)]
pub struct Buffer {
    raw: Vec<u8>,
    /// How much of `raw` is the present blob.
    len: usize,
    decompressed: Vec<u8>,
    data: Data,
}

/// Where the decoded data is.
#[derive(Default)]
enum Data {
    #[default]
    None,
    Raw(Range<usize>),
    Decompressed(usize),
}

impl Buffer {
    /// Reads a blob of `len` bytes, which `reader` must still have; refuses more than `most` before allocating.
    ///
    /// # Errors
    /// [`Fault::TooLarge`], [`Fault::Truncated`], [`Fault::Unreadable`].
    pub fn fill(&mut self, mut reader: impl Read, len: u64, most: usize) -> Result<(), Fault> {
        self.data = Data::None;
        self.len = 0;
        let size = match usize::try_from(len) {
            Ok(size) if size <= most => size,
            _ => return Err(Fault::TooLarge { most: most as u64 }),
        };
        grow(&mut self.raw, size);
        self.len = size;
        let mut at = 0;
        while at < self.len {
            match reader.read(&mut self.raw[at..self.len]) {
                Ok(0) => {
                    return Err(Fault::Truncated {
                        is: at as u64,
                        least: len,
                    });
                }
                Ok(n) => at += n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(Fault::Unreadable(err.to_string())),
            }
        }
        Ok(())
    }

    /// The blob as stored, until it is decoded.
    pub fn stored(&self) -> &[u8] {
        &self.raw[..self.len]
    }

    /// What [`Decoder::exact`] has decoded; nothing after an error.
    pub fn data(&self) -> &[u8] {
        match &self.data {
            Data::None => &[],
            Data::Raw(range) => &self.raw[range.clone()],
            Data::Decompressed(len) => &self.decompressed[..*len],
        }
    }
}

/// Nothing of the old content is worth moving: it goes first, so that there are never both.
fn grow(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        *bytes = Vec::new();
        *bytes = vec![0; len];
    }
}

/// Decodes blobs, with a key or without.
pub struct Decoder<'k> {
    crypt: Option<&'k Crypt>,
    zstd: zstd::bulk::Decompressor<'static>,
}

impl<'k> Decoder<'k> {
    /// `crypt` is needed for encrypted blobs only.
    pub fn new(crypt: Option<&'k Crypt>) -> Self {
        Self {
            crypt,
            zstd: zstd::bulk::Decompressor::new()
                .expect("zstd has a context unless memory is exhausted"),
        }
    }

    /// The key.
    pub fn crypt(&self) -> Option<&'k Crypt> {
        self.crypt
    }

    /// Decodes the blob in `buffer` to exactly `size` bytes, which [`Buffer::data`] then gives.
    ///
    /// # Errors
    /// What is wrong with it. Whatever it says of itself, no more than `size` bytes are made of it.
    pub fn exact(&mut self, buffer: &mut Buffer, size: usize, mode: Mode) -> Result<(), Fault> {
        let (range, compressed) = self.open(buffer, mode)?;
        let is = if compressed {
            grow(&mut buffer.decompressed, size);
            // in one call: it needs no window besides the output, and can't write behind its end
            let out = &mut buffer.decompressed[..size];
            let is = self
                .zstd
                .decompress_to_buffer(&buffer.raw[range], out)
                .map_err(compression)?;
            buffer.data = Data::Decompressed(is);
            is
        } else {
            let is = range.len();
            buffer.data = Data::Raw(range);
            is
        };
        if is != size {
            buffer.data = Data::None;
            return Err(Fault::Size {
                is: is as u64,
                should: size as u64,
            });
        }
        Ok(())
    }

    /// Decodes the blob in `buffer` into `out`, and says how many bytes that were: at most `most`.
    ///
    /// # Errors
    /// What is wrong with the blob, or with writing. Something may have been written by then.
    pub fn stream(
        &self,
        buffer: &mut Buffer,
        most: usize,
        mode: Mode,
        out: &mut dyn Write,
    ) -> Result<u64, StreamError> {
        let (range, compressed) = self.open(buffer, mode)?;
        let data = &buffer.raw[range];
        if !compressed {
            check_size(data.len(), most)?;
            out.write_all(data).map_err(StreamError::Write)?;
            return Ok(data.len() as u64);
        }
        decompress(data, most, out)
    }

    /// Checks everything that comes before zstd, and decrypts in place.
    fn open(&self, buffer: &mut Buffer, mode: Mode) -> Result<(Range<usize>, bool), Fault> {
        let raw = &mut buffer.raw[..buffer.len];
        buffer.data = Data::None;
        let header = Header::parse(raw)?;
        let is = if header.sealed.is_some() {
            Mode::Encrypted
        } else {
            Mode::Plain
        };
        if is != mode {
            return Err(Fault::CryptMode {
                is: is.name(),
                should: mode.name(),
            });
        }
        let range = header.len()..raw.len();
        if crc32fast::hash(&raw[range.clone()]) != header.crc {
            return Err(Fault::Crc);
        }
        if let Some((iv, tag)) = &header.sealed {
            let crypt = self.crypt.ok_or(Fault::NoKey)?;
            if !crypt.decrypt(iv, tag, &mut raw[range.clone()]) {
                return Err(Fault::Tag);
            }
        }
        Ok((range, header.compressed))
    }
}

/// Why a blob was not written.
#[derive(Debug)]
pub enum StreamError {
    /// Something is wrong with the blob.
    Fault(Fault),
    /// It could not be written where it should go.
    Write(io::Error),
}

impl From<Fault> for StreamError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn check_size(is: usize, most: usize) -> Result<(), Fault> {
    if is > most {
        Err(Fault::TooLarge { most: most as u64 })
    } else {
        Ok(())
    }
}

fn decompress(data: &[u8], most: usize, out: &mut dyn Write) -> Result<u64, StreamError> {
    let mut reader = zstd::stream::read::Decoder::with_buffer(data).map_err(compression)?;
    reader.window_log_max(WINDOW_LOG).map_err(compression)?;
    let mut piece = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        let n = match reader.read(&mut piece) {
            Ok(0) => return Ok(total as u64),
            Ok(n) => n,
            Err(err) => return Err(compression(err).into()),
        };
        total += n;
        check_size(total, most)?;
        out.write_all(&piece[..n]).map_err(StreamError::Write)?;
    }
}

fn compression(err: io::Error) -> Fault {
    Fault::Compression(err.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tests::live;

    /// A blob as the client makes it.
    pub(in crate::pbs) fn encode(data: &[u8], crypt: Option<&Crypt>, compress: bool) -> Vec<u8> {
        let mut data = data.to_vec();
        if compress {
            data = zstd::bulk::compress(&data, 1).unwrap();
        }
        let (magic, sealed) = match (crypt, compress) {
            (None, false) => (PLAIN, None),
            (None, true) => (COMPRESSED, None),
            (Some(crypt), false) => (ENCRYPTED, Some(crypt.encrypt(&[7; 16], &mut data))),
            (Some(crypt), true) => (
                ENCRYPTED_COMPRESSED,
                Some(crypt.encrypt(&[7; 16], &mut data)),
            ),
        };
        let mut blob = magic.to_vec();
        blob.extend(crc32fast::hash(&data).to_le_bytes());
        if let Some(tag) = sealed {
            blob.extend([7; 16]);
            blob.extend(tag);
        }
        blob.extend(data);
        blob
    }

    fn decode(
        blob: &[u8],
        crypt: Option<&Crypt>,
        size: usize,
        mode: Mode,
    ) -> Result<Vec<u8>, Fault> {
        let mut buffer = Buffer::default();
        buffer.fill(blob, blob.len() as u64, MAX_CHUNK)?;
        Decoder::new(crypt).exact(&mut buffer, size, mode)?;
        Ok(buffer.data().to_vec())
    }

    fn crypt() -> Crypt {
        Crypt::new(&live().open(None).unwrap())
    }

    #[test]
    fn all_four_kinds() {
        let crypt = crypt();
        let data: Vec<u8> = (0..5000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for compress in [false, true] {
            for (crypt, mode, other) in [
                (None, Mode::Plain, Mode::Encrypted),
                (Some(&crypt), Mode::Encrypted, Mode::Plain),
            ] {
                let blob = encode(&data, crypt, compress);
                assert_eq!(decode(&blob, crypt, data.len(), mode).unwrap(), data);
                assert_eq!(
                    decode(&blob, crypt, data.len(), other).unwrap_err().kind(),
                    "wrong-crypt-mode"
                );
                assert!(decode(&blob, crypt, data.len() - 1, mode).is_err());
                assert!(decode(&blob, crypt, data.len() + 1, mode).is_err());

                let mut buffer = Buffer::default();
                buffer.fill(&blob[..], blob.len() as u64, MAX_BLOB).unwrap();
                let mut out = Vec::new();
                let written = Decoder::new(crypt)
                    .stream(&mut buffer, MAX_BLOB, mode, &mut out)
                    .unwrap();
                assert_eq!((written as usize, out), (data.len(), data.clone()));
            }
        }
    }

    #[test]
    fn every_bit_counts() {
        let crypt = crypt();
        for (key, mode) in [(None, Mode::Plain), (Some(&crypt), Mode::Encrypted)] {
            for compress in [false, true] {
                let blob = encode(&[b'x'; 100], key, compress);
                for bit in 0..blob.len() * 8 {
                    let mut changed = blob.clone();
                    changed[bit / 8] ^= 1 << (bit % 8);
                    assert!(
                        decode(&changed, key, 100, mode).is_err(),
                        "{mode:?} bit {bit}"
                    );
                }
                for len in 0..blob.len() {
                    assert!(
                        decode(&blob[..len], key, 100, mode).is_err(),
                        "{mode:?} cut to {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn faults_have_names() {
        let crypt = crypt();
        let blob = encode(b"0123456789", Some(&crypt), false);
        let kind = |at: usize, crc: bool| {
            let mut blob = blob.clone();
            blob[at] ^= 1;
            if crc {
                let crc = crc32fast::hash(&blob[44..]);
                blob[8..12].copy_from_slice(&crc.to_le_bytes());
            }
            decode(&blob, Some(&crypt), 10, Mode::Encrypted)
                .unwrap_err()
                .kind()
        };
        assert_eq!(kind(0, false), "wrong-magic");
        assert_eq!(kind(8, false), "wrong-crc");
        assert_eq!(kind(12, false), "wrong-tag");
        assert_eq!(kind(28, false), "wrong-tag");
        assert_eq!(kind(44, false), "wrong-crc");
        assert_eq!(kind(44, true), "wrong-tag");
        assert_eq!(
            decode(&blob[..43], Some(&crypt), 10, Mode::Encrypted)
                .unwrap_err()
                .kind(),
            "truncated"
        );
        assert_eq!(
            decode(&blob, None, 10, Mode::Encrypted).unwrap_err(),
            Fault::NoKey
        );
    }

    #[test]
    fn zstd_sees_only_authentic_bytes() {
        let crypt = crypt();
        let mut blob = encode(&[0; 1000], Some(&crypt), true);
        let end = blob.len() - 1;
        blob[end] ^= 1;
        let crc = crc32fast::hash(&blob[44..]);
        blob[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            decode(&blob, Some(&crypt), 1000, Mode::Encrypted).unwrap_err(),
            Fault::Tag
        );
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = encode(&vec![0; 300 << 20], None, true);
        assert!(bomb.len() < 100_000);
        assert_eq!(
            decode(&bomb, None, 1000, Mode::Plain).unwrap_err().kind(),
            "wrong-compression"
        );

        let mut buffer = Buffer::default();
        buffer.fill(&bomb[..], bomb.len() as u64, MAX_BLOB).unwrap();
        let out = Decoder::new(None).stream(&mut buffer, MAX_BLOB, Mode::Plain, &mut io::sink());
        assert!(matches!(
            out,
            Err(StreamError::Fault(Fault::TooLarge { .. }))
        ));
    }

    #[test]
    fn a_large_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(&[0; 1000]).unwrap();
        let frame = encoder.finish().unwrap();
        let mut out = Vec::new();
        assert!(matches!(
            decompress(&frame, MAX_BLOB, &mut out),
            Err(StreamError::Fault(Fault::Compression(_)))
        ));
    }

    #[test]
    fn lengths_are_checked_before_anything_is_allocated() {
        let mut buffer = Buffer::default();
        assert_eq!(
            buffer
                .fill(io::empty(), u64::MAX, MAX_BLOB)
                .unwrap_err()
                .kind(),
            "too-large"
        );
        assert_eq!(
            buffer.fill(&[0; 5][..], 6, MAX_BLOB).unwrap_err().kind(),
            "truncated"
        );
    }
}
