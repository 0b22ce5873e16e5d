//! The command line.

mod datastore;
mod master_key;
mod paper;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use pve_escrow::Expected;

pub use datastore::{Coverage, KeySource, Prove, Restore};
pub use master_key::{Check, MakeMasterKey, MasterKey, Open};
pub use paper::{Import, Paper};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  any other error; prove: not valid
  2  wrong usage
  3  wrong recovery code, or wrong master key
  4  the fingerprint differs: it is another key, or none where one is needed
  5  a file is damaged or not supported, a datastore can't be read
  6  the target exists already and was left as it is

A recovery code is read as people type it: any case, numbers, commas, line breaks, and beginnings of words
that are clear. Its four check characters may follow. A file named by --out is complete or absent.";

/// Seal the encryption key of Proxmox backups under ten words, and get it back with them. Needs neither
/// Proxmox VE nor a network.
#[derive(Parser)]
#[command(name = "pve-escrow-rescue", version, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Fingerprint(Fingerprint),
    Create(Create),
    Verify(Verify),
    Unwrap(Unwrap),
    Prove(Prove),
    Restore(Restore),
    Coverage(Coverage),
    #[command(subcommand)]
    MasterKey(MasterKey),
    Paper(Paper),
    Import(Import),
}

/// Print the fingerprint of a key file.
///
/// Of a file with a passphrase this is what the file claims; standard error says so, and nothing is asked.
#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct Fingerprint {
    /// Key file, or sealed blob
    pub keyfile: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Compute it, with the passphrase in the first line of this file ("-": standard input)
    #[arg(long, value_name = "FILE")]
    pub passphrase_in: Option<PathBuf>,
}

/// Seal a key under a new recovery code.
///
/// The key file stays as it is. The code is shown on the terminal, this once; write it down, then type it back with
/// "verify".
#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct Create {
    /// Key file whose key to seal
    pub keyfile: PathBuf,
    /// New file for the sealed key, which is no secret
    #[arg(long, value_name = "BLOB")]
    pub out: PathBuf,
    /// Write the code to this new file, in place of showing it
    #[arg(long, value_name = "FILE")]
    pub code_out: Option<PathBuf>,
    /// Take the key file's passphrase from the first line of this file ("-": standard input)
    #[arg(long, value_name = "FILE")]
    pub passphrase_in: Option<PathBuf>,
}

/// Check that a recovery code opens a blob, or one in a kit. Changes nothing.
#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct Verify {
    /// Sealed key file, or a kit
    pub blob: PathBuf,
    #[command(flatten)]
    pub opening: Opening,
}

/// Get the key out of a blob or a kit, as a plain key file for proxmox-backup-client or for a storage.
#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct Unwrap {
    /// Sealed key file, or a kit
    pub blob: PathBuf,
    /// New file for the key, which is a secret
    #[arg(long, value_name = "KEYFILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub opening: Opening,
}

#[derive(Parser)]
pub struct Opening {
    /// Read the recovery code from this file ("-": standard input), in place of asking for it
    #[arg(long, value_name = "FILE")]
    pub code_in: Option<PathBuf>,
    /// The key that is expected: its fingerprint, or the short form of 8 bytes
    #[arg(long, value_name = "FINGERPRINT")]
    pub expect: Option<Expected>,
}
