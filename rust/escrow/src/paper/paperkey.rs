//! The sheets of `proxmox-backup-client key paperkey`: a key file between two marks, in text or HTML.

use crate::KeyFile;
use crate::error::{Error, Result};

pub(super) const BEGIN: &str = "-----BEGIN PROXMOX BACKUP KEY-----";
const END: &str = "-----END PROXMOX BACKUP KEY-----";

/// Is it such a sheet?
pub fn is_sheet(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Is it a sheet of the private half of a master key, which the client prints as numbered lines?
pub fn is_of_master_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// Reads the key file on a sheet that messages will call `what`.
///
/// A key without a passphrase has to be the one whose fingerprint is there: typed with an error it would not be.
///
/// # Errors
/// [`Error::Damaged`]; as [`KeyFile::parse`].
pub fn read(text: &str, what: &str) -> Result<KeyFile> {
    let wrong = |why: &str| Error::damaged(what, why);
    let (_, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| wrong("there is no line BEGIN PROXMOX BACKUP KEY"))?;
    let (inner, after) = rest
        .split_once(END)
        .ok_or_else(|| wrong("there is no line END PROXMOX BACKUP KEY"))?;
    if after.contains(BEGIN) {
        return Err(wrong("there is more than one key on it"));
    }
    checked(inner.trim().as_bytes(), what)
}

/// Reads a key file by itself, as the QR code of such a sheet has it.
///
/// # Errors
/// As [`read`].
pub fn checked(json: &[u8], what: &str) -> Result<KeyFile> {
    let file = KeyFile::parse(json, what)?;
    if !file.is_protected() {
        file.open(None)?;
    }
    Ok(file)
}
