//! A whole session under strace: recovery code and key are where they belong, and nowhere else.

#[path = "../../escrow/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use common::strace::{self, Call, Run, Strace, contains};
use common::{BLOB, CODE, LIVE, data_of, private_file, put};
use pve_escrow::{KeyFile, RecoveryCode};
use tempfile::TempDir;

const TOOL: &str = env!("CARGO_BIN_EXE_pve-escrow-rescue");

/// Texts and bytes that must not get out, each with what messages call it.
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn of_key() -> Self {
        let key = KeyFile::parse(LIVE.as_bytes(), "live.enc")
            .unwrap()
            .open(None)
            .unwrap();
        let hex = key
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat();
        Self(vec![
            ("the key".to_owned(), key.as_bytes().to_vec()),
            ("the key in base64".to_owned(), data_of(LIVE).into()),
            (
                "the key in hexadecimal digits".to_owned(),
                hex.to_uppercase().into(),
            ),
            ("the key in hexadecimal digits".to_owned(), hex.into()),
        ])
    }

    /// Single words are in every help text, two in a row only in the code.
    fn of_code(code: &str) -> Self {
        let code = RecoveryCode::parse(code).unwrap();
        let words: Vec<_> = code.words().collect();
        let pairs = words.windows(2).map(|pair| pair.join(" "));
        Self(
            pairs
                .map(|pair| (format!("\"{pair}\" of the code"), pair.into()))
                .collect(),
        )
    }

    /// Of words that are in no help text each one counts: on paper they stand one by one.
    fn of_words(code: &str) -> Self {
        let words = code.split(' ');
        Self(
            words
                .map(|word| (format!("{word:?}"), word.into()))
                .collect(),
        )
    }

    fn of_passphrase(passphrase: &str) -> Self {
        Self(vec![("the passphrase".to_owned(), passphrase.into())])
    }

    /// Of an RSA key of 4,096 bits, as bytes and as lines of PEM. What comes first is the public half.
    fn of_private_key(room: &Room, file: &str, passphrase: &str) -> Self {
        let arguments = format!("pkey -in {file} -passin file:{passphrase}");
        let mut secrets = Vec::new();
        for traditional in ["", " -traditional"] {
            let der = room.openssl(&format!("{arguments}{traditional} -outform DER"));
            assert!(der.len() > 2300, "that is a whole key");
            for part in der[600..].chunks_exact(32) {
                secrets.push(("the private key".to_owned(), part.to_vec()));
                // as it is in memory
                let reversed = part.iter().rev().copied().collect();
                secrets.push(("the private key, reversed".to_owned(), reversed));
            }
            let pem =
                String::from_utf8(room.openssl(&format!("{arguments}{traditional}"))).unwrap();
            for line in pem.lines().skip(13).filter(|line| line.len() == 64) {
                secrets.push(("the private key as PEM".to_owned(), line.into()));
            }
        }
        Self(secrets)
    }

    fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        self.0
            .iter()
            .find(|(_, secret)| contains(bytes, secret))
            .map(|(name, _)| name.as_str())
    }
}

/// Where secrets may come from, and where they may go: parts of names of open files.
struct Allowed<'a> {
    read: &'a [&'a str],
    written: &'a [&'a str],
}

/// No system call but the reading and writing of these files holds a secret: no other file, no message, no
/// argument, no environment.
fn assert_kept(title: &str, run: &Run, secrets: &Secrets, allowed: &Allowed<'_>) {
    assert!(
        run.calls()
            .any(|call| call.name == "execve" && call.has("PATH=")),
        "{title}: environments are seen"
    );
    // what is written piece by piece is put together
    let mut streams: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut allowed_reads = 0;
    for call in run.calls() {
        let may = |files: &[&str]| files.iter().any(|file| open_file(call).ends_with(file));
        match call.name.as_str() {
            "read" if may(allowed.read) => allowed_reads += 1,
            "write" if may(allowed.written) => {}
            // where a new key comes from
            "getrandom" => {}
            _ => {
                let found = secrets.found_in(&call.line);
                assert!(
                    found.is_none(),
                    "{title}: {} is in {}",
                    found.unwrap_or_default(),
                    call.shown()
                );
                let stream = streams
                    .entry(format!("{} {}", call.name, open_file(call)))
                    .or_default();
                stream.extend(&call.text);
            }
        }
    }
    for (name, stream) in &streams {
        assert_eq!(
            secrets.found_in(stream),
            None,
            "{title}: piece by piece in {name}"
        );
    }
    assert!(allowed_reads > 0, "{title}: the secrets are read");
    assert_eq!(
        secrets.found_in(run.stdout.as_bytes()),
        None,
        "{title}: on standard output"
    );
    assert_eq!(
        secrets.found_in(run.stderr.as_bytes()),
        None,
        "{title}: on standard error"
    );
    assert_no_core_dumps(title, run, allowed);
}

/// The name of the file that the first argument stands for; of a temporary file that of its target.
fn open_file(call: &Call) -> String {
    let line = call.shown();
    let name = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or("", |(name, _)| name);
    match name
        .strip_suffix(".tmp")
        .and_then(|name| name.rsplit_once('.'))
    {
        Some((target, _)) => target.to_owned(),
        None => name.to_owned(),
    }
}

/// Before the first secret is read.
fn assert_no_core_dumps(title: &str, run: &Run, allowed: &Allowed<'_>) {
    let calls: Vec<_> = run.calls().collect();
    let first = |what: &str, is: &dyn Fn(&Call) -> bool| {
        calls
            .iter()
            .position(|call| is(call))
            .unwrap_or_else(|| panic!("{title}: no {what}"))
    };
    let limit = first("limit for core files", &|call| {
        call.name == "prlimit64"
            && call.has("RLIMIT_CORE, {rlim_cur=0, rlim_max=0}")
            && call.succeeded()
    });
    let dumpable = first("prctl", &|call| {
        call.name == "prctl" && call.has("PR_SET_DUMPABLE, SUID_DUMP_DISABLE") && call.succeeded()
    });
    let read = first("reading", &|call| {
        call.name == "read"
            && allowed
                .read
                .iter()
                .any(|file| open_file(call).ends_with(file))
    });
    assert!(
        limit < read && dumpable < read,
        "{title}: a secret is read before core dumps are forbidden"
    );
}

struct Room(TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        put(&room.path("live.enc"), LIVE);
        put(&room.path("cheap"), BLOB);
        put(&room.path("typed"), CODE);
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split(' '))
            .current_dir(self.0.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
        output.stdout
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the tool; `typed` is its standard input.
    fn run(&self, arguments: &[&str], typed: &str) -> Run {
        let strace = Strace::new("all");
        let mut command = strace.command(TOOL);
        command.args(arguments);
        let output = self.fed(command, typed);
        strace.run(output)
    }

    /// Runs the tool on a terminal of its own, where `typed` is typed. What is on the screen is not looked at.
    fn run_on_terminal(&self, arguments: &[&str], typed: &str) -> Run {
        let strace = Strace::new("all");
        let mut output = self.fed(on_terminal(&strace, arguments), typed);
        output.stdout.clear();
        strace.run(output)
    }

    /// The same, where each line is typed after its prompt: what comes before a hidden one is thrown away.
    fn run_asked(&self, arguments: &[&str], answers: &[(&str, &str)]) -> Run {
        let strace = Strace::new("all");
        let mut child = self.start(on_terminal(&strace, arguments));
        let mut screen = child.stdout.take().unwrap();
        let keyboard = child.stdin.as_mut().unwrap();
        for (prompt, line) in answers {
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            while !contains(&seen, prompt.as_bytes()) {
                let len = screen.read(&mut buffer).unwrap();
                assert!(len > 0, "no '{prompt}'");
                seen.extend(&buffer[..len]);
            }
            writeln!(keyboard, "{line}").unwrap();
        }
        screen.read_to_end(&mut Vec::new()).unwrap();
        strace.run(child.wait_with_output().unwrap())
    }

    fn start(&self, mut command: Command) -> Child {
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        piped.current_dir(self.0.path()).spawn().unwrap()
    }

    fn fed(&self, command: Command, typed: &str) -> Output {
        let mut child = self.start(command);
        child
            .stdin
            .take()
            .unwrap()
            .write_all(typed.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }
}

fn on_terminal(strace: &Strace, arguments: &[&str]) -> Command {
    let traced = strace.command(TOOL);
    let words = std::iter::once(traced.get_program()).chain(traced.get_args());
    let words: Vec<_> = words
        .map(|word| word.to_str().unwrap())
        .chain(arguments.iter().copied())
        .collect();
    let mut command = Command::new("script");
    command.args([
        "--quiet",
        "--return",
        "--command",
        &words.join(" "),
        "/dev/null",
    ]);
    command
}

/// The name of the pipe that is standard input or output.
fn pipe(run: &Run, name: &str, number: u8) -> String {
    run.calls()
        .find(|call| call.name == name && call.has(&format!("{name}({number}<")))
        .map(open_file)
        .unwrap()
}

fn assert_code(title: &str, run: &Run, expected: i32) {
    assert_eq!(run.status.code(), Some(expected), "{title}: {}", run.stderr);
}

#[test]
fn create() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    let run = room.run(
        &["create", "live.enc", "--out", "blob", "--code-out", "code"],
        "",
    );
    assert_code("create", &run, 0);
    let secrets = Secrets::of_key().and(Secrets::of_code(&room.read("code")));
    let allowed = Allowed {
        read: &["/live.enc"],
        written: &["/.code"],
    };
    assert_kept("create", &run, &secrets, &allowed);
    // as a control: the words are found where they are written to
    let code_file = |call: &&Call| call.name == "write" && open_file(call).ends_with("/.code");
    assert!(
        run.calls()
            .filter(code_file)
            .any(|call| secrets.found_in(&call.line).is_some())
    );
}

#[test]
fn create_on_a_terminal() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    let run = room.run_on_terminal(&["create", "live.enc", "--out", "blob"], "");
    assert_code("create", &run, 0);
    let on_terminal = |call: &&Call| call.name == "write" && open_file(call).ends_with("/dev/tty");
    let screen: Vec<u8> = run
        .calls()
        .filter(on_terminal)
        .flat_map(|call| call.text.clone())
        .collect();
    let screen = String::from_utf8(screen).unwrap();
    let (_, words) = screen.split_once("write it down now.").unwrap();
    let (words, _) = words.split_once("check characters").unwrap();
    let secrets = Secrets::of_key().and(Secrets::of_code(words));
    let allowed = Allowed {
        read: &["/live.enc"],
        written: &["/dev/tty"],
    };
    assert_kept("create on a terminal", &run, &secrets, &allowed);
}

#[test]
fn verify_and_unwrap() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    let secrets = Secrets::of_key().and(Secrets::of_code(CODE));
    let one_by_one = CODE.replace(' ', "\n") + "\n\n";
    for (title, arguments, typed, terminal, read) in [
        (
            "verify, code in a file",
            "verify cheap --code-in typed",
            "",
            false,
            "/typed",
        ),
        (
            "verify, code on standard input",
            "verify cheap --code-in -",
            CODE,
            false,
            "",
        ),
        (
            "verify, code typed",
            "verify cheap",
            &one_by_one,
            true,
            "/dev/tty",
        ),
        (
            "unwrap, code in a file",
            "unwrap cheap --code-in typed --out key",
            "",
            false,
            "/typed",
        ),
        (
            "unwrap, code on standard input",
            "unwrap cheap --code-in - --out key",
            CODE,
            false,
            "",
        ),
        (
            "unwrap, code typed",
            "unwrap cheap --out key",
            &one_by_one,
            true,
            "/dev/tty",
        ),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let run = if terminal {
            room.run_on_terminal(&arguments, typed)
        } else {
            room.run(&arguments, typed)
        };
        assert_code(title, &run, 0);
        let _ = fs::remove_file(room.path("key"));
        let pipe = run
            .calls()
            .find(|call| call.name == "read" && call.has("read(0<"))
            .map(open_file);
        let read = pipe.as_deref().unwrap_or(read);
        let written: &[&str] = if title.starts_with("unwrap") {
            &["/.key"]
        } else {
            &[]
        };
        assert_kept(
            title,
            &run,
            &secrets,
            &Allowed {
                read: &[read],
                written,
            },
        );
    }
}

/// What somebody typed wrong is still most of a code: no message repeats it.
#[test]
fn what_is_typed_wrong_is_not_repeated() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    for (title, typed) in [
        ("another word", CODE.replace("goldfish", "goldmine")),
        (
            "other words",
            "zoom zit zippy zipping zipfile zips zone zoning zoologist zookeeper".to_owned(),
        ),
        ("a mistyped word", CODE.replace("virtuous", "virtuosity")),
        ("a short word", CODE.replace("virtuous", "vir")),
        ("one too few", CODE.replace(" virtuous", "")),
        ("one too many", format!("{CODE} zoom")),
        ("other check characters", format!("{CODE} w2z3")),
        (
            "not a code at all",
            "correct horse battery staple".to_owned(),
        ),
    ] {
        let run = room.run(
            &["unwrap", "cheap", "--code-in", "-", "--out", "key"],
            &typed,
        );
        assert_code(title, &run, 3);
        assert!(!room.path("key").exists(), "{title}");
        let words: Vec<_> = typed.split(' ').collect();
        let pairs = words
            .windows(2)
            .map(|pair| (format!("{pair:?}"), pair.join(" ").into()));
        // letters that no address in a system call has
        let mistyped = ["virtuosity", "w2z3", "staple"].map(|word| (word.to_owned(), word.into()));
        let secrets = Secrets::of_key().and(Secrets(pairs.chain(mistyped).collect()));
        let pipe = pipe(&run, "read", 0);
        assert_kept(
            title,
            &run,
            &secrets,
            &Allowed {
                read: &[&pipe],
                written: &[],
            },
        );
    }
}

#[test]
fn sheet_of_the_words() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    let secrets = Secrets::of_words(CODE);
    for (title, arguments, typed) in [
        ("text", "paper --code-in typed --out sheet", ""),
        (
            "page",
            "paper --code-in typed --format html --out sheet",
            "",
        ),
        (
            "of a kit",
            "paper cheap --code-in typed --kit-at safe --out sheet",
            "",
        ),
        (
            "code on standard input",
            "paper --code-in - --out sheet",
            CODE,
        ),
    ] {
        let _ = fs::remove_file(room.path("sheet"));
        let arguments: Vec<_> = arguments.split(' ').collect();
        let run = room.run(&arguments, typed);
        assert_code(title, &run, 0);
        let read = match typed {
            "" => "/typed".to_owned(),
            _ => pipe(&run, "read", 0),
        };
        let allowed = Allowed {
            read: &[&read],
            written: &["/.sheet"],
        };
        assert_kept(title, &run, &secrets, &allowed);
        let sheet = private_file(&room.path("sheet")).unwrap().unwrap();
        for word in CODE.split(' ') {
            assert!(sheet.contains(word), "{title}: {word}");
        }
    }

    let mut run = room.run(&["paper", "--code-in", "typed"], "");
    assert_code("to standard output", &run, 0);
    let stdout = pipe(&run, "write", 1);
    // that is where it was asked for
    assert!(secrets.found_in(run.stdout.as_bytes()).is_some());
    run.stdout.clear();
    let allowed = Allowed {
        read: &["/typed"],
        written: &[&stdout],
    };
    assert_kept("to standard output", &run, &secrets, &allowed);

    let run = room.run(&["import", "sheet", "--out", "none"], "");
    assert_code("not to be imported", &run, 1);
    let allowed = Allowed {
        read: &["/sheet"],
        written: &[],
    };
    assert_kept("not to be imported", &run, &secrets, &allowed);
    assert!(!room.path("none").exists());
}

const PASSPHRASE: &str = "quondam Tarpaulin 7";

#[test]
fn new_master_key() {
    if strace::unusable() {
        return;
    }
    for terminal in [false, true] {
        let room = Room::new();
        put(&room.path("pass"), &format!("{PASSPHRASE}\n"));
        let title = format!("master-key create, terminal: {terminal}");
        let create = ["master-key", "create", "--out", "."];
        let (run, read) = match terminal {
            true => {
                let answers = [
                    ("New passphrase of the master key: ", PASSPHRASE),
                    ("The same once more: ", PASSPHRASE),
                ];
                (room.run_asked(&create, &answers), "/dev/tty")
            }
            false => {
                let create = [&create[..], &["--passphrase-in", "pass"]].concat();
                (room.run(&create, ""), "/pass")
            }
        };
        assert_code(&title, &run, 0);
        private_file(&room.path("master-private.pem"))
            .unwrap()
            .unwrap();
        // not even where it was asked for: there it is encrypted
        let secrets = Secrets::of_passphrase(PASSPHRASE).and(Secrets::of_private_key(
            &room,
            "master-private.pem",
            "pass",
        ));
        // as a control: the key is seen where it comes from
        let mut random = run.calls().filter(|call| call.name == "getrandom");
        assert!(random.any(|call| secrets.found_in(&call.line).is_some()));
        let allowed = Allowed {
            read: &[read],
            written: &[],
        };
        assert_kept(&title, &run, &secrets, &allowed);
    }
}

/// The key that a real backup carries, as `wrapped`, and the private half that opens it. Returns where they are from.
fn wrapped_key(room: &Room) -> PathBuf {
    let vectors = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors"));
    let wrapped = vectors.join("rsa-encrypted/ct100.rsa-encrypted.key");
    fs::copy(wrapped, room.path("wrapped")).unwrap();
    let master = vectors.join("master/master-private.pem");
    fs::copy(master, room.path("master.pem")).unwrap();
    vectors
}

#[test]
fn key_for_the_holder_of_a_master_key() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    let vectors = wrapped_key(&room);
    fs::copy(vectors.join("master/passphrase"), room.path("pass")).unwrap();
    let passphrase = room.read("pass");
    let passphrase = passphrase.lines().next().unwrap();
    let secrets = Secrets::of_key()
        .and(Secrets::of_passphrase(passphrase))
        .and(Secrets::of_private_key(&room, "master.pem", "pass"));
    for form in ["", " -traditional"] {
        let pem = room.openssl(&format!("pkey -in master.pem -passin file:pass{form}"));
        put(&room.path("plain.pem"), std::str::from_utf8(&pem).unwrap());
        let open = "master-key open wrapped --out key --private";
        for (title, arguments, typed, terminal, read) in [
            (
                "passphrase in a file",
                "master.pem --passphrase-in pass",
                "",
                false,
                "/pass",
            ),
            (
                "on standard input",
                "master.pem --passphrase-in -",
                passphrase,
                false,
                "",
            ),
            ("typed", "master.pem", passphrase, true, "/dev/tty"),
            ("without passphrase", "plain.pem", "", false, "/plain.pem"),
        ] {
            let title = format!("master-key open, {title}{form}");
            let arguments = format!("{open} {arguments}");
            let arguments: Vec<_> = arguments.split(' ').collect();
            let run = match terminal {
                true => room.run_asked(&arguments, &[("Passphrase of the master key: ", typed)]),
                false => room.run(&arguments, typed),
            };
            assert_code(&title, &run, 0);
            let read = match read {
                "" => pipe(&run, "read", 0),
                read => read.to_owned(),
            };
            let allowed = Allowed {
                read: &[&read],
                written: &["/.key"],
            };
            assert_kept(&title, &run, &secrets, &allowed);
            if read == "/plain.pem" {
                // as a control: it is seen where it may be
                let reads = run.calls().filter(|call| open_file(call).ends_with(&read));
                let seen: Vec<_> = reads
                    .filter_map(|call| secrets.found_in(&call.line))
                    .collect();
                assert_eq!(seen, ["the private key as PEM"], "{title}");
            }
            private_file(&room.path("key")).unwrap().unwrap();
            fs::remove_file(room.path("key")).unwrap();
        }
    }
}

/// As somebody who is not sure tries it: the wrong one is a secret too.
#[test]
fn master_key_that_does_not_open() {
    if strace::unusable() {
        return;
    }
    let room = Room::new();
    wrapped_key(&room);
    put(&room.path("pass"), PASSPHRASE);
    let arguments = "master-key open wrapped --out key --private master.pem --passphrase-in pass";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let run = room.run(&arguments, "");
    assert_ne!(run.status.code(), Some(0));
    let allowed = Allowed {
        read: &["/pass"],
        written: &[],
    };
    let secrets = Secrets::of_passphrase(PASSPHRASE).and(Secrets::of_key());
    assert_kept("wrong passphrase", &run, &secrets, &allowed);
    assert!(!room.path("key").exists());
}
