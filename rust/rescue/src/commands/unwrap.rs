//! `unwrap`

use pve_escrow::{KeyFile, file};

use crate::args::Unwrap;
use crate::commands;
use crate::failure::Result;
use crate::output;

pub fn run(args: &Unwrap) -> Result<()> {
    file::must_not_exist(&args.out)?;
    let blob = KeyFile::read(&args.blob)?;
    let opened = commands::open(&blob, &args.opening)?;
    let fingerprint = opened.fingerprint;
    file::write_new(&args.out, &opened.into_key_file(&blob).to_json())?;
    output::note(format_args!(
        "The key is in {}. Keep it secret.",
        args.out.display()
    ));
    output::result(fingerprint)
}
