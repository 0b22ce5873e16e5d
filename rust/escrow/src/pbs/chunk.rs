//! Chunks: the content of archives, each stored once under its digest as `.chunks/<first 4 hex>/<64 hex>`.
//!
//! The digest is `SHA-256(data)`, of encrypted ones `SHA-256(data || id_key)`: so only who has the key can say
//! whether a chunk belongs under its name, and nobody can tell from a name what is inside.

use std::io;

use super::blob::{Buffer, Decoder, ENCRYPTED_HEADER, MAX_CHUNK, Mode};
use super::crypt::digest;
use super::dir::Dir;
use super::fault::Fault;

/// The directory of all chunks.
#[derive(Debug)]
pub struct ChunkStore(Dir);

/// A chunk as an index lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub digest: [u8; 32],
    /// What it decodes to.
    pub size: usize,
    /// What all chunks of the archive are.
    pub mode: Mode,
}

impl ChunkStore {
    pub(super) fn open(datastore: &Dir) -> io::Result<Self> {
        datastore.dir(".chunks").map(Self)
    }

    /// Reads a chunk as it is stored.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self, digest: &[u8; 32], buffer: &mut Buffer) -> Result<(), Fault> {
        let name = hex::encode(digest);
        let (file, len) = self.0.dir(&name[..4])?.file(&name)?;
        if len == 0 {
            // what a server leaves behind whose disk was full or whose power failed
            return Err(Fault::Truncated { is: 0, least: 12 });
        }
        buffer.fill(file, len, MAX_CHUNK + ENCRYPTED_HEADER)
    }

    /// Reads, decodes and checks a chunk. Its data is in `buffer` then.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(
        &self,
        wanted: &Wanted,
        decoder: &mut Decoder<'_>,
        buffer: &mut Buffer,
    ) -> Result<(), Fault> {
        self.read(&wanted.digest, buffer)?;
        verify(wanted, decoder, buffer)
    }
}

/// Decodes the chunk in `buffer`, and checks that it is the wanted one.
///
/// # Errors
/// What is wrong with it.
pub fn verify(
    wanted: &Wanted,
    decoder: &mut Decoder<'_>,
    buffer: &mut Buffer,
) -> Result<(), Fault> {
    decoder.exact(buffer, wanted.size, wanted.mode)?;
    let crypt = match wanted.mode {
        Mode::Plain => None,
        Mode::Encrypted => decoder.crypt(),
    };
    let is = digest(crypt, buffer.data());
    if is != wanted.digest {
        return Err(Fault::Digest(hex::encode(is)));
    }
    Ok(())
}
