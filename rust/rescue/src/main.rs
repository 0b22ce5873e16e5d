//! `pve-escrow-rescue`: get the key of encrypted Proxmox backups back with ten words, on any Linux machine.

mod args;
mod commands;
mod failure;
mod input;
mod interrupt;
mod output;
mod picture;
mod progress;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    keep_secrets_out_of_core_dumps();
    let done = match args.command {
        Command::Fingerprint(args) => commands::fingerprint::run(&args),
        Command::Create(args) => commands::create::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Unwrap(args) => commands::unwrap::run(&args),
        Command::Prove(args) => commands::prove::run(&args),
        Command::Restore(args) => commands::restore::run(&args),
        Command::Coverage(args) => commands::coverage::run(&args),
        Command::Paper(args) => commands::paper::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::MasterKey(command) => commands::master_key::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// No core file, and no other process of the same user may read the memory of this one. Neither is a reason
/// to give up where the system does not allow it.
fn keep_secrets_out_of_core_dumps() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = prctl::set_dumpable(false);
}
