//! Reads the directory of a Proxmox Backup datastore: proves that a key opens what is in it, restores archives
//! without a server, and says which snapshots need which key.
//!
//! Stricter than the stock client: an encrypted manifest without signature is a fault, and so is one that lies in
//! the place of another; checksums and sizes are compared wherever two of them are; the digest of each chunk is computed;
//! and nothing reaches zstd before it is authenticated. Nothing here writes to a datastore, and nothing in it
//! is trusted: sizes are checked before memory is taken, and links are not followed.
//!
//! * [`Datastore`] lists and opens snapshots, [`manifest`] says what they consist of.
//! * [`blob`], [`chunk`] and [`index`] are the formats.
//! * [`prove`](mod@prove), [`restore`](mod@restore) and [`coverage`](mod@coverage) are the operations.

pub mod blob;
pub mod chunk;
pub mod coverage;
mod crypt;
pub mod datastore;
mod dir;
mod fault;
pub mod index;
pub mod manifest;
pub mod name;
pub mod prove;
pub mod restore;
pub mod sample;
mod watch;

pub use crypt::Crypt;
pub use datastore::{Datastore, Scope, SnapshotId};
pub use fault::{Damage, Fault};
pub use name::{ArchiveName, Namespace, SnapshotName};
pub use watch::{Progress, Watch};

/// Each thread holds a chunk or two in memory.
const MAX_THREADS: usize = 64;

/// How many threads decrypt unless the caller says: two, as far as the machine has them.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get().min(2))
}
