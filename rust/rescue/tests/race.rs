//! Two processes that write one file: one wins, the other is told, and nothing is lost.

#[path = "../../escrow/tests/common/mod.rs"]
mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::fault::WAYS;
use common::strace::{self, Run, Strace};
use common::{BLOB, CODE, LIVE, is_code, is_live_key, opens_to_live_key, private_file, put};

const TOOL: &str = env!("CARGO_BIN_EXE_pve-escrow-rescue");

const ROUNDS: usize = 200;

/// Both race only if neither has found the other's file at its first look, before any work is done. A busy machine
/// makes that rare, but not this rare.
const MUST_RACE: usize = ROUNDS / 20;

/// Enough for most racers to have had their first look.
const HEAD_START: Duration = Duration::from_millis(15);

struct Racer {
    strace: Strace,
    child: Child,
}

impl Racer {
    /// Starts it up to where it waits for the code.
    fn start(room: &Path, way: &[&str]) -> Self {
        let strace = Strace::new("renameat2,linkat,flock,rename").inject(way);
        let mut command = strace.command(TOOL);
        command.arg("unwrap").arg(room.join("blob"));
        command.arg("--out").arg(room.join("key"));
        command.args(["--code-in", "-"]);
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            child: piped.spawn().unwrap(),
            strace,
        }
    }

    fn go(&mut self) {
        self.child
            .stdin
            .take()
            .unwrap()
            .write_all(CODE.as_bytes())
            .unwrap();
    }

    fn end(self) -> Run {
        let output = self.child.wait_with_output().unwrap();
        self.strace.run(output)
    }
}

/// Has it come to giving its file the name?
fn raced(run: &Run) -> bool {
    run.calls().count() > 0
}

fn race(title: &str, way: &[&str]) {
    let mut met = 0;
    for round in 0..ROUNDS {
        let room = tempfile::tempdir().unwrap();
        put(&room.path().join("blob"), BLOB);
        let mut racers = [
            Racer::start(room.path(), way),
            Racer::start(room.path(), way),
        ];
        thread::sleep(HEAD_START);
        racers.iter_mut().for_each(Racer::go);
        let ends = racers.map(Racer::end);

        let mut codes = ends.each_ref().map(|run| run.status.code());
        codes.sort_unstable();
        let messages = ends.each_ref().map(|run| run.stderr.clone());
        assert_eq!(
            codes,
            [Some(0), Some(6)],
            "{title}, round {round}: {messages:?}"
        );
        let key = private_file(&room.path().join("key")).unwrap().unwrap();
        is_live_key(&key).unwrap_or_else(|why| panic!("{title}, round {round}: {why}"));
        let left = fs::read_dir(room.path()).unwrap().count();
        assert_eq!(
            left, 2,
            "{title}, round {round}: a temporary file is left over"
        );
        met += usize::from(ends.iter().all(raced));
    }
    println!("{title}: {ROUNDS} rounds, in {met} both came to give the file its name");
    assert!(
        met >= MUST_RACE,
        "{title}: only {met} of {ROUNDS} rounds were races"
    );
}

#[test]
fn for_one_key_file() {
    if strace::unusable() {
        return;
    }
    for (title, way) in WAYS {
        race(title, way);
    }
}

/// The code that is there afterwards is that of the blob which is there: who loses takes nothing of the other's away.
#[test]
fn for_one_seal() {
    for round in 0..10 {
        let room = tempfile::tempdir().unwrap();
        put(&room.path().join("live.enc"), LIVE);
        let create = || {
            Command::new(TOOL)
                .current_dir(room.path())
                .args(["create", "live.enc", "--out", "blob", "--code-out", "code"])
                .output()
                .unwrap()
        };
        let ends = thread::scope(|scope| {
            [scope.spawn(create), scope.spawn(create)].map(|end| end.join().unwrap())
        });
        let mut codes = ends.each_ref().map(|end| end.status.code());
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(6)], "round {round}: {ends:?}");

        let file = |name| private_file(&room.path().join(name)).unwrap().unwrap();
        let code = is_code(&file("code")).unwrap();
        opens_to_live_key(&file("blob"), &code)
            .unwrap_or_else(|why| panic!("round {round}: {why}"));
        assert_eq!(
            fs::read_dir(room.path()).unwrap().count(),
            3,
            "a temporary file is left over"
        );
    }
}
