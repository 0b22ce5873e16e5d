//! A new master key, and where the private half has no business.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOOL: &str = env!("CARGO_BIN_EXE_pve-escrow-rescue");
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors");

fn run(command: &mut Command, room: &Path) -> Output {
    command.current_dir(room).output().unwrap()
}

fn tool(room: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(Command::new(TOOL).args(arguments), room);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn names(room: &Path) -> Vec<String> {
    let entries = fs::read_dir(room).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_one_opens_what_openssl_wraps() {
    let room = tempfile::tempdir().unwrap();
    let room = room.path();
    fs::write(room.join("pass"), "of the safe\nnot this line\n").unwrap();
    let arguments = [
        "master-key",
        "create",
        "--out",
        ".",
        "--passphrase-in",
        "pass",
    ];
    let (status, stdout, stderr) = tool(room, &arguments);
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(
        names(room),
        ["master-private.pem", "master-public.pem", "pass"]
    );
    let mode = fs::metadata(room.join("master-private.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let (status, checked, stderr) = tool(room, &["master-key", "check", "master-public.pem"]);
    assert_eq!((status, &checked), (Some(0), &stdout), "{stderr}");

    let key = PathBuf::from(VECTORS).join("keys/live.enc");
    let wrapped = run(
        Command::new("openssl")
            .args([
                "pkeyutl",
                "-encrypt",
                "-pubin",
                "-inkey",
                "master-public.pem",
                "-out",
                "wrapped",
                "-in",
            ])
            .arg(key),
        room,
    );
    assert!(wrapped.status.success(), "{wrapped:?}");
    let open = [
        "master-key",
        "open",
        "--private",
        "master-private.pem",
        "wrapped",
        "--out",
        "key",
        "--passphrase-in",
        "pass",
    ];
    let (status, stdout, stderr) = tool(room, &open);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.starts_with("03:6b:8f:61:0c:da:d8:85:"), "{stdout}");
    let mode = fs::metadata(room.join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // what another master key wrapped
    let other = format!("{VECTORS}/rsa-encrypted/ct100.rsa-encrypted.key");
    let open = [
        "master-key",
        "open",
        "--private",
        "master-private.pem",
        &other,
        "--out",
        "none",
        "--passphrase-in",
        "pass",
    ];
    let (status, stdout, stderr) = tool(room, &open);
    assert_eq!((status, &*stdout), (Some(3), ""), "{stderr}");
    assert!(
        stderr.starts_with("error: wrong master key for "),
        "{stderr}"
    );
    assert!(!room.join("none").exists());
}

#[test]
fn nothing_is_made_where_it_can_not_be_kept() {
    let room = tempfile::tempdir().unwrap();
    let room = room.path();
    fs::write(room.join("pass"), "of the safe\n").unwrap();
    fs::write(room.join("short"), "1234\n").unwrap();
    fs::create_dir(room.join("half")).unwrap();
    std::os::unix::fs::symlink("nowhere", room.join("half/master-public.pem")).unwrap();
    for (out, pass, status, words) in [
        ("half", "pass", 6, "half/master-public.pem exists already"),
        (".", "short", 1, "5 to 1024 bytes"),
        (".", "absent", 1, "cannot read absent"),
    ] {
        let (is, stdout, stderr) = tool(
            room,
            &[
                "master-key",
                "create",
                "--out",
                out,
                "--passphrase-in",
                pass,
            ],
        );
        assert_eq!((is, &*stdout), (Some(status), ""), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
    assert_eq!(names(room), ["half", "pass", "short"]);
    assert_eq!(names(&room.join("half")), ["master-public.pem"]);
}

/// In a mount namespace where this machine looks like a node.
#[test]
fn a_node_is_no_place_for_the_private_half() {
    let room = tempfile::tempdir().unwrap();
    let on_a_node = |arguments: &str| {
        let script =
            format!("mount -t tmpfs none /etc && mkdir /etc/pve && exec {TOOL} {arguments}");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
        let output = run(&mut command, room.path());
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let trial = Command::new("unshare")
        .args([
            "--mount",
            "--map-root-user",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/etc",
        ])
        .output();
    if !trial.is_ok_and(|trial| trial.status.success()) {
        eprintln!("skipped: mount namespaces are not allowed here");
        return;
    }
    const WARNING: &str = "warning: this is a node of Proxmox VE";
    let open = format!(
        "master-key open --private {VECTORS}/master/master-private.pem --passphrase-in {VECTORS}/master/passphrase \
         {VECTORS}/rsa-encrypted/ct100.rsa-encrypted.key --out key"
    );
    let (status, stderr) = on_a_node(&open);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.starts_with(WARNING), "{stderr}");
    let (status, stderr) = on_a_node("master-key create --out . --passphrase-in /nowhere");
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.starts_with(WARNING), "{stderr}");
    let check = format!("master-key check {VECTORS}/master/master-public.pem");
    let (status, stderr) = on_a_node(&check);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        !stderr.contains(WARNING),
        "the public half belongs there: {stderr}"
    );
}
