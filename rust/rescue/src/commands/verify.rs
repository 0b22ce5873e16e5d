//! `verify`

use pve_escrow::KeyFile;

use crate::args::Verify;
use crate::commands;
use crate::failure::Result;
use crate::output;

pub fn run(args: &Verify) -> Result<()> {
    let blob = KeyFile::read(&args.blob)?;
    let opened = commands::open(&blob, &args.opening)?;
    output::note(format_args!(
        "The recovery code opens {}.",
        args.blob.display()
    ));
    output::result(opened.fingerprint)
}
