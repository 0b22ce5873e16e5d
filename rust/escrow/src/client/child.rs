//! One call of the client: bounded in time and in output, and killed as a group.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Refusal, Refused};

/// What is kept of standard error: the last words are not lost in a flood.
const MAX_STDERR: usize = 64 << 10;
/// How long a child may take to end when it has closed its output.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all; `None` for what may run for hours.
    pub total: Option<Duration>,
    /// Without a byte of output.
    pub silent: Duration,
}

/// What is done with the output.
pub trait Sink {
    /// Takes some; `false` if that is enough, and the child may be killed.
    ///
    /// # Errors
    /// If it is too much.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Refused>;
}

/// Keeps all, up to a limit.
pub struct Keep {
    /// What came.
    pub bytes: Vec<u8>,
    most: usize,
}

impl Keep {
    /// Of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
        }
    }
}

impl Sink for Keep {
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Refused> {
        if self.bytes.len() + bytes.len() > self.most {
            let text = format!("the client gave more than {} bytes", self.most);
            return Err(Refused::new(Refusal::Flooded, text));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(true)
    }
}

/// Counts, and keeps nothing.
pub struct Count {
    /// How many bytes came.
    pub bytes: u64,
    /// How many are enough.
    pub enough: Option<u64>,
}

impl Sink for Count {
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Refused> {
        self.bytes += bytes.len() as u64;
        Ok(self.enough.is_none_or(|enough| self.bytes < enough))
    }
}

/// The child and all that it started, killed when this is dropped.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // it may be over already
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

/// Runs a call to its end, or until `sink` has enough.
///
/// # Errors
/// What the client refused, or why it was killed.
pub async fn run(
    mut command: Command,
    limits: Limits,
    sink: &mut (dyn Sink + Send),
) -> Result<(), Refused> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|err| {
        let text = format!("cannot start proxmox-backup-client: {err}: is it installed?");
        Refused::new(Refusal::NoClient, text)
    })?;
    // the files that it inherits are open here until then
    drop(command);
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.map(|id| Group(Pid::from_raw(id)));
    let deadline = limits.total.map(|total| Instant::now() + total);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(Refused::new(Refusal::NoClient, "its output is not there"));
    };
    let said = tokio::spawn(last_words(stderr));
    let ended = match read(stdout, limits, deadline, sink).await {
        Ok(true) => end(&mut child, deadline).await,
        enough_or_refused => {
            drop(group);
            said.abort();
            return enough_or_refused.map(|_| ());
        }
    };
    // who holds standard error open still
    drop(group);
    let stderr = timeout(LAST_WORDS, said).await;
    let stderr = stderr.ok().and_then(Result::ok).unwrap_or_default();
    match ended? {
        0 => Ok(()),
        _ => Err(Refused::from_stderr(&stderr)),
    }
}

/// `true` at the end of the output, `false` if the sink has enough.
async fn read(
    mut stdout: impl AsyncRead + Unpin + Send,
    limits: Limits,
    deadline: Option<Instant>,
    sink: &mut (dyn Sink + Send),
) -> Result<bool, Refused> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let silent = Instant::now() + limits.silent;
        let until = deadline.map_or(silent, |deadline| deadline.min(silent));
        match timeout_at(until, stdout.read(&mut buffer)).await {
            Ok(Ok(0)) => return Ok(true),
            Ok(Ok(n)) => {
                if !sink.take(&buffer[..n])? {
                    return Ok(false);
                }
            }
            Ok(Err(err)) => {
                return Err(Refused::new(
                    Refusal::Other,
                    format!("cannot read what it says: {err}"),
                ));
            }
            Err(_) if until == silent => {
                let text = format!("no answer for {} seconds", limits.silent.as_secs());
                return Err(Refused::new(Refusal::TimedOut, text));
            }
            Err(_) => return Err(too_long()),
        }
    }
}

fn too_long() -> Refused {
    Refused::new(Refusal::TimedOut, "it took too long, and was stopped")
}

async fn end(child: &mut Child, deadline: Option<Instant>) -> Result<i32, Refused> {
    let until = deadline.unwrap_or_else(|| Instant::now() + LAST_WORDS);
    let status = timeout_at(until, child.wait())
        .await
        .map_err(|_| too_long())?;
    let killed = || Refused::new(Refusal::Killed, "the client was killed");
    status
        .ok()
        .and_then(|status| status.code())
        .ok_or_else(killed)
}

async fn last_words(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n) = stderr.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        said.extend_from_slice(&buffer[..n]);
        if said.len() > 2 * MAX_STDERR {
            said.drain(..said.len() - MAX_STDERR);
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SHORT: Limits = Limits {
        total: Some(Duration::from_secs(20)),
        silent: Duration::from_millis(300),
    };

    fn with(script: &str, limits: Limits, sink: &mut (dyn Sink + Send)) -> Result<(), Refused> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(command, limits, sink))
    }

    fn kind(script: &str, limits: Limits) -> &'static str {
        let mut keep = Keep::new(100_000);
        with(script, limits, &mut keep).unwrap_err().refusal.kind()
    }

    /// Is no process with these arguments left? One that was killed takes a moment to end, and has no arguments then.
    fn is_gone(arguments: &str) -> bool {
        let runs = || {
            let processes = fs::read_dir("/proc").unwrap().flatten();
            processes
                .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
                .any(|line| {
                    String::from_utf8_lossy(&line).replace('\0', " ").trim_end() == arguments
                })
        };
        (0..500).any(|_| {
            let gone = !runs();
            if !gone {
                std::thread::sleep(Duration::from_millis(10));
            }
            gone
        })
    }

    #[test]
    fn output_and_refusal() {
        let mut keep = Keep::new(10);
        with("printf 0123456789", SHORT, &mut keep).unwrap();
        assert_eq!(keep.bytes, b"0123456789");
        assert_eq!(
            kind("echo 'Error: missing key - x' >&2; exit 255", SHORT),
            "missing-key"
        );
        assert_eq!(kind("kill -9 $$", SHORT), "killed");
        let flood = "yes 'Error: owner check failed' | head -c 300000 >&2; echo 'Error: timed out' >&2; exit 1";
        assert_eq!(kind(flood, SHORT), "unreachable", "the last words count");
    }

    #[test]
    fn too_much() {
        assert_eq!(kind("yes", SHORT), "flooded");
        let mut count = Count {
            bytes: 0,
            enough: Some(1 << 20),
        };
        with("yes enough-and-killed", SHORT, &mut count).unwrap();
        assert!(count.bytes >= 1 << 20);
        assert!(is_gone("yes enough-and-killed"));
    }

    #[test]
    fn too_slow() {
        // with children of its own, which hold the output open
        assert_eq!(kind("sleep 4711 & sleep 4711", SHORT), "timed-out");
        assert!(is_gone("sleep 4711"));
        let total = Limits {
            total: Some(Duration::from_millis(400)),
            silent: Duration::from_secs(10),
        };
        assert_eq!(
            kind("while :; do echo x; sleep 0.05; done", total),
            "timed-out"
        );
        assert_eq!(kind("exec >&-; sleep 4712", total), "timed-out");
        assert!(is_gone("sleep 4712"));
    }

    #[test]
    fn no_client() {
        let command = Command::new("/nonexistent/client");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let refused = runtime
            .block_on(run(command, SHORT, &mut Keep::new(1)))
            .unwrap_err();
        assert_eq!(refused.refusal.kind(), "no-client");
        assert!(!fs::exists("/nonexistent").unwrap());
    }
}
