//! `install`, stopped at any moment or refused anything by the kernel, leaves the old key or the new one; and the
//! old one is kept before it goes.
//!
//! The library has no program of its own: this test starts itself again, as [`child`].

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io, panic};

use common::fault::{self, End, Operation};
use common::strace::{self, Call, Strace};
use common::{BLOB, CHILD, CODE, Checked, LIVE, OTHER, is_live_key, private_file, put};
use pve_escrow::{KeyFile, ops};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Where [`child`] finds its input.
const ROOM: &str = "ESCROW_TEST_ROOM";
/// The child looks at this name, which is nowhere, when all is there that it needs.
const MARK: &str = "/the operation begins";

/// Installs [`LIVE`]'s key over what is there.
struct Install {
    present: Option<String>,
}

impl Install {
    const NOTHING: Self = Self { present: None };

    fn over(content: impl Into<String>) -> Self {
        Self {
            present: Some(content.into()),
        }
    }

    /// The name by which a present file is displaced.
    fn displace(&self) -> Option<String> {
        let content = self.present.as_ref()?.as_bytes();
        let key = KeyFile::parse(content, "present").and_then(|file| file.open(None));
        Some(key.map_or_else(
            |_| sha256(content),
            |key| pve_escrow::Fingerprint::of(&key).hex(),
        ))
    }

    /// Where a present file is kept.
    fn kept(&self) -> Option<String> {
        Some(format!(
            "kept/{}.enc",
            sha256(self.present.as_ref()?.as_bytes())
        ))
    }
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

impl Operation for Install {
    fn prepare(&self, room: &Path) {
        let target = room.join("live/live.enc");
        fs::create_dir(room.join("live")).unwrap();
        fs::create_dir(room.join("kept")).unwrap();
        if let Some(present) = &self.present {
            put(&target, present);
        }
        let input = json!({
            "blob": BLOB,
            "code": CODE,
            "target": target,
            "displace": self.displace(),
            "keep": room.join("kept"),
        });
        put(&room.join("input.json"), &input.to_string());
    }

    fn command(&self, strace: &Strace, room: &Path) -> Command {
        let mut command = strace.command(env::current_exe().unwrap());
        command.args(CHILD);
        command.env(ROOM, room);
        command
    }

    fn begins(&self, call: &Call) -> bool {
        call.has(MARK)
    }

    fn named(&self) -> Vec<String> {
        self.kept()
            .into_iter()
            .chain(["live/live.enc".to_owned()])
            .collect()
    }

    fn check(&self, room: &Path, end: End) -> Checked {
        let kept = self
            .kept()
            .map(|kept| private_file(&room.join(kept)))
            .transpose()?
            .flatten();
        ensure!(
            kept.is_none() || kept == self.present,
            "what is kept is not what was there"
        );
        let Some(live) = private_file(&room.join("live/live.enc"))? else {
            ensure!(self.present.is_none(), "no key is there");
            ensure!(end != End::Done, "nothing was written");
            return Ok(());
        };
        if Some(&live) == self.present.as_ref() {
            ensure!(end != End::Done, "the old key is still there");
            return Ok(());
        }
        is_live_key(&live)?;
        ensure!(kept == self.present, "the old key is lost");
        Ok(())
    }
}

/// What runs under strace.
fn child(room: &Path) -> ExitCode {
    let input = fs::read(room.join("input.json")).unwrap();
    let input: ops::Install = serde_json::from_slice(&input).unwrap();
    assert!(!Path::new(MARK).exists());
    match ops::install(&input) {
        Ok(_) => ExitCode::SUCCESS,
        Err(err) => {
            // what is on standard error is for the message of a failed test only
            let _ = writeln!(io::stderr(), "{err}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> [Install; 3] {
    [
        Install::NOTHING,
        Install::over(OTHER),
        Install::over("not a key file"),
    ]
}

fn stopped() {
    cases().iter().for_each(fault::stopped_at_every_call);
}

fn refused() {
    cases().iter().for_each(fault::refused_at_every_call);
}

fn power_lost() {
    cases().iter().for_each(fault::durable_in_order);
}

/// The same key again changes nothing, so that nothing can be lost.
fn again() {
    let room = tempfile::tempdir().unwrap();
    let install = Install::over(LIVE);
    install.prepare(room.path());
    let strace = Strace::new("all");
    let output = install.command(&strace, room.path()).output().unwrap();
    let run = strace.run(output);
    assert!(run.status.success(), "{}", run.stderr);
    assert_eq!(
        private_file(&room.path().join("live/live.enc")),
        Ok(Some(LIVE.to_owned()))
    );
    for call in fault::operation_calls(&install, &run) {
        let writes = ["O_WRONLY", "O_RDWR"].iter().any(|flag| call.has(flag))
            || ["rename", "link", "unlink"]
                .iter()
                .any(|name| call.name.starts_with(name));
        assert!(!writes, "{}", call.shown());
    }
}

/// As the standard harness does: the names of tests can be given in part.
fn main() -> ExitCode {
    if let Some(room) = env::var_os(ROOM) {
        return child(Path::new(&room));
    }
    let tests: [(&str, fn()); 4] = [
        ("install_stopped", stopped),
        ("install_refused", refused),
        ("install_power_lost", power_lost),
        ("install_again", again),
    ];
    let wanted: Vec<_> = env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (name, test) in tests.into_iter().filter(|(name, _)| is_wanted(name)) {
        let (counter, result) = match strace::unusable() {
            true => (&mut ignored, "ignored"),
            false if panic::catch_unwind(test).is_ok() => (&mut passed, "ok"),
            false => (&mut failed, "FAILED"),
        };
        *counter += 1;
        println!("test {name} ... {result}");
    }
    let left_out = tests.len() - passed - failed - ignored;
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {left_out} filtered out\n"
    );
    ExitCode::from(u8::from(failed > 0))
}
