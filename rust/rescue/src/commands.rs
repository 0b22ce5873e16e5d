//! One file a command.

pub mod coverage;
pub mod create;
pub mod fingerprint;
pub mod import;
pub mod master_key;
pub mod paper;
pub mod prove;
pub mod restore;
pub mod unwrap;
pub mod verify;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pve_escrow::KeyFile;
use pve_escrow::pbs::{self, Watch};
use pve_escrow::seal::Opened;

use crate::args::Opening;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::{input, interrupt};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

fn open<'a>(blobs: &'a [KeyFile], opening: &Opening) -> Result<(Opened, &'a KeyFile)> {
    input::open(blobs, opening.code_in.as_deref(), opening.expect.as_ref())
}

/// Shows how far an operation is, and stops it on Ctrl-C.
struct Watcher {
    progress: Option<Progress>,
    cancel: Arc<AtomicBool>,
}

impl Watcher {
    fn new(with_progress: bool) -> Result<Self> {
        let cancel = interrupt::flag()
            .map_err(|err| Failure::Other(format!("cannot watch for signals: {err}")))?;
        Ok(Self {
            progress: with_progress.then(Progress::new),
            cancel,
        })
    }

    fn watch<T>(&self, operation: impl FnOnce(Watch<'_>) -> T) -> T {
        let show = |progress: &pbs::Progress<'_>| {
            if let Some(shown) = &self.progress {
                shown.show(progress);
            }
        };
        let done = operation(Watch {
            progress: &show,
            cancel: &self.cancel,
        });
        if let Some(shown) = &self.progress {
            shown.end();
        }
        done
    }
}

/// `1 snapshot`, `2 snapshots`.
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
