//! `unwrap`

use pve_escrow::file;

use crate::args::Unwrap;
use crate::failure::Result;
use crate::{commands, input, output};

pub fn run(args: &Unwrap) -> Result<()> {
    file::must_not_exist(&args.out)?;
    let blobs = input::blobs(&args.blob)?;
    let (opened, blob) = commands::open(&blobs, &args.opening)?;
    let fingerprint = opened.fingerprint;
    file::write_new(&args.out, &opened.into_key_file(blob).to_json())?;
    output::note(format_args!(
        "The key is in {}. Keep it secret.",
        args.out.display()
    ));
    output::result(fingerprint)
}
