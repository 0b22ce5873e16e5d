//! Ctrl-C and the like: the work at hand is put away, and what was begun is removed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that these signals set. The second one ends the program at once.
pub fn flag() -> io::Result<Arc<AtomicBool>> {
    let set = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&set))?;
        flag::register(signal, Arc::clone(&set))?;
    }
    Ok(set)
}
