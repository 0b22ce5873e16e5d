//! Running a program under strace.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::{fs, io};

use tempfile::TempDir;

/// What the program asked the kernel for, and how it ended.
pub struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// Those of each thread and process, one after the other in the order in which they began.
    pub threads: Vec<Vec<Call>>,
}

/// A system call.
#[derive(Clone)]
pub struct Call {
    pub name: String,
    /// How many of this name the thread has made so far, with this one.
    pub nth: usize,
    /// The whole line, with the escape sequences replaced by the bytes for which they stand.
    pub line: Vec<u8>,
    /// The first text among the arguments, such as the bytes that are written.
    pub text: Vec<u8>,
    /// What follows the equals sign.
    pub result: String,
}

impl Call {
    pub fn has(&self, part: &str) -> bool {
        contains(&self.line, part.as_bytes())
    }

    pub fn succeeded(&self) -> bool {
        !self.result.starts_with(['-', '?'])
    }

    pub fn injected(&self) -> bool {
        self.result.ends_with("(INJECTED)")
    }

    /// For messages.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Where there is no strace, or it may not trace, says so past the capturing of output: a test that shows nothing
/// must not look like one that does.
pub fn unusable() -> bool {
    let reason = match Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output()
    {
        Ok(output) if output.status.success() => return false,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(err) => format!("strace: {err}"),
    };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // not eprintln: the test harness would take it
    let _ = writeln!(io::stderr(), "test {test} ... skipped: {reason}");
    true
}

/// One run of a program under strace; the logs are gone with it.
pub struct Strace {
    logs: TempDir,
    options: Vec<String>,
}

impl Strace {
    /// Logs these system calls: a list of names, or `all`.
    pub fn new(calls: &str) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let mut options = ["-ff", "-y", "-v", "-xx", "-s", "100000", "-o"]
            .map(str::to_owned)
            .to_vec();
        options.push(logs.path().join("log").display().to_string());
        options.push(format!("--trace={calls}"));
        Self { logs, options }
    }

    /// Tampers with system calls, as strace's `--inject` describes it.
    pub fn inject(mut self, injections: &[impl AsRef<str>]) -> Self {
        self.options.extend(
            injections
                .iter()
                .map(|injection| format!("--inject={}", injection.as_ref())),
        );
        self
    }

    /// The command line that runs `program` under strace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("strace");
        command.args(&self.options).arg("--").arg(program);
        command
    }

    /// What was logged.
    pub fn run(self, output: Output) -> Run {
        let mut logs: Vec<_> = fs::read_dir(self.logs.path())
            .unwrap()
            .map(|log| log.unwrap().path())
            .collect();
        // log.PID: by number, so that a thread comes after the one that started it
        logs.sort_by_key(|log| {
            log.extension()
                .and_then(OsStr::to_str)
                .and_then(|pid| pid.parse::<u32>().ok())
        });
        Run {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            threads: logs.iter().map(|log| calls(log)).collect(),
        }
    }
}

impl Run {
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.threads.iter().flatten()
    }

    pub fn killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}

fn calls(log: &Path) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in fs::read(log).unwrap().split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        // other lines tell of signals and of the end
        let Some((name, arguments)) = line.split_once('(').filter(|(name, _)| is_name(name)) else {
            continue;
        };
        let text = arguments.split('"').nth(1).unwrap_or_default();
        let result = line.rsplit_once(" = ").map_or("?", |(_, result)| result);
        calls.push(Call {
            name: name.to_owned(),
            nth: calls.iter().filter(|call| call.name == name).count() + 1,
            line: unescaped(&line),
            text: unescaped(text),
            result: result.to_owned(),
        });
    }
    calls
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Every byte of a text stands there as `\x41`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\\x") {
        bytes.extend(before.bytes());
        match escape
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                rest = &escape[2..];
            }
            None => {
                bytes.extend(b"\\x");
                rest = escape;
            }
        }
    }
    bytes.extend(rest.bytes());
    bytes
}
