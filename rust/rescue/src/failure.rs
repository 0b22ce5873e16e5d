//! How a command ends that could not do its work: the exit code, what was wrong, and what to do next.

use std::process::ExitCode;

use pve_escrow::{CodeError, Error};

use crate::output;

/// Why a command stopped.
pub enum Failure {
    /// The library says so.
    Escrow(Error),
    /// The key is not the one that is needed.
    AnotherKey(String),
    /// A datastore, or something in it, can't be read.
    Unreadable(Error),
    /// The result was printed already, and is not a good one.
    NotValid,
    /// What was asked for can't be done so; as wrong usage.
    Usage(String),
    /// Anything else.
    Other(String),
}

/// Result of a command.
pub type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::Escrow(err)
    }
}

impl From<CodeError> for Failure {
    fn from(err: CodeError) -> Self {
        Self::Escrow(err.into())
    }
}

/// What can't be read of a datastore is as bad as what is damaged, and there is seldom another copy to try.
pub fn unreadable(err: Error) -> Failure {
    match err {
        Error::Damaged { .. } => Failure::Unreadable(err),
        Error::Io {
            action: "read" | "open",
            ..
        } => Failure::Unreadable(err),
        err => err.into(),
    }
}

impl Failure {
    /// Prints what was wrong, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Escrow(err) => {
                output::note(format_args!("error: {err}"));
                hint(err).into_iter().for_each(output::note);
            }
            Self::Unreadable(err) => output::note(format_args!("error: {err}")),
            Self::AnotherKey(text) | Self::Usage(text) | Self::Other(text) => {
                output::note(format_args!("error: {text}"));
            }
            Self::NotValid => {}
        }
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Escrow(
                Error::Code(_) | Error::WrongCode { .. } | Error::WrongMasterKey { .. },
            ) => 3,
            Self::AnotherKey(_)
            | Self::Escrow(Error::FingerprintDiffers { .. } | Error::KeyNeeded { .. }) => 4,
            Self::Unreadable(_)
            | Self::Escrow(Error::Damaged { .. } | Error::Unsupported { .. }) => 5,
            Self::Escrow(Error::Exists(_)) => 6,
            Self::NotValid | Self::Escrow(_) | Self::Other(_) => 1,
        }
    }
}

/// The next thing to try.
fn hint(err: &Error) -> Option<&'static str> {
    Some(match err {
        Error::Code(_) => {
            "Without --code-in each word is checked as you type it: pve-escrow-rescue verify BLOB"
        }
        Error::WrongCode { .. } => {
            "Compare the words and the fingerprint with the sheet, and try every copy of the blob: pve-escrow-rescue verify BLOB"
        }
        Error::WrongMasterKey { .. } => {
            "Try the master key that the storage had when the backup was made, and the file of another snapshot."
        }
        Error::FingerprintDiffers { .. } => {
            "Look for the blob of the key that is needed: pve-escrow-rescue fingerprint BLOB"
        }
        Error::KeyNeeded { .. } => "Give it with --key KEYFILE, or with --blob BLOB",
        Error::PassphraseNeeded { .. } => "Give its passphrase with --passphrase-in FILE",
        Error::Damaged { .. } => "Try another copy of the file.",
        Error::Exists(_) => "Name another file, or move that one away.",
        _ => return None,
    })
}
