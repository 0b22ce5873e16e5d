//! `verify`

use crate::args::Verify;
use crate::failure::Result;
use crate::{commands, input, output};

pub fn run(args: &Verify) -> Result<()> {
    let blobs = input::blobs(&args.blob)?;
    let (opened, _) = commands::open(&blobs, &args.opening)?;
    output::note(format_args!(
        "The recovery code opens {}.",
        args.blob.display()
    ));
    output::result(opened.fingerprint)
}
