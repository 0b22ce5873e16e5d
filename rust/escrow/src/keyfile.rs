//! Key files of Proxmox Backup: reading strictly, writing as the stock client does.
//!
//! The format is `KeyConfig` of proxmox-backup's `pbs-key-config`: one line of JSON with the members `kdf`,
//! `created`, `modified`, `data`, `fingerprint` and, if any, `hint`. `data` is the raw key if `kdf` is null,
//! else `IV(16) || TAG(16) || AES-256-GCM(derived key, IV, key)`.

use std::path::Path;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};

use crate::aead::{self, Sealed};
use crate::error::{Error, Result};
use crate::kdf::Kdf;
use crate::secret::{on_wiped_stack, redacted};
use crate::{Fingerprint, Key, SecretBytes, SecretString, file, json, wire};

/// A key file that has the right form. Its key is not known to be what it claims before [`KeyFile::open`].
pub struct KeyFile {
    /// What messages call it.
    pub(crate) what: String,
    pub(crate) protection: Protection,
    /// When the key was made.
    pub created: DateTime<FixedOffset>,
    /// When this file was made.
    pub modified: DateTime<FixedOffset>,
    /// What the file says its key's fingerprint is: a label.
    pub claimed: Option<Fingerprint>,
    /// What its owner left to remember the passphrase by.
    pub hint: Option<String>,
}

redacted!(KeyFile);

pub(crate) enum Protection {
    None(Key),
    Sealed(Kdf, Box<Sealed>),
}

impl KeyFile {
    /// Reads a key file: regular, of at most 64 KiB.
    ///
    /// # Errors
    /// [`Error::Io`], or as [`KeyFile::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file::read(path)?;
        Self::parse(&bytes, &path.display().to_string())
    }

    /// Parses the content of a key file that messages will call `what`.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Unsupported`]; no text repeats the file's content.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let wire: wire::Read = json::parse(bytes, what)?;
        wire.into_key_file(what)
    }

    /// An unprotected key file, ready for `--keyfile` or for a storage.
    pub fn plain(key: Key, created: DateTime<FixedOffset>) -> Self {
        let claimed = Some(Fingerprint::of(&key));
        Self::new(Protection::None(key), created, claimed)
    }

    pub(crate) fn new(
        protection: Protection,
        created: DateTime<FixedOffset>,
        claimed: Option<Fingerprint>,
    ) -> Self {
        Self {
            what: "the new key file".to_owned(),
            protection,
            created,
            modified: now(),
            claimed,
            hint: None,
        }
    }

    /// The content of the file: one line, no newline at its end, exactly as the stock client writes it.
    pub fn to_json(&self) -> SecretBytes {
        wire::write(self)
    }

    /// How the key is protected: `none`, `scrypt` or `pbkdf2`.
    pub fn kdf_name(&self) -> &'static str {
        match &self.protection {
            Protection::None(_) => "none",
            Protection::Sealed(kdf, _) => kdf.name(),
        }
    }

    /// Is a passphrase or a recovery code needed to open it?
    pub fn is_protected(&self) -> bool {
        matches!(self.protection, Protection::Sealed(..))
    }

    /// The key. A protected file needs its passphrase, any other ignores it.
    ///
    /// # Errors
    /// [`Error::PassphraseNeeded`], [`Error::WrongPassphrase`]; [`Error::Damaged`] if the key isn't the one
    /// that the file claims to hold.
    pub fn open(&self, passphrase: Option<&SecretString>) -> Result<Key> {
        match (&self.protection, passphrase) {
            (Protection::None(key), _) => self.checked(key.clone()),
            (Protection::Sealed(..), None) => Err(Error::PassphraseNeeded {
                what: self.what.clone(),
            }),
            (Protection::Sealed(kdf, sealed), Some(passphrase)) => self
                .decrypt(kdf, sealed, passphrase.as_str())?
                .ok_or_else(|| Error::WrongPassphrase {
                    what: self.what.clone(),
                    hint: self.hint.clone(),
                }),
        }
    }

    /// `None` if `secret` does not open it.
    pub(crate) fn decrypt(&self, kdf: &Kdf, sealed: &Sealed, secret: &str) -> Result<Option<Key>> {
        let opened = on_wiped_stack(|| {
            let derived = kdf.derive(secret.as_bytes())?;
            Ok(aead::open(derived.as_bytes(), sealed))
        });
        opened
            .map_err(|why| self.unsupported(why))?
            .map(|key| self.checked(key))
            .transpose()
    }

    fn checked(&self, key: Key) -> Result<Key> {
        let computed = Fingerprint::of(&key);
        match self.claimed {
            Some(claimed) if claimed != computed => Err(Error::damaged(
                &self.what,
                format!(
                    "it claims to hold key {}, but the key in it is {}",
                    claimed.short(),
                    computed.short()
                ),
            )),
            _ => Ok(key),
        }
    }

    pub(crate) fn unsupported(&self, why: String) -> Error {
        Error::Unsupported {
            what: self.what.clone(),
            why,
        }
    }

    /// The short fingerprint that the file claims, for messages.
    pub(crate) fn claims(&self) -> String {
        self.claimed
            .map_or_else(|| "unknown".to_owned(), |claimed| claimed.short())
    }
}

/// Whole seconds, UTC: the client writes the local time zone's offset, of which `+00:00` is one.
pub(crate) fn now() -> DateTime<FixedOffset> {
    Utc::now().fixed_offset()
}

/// `2026-11-21T19:31:17+00:00`: 25 characters, never `Z`, no fractions.
pub(crate) fn timestamp(time: &DateTime<FixedOffset>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// Derives a key with fresh randomness and seals `key` under it.
pub(crate) fn protect(key: &Key, secret: &str) -> Result<Protection> {
    let kdf = Kdf::new(random()?);
    let iv = random()?;
    let sealed = on_wiped_stack(|| {
        let derived = kdf.derive(secret.as_bytes())?;
        Ok(aead::seal(derived.as_bytes(), iv, key))
    });
    let sealed = sealed.map_err(Error::Refused)?;
    Ok(Protection::Sealed(kdf, Box::new(sealed)))
}

/// Bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|err| Error::Refused(format!("the system gives no random numbers: {err}")))?;
    Ok(bytes)
}
