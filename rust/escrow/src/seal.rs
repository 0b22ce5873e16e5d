//! Sealing a key under a recovery code, and opening the seal.
//!
//! A blob is what `proxmox-backup-client key change-passphrase --kdf scrypt` writes with the ten words as the
//! passphrase: the stock client opens ours with them, and we open its.

use crate::error::{Error, Result};
use crate::fingerprint::Expected;
use crate::keyfile::{self, KeyFile, Protection};
use crate::{Fingerprint, Key, RecoveryCode, SecretString};

/// A key that was just sealed under a new recovery code.
#[derive(Debug)]
pub struct NewSeal {
    /// The content of the sealed key file, 383 bytes. It is no secret.
    pub blob: Vec<u8>,
    /// Opens it. This is the only place where it exists.
    pub code: RecoveryCode,
    /// Which key is sealed.
    pub fingerprint: Fingerprint,
}

/// Seals the key of `live` under a new recovery code, and makes sure that the code opens the blob.
///
/// # Errors
/// As [`KeyFile::open`] with `passphrase`; [`Error::Refused`] without randomness or memory.
pub fn create(live: &KeyFile, passphrase: Option<&SecretString>) -> Result<NewSeal> {
    let key = live.open(passphrase)?;
    let code = RecoveryCode::generate()?;
    let fingerprint = Fingerprint::of(&key);
    let protection = keyfile::protect(&key, code.as_str())?;
    let blob = KeyFile::new(protection, live.created, Some(fingerprint))
        .to_json()
        .to_vec();

    let opened = unwrap(
        &KeyFile::parse(&blob, "the new blob")?,
        &code,
        Some(&fingerprint.into()),
    )?;
    if opened.key != key {
        return Err(Error::Refused(
            "the new blob does not give the key back: nothing was written".to_owned(),
        ));
    }
    Ok(NewSeal {
        blob,
        code,
        fingerprint,
    })
}

/// A key out of a blob.
#[derive(Debug)]
pub struct Opened {
    /// The key.
    pub key: Key,
    /// Its fingerprint, computed.
    pub fingerprint: Fingerprint,
}

/// Opens `blob` with its recovery code, and checks that its key is the `expected` one.
///
/// # Errors
/// [`Error::WrongCode`], [`Error::FingerprintDiffers`], [`Error::Damaged`]; [`Error::Unsupported`] for a key file
/// without protection, which any code would open.
pub fn unwrap(blob: &KeyFile, code: &RecoveryCode, expected: Option<&Expected>) -> Result<Opened> {
    let Protection::Sealed(kdf, sealed) = &blob.protection else {
        return Err(blob.unsupported(format!(
            "it is not sealed, its key {} lies open in it",
            blob.claims()
        )));
    };
    let key = blob
        .decrypt(kdf, sealed, code.as_str())?
        .ok_or_else(|| Error::WrongCode {
            what: blob.what.clone(),
            holds: blob.claims(),
        })?;
    let fingerprint = Fingerprint::of(&key);
    check_expected(expected, fingerprint)?;
    Ok(Opened { key, fingerprint })
}

impl Opened {
    /// The recovered key as a plain key file; `created` as in the blob.
    pub fn into_key_file(self, blob: &KeyFile) -> KeyFile {
        KeyFile::plain(self.key, blob.created)
    }
}

/// Does `offered` meet the expectation, if there is one?
///
/// # Errors
/// [`Error::FingerprintDiffers`].
pub(crate) fn check_expected(expected: Option<&Expected>, offered: Fingerprint) -> Result<()> {
    match expected {
        Some(needed) if !needed.matches(&offered) => Err(Error::FingerprintDiffers {
            needed: needed.to_string(),
            offered,
        }),
        _ => Ok(()),
    }
}
