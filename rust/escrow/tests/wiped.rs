//! After an operation its process holds no copy of the key or of the code any more.
//!
//! The operations run in a process of their own, this test once more as [`child`]; what is left in its memory is
//! looked for from outside, so that the looking leaves no copies of its own.

mod common;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio, exit};
use std::{env, thread};

use base64::prelude::{BASE64_STANDARD, Engine};
use common::strace::contains;
use common::{CHILD, LIVE, OTHER, data_of, is_code, is_live_key, private_file, put};
use pve_escrow::kdf::Kdf;
use pve_escrow::ops::{self, Install, OfKeyFile, Unwrap, Verify};
use pve_escrow::paper::{CodeSheet, Format};
use pve_escrow::{Fingerprint, KeyFile, SecretString, fingerprint};

/// Where [`child`] works.
const ROOM: &str = "ESCROW_TEST_ROOM";

/// Tells the parent how far it is, and waits until that has looked.
fn stop_at(stage: &str) {
    println!("\nstage {stage}");
    io::stdout().flush().unwrap();
    io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
#[ignore = "the other test starts it"]
fn child() {
    let Some(room) = env::var_os(ROOM) else {
        return;
    };
    let room = Path::new(&room);
    let live = room.join("live.enc");
    let other = KeyFile::read(&room.join("other.enc"))
        .unwrap()
        .open(None)
        .unwrap();
    let displace = Some(Fingerprint::of(&other).into());
    drop(other);

    let created = ops::create(&OfKeyFile {
        keyfile: live.clone(),
    })
    .unwrap();
    let mut file = File::create(room.join("code")).unwrap();
    file.write_all(created.code.as_str().as_bytes()).unwrap();
    fs::write(room.join("blob"), &created.blob).unwrap();
    let code = || SecretString::from(created.code.as_str().to_owned());
    let blob = || created.blob.clone();

    let expect = None;
    ops::verify(&Verify {
        blob: blob(),
        code: code(),
        expect,
    })
    .unwrap();
    let out = room.join("unwrapped");
    ops::unwrap(&Unwrap {
        blob: blob(),
        code: code(),
        expect: None,
        out,
    })
    .unwrap();
    ops::install(&Install {
        keyfile: None,
        blob: Some(blob()),
        code: Some(code()),
        expect: None,
        target: room.join("other.enc"),
        displace,
        keep: Some(room.to_owned()),
    })
    .unwrap();
    let key = KeyFile::read(&live).unwrap();
    let held = (key.open(None).unwrap(), key.to_json());
    let sheets = [Format::Text, Format::Html].map(|format| {
        CodeSheet {
            code: &created.code,
            fingerprint: Some(created.fingerprint),
            place: Some("the other safe"),
        }
        .print(format)
    });
    stop_at("held");
    drop((held, sheets, key, created));
    stop_at("dropped");
    exit(0);
}

struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(room: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(CHILD);
        let piped = command
            .env(ROOM, room)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn wait_for(&mut self, stage: &str) {
        let wanted = format!("stage {stage}\n");
        let mut line = String::new();
        while line != wanted {
            line.clear();
            assert!(
                self.output.read_line(&mut line).unwrap() > 0,
                "it ended before stage {stage}"
            );
        }
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Everything that the process can write to, with the names of the kernel: `[heap]`, `[stack]`, none.
    fn memory(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.child.id()))?;
        let memory = File::open(format!("/proc/{}/mem", self.child.id()))?;
        let writable = maps.lines().filter(|line| line.contains(" rw"));
        writable
            .map(|line| {
                let (from, rest) = line.split_once('-').unwrap();
                let (to, _) = rest.split_once(' ').unwrap();
                let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
                let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
                memory.read_exact_at(&mut bytes, from)?;
                Ok((line.to_owned(), bytes))
            })
            .collect()
    }
}

/// Where in memory these are.
fn found<'a>(
    memory: &[(String, Vec<u8>)],
    secrets: &'a [(String, Vec<u8>)],
) -> Vec<(&'a str, String)> {
    let mut found = Vec::new();
    for (place, bytes) in memory {
        for (name, _) in secrets.iter().filter(|(_, secret)| contains(bytes, secret)) {
            found.push((name.as_str(), place.clone()));
        }
    }
    found
}

const ON_TEXT: &str = "the sheet of the words, in text";
const ON_PAGE: &str = "the sheet of the words, in HTML";

/// Everything that gives a key away, with what messages call it.
fn secrets(code: &str, blob: &str) -> Vec<(String, Vec<u8>)> {
    let mut secrets = vec![("the code".to_owned(), code.into())];
    // a part of it would be a start
    let words: Vec<_> = code.split(' ').collect();
    for pair in words.windows(2) {
        secrets.push((format!("{pair:?}"), pair.join(" ").into()));
    }
    for (number, (first, second)) in (6..).zip(words[..5].iter().zip(&words[5..])) {
        let line = format!("{first:<16}  {number:>2}. {second}");
        secrets.push((ON_TEXT.to_owned(), line.into()));
    }
    for pair in words.windows(2) {
        secrets.push((ON_PAGE.to_owned(), pair.join("</li>\n<li>").into()));
    }
    for (name, file) in [("the key", LIVE), ("the displaced key", OTHER)] {
        let key = KeyFile::parse(file.as_bytes(), name)
            .unwrap()
            .open(None)
            .unwrap();
        secrets.push((format!("{name}, raw"), key.as_bytes().to_vec()));
        secrets.push((format!("{name}, base64"), data_of(file).into()));
        secrets.push((
            format!("{name}, for signing"),
            fingerprint::id_key(&key).to_vec(),
        ));
    }
    let blob: serde_json::Value = serde_json::from_str(blob).unwrap();
    let salt = BASE64_STANDARD
        .decode(blob["kdf"]["Scrypt"]["salt"].as_str().unwrap())
        .unwrap();
    let derived = Kdf::new(salt.try_into().unwrap())
        .derive(code.as_bytes())
        .unwrap();
    secrets.push(("the derived key".to_owned(), derived.as_bytes().to_vec()));
    secrets
}

#[test]
fn no_copy_is_left() {
    let room = tempfile::tempdir().unwrap();
    put(&room.path().join("live.enc"), LIVE);
    put(&room.path().join("other.enc"), OTHER);
    let mut process = Process::start(room.path());
    process.wait_for("held");
    let held = process.memory();
    process.go_on();
    process.wait_for("dropped");
    let dropped = process.memory();
    process.go_on();
    assert!(process.child.wait().unwrap().success());

    let (held, dropped) = match (held, dropped) {
        (Ok(held), Ok(dropped)) => (held, dropped),
        (Err(err), _) | (_, Err(err)) => {
            let test = thread::current().name().unwrap_or_default().to_owned();
            let mut stderr = io::stderr();
            writeln!(
                stderr,
                "test {test} ... skipped: the memory of a child can't be read: {err}"
            )
            .unwrap();
            return;
        }
    };
    is_live_key(
        &private_file(&room.path().join("unwrapped"))
            .unwrap()
            .unwrap(),
    )
    .unwrap();
    is_live_key(
        &private_file(&room.path().join("other.enc"))
            .unwrap()
            .unwrap(),
    )
    .unwrap();
    let code = fs::read_to_string(room.path().join("code")).unwrap();
    is_code(&format!("{code}\n")).unwrap();

    let blob = fs::read_to_string(room.path().join("blob")).unwrap();
    let secrets = secrets(&code, &blob);
    let bytes: usize = dropped.iter().map(|(_, bytes)| bytes.len()).sum();
    println!("{} KiB in {} mappings", bytes >> 10, dropped.len());
    let seen: Vec<_> = found(&held, &secrets)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in [
        "the code",
        "the key, raw",
        "the key, base64",
        ON_TEXT,
        ON_PAGE,
    ] {
        assert!(
            seen.contains(&name),
            "the looking finds what is there: {name}"
        );
    }
    let left = found(&dropped, &secrets);
    assert!(left.is_empty(), "copies are left: {left:#?}");
}
