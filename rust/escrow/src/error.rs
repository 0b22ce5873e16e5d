//! What can go wrong, by what a caller has to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::{CodeError, Fingerprint};

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation was refused or failed. Whatever the variant, nothing was changed or half written.
///
/// No text holds a key or a passphrase. [`Error::Code`] names a position and the nearest words of the list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recovery code as typed can't be one: found before any key derivation.
    #[error(transparent)]
    Code(#[from] CodeError),

    /// The recovery code is well formed, but does not open this blob.
    #[error(
        "wrong recovery code for {what}, which holds key {holds} (or that file is damaged: the two can't be told apart)"
    )]
    WrongCode {
        /// The blob.
        what: String,
        /// The fingerprint that the blob claims, in its short form.
        holds: String,
    },

    /// The master key does not open this.
    #[error("wrong master key for {what}: {why}")]
    WrongMasterKey {
        /// What was wrapped for a master key.
        what: String,
        /// How that shows, and whether it could be damage.
        why: String,
    },

    /// The passphrase does not open this key file.
    #[error("wrong passphrase for {what}{}", hint.as_ref().map(|h| format!(" (hint: {h})")).unwrap_or_default())]
    WrongPassphrase {
        /// The key file.
        what: String,
        /// The hint that its owner left in it.
        hint: Option<String>,
    },

    /// The key file is protected, and no passphrase was given.
    #[error("{what} is protected by a passphrase")]
    PassphraseNeeded {
        /// The key file.
        what: String,
    },

    /// The key is another one than the caller expects.
    #[error("fingerprint differs: needed is key {needed}, offered was key {offered}")]
    FingerprintDiffers {
        /// The key that is needed, as the caller named it.
        needed: String,
        /// The key that was there.
        offered: Fingerprint,
    },

    /// A key is needed, and there is none.
    #[error("missing key: {what} was made with key {needed}")]
    KeyNeeded {
        /// What it is needed for.
        what: String,
        /// The key that is named there, in its short form; else `unknown`.
        needed: String,
    },

    /// A file that can't be what it should be.
    #[error("{what} is damaged or not what it should be: {why}")]
    Damaged {
        /// The file.
        what: String,
        /// What is wrong, and where.
        why: String,
    },

    /// A sound file that this version does not handle.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// The file.
        what: String,
        /// Which part.
        why: String,
    },

    /// Going on would lose something.
    #[error("refused: {0}")]
    Refused(String),

    /// A new file was to be written where one is already.
    #[error("{} exists already and is left as it is", .0.display())]
    Exists(PathBuf),

    /// The backup client did not do it.
    #[error("the backup client failed ({kind}): {text}")]
    Client {
        /// A word for programs: [`crate::client::Refusal::kind`].
        kind: &'static str,
        /// Its own words.
        text: String,
    },

    /// Stopped because somebody asked for it.
    #[error("stopped on request")]
    Cancelled,

    /// The operating system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The answer. Not a `source`, which would be said twice.
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn damaged(what: &str, why: impl Into<String>) -> Self {
        Self::Damaged {
            what: what.to_owned(),
            why: why.into(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            error: error.into(),
        }
    }
}
