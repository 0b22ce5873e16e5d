//! The error type.

use std::fmt;

/// An argument that cannot be read or a result that cannot be written.
#[derive(Clone, Debug)]
pub struct Error(String);

impl Error {
    /// An error with that text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.0)
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}
