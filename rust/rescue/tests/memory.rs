//! How much memory the tool needs: scrypt's 64 MiB, and little beside them.
//!
//! This is a file of its own, for the kernel tells the largest of all children of a process.

#[path = "../../escrow/tests/common/mod.rs"]
mod common;

use std::process::Command;

use common::{LIVE, put};
use nix::sys::resource::{UsageWho, getrusage};

const MIB: i64 = 1024;
/// Peak in KiB: two derivations, one after the other.
const LIMIT: i64 = 75 * MIB;

#[test]
fn stays_below_75_mib() {
    let room = tempfile::tempdir().unwrap();
    put(&room.path().join("live.enc"), LIVE);
    for arguments in [
        "create live.enc --out blob --code-out code",
        "verify blob --code-in code",
        "unwrap blob --code-in code --out key",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pve-escrow-rescue"));
        let output = command
            .args(arguments.split(' '))
            .current_dir(room.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments}: {output:?}");
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        println!("{arguments}: {} MiB at most", peak / MIB);
        assert!(
            peak > 64 * MIB,
            "{arguments}: {peak} KiB are not even those of scrypt"
        );
        assert!(peak < LIMIT, "{arguments}: {peak} KiB");
    }
}
