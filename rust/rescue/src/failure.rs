//! How a command ends that could not do its work: the exit code, what was wrong, and what to do next.

use std::process::ExitCode;

use pve_escrow::{CodeError, Error};

/// Why a command stopped.
pub enum Failure {
    /// The library says so.
    Escrow(Error),
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

impl Failure {
    /// Prints what was wrong, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Escrow(err) => {
                eprintln!("error: {err}");
                if let Some(hint) = hint(err) {
                    eprintln!("{hint}");
                }
            }
            Self::Usage(text) | Self::Other(text) => eprintln!("error: {text}"),
        }
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Escrow(Error::Code(_) | Error::WrongCode { .. }) => 3,
            Self::Escrow(Error::FingerprintDiffers { .. }) => 4,
            Self::Escrow(Error::Damaged { .. } | Error::Unsupported { .. }) => 5,
            Self::Escrow(Error::Exists(_)) => 6,
            Self::Escrow(_) | Self::Other(_) => 1,
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
        Error::FingerprintDiffers { .. } => {
            "Look for the blob of the key that is needed: pve-escrow-rescue fingerprint BLOB"
        }
        Error::PassphraseNeeded { .. } => "Give its passphrase with --passphrase-in FILE",
        Error::Damaged { .. } => "Try another copy of the file.",
        Error::Exists(_) => "Name another file, or move that one away.",
        _ => return None,
    })
}
