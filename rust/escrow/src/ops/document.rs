//! Operations on kits and records: making them authentic, finding out whether they are, and printing them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Verified, key_of};
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::mac::Authentic;
use crate::paper::{self, Format, KitSheet};
use crate::record::Record;
use crate::{Fingerprint, Key, SecretString, file};

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

/// Largest page of a sheet that is read, in bytes: the client's have pictures in them.
const MAX_SHEET: usize = 1 << 20;

/// A file that may be a sheet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReadSheet {
    /// Path of it.
    pub file: PathBuf,
    /// Path of the new file for what was on it. Nothing may exist there.
    pub out: PathBuf,
}

/// What is on a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSheet {
    /// A key file.
    Key,
    /// A kit or a blob.
    Kit,
}

/// What was read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SheetRead {
    /// What is in the new file; without it the file that was given is no sheet, and nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<OnSheet>,
}

/// Reads the text or the page of a sheet, ours or the stock client's, into a new file.
///
/// # Errors
/// As [`file::read_up_to`], [`paper::Sheet::read`] and [`file::write_new`]; [`Error::Refused`] for a picture.
pub fn read_sheet(input: &ReadSheet) -> Result<SheetRead> {
    file::must_not_exist(&input.out)?;
    let bytes = file::read_up_to(&input.file, MAX_SHEET)?;
    let what = input.file.display().to_string();
    if bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff") {
        return Err(Error::Refused(format!(
            "{what} is a picture: 'pve-escrow-rescue import' reads the QR codes in it, on any Linux machine"
        )));
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    if !paper::is_sheet(text) {
        return Ok(SheetRead { kind: None });
    }
    let sheet = paper::Sheet::read(text, &what)?;
    let kind = match sheet {
        paper::Sheet::Key(_) => OnSheet::Key,
        paper::Sheet::Kit(_) => OnSheet::Kit,
    };
    file::write_new(&input.out, &sheet.into_content())?;
    Ok(SheetRead { kind: Some(kind) })
}
