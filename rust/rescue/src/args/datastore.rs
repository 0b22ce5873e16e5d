//! The command line of what reads a datastore.

use std::path::PathBuf;

use clap::Parser;
use pve_escrow::pbs::{Namespace, Scope, SnapshotName};

/// Prove that a key opens real backups: signatures, fingerprints, blobs, and a sample of each archive or all of it.
///
/// Snapshots of other keys and plain ones are skipped and do not affect the result. Damage never stops the rest.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Prove {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub key: KeySource,
    /// Only this snapshot, as in ct/100/2024-06-05T16:00:00Z; may be given several times
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Vec<SnapshotName>,
    /// Look at this many chunks of each archive [default: 459, which find a loss of 1 % with 99 % probability]
    #[arg(long, value_name = "N", conflicts_with = "full")]
    pub sample: Option<usize>,
    /// Look at every chunk
    #[arg(long)]
    pub full: bool,
    /// Print JSON, and no progress
    #[arg(long)]
    pub json: bool,
}

/// Restore one archive of a snapshot without a server: an image, a stream of files (pxar), or a blob.
///
/// The file is written sparse, and is complete or absent.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Restore {
    /// Directory of the datastore
    #[arg(long, value_name = "DIR")]
    pub datastore: PathBuf,
    /// Namespace, if not the root
    #[arg(long, value_name = "NS", default_value = "")]
    pub ns: Namespace,
    /// Snapshot, as in vm/200/2024-06-05T17:00:00Z
    #[arg(long)]
    pub snapshot: SnapshotName,
    /// Archive, as in drive-scsi0.img, root.pxar or qemu-server.conf
    #[arg(long, value_name = "NAME")]
    pub archive: String,
    /// New file for it ("-": standard output)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub key: KeySource,
    /// Fill what is damaged with zeros and report each range, in place of stopping there
    #[arg(long)]
    pub keep_going: bool,
}

/// Say which snapshots need which key. No key is needed for that.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Coverage {
    #[command(flatten)]
    pub place: Place,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Parser)]
pub struct Place {
    /// Directory of the datastore: a mounted disk, a removable datastore, or a copy
    #[arg(long, value_name = "DIR")]
    pub datastore: PathBuf,
    /// Namespace, if not the root
    #[arg(long, value_name = "NS", default_value = "", conflicts_with = "all_ns")]
    pub ns: Namespace,
    /// All namespaces
    #[arg(long)]
    pub all_ns: bool,
}

impl Place {
    pub fn scope(&self) -> Scope {
        if self.all_ns {
            Scope::All
        } else {
            Scope::One(self.ns.clone())
        }
    }
}

#[derive(Parser)]
pub struct KeySource {
    /// Key file
    #[arg(long, value_name = "KEYFILE", conflicts_with = "blob")]
    pub key: Option<PathBuf>,
    /// Sealed key file or a kit, to be opened with its recovery code
    #[arg(long)]
    pub blob: Option<PathBuf>,
    /// Read the recovery code from this file ("-": standard input), in place of asking for it
    #[arg(long, value_name = "FILE", requires = "blob")]
    pub code_in: Option<PathBuf>,
    /// Take the key file's passphrase from the first line of this file ("-": standard input)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub passphrase_in: Option<PathBuf>,
}
