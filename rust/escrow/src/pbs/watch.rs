//! What long operations say while they run, and how they are stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::datastore::SnapshotId;

/// How far an operation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Bytes of decoded data that are done with.
    pub done: u64,
    /// Bytes in all, as far as is known yet.
    pub total: u64,
    /// The snapshot at hand.
    pub snapshot: &'a SnapshotId,
    /// The archive at hand.
    pub archive: &'a str,
}

/// Who watches an operation.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Called after every chunk, on any thread, so it has to be quick.
    pub progress: &'a (dyn Fn(&Progress<'_>) + Sync),
    /// The operation ends soon after this is set.
    pub cancel: &'a AtomicBool,
}

impl Watch<'static> {
    /// Nobody.
    pub fn nobody() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            progress: &|_| {},
            cancel: &NEVER,
        }
    }
}

impl Watch<'_> {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Counts.
#[derive(Default)]
pub(super) struct Meter {
    done: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    pub fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It turned out that less or more is to be done.
    pub fn correct(&self, expected: u64, bytes: u64) {
        self.expect(bytes.wrapping_sub(expected));
    }

    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub fn advance(&self, bytes: u64, watch: &Watch<'_>, snapshot: &SnapshotId, archive: &str) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed).max(done);
        (watch.progress)(&Progress {
            done,
            total,
            snapshot,
            archive,
        });
    }

    /// An archive is over, whatever of it could be done.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
}
