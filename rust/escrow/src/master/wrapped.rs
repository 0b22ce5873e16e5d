//! What a master key opens: `rsa-encrypted.key`, as the client restores it or as a server stores it.

use std::path::Path;

use super::PrivateKey;
use crate::error::{Error, Result};
use crate::fingerprint::Expected;
use crate::pbs::blob::{Buffer, Decoder, Header, Mode, StreamError};
use crate::pbs::manifest::{self, Manifest};
use crate::pbs::name::MASTER_KEY_BLOB;
use crate::pbs::{Crypt, Datastore, Fault, SnapshotId};
use crate::seal::check_expected;
use crate::{Fingerprint, KeyFile, file};

/// Of a blob without encryption.
const BLOB_HEADER: usize = 12;

/// A wrapped key.
#[derive(Debug)]
pub struct Wrapped {
    what: String,
    bytes: Vec<u8>,
    /// Is it known to be as it was stored, by a checksum?
    sound: bool,
    /// Of a snapshot: what it says of its key.
    manifest: Option<(SnapshotId, Manifest)>,
}

/// A key that was opened.
#[derive(Debug)]
pub struct Recovered {
    /// A plain key file, ready to be written.
    pub file: KeyFile,
    /// Computed from the key.
    pub fingerprint: Fingerprint,
    /// Of a snapshot: what is wrong with its manifest, although it names this key or none.
    pub doubts: Vec<Fault>,
}

impl Wrapped {
    /// Reads a file: `rsa-encrypted.key`, or its `.blob` out of a datastore.
    ///
    /// # Errors
    /// As [`file::read`] and [`Wrapped::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path)?, &path.display().to_string())
    }

    /// The same of bytes that messages will call `what`.
    ///
    /// # Errors
    /// [`Error::Damaged`] of a blob with a wrong CRC.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let sound = Header::parse(bytes).is_ok();
        let bytes = match sound {
            true => unpack(bytes).map_err(|fault| Error::damaged(what, fault.to_string()))?,
            false => bytes.to_vec(),
        };
        Ok(Self {
            what: what.to_owned(),
            bytes,
            sound,
            manifest: None,
        })
    }

    /// Reads that of a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Damaged`]; [`Error::Refused`] if the snapshot was made without a master key.
    pub fn of_snapshot(datastore: &Datastore, id: &SnapshotId) -> Result<Self> {
        let path = datastore.path().join(id.path());
        let failed = |name: &str, fault: Fault| {
            fault.into_error(&format!("{name} of {id}"), &path.join(name))
        };
        let snapshot = datastore
            .snapshot(id)
            .map_err(|fault| fault.into_error(&id.to_string(), &path))?;
        let mut buffer = Buffer::default();
        let manifest = snapshot
            .manifest(&mut buffer)
            .and_then(|manifest| match manifest.check_snapshot(&id.snapshot) {
                Some(fault) => Err(fault),
                None => Ok(manifest),
            })
            .map_err(|fault| failed(manifest::FILE, fault))?;
        let mut files = manifest.files.iter();
        let info = files
            .find(|file| file.filename.is(MASTER_KEY_BLOB))
            .ok_or_else(|| {
                Error::Refused(format!(
                    "{id} has no {MASTER_KEY_BLOB}: it was made without a master key"
                ))
            })?;
        let name = info.filename.as_str();
        if let Some(fault) = snapshot
            .blob(info, &mut buffer)
            .map_err(|fault| failed(name, fault))?
        {
            return Err(failed(name, fault));
        }
        let mut wrapped = Self::parse(buffer.stored(), &format!("{name} of {id}"))?;
        wrapped.manifest = Some((id.clone(), manifest));
        Ok(wrapped)
    }

    /// Opens it, and makes sure that the key is the one of the manifest, if there is one, and the `expected` one.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`], [`Error::Damaged`], [`Error::FingerprintDiffers`]. Never is anything taken for a key that
    /// is not a whole key file with its own fingerprint.
    pub fn open(&self, key: &PrivateKey, expected: Option<&Expected>) -> Result<Recovered> {
        self.check_length(key.size())?;
        let json = key.decrypt(&self.bytes)?.ok_or_else(|| self.wrong_key())?;
        let inner = format!("the key file in {}", self.what);
        // rubbish with the right padding comes of a wrong key, once in many thousand times
        let file = KeyFile::parse(&json, &inner).map_err(|_| self.wrong_key())?;
        if file.is_protected() {
            return Err(Error::damaged(&inner, "it is protected once more"));
        }
        let key = file.open(None)?;
        let fingerprint = Fingerprint::of(&key);
        check_expected(expected, fingerprint)?;
        let doubts = match &self.manifest {
            Some((id, manifest)) => check_manifest(id, manifest, &Crypt::new(&key))?,
            None => Vec::new(),
        };
        Ok(Recovered {
            file: KeyFile::plain(key, file.created),
            fingerprint,
            doubts,
        })
    }

    fn check_length(&self, size: usize) -> Result<()> {
        let len = self.bytes.len();
        if len == size {
            return Ok(());
        }
        if len == size + BLOB_HEADER && !self.sound {
            let why = "it has the length of a blob, but its magic number is wrong";
            return Err(Error::damaged(&self.what, why));
        }
        // moduli have such lengths, and what is cut off seldom has
        if len % 64 == 0 && (256..=2048).contains(&len) {
            return Err(self.wrong(format!(
                "it was made for one of {} bits, and this one has {}",
                len * 8,
                size * 8
            )));
        }
        Err(Error::damaged(
            &self.what,
            format!("it holds {len} bytes, and for this master key there must be {size}"),
        ))
    }

    fn wrong_key(&self) -> Error {
        self.wrong(if self.sound {
            "it is as it was stored, and this master key does not open it".to_owned()
        } else {
            "it does not open it (or that file is damaged: the two can't be told apart)".to_owned()
        })
    }

    fn wrong(&self, why: String) -> Error {
        Error::WrongMasterKey {
            what: self.what.clone(),
            why,
        }
    }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut buffer = Buffer::default();
    buffer.fill(bytes, bytes.len() as u64, file::MAX_SIZE)?;
    let mut data = Vec::new();
    match Decoder::new(None).stream(&mut buffer, file::MAX_SIZE, Mode::Plain, &mut data) {
        Ok(_) => Ok(data),
        Err(StreamError::Fault(fault)) => Err(fault),
        Err(StreamError::Write(err)) => Err(Fault::Unreadable(err.to_string())),
    }
}

/// Another key than the manifest's is an error; a manifest that was changed does not make the key a wrong one.
fn check_manifest(id: &SnapshotId, manifest: &Manifest, crypt: &Crypt) -> Result<Vec<Fault>> {
    check_expected(
        manifest.claimed.map(Expected::from).as_ref(),
        crypt.fingerprint(),
    )?;
    Ok(manifest.check(&id.snapshot, crypt))
}
