//! Standard output and error: the macros of the standard library panic where they can't be written.

use std::fmt::Display;
use std::io::{Write, stderr};

use crate::failure::{Failure, Result};

/// Prints a line of what was asked for. Colours are for terminals only.
pub fn result(line: impl Display) -> Result<()> {
    writeln!(anstream::stdout(), "{line}")
        .map_err(|err| Failure::Other(format!("cannot write standard output: {err}")))
}

/// Prints a remark for the person who reads along. Nothing fails because it can't be read.
pub fn note(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}
