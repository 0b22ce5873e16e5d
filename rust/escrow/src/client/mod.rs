//! Proves and lists what is on a backup server, through the installed `proxmox-backup-client`.
//!
//! The client decrypts and checks, as it would in an emergency; what it gives is checked once more where that can be
//! done: the manifest's signature, fingerprint and name, and how much data there is. The key goes to it by an inherited file
//! in memory, and so does the secret of the server: neither is in an argument, in the environment or on a disk. It
//! finds no configuration of root's, since a default key there would mask a result.
//!
//! * [`Server`] says where, [`child`] runs one call, [`answer`] tells what its texts mean.
//! * [`mod@coverage`], [`mod@prove`], [`mod@snapshots`] and [`mod@kits`] are the operations, [`controls`] what a drill shows besides. They run a few calls at a time on tokio, and leave no child
//!   behind when the process is told to end.

pub mod answer;
pub mod child;
pub mod controls;
pub mod coverage;
pub mod kits;
mod listing;
pub mod prove;
mod server;
pub mod snapshots;

pub use answer::Refusal;
pub use server::Server;

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, Result};

/// Runs on a runtime of its own, until it is done or the process is told to end: then all children are killed first.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::select! {
            done = work => done,
            _ = terminate.recv() => Err(Error::Cancelled),
            _ = interrupt.recv() => Err(Error::Cancelled),
        }
    })
}

fn failed(err: io::Error) -> Error {
    Error::io("start", "the backup client".as_ref(), err)
}
