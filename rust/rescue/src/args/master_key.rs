//! The command line of master keys.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use pve_escrow::Expected;
use pve_escrow::pbs::{Namespace, SnapshotName};

/// Make, check and use a master key, whose public half wraps the encryption key into every backup.
#[derive(Subcommand)]
#[command(after_help = super::EXIT_CODES)]
pub enum MasterKey {
    Create(MakeMasterKey),
    Check(Check),
    Open(Open),
}

/// Make a master key: RSA of 4,096 bits, the private half under a passphrase.
///
/// Do it far from any node: the private half belongs into a safe, the public one to the storages.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct MakeMasterKey {
    /// Directory for master-private.pem, which is a secret, and master-public.pem
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Take the passphrase from the first line of this file ("-": standard input), in place of asking for it twice
    #[arg(long, value_name = "FILE")]
    pub passphrase_in: Option<PathBuf>,
}

/// Check that every backup will succeed with the public half of a master key, and print its SHA-256.
///
/// Proxmox VE takes keys that are too short or in another form; then every backup fails.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Check {
    /// The public half, as PEM
    pub public: PathBuf,
}

/// Get the key of a backup with the private half of its master key, as a plain key file.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Open {
    /// The private half, as PEM: PKCS#8 or PKCS#1, with a passphrase or without
    #[arg(long, value_name = "PRIVATE")]
    pub private: PathBuf,
    /// rsa-encrypted.key, or rsa-encrypted.key.blob out of a datastore; of several the first that opens
    #[arg(required_unless_present = "datastore", conflicts_with = "datastore")]
    pub file: Vec<PathBuf>,
    /// Directory of a datastore, to take it from there
    #[arg(long, value_name = "DIR", requires = "snapshot")]
    pub datastore: Option<PathBuf>,
    /// Namespace, if not the root
    #[arg(long, value_name = "NS", default_value = "", requires = "datastore")]
    pub ns: Namespace,
    /// Snapshot, as in vm/200/2024-06-05T17:00:00Z
    #[arg(long, requires = "datastore")]
    pub snapshot: Option<SnapshotName>,
    /// New file for the key, which is a secret
    #[arg(long, value_name = "KEYFILE")]
    pub out: PathBuf,
    /// The key that is expected: its fingerprint, or the short form of 8 bytes
    #[arg(long, value_name = "FINGERPRINT")]
    pub expect: Option<Expected>,
    /// Take the private half's passphrase from the first line of this file ("-": standard input)
    #[arg(long, value_name = "FILE")]
    pub passphrase_in: Option<PathBuf>,
}
