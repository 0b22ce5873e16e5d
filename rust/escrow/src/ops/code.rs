//! Operations on recovery codes as they are typed, and on several blobs at once.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::{CodeError, Fingerprint, KeyFile, RecoveryCode, SecretString, code, seal};

/// What a person has typed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Typed {
    /// The recovery code, or its beginning.
    pub code: SecretString,
}

/// How it was read.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReadCode {
    /// The words in full, in their order.
    pub words: Vec<&'static str>,
    /// Are these all ten?
    pub complete: bool,
    /// Were the check characters among what was typed?
    pub checked: bool,
}

/// Reads a recovery code that may not be complete yet, so that whoever types it learns of a mistake at once.
///
/// # Errors
/// [`Error::Code`], unless only words are missing.
pub fn read_code(input: &Typed) -> Result<ReadCode> {
    let read = |text: &str, complete, checked| {
        Ok(ReadCode {
            words: code::part(text)?,
            complete,
            checked,
        })
    };
    match RecoveryCode::parse_checked(input.code.as_str()) {
        Ok((code, checked)) => read(code.as_str(), true, checked),
        Err(CodeError::Count { found }) if found < code::WORDS => {
            read(input.code.as_str(), false, false)
        }
        Err(err) => Err(err.into()),
    }
}

/// Several blobs, and one recovery code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Find {
    /// The contents of sealed key files.
    pub blobs: Vec<String>,
    /// The recovery code as typed.
    pub code: SecretString,
}

/// Which blob it was.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Its place in the list, counted from 0. None if the code opens none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The key in it, computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// What is wrong with those before it that could not be tried.
    pub damages: Vec<String>,
}

/// Finds the first blob that a code opens.
///
/// # Errors
/// [`Error::Code`], before any key derivation.
pub fn find(input: &Find) -> Result<Found> {
    let code = RecoveryCode::parse(input.code.as_str())?;
    let mut found = Found::default();
    for (index, blob) in input.blobs.iter().enumerate() {
        let what = format!("blob {}", index + 1);
        let opened = KeyFile::parse(blob.as_bytes(), &what)
            .and_then(|blob| seal::unwrap(&blob, &code, None));
        match opened {
            Ok(opened) => {
                found.index = Some(index);
                found.fingerprint = Some(opened.fingerprint);
                break;
            }
            Err(Error::WrongCode { .. }) => {}
            Err(err) => found.damages.push(err.to_string()),
        }
    }
    Ok(found)
}
