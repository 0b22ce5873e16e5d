//! `restore`

use std::fs::File;
use std::io::stdout;
use std::os::fd::AsFd;
use std::path::Path;

use indicatif::BinaryBytes;
use nix::fcntl::{FcntlArg, fcntl};
use pve_escrow::pbs::restore::{Config, Output, Report, restore};
use pve_escrow::pbs::{Datastore, SnapshotId};

use crate::args::Restore;
use crate::commands::{Watcher, count};
use crate::failure::{Failure, Result, unreadable};
use crate::{input, output};

/// Bytes in a pipe: what every user may have.
const PIPE: i32 = 1 << 20;

pub fn run(args: &Restore) -> Result<()> {
    let datastore = Datastore::open(&args.datastore).map_err(unreadable)?;
    let key = input::key(&args.key)?;
    let id = SnapshotId {
        namespace: args.ns.clone(),
        snapshot: args.snapshot.clone(),
    };
    let config = Config {
        keep_going: args.keep_going,
        ..Config::default()
    };
    let mut stream = standard_output()?;
    let watcher = Watcher::new(true)?;
    let output = if args.out == Path::new("-") {
        Output::Stream(&mut stream)
    } else {
        Output::File(&args.out)
    };
    let report = watcher
        .watch(|watch| {
            restore(
                &datastore,
                &id,
                &args.archive,
                key.as_ref(),
                output,
                config,
                watch,
            )
        })
        .map_err(unreadable)?;
    print(&report)
}

/// Without the buffer for lines that the standard library puts before it.
fn standard_output() -> Result<File> {
    let fd = stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|err| Failure::Other(format!("cannot write standard output: {err}")))?;
    // fewer changes between us and the reader; what is not a pipe stays as it is
    let _ = fcntl(&fd, FcntlArg::F_SETPIPE_SZ(PIPE));
    Ok(fd.into())
}

/// On standard error: standard output may be the archive.
fn print(report: &Report) -> Result<()> {
    for damage in &report.damages {
        output::note(format_args!("damaged: {}: {}", report.archive, damage.what));
    }
    for hole in &report.holes {
        let end = hole.offset + hole.length;
        output::note(format_args!(
            "zeros from {} to {end}: {}, the first: {}",
            hole.offset,
            count(hole.chunks, "chunk"),
            hole.first.what
        ));
    }
    output::note(format_args!(
        "{}: {} of {} in {} s",
        report.archive,
        BinaryBytes(report.bytes),
        report.id,
        report.seconds
    ));
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::NotValid)
    }
}
