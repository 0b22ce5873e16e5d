//! Ctrl-C in the middle of a long operation, and what is said while it runs.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors");
const IMAGE: [&str; 4] = [
    "--snapshot",
    "vm/200/2024-06-05T17:00:00Z",
    "--archive",
    "drive-scsi0.img",
];

fn rescue(command: &str) -> Command {
    let mut rescue = Command::new(env!("CARGO_BIN_EXE_pve-escrow-rescue"));
    rescue
        .arg(command)
        .args(["--datastore", &format!("{VECTORS}/datastore")]);
    rescue.args(["--key", &format!("{VECTORS}/keys/live.enc")]);
    rescue
}

fn restore_into_pipe() -> Child {
    rescue("restore")
        .args(IMAGE)
        .args(["--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
}

fn wait(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("it does not end");
}

/// A FIFO that nobody reads to its end holds it up in the middle of 12 MiB.
#[test]
fn a_restore_into_a_pipe_ends_when_told() {
    let mut child = restore_into_pipe();
    let mut some = [0; 4096];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut some)
        .unwrap();
    interrupt(&child);
    // the write at hand ends only when somebody reads
    let mut rest = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(wait(child), Some(1), "{errors}");
    assert!(errors.contains("stopped on request"), "{errors}");
    assert!(
        rest.len() + some.len() < 12 << 20,
        "it stopped before the end"
    );
}

#[test]
fn a_reader_that_goes_away_is_an_error_without_a_panic() {
    let mut child = restore_into_pipe();
    drop(child.stdout.take());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(wait(child), Some(1), "{errors}");
    assert!(
        errors.contains("Broken pipe") && !errors.contains("panicked"),
        "{errors}"
    );
}

/// Held up by strace before each write, so that there is time to interrupt it.
#[test]
fn an_interrupted_restore_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("image");
    let slow = Command::new("strace")
        .args([
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=write,pwrite64,openat",
            "-e",
            "inject=pread64,read,openat:delay_enter=20000",
        ])
        .args(["-e", "signal=none"])
        .arg(env!("CARGO_BIN_EXE_pve-escrow-rescue"))
        .args(rescue("restore").get_args())
        .args(IMAGE)
        .arg("--out")
        .arg(&target)
        .stderr(Stdio::piped())
        .spawn();
    let child = match slow {
        Ok(child) => child,
        Err(err) => panic!("strace is needed: {err}"),
    };
    wait_for_file(directory.path());
    // strace passes it on to the program
    let of_program = child_of(child.id());
    kill(Pid::from_raw(of_program), Signal::SIGINT).unwrap();
    let status = wait(child);
    assert_eq!(status, Some(1));
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        0,
        "neither the file nor a temporary one"
    );
}

fn wait_for_file(directory: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(directory).unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "no file appears");
        sleep(Duration::from_millis(1));
    }
}

fn child_of(parent: u32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn json_comes_without_progress() {
    let output = rescue("prove")
        .args(["--full", "--all-ns", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["result"], "valid");
    assert_eq!(report["totals"]["snapshots"], 6);
}
