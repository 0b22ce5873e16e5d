//! A person at the terminal. `script` gives the program one of its own; what is typed comes after the prompt for it.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pve_escrow::master::{PrivateFile, PublicKey};
use pve_escrow::{KeyFile, RecoveryCode, seal};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/keys");
const LIVE: &str = "03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b";

struct Session {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Session {
    fn start(directory: &Path, arguments: &str) -> Self {
        let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_pve-escrow-rescue"));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            keyboard: child.stdin.take().unwrap(),
            screen: child.stdout.take().unwrap(),
            child,
            seen: String::new(),
        }
    }

    /// Waits for `prompt`, counted from the last answer, and types a line.
    fn answer(&mut self, prompt: &str, line: &str) -> String {
        let mut since = String::new();
        let mut buffer = [0; 1024];
        while !since.contains(prompt) {
            let len = self.screen.read(&mut buffer).unwrap();
            assert!(len > 0, "no '{prompt}' in: {}{since}", self.seen);
            since.push_str(&String::from_utf8_lossy(&buffer[..len]));
        }
        self.seen.push_str(&since);
        writeln!(self.keyboard, "{line}").unwrap();
        since
    }

    /// Waits for the end: the exit code, and all that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        self.screen.read_to_string(&mut self.seen).unwrap();
        drop(self.keyboard);
        (self.child.wait().unwrap().code(), self.seen)
    }
}

#[test]
fn a_code_is_shown_and_typed_back() {
    let directory = tempfile::tempdir().unwrap();
    let (status, screen) = Session::start(
        directory.path(),
        &format!("create {KEYS}/live.enc --out blob"),
    )
    .end();
    assert_eq!(status, Some(0), "{screen}");
    let words = screen
        .split("write it down now.")
        .nth(1)
        .unwrap()
        .split("check characters:")
        .next()
        .unwrap();
    let code = RecoveryCode::parse(words).unwrap();
    assert!(
        screen.contains(&format!("check characters: {}", code.check_characters())),
        "{screen}"
    );
    let blob = KeyFile::read(&directory.path().join("blob")).unwrap();
    assert_eq!(
        seal::unwrap(&blob, &code, None)
            .unwrap()
            .fingerprint
            .to_string(),
        LIVE
    );

    let mut session = Session::start(directory.path(), "verify blob");
    for (i, word) in code.words().enumerate() {
        session.answer(&format!("word {:>2}:", i + 1), word);
    }
    session.answer("check characters", &code.check_characters().to_uppercase());
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains(LIVE), "{screen}");
}

#[test]
fn a_mistyped_word_is_named_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = Session::start(
        directory.path(),
        &format!("verify {KEYS}/live.escrow-by-client.enc"),
    );
    let start = session.answer("word  1:", "abacus");
    assert!(start.contains("key 03:6b:8f:61:0c:da:d8:85"), "{start}");
    session.answer("word  2:", "goldfisch");
    session.answer(
        "did you mean goldfish?\r\n  word  2:",
        "goldfish thimble OVERCAST",
    );
    session.answer("word  5:", "5. remnant, 6. lubricant");
    session.answer("word  7:", "scor");
    session.answer(
        "it could be scorch, scorebook, scorecard\r\n  word  7:",
        "scorp dwindle pancake virtuous",
    );
    session.answer("check characters", "");
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
}

#[test]
fn check_characters_find_another_word_before_the_derivation() {
    let directory = tempfile::tempdir().unwrap();
    let right =
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";
    let check = RecoveryCode::parse(right).unwrap().check_characters();
    let mut session = Session::start(
        directory.path(),
        &format!("verify {KEYS}/live.escrow-by-client.enc"),
    );
    session.answer("word  1:", &right.replace("virtuous", "virtual"));
    session.answer("check characters", "nothing");
    session.answer("a letter, a digit, a letter and a digit", &check);
    let (status, screen) = session.end();
    assert_eq!(status, Some(3), "{screen}");
    assert!(
        screen.contains("10. virtual"),
        "shows what was read: {screen}"
    );
    assert!(
        screen.contains("the check characters do not fit"),
        "{screen}"
    );
}

#[test]
fn all_at_once_with_numbers_and_check_characters() {
    let directory = tempfile::tempdir().unwrap();
    let sheet = "1 abacus 6 lubricant 2 goldfish 7 scorpion 3 thimble 8 dwindle 4 overcast 9 pancake 5 remnant 10 virtuous";
    let check = RecoveryCode::parse(sheet).unwrap().check_characters();
    let mut session = Session::start(
        directory.path(),
        &format!("unwrap {KEYS}/live.escrow-by-client.enc --out key"),
    );
    session.answer("word  1:", &format!("{sheet} {check}"));
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
    let key = KeyFile::read(&directory.path().join("key")).unwrap();
    assert_eq!(key.claimed.unwrap().to_string(), LIVE);
}

#[test]
fn giving_up_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = Session::start(
        directory.path(),
        &format!("unwrap {KEYS}/live.escrow-by-client.enc --out key"),
    );
    session.answer("word  1:", "abacus");
    session.answer("word  2:", "\u{4}");
    let (status, screen) = session.end();
    assert_ne!(status, Some(0), "{screen}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_passphrase_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = Session::start(
        directory.path(),
        &format!("create {KEYS}/scrypt.enc --out blob --code-out code"),
    );
    session.answer("Passphrase of the key file:", "a scrypt passphrase");
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
    assert!(!screen.contains("a scrypt passphrase"), "{screen}");
}

#[test]
fn a_master_key_has_a_passphrase_that_was_typed_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut session = Session::start(directory.path(), "master-key create --out .");
    session.answer("New passphrase of the master key:", "1234");
    session.answer(
        "5 to 1024 bytes\r\nNew passphrase of the master key:",
        "of the safe",
    );
    session.answer("The same once more:", "of the sage");
    session.answer(
        "The two differ.\r\nNew passphrase of the master key:",
        "of the safe",
    );
    session.answer("The same once more:", "of the safe");
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
    assert!(!screen.contains("of the sa"), "{screen}");

    let private = directory.path().join("master-private.pem");
    let private = PrivateFile::read(&private).unwrap();
    let passphrase = "of the safe".to_owned().into();
    let private = private.open(Some(&passphrase)).unwrap();
    let public = PublicKey::read(&directory.path().join("master-public.pem")).unwrap();
    assert_eq!(private.public(), public);
}

#[test]
fn the_passphrase_of_a_master_key_does_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let master = format!("{KEYS}/../master/master-private.pem");
    let wrapped = format!("{KEYS}/../rsa-encrypted/ct100.rsa-encrypted.key");
    let mut session = Session::start(
        directory.path(),
        &format!("master-key open --private {master} {wrapped} --out key"),
    );
    session.answer("Passphrase of the master key:", "master passphrase 1");
    let (status, screen) = session.end();
    assert_eq!(status, Some(0), "{screen}");
    assert!(
        screen.contains(LIVE) && !screen.contains("master passphrase 1"),
        "{screen}"
    );
}

#[test]
fn words_go_to_the_terminal_even_if_standard_output_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let command = format!("create {KEYS}/live.enc --out blob >output 2>errors");
    let (status, screen) = Session::start(directory.path(), &command).end();
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains("10. "), "{screen}");
    assert_eq!(
        fs::read_to_string(directory.path().join("output")).unwrap(),
        format!("{LIVE}\n")
    );
    let errors = fs::read_to_string(directory.path().join("errors")).unwrap();
    assert_eq!(
        errors,
        "Sealed in blob. Next, type the code back: pve-escrow-rescue verify blob\n"
    );
}

#[test]
fn without_a_terminal_there_is_an_option_for_it() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, option) in [
        (
            format!("create {KEYS}/live.enc --out blob"),
            "--code-out FILE",
        ),
        (
            format!("create {KEYS}/scrypt.enc --out blob --code-out code"),
            "--passphrase-in FILE",
        ),
        (
            format!("verify {KEYS}/live.escrow-by-client.enc"),
            "--code-in FILE",
        ),
        (
            "master-key create --out .".to_owned(),
            "--passphrase-in FILE",
        ),
    ] {
        // a session of its own has no controlling terminal
        let output = Command::new("setsid")
            .args(["--wait", env!("CARGO_BIN_EXE_pve-escrow-rescue")])
            .args(arguments.split(' '))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            errors.contains("there is no terminal") && errors.contains(option),
            "{errors}"
        );
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            0,
            "{arguments}"
        );
    }
}

#[test]
fn lines_of_a_sheet_are_asked_for_until_they_are_right() {
    let kit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/cmd/kit.in/backup1.escrow-kit.json"
    );
    let kit = fs::read(kit).unwrap();
    let lines = pve_escrow::paper::to_lines(&kit).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut session = Session::start(directory.path(), "import --out kit");
    for (number, line) in (1..).zip(&lines) {
        let (_, bare) = line.split_once(": ").unwrap();
        let prompt = format!("{number:>3}: ");
        if number == 3 {
            session.answer(&prompt, &bare[1..]);
            let said = session.answer(&prompt, &bare.to_lowercase());
            assert!(
                said.contains("line 3 is wrong: it has 33 characters"),
                "{said}"
            );
        } else {
            session.answer(&prompt, bare);
        }
    }
    let (code, seen) = session.end();
    assert_eq!(code, Some(0), "{seen}");
    assert_eq!(fs::read(directory.path().join("kit")).unwrap(), kit);
}
