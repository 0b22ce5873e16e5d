//! Runs a command, for `make bench`: prints how much memory it had at most, in KiB, in place of its output.

use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut command = std::env::args_os().skip(1);
    let program = command.next().ok_or("usage: peak COMMAND...")?;
    let status = Command::new(program)
        .args(command)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{status}").into());
    }
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}
