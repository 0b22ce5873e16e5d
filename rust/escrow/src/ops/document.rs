//! Operations on kits and records: making them authentic, finding out whether they are, and printing them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Verified, key_of};
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::mac::Authentic;
use crate::paper::{Format, KitSheet};
use crate::record::Record;
use crate::{Fingerprint, Key, SecretString};

/// What is signed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What may leave the cluster.
    Kit,
    /// What the cluster remembers of a key.
    Record,
}

/// A kit or a record that has no MAC yet, or an outdated one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sign {
    /// Path of the key file.
    pub keyfile: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub text: String,
}

/// A kit or a record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Signed {
    /// Its content, with its MAC.
    pub text: String,
}

/// Signs a kit or a record with its key.
///
/// # Errors
/// As [`crate::KeyFile::open`] and [`Kit::parse`]; [`Error::FingerprintDiffers`] if it belongs to another key.
pub fn sign(input: &Sign) -> Result<Signed> {
    let key = key_of(Some(&input.keyfile), None, None)?;
    let text = input.text.as_bytes();
    let text = match input.kind {
        Kind::Kit => signed(Kit::parse(text, "the kit")?, &key)?,
        Kind::Record => signed(Record::parse(text, "the record")?, &key)?,
    };
    Ok(Signed { text })
}

fn signed<T: Authentic>(mut document: T, key: &Key) -> Result<String> {
    belongs(&document, key)?;
    document.sign(key);
    serde_json::to_string(&document)
        .map_err(|err| Error::Refused(format!("cannot write {}: {err}", T::NAME)))
}

fn belongs<T: Authentic>(document: &T, key: &Key) -> Result<Fingerprint> {
    let offered = Fingerprint::of(key);
    let needed = document.fingerprint();
    if needed != offered {
        return Err(Error::FingerprintDiffers {
            needed: needed.to_string(),
            offered,
        });
    }
    Ok(offered)
}

/// A kit or a record, and its key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Authenticate {
    /// What it is.
    pub kind: Kind,
    /// Its content.
    pub text: String,
    /// Path of the key file; or
    pub keyfile: Option<PathBuf>,
    /// the content of a sealed one, with
    pub blob: Option<String>,
    /// its recovery code.
    pub code: Option<SecretString>,
}

/// Is a kit or a record as a holder of its key made it?
///
/// # Errors
/// [`Error::Damaged`] without a MAC, or with a wrong one: then nothing in it but the blobs can be relied on.
/// [`Error::FingerprintDiffers`] if it belongs to another key; as [`sign`].
pub fn authenticate(input: &Authenticate) -> Result<Verified> {
    let text = input.text.as_bytes();
    let key = || {
        key_of(
            input.keyfile.as_deref(),
            input.blob.as_deref(),
            input.code.as_ref(),
        )
    };
    let fingerprint = match input.kind {
        Kind::Kit => authentic(&Kit::parse(text, "the kit")?, &key()?)?,
        Kind::Record => authentic(&Record::parse(text, "the record")?, &key()?)?,
    };
    Ok(Verified { fingerprint })
}

fn authentic<T: Authentic>(document: &T, key: &Key) -> Result<Fingerprint> {
    let fingerprint = belongs(document, key)?;
    document.verify(key)?;
    Ok(fingerprint)
}

/// A kit, or a blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Print {
    /// Its content.
    pub text: String,
    /// What to print it as.
    pub format: Format,
}

/// A sheet to print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sheet {
    /// Its content.
    pub text: String,
}

/// Prints a kit or a blob as a sheet that can be typed or scanned, and read by the stock client too.
///
/// # Errors
/// As [`KitSheet::new`].
pub fn paper(input: &Print) -> Result<Sheet> {
    let sheet = KitSheet::new(input.text.as_bytes(), "the kit")?;
    Ok(Sheet {
        text: sheet.print(input.format)?,
    })
}
