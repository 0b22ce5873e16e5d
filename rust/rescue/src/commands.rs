//! One file a command.

pub mod create;
pub mod fingerprint;
pub mod unwrap;
pub mod verify;

use pve_escrow::KeyFile;
use pve_escrow::seal::{self, Opened};

use crate::args::Opening;
use crate::failure::Result;
use crate::input;

/// Opens a blob with the code that the user gives.
fn open(blob: &KeyFile, opening: &Opening) -> Result<Opened> {
    let code = input::recovery_code(opening, blob)?;
    Ok(seal::unwrap(blob, &code, opening.expect.as_ref())?)
}
