//! `verify`

use pve_escrow::KeyFile;

use crate::args::Verify;
use crate::commands;
use crate::failure::Result;

pub fn run(args: &Verify) -> Result<()> {
    let blob = KeyFile::read(&args.blob)?;
    let opened = commands::open(&blob, &args.opening)?;
    println!("{}", opened.fingerprint);
    eprintln!("The recovery code opens {}.", args.blob.display());
    Ok(())
}
