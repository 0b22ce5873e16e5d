//! Stopped at any moment, or refused anything by the kernel, the tool leaves whole files or none.

#[path = "../../escrow/tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::process::Command;

use common::fault::{self, End, Operation};
use common::strace::{self, Call, Strace};
use common::{
    BLOB, CODE, Checked, LIVE, is_code, is_live_key, opens_to_live_key, private_file, put,
};

const TOOL: &str = env!("CARGO_BIN_EXE_pve-escrow-rescue");

/// The first thing that the tool does once it has read its command line.
fn forbids_core_dumps(call: &Call) -> bool {
    call.name == "prlimit64" && call.has("RLIMIT_CORE, {")
}

struct Create;

impl Operation for Create {
    fn prepare(&self, room: &Path) {
        put(&room.join("live.enc"), LIVE);
    }

    fn command(&self, strace: &Strace, room: &Path) -> Command {
        let mut command = strace.command(TOOL);
        command.arg("create").arg(room.join("live.enc"));
        command.arg("--out").arg(room.join("blob"));
        command.arg("--code-out").arg(room.join("code"));
        command
    }

    fn begins(&self, call: &Call) -> bool {
        forbids_core_dumps(call)
    }

    fn named(&self) -> Vec<String> {
        ["code", "blob"].map(str::to_owned).to_vec()
    }

    fn check(&self, room: &Path, end: End) -> Checked {
        let live = private_file(&room.join("live.enc"))?;
        ensure!(
            live.as_deref() == Some(LIVE),
            "the live key file was changed"
        );
        let code = private_file(&room.join("code"))?
            .map(|code| is_code(&code))
            .transpose()?;
        match (code, private_file(&room.join("blob"))?) {
            (Some(code), Some(blob)) => opens_to_live_key(&blob, &code),
            (Some(_), None) => {
                ensure!(end == End::Killed, "the code is there without the blob");
                Ok(())
            }
            (None, Some(_)) => Err("the blob is there without its code".to_owned()),
            (None, None) => {
                ensure!(end != End::Done, "nothing was written");
                Ok(())
            }
        }
    }
}

struct Unwrap;

impl Operation for Unwrap {
    fn prepare(&self, room: &Path) {
        put(&room.join("blob"), BLOB);
        put(&room.join("code"), CODE);
    }

    fn command(&self, strace: &Strace, room: &Path) -> Command {
        let mut command = strace.command(TOOL);
        command.arg("unwrap").arg(room.join("blob"));
        command.arg("--out").arg(room.join("key"));
        command.arg("--code-in").arg(room.join("code"));
        command
    }

    fn begins(&self, call: &Call) -> bool {
        forbids_core_dumps(call)
    }

    fn named(&self) -> Vec<String> {
        vec!["key".to_owned()]
    }

    fn check(&self, room: &Path, end: End) -> Checked {
        let given = [
            private_file(&room.join("blob"))?,
            private_file(&room.join("code"))?,
        ];
        ensure!(
            given == [Some(BLOB.to_owned()), Some(CODE.to_owned())],
            "blob or code were changed"
        );
        match private_file(&room.join("key"))? {
            Some(key) => is_live_key(&key),
            None => {
                ensure!(end != End::Done, "nothing was written");
                Ok(())
            }
        }
    }
}

#[test]
fn create_stopped() {
    if !strace::unusable() {
        fault::stopped_at_every_call(&Create);
    }
}

#[test]
fn create_refused() {
    if !strace::unusable() {
        fault::refused_at_every_call(&Create);
    }
}

#[test]
fn unwrap_stopped() {
    if !strace::unusable() {
        fault::stopped_at_every_call(&Unwrap);
    }
}

#[test]
fn unwrap_refused() {
    if !strace::unusable() {
        fault::refused_at_every_call(&Unwrap);
    }
}

#[test]
fn power_lost() {
    if !strace::unusable() {
        fault::durable_in_order(&Create);
        fault::durable_in_order(&Unwrap);
    }
}
