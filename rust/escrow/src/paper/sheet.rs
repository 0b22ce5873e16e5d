//! Whatever sheet a text is.

use zeroize::Zeroizing;

use super::{code_sheet, lines, paperkey};
use crate::error::{Error, Result};
use crate::{KeyFile, SecretBytes, kit};

/// What was on a sheet.
#[derive(Debug)]
pub enum Sheet {
    /// A kit or a blob of ours.
    Kit(Vec<u8>),
    /// A key file, on a sheet of the stock client.
    Key(KeyFile),
}

/// Is this text a sheet, or lines typed from one? Not if no line of it is right.
pub fn is_sheet(text: &str) -> bool {
    paperkey::is_sheet(text) || code_sheet::is_sheet(text) || lines::is_sheet(text)
}

impl Sheet {
    /// Reads the text or the page of a sheet, or lines as somebody has typed them; messages call it `what`.
    ///
    /// # Errors
    /// As [`paperkey::read`], [`lines::from_text`] and [`Sheet::kit`]; [`Error::Refused`] for that of the words.
    pub fn read(text: &str, what: &str) -> Result<Self> {
        // the first mark counts: what a kit or a key file says of itself stands behind its own
        let (theirs, ours) = (text.find(paperkey::BEGIN), text.find(lines::BEGIN));
        if theirs.is_some_and(|theirs| ours.is_none_or(|ours| theirs < ours)) {
            return Ok(Self::Key(paperkey::read(text, what)?));
        }
        if theirs.is_none() && ours.is_none() && paperkey::is_of_master_key(text) {
            return Err(Error::Unsupported {
                what: what.to_owned(),
                why: "it is the sheet of a master key, and no backup's: its lines without their numbers are the file"
                    .to_owned(),
            });
        }
        if ours.is_none() && code_sheet::is_sheet(text) {
            return Err(Error::Refused(format!(
                "{what} is the sheet of the ten words: the key is not on it, but in the kit that they open"
            )));
        }
        Self::kit(lines::from_text(text, what)?, what)
    }

    /// The content of a kit or a blob.
    ///
    /// # Errors
    /// As [`kit::blobs`].
    pub fn kit(bytes: Vec<u8>, what: &str) -> Result<Self> {
        kit::blobs(&bytes, what)?;
        Ok(Self::Kit(bytes))
    }

    /// The content of the file that was printed.
    pub fn into_content(self) -> SecretBytes {
        match self {
            Self::Kit(bytes) => Zeroizing::new(bytes),
            Self::Key(file) => file.to_json(),
        }
    }
}
