//! Which chunks of a run are known to be sound: most snapshots of a machine share most of theirs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::pbs::blob::Mode;
use crate::pbs::chunk::Wanted;

/// As many as a table of 2^20 places holds without growing: 3.5 TiB of image chunks in 37 MiB. Beyond that, chunks
/// are read again.
const MAX: usize = 917_504;

/// Chunks that were decoded and compared with their digest.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<[u8; 32], u32>>);

impl Seen {
    /// Was it this chunk, with this size and mode?
    pub fn has(&self, wanted: &Wanted) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&wanted.digest) == Some(&mark(wanted))
    }

    pub fn add(&self, wanted: &Wanted) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX {
            seen.insert(wanted.digest, mark(wanted));
        }
    }
}

/// Sizes of chunks have 25 bits.
fn mark(wanted: &Wanted) -> u32 {
    wanted.size as u32 | (u32::from(wanted.mode == Mode::Encrypted) << 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_mode_count() {
        let seen = Seen::default();
        let wanted = Wanted {
            digest: [1; 32],
            size: 1000,
            mode: Mode::Encrypted,
        };
        assert!(!seen.has(&wanted));
        seen.add(&wanted);
        assert!(seen.has(&wanted));
        assert!(!seen.has(&Wanted {
            size: 1001,
            ..wanted
        }));
        assert!(!seen.has(&Wanted {
            mode: Mode::Plain,
            ..wanted
        }));
        assert!(!seen.has(&Wanted {
            digest: [2; 32],
            ..wanted
        }));
    }
}
