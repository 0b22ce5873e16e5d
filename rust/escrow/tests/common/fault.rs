//! Stopping an operation at every system call, and having each refused: the same for every operation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::strace::{Call, Run, Strace};
use super::{Checked, private_file};
use crate::ensure;

/// What gives a file its name: on most file systems the first of them, on others the next, on some only the last.
/// Each with what has to fail for it.
pub const WAYS: [(&str, &[&str]); 3] = [
    ("rename that does not replace", &[]),
    ("link", &["renameat2:error=EINVAL"]),
    (
        "look and rename",
        &["renameat2:error=EINVAL", "linkat:error=EPERM"],
    ),
];

const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EROFS", "EACCES"];

/// Those that have to do with files, in the spellings of all architectures; and what names temporary files.
const FILE_CALLS: [&str; 22] = [
    "close",
    "fcntl",
    "flock",
    "fstat",
    "fsync",
    "getrandom",
    "link",
    "linkat",
    "lseek",
    "lstat",
    "newfstatat",
    "open",
    "openat",
    "read",
    "rename",
    "renameat",
    "renameat2",
    "stat",
    "statx",
    "unlink",
    "unlinkat",
    "write",
];

/// Something that writes files.
pub trait Operation: Sync {
    /// Puts into an empty directory what the operation works on.
    fn prepare(&self, room: &Path);
    /// Runs it there.
    fn command(&self, strace: &Strace, room: &Path) -> Command;
    /// Is this the first call of the operation itself? What came before belongs to the loader, the standard
    /// library's start or the test, and touches nothing.
    fn begins(&self, call: &Call) -> bool;
    /// What it gives a name to, in this order.
    fn named(&self) -> Vec<String>;
    /// Is what it left sound?
    fn check(&self, room: &Path, end: End) -> Checked;
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// It gave up, and said so.
    Failed,
    /// The process was stopped.
    Killed,
}

struct Fault {
    /// What fails on this file system from the start.
    way: &'static [&'static str],
    name: String,
    injection: String,
}

/// Stops the operation before each of its system calls. What it left is sound then.
pub fn stopped_at_every_call(operation: &impl Operation) {
    for (title, way) in WAYS {
        let faults = calls(operation, way)
            .iter()
            .map(|call| Fault::new(way, call, "signal=KILL"))
            .collect();
        all(title, operation, faults);
    }
}

/// Has the kernel refuse each system call that has to do with files.
pub fn refused_at_every_call(operation: &impl Operation) {
    for (title, way) in WAYS {
        // what is particular to a way is that it fails at other places, not with what
        let errors = if way.is_empty() {
            &ERRORS[..]
        } else {
            &ERRORS[1..2]
        };
        let calls = calls(operation, way);
        let calls = calls
            .iter()
            .filter(|call| FILE_CALLS.contains(&call.name.as_str()));
        let faults = calls
            .flat_map(|call| {
                errors
                    .iter()
                    .map(|error| Fault::new(way, call, &format!("error={error}")))
            })
            .collect();
        all(title, operation, faults);
    }
}

/// After a loss of power a file system has what was synced, and any part of the rest. So a file's bytes are synced
/// before it gets its name, and the directory after that; the next file gets its name only then.
pub fn durable_in_order(operation: &impl Operation) {
    for (title, way) in WAYS {
        let room = tempfile::tempdir().unwrap();
        let run = run(operation, room.path(), "all", way);
        assert!(run.status.success(), "{title}: {}", run.stderr);
        let calls = operation_calls(operation, &run);
        let mut durable = 0;
        for name in operation.named() {
            let target = room.path().join(&name);
            let (named, synced) = named_and_synced(&calls, &target)
                .unwrap_or_else(|why| panic!("{title}: {name}: {why}"));
            assert!(
                durable <= named,
                "{title}: {name} gets its name before the file before it is safe"
            );
            durable = synced;
        }
    }
}

/// Which call gives `target` its name, and which one makes that durable.
fn named_and_synced(calls: &[Call], target: &Path) -> Checked<(usize, usize)> {
    let find = |from: usize, what: &str, is: &dyn Fn(&Call) -> bool| {
        let found = calls[from..]
            .iter()
            .position(|call| call.succeeded() && is(call));
        found
            .map(|index| from + index)
            .ok_or_else(|| format!("there is no {what}"))
    };
    let quoted = |path: &Path| format!("\"{}\"", path.display());
    let open = |path: &Path| format!("<{}>", path.display());
    let name = find(0, "rename or link", &|call| {
        (call.name.starts_with("rename") || call.name.starts_with("link"))
            && call.has(&quoted(target))
    })?;
    let temporary =
        Path::new(std::str::from_utf8(&calls[name].text).map_err(|err| err.to_string())?);
    ensure!(
        temporary.parent() == target.parent(),
        "the temporary file lies elsewhere: {}",
        temporary.display()
    );

    let is_write = |call: &Call| call.name == "write" && call.has(&open(temporary));
    let create = find(0, "temporary file", &|call| {
        call.name == "openat" && call.has(&quoted(temporary))
    })?;
    ensure!(
        calls[create].has("O_CREAT|O_EXCL") && calls[create].has(", 0600)"),
        "{}",
        calls[create].shown()
    );
    let last = calls
        .iter()
        .rposition(is_write)
        .ok_or("nothing is written")?;
    let written: Vec<u8> = calls
        .iter()
        .filter(|call| is_write(call))
        .flat_map(|call| call.text.clone())
        .collect();
    let content = fs::read(target).map_err(|err| err.to_string())?;
    ensure!(written == content, "what is written is not what is there");
    let sync = find(last, "fsync of the file", &|call| {
        call.name == "fsync" && call.has(&open(temporary))
    })?;
    ensure!(
        create < last && last < sync && sync < name,
        "it gets its name before its bytes are safe"
    );

    let directory = open(target.parent().ok_or("it has no directory")?);
    let synced = find(name, "fsync of the directory", &|call| {
        call.name == "fsync" && call.has(&directory)
    })?;
    Ok((name, synced))
}

/// The operation's own calls in a run to which nothing happens.
fn calls(operation: &impl Operation, way: &[&str]) -> Vec<Call> {
    let room = tempfile::tempdir().unwrap();
    let run = run(operation, room.path(), "all", way);
    assert!(run.status.success(), "{}", run.stderr);
    operation.check(room.path(), End::Done).unwrap();
    operation_calls(operation, &run)
}

pub fn operation_calls(operation: &impl Operation, run: &Run) -> Vec<Call> {
    // strace counts the calls of each thread: in another one, a fault would hit the first thread before
    let thread = &run.threads[0];
    let first = thread.iter().position(|call| operation.begins(call));
    thread[first.expect("the operation begins, in the first thread")..].to_vec()
}

fn run(operation: &impl Operation, room: &Path, trace: &str, injections: &[&str]) -> Run {
    operation.prepare(room);
    let strace = Strace::new(trace).inject(injections);
    let output = operation.command(&strace, room).output().unwrap();
    strace.run(output)
}

/// Runs all cases, as many at once as there are processors, and fails with everything that was found.
fn all(title: &str, operation: &impl Operation, faults: Vec<Fault>) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = fault.check(operation) {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{}: {why}", fault.injection));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{title}: {} cases", faults.len());
    assert!(!faults.is_empty());
    assert!(wrong.is_empty(), "{title}:\n{}", wrong.join("\n"));
}

impl Fault {
    fn new(way: &'static [&'static str], call: &Call, what: &str) -> Self {
        Self {
            way,
            name: call.name.clone(),
            injection: format!("{}:{what}:when={}", call.name, call.nth),
        }
    }

    fn check(&self, operation: &impl Operation) -> Checked {
        let room = tempfile::tempdir().unwrap();
        let trace = format!("renameat2,linkat,{}", self.name);
        // of two for one call, the last counts
        let injections = [self.way, &[self.injection.as_str()]].concat();
        let run = run(operation, room.path(), &trace, &injections);

        let end = match run.status.code() {
            None if run.killed() => End::Killed,
            Some(0) => End::Done,
            // the documented exit codes: that of a panic is not among them
            Some(1..=6) => End::Failed,
            _ => return Err(format!("{}: {}", run.status, run.stderr)),
        };
        // drawing a word may take two numbers or more: a run can have fewer of these calls than the first one had
        if self.name != "getrandom" {
            let hit = end == End::Killed
                || run
                    .calls()
                    .any(|call| call.name == self.name && call.injected());
            ensure!(hit, "the call was not made");
        }
        operation
            .check(room.path(), end)
            .map_err(|why| format!("{end:?}: {why}: {}", run.stderr))?;

        let may_stay = end == End::Killed || self.name.starts_with("unlink");
        for file in files(room.path()) {
            let content = private_file(&file)?;
            let temporary = file.extension().is_some_and(|extension| extension == "tmp");
            ensure!(
                may_stay || !temporary,
                "{end:?}: {} is left over: {content:?}",
                file.display()
            );
        }
        Ok(())
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
