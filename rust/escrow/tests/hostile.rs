//! Files that somebody made to do harm: each is refused at once and in bounded memory.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

use pve_escrow::{Error, KeyFile, file};

const KEY: &str = "LBkN6ubc+W6/hsU3Rt91++jKCQMk44sPwaRMexWXcqA=";
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn plain(members: &str) -> String {
    format!(
        r#"{{"kdf":null,"created":"2026-11-21T19:31:17+00:00","modified":"2026-11-21T19:31:17+00:00",{members}}}"#
    )
}

fn sealed(kdf: &str) -> String {
    let data = "A".repeat(86) + "==";
    format!(
        r#"{{"kdf":{kdf},"created":"2026-11-21T19:31:17+00:00","modified":"2026-11-21T19:31:17+00:00","data":"{data}"}}"#
    )
}

fn scrypt(n: &str, r: &str, p: &str) -> String {
    sealed(&format!(
        r#"{{"Scrypt":{{"n":{n},"r":{r},"p":{p},"salt":"{SALT}"}}}}"#
    ))
}

fn refuse(what: &str, content: &[u8]) -> String {
    let err = KeyFile::parse(content, "x.enc").expect_err(what);
    assert!(
        matches!(err, Error::Damaged { .. } | Error::Unsupported { .. }),
        "{what}: {err:?}"
    );
    let text = err.to_string();
    assert!(
        !text.contains("LBkN"),
        "{what}: no text repeats a key: {text}"
    );
    text
}

#[test]
fn contents() {
    KeyFile::parse(plain(&format!(r#""data":"{KEY}""#)).as_bytes(), "sound").unwrap();
    let deep = format!(
        r#""data":"{KEY}","x":{}{}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for (what, members, why) in [
        ("no data", r#""hint":"x""#, "missing field `data`"),
        ("0 bytes", r#""data":"""#, "holds 0 bytes, not 32"),
        (
            "31 bytes",
            r#""data":"LBkN6ubc+W6/hsU3Rt91++jKCQMk44sPwaRMexWXcg==""#,
            "holds 31 bytes, not 32",
        ),
        (
            "64 bytes without kdf",
            &format!(r#""data":"{}""#, "A".repeat(86) + "=="),
            "holds 64 bytes, not 32",
        ),
        (
            "no padding",
            &format!(r#""data":"{}""#, &KEY[..43]),
            "not base64",
        ),
        (
            "url-safe base64",
            r#""data":"LBkN6ubc-W6_hsU3Rt91--jKCQMk44sPwaRMexWXcqA=""#,
            "not base64",
        ),
        (
            "newline in base64",
            &format!(r#""data":"{}\n{}""#, &KEY[..4], &KEY[4..]),
            "not base64",
        ),
        (
            "NUL in a text",
            &format!(r#""data":"{KEY}\u0000""#),
            "not base64",
        ),
        (
            "raw NUL",
            &format!("\"data\":\"{KEY}\0\""),
            "not JSON at line 1 column",
        ),
        (
            "data is a number",
            r#""data":5"#,
            "wrong type or form at line 1 column",
        ),
        (
            "data is a list",
            &format!(r#""data":["{KEY}"]"#),
            "wrong type or form",
        ),
        (
            "data twice",
            &format!(r#""data":"{KEY}","data":"{KEY}""#),
            "duplicate field `data`",
        ),
        (
            "kdf twice",
            &format!(r#""data":"{KEY}","kdf":null"#),
            "duplicate field `kdf`",
        ),
        ("deep nesting", &deep, "nested deeper than 16 levels"),
        (
            "fingerprint too short",
            &format!(r#""data":"{KEY}","fingerprint":"40:90""#),
            "fingerprint is not 32 bytes",
        ),
        (
            "long hint",
            &format!(r#""data":"{KEY}","hint":"{}""#, "x".repeat(1025)),
            "hint is longer",
        ),
    ] {
        let text = refuse(what, plain(members).as_bytes());
        assert!(text.contains(why), "{what}: {text}");
    }
    for (what, content) in [
        ("empty", ""),
        ("blank", "  \n"),
        ("no object", "[]"),
        ("a text", "\"kdf\""),
        ("cut off", r#"{"kdf":null,"created":"2026"#),
        (
            "two documents",
            &(plain(&format!(r#""data":"{KEY}""#)) + "{}"),
        ),
        ("kdf by name", &sealed("\"none\"")),
        ("unknown kdf", &sealed(r#"{"Argon2":{}}"#)),
        (
            "no time",
            r#"{"kdf":null,"created":"today","modified":"today","data":"x"}"#,
        ),
        ("only nesting", &"[".repeat(60_000)),
    ] {
        refuse(what, content.as_bytes());
    }
    refuse("not UTF-8", b"{\"kdf\":null,\"created\":\"\xff\"}");
}

#[test]
fn work_factors() {
    KeyFile::parse(scrypt("65536", "8", "1").as_bytes(), "sound").unwrap();
    for (n, r, p) in [
        ("0", "8", "1"),
        ("1", "8", "1"),
        ("65535", "8", "1"),
        ("-65536", "8", "1"),
        ("65536.0", "8", "1"),
        ("1099511627776", "8", "1"),
        ("9223372036854775808", "8", "1"),
        ("18446744073709551616", "8", "1"),
        ("65536", "4294967295", "4294967295"),
        ("65536", "18446744073709551615", "18446744073709551615"),
        ("65536", "8", "1073741824"),
        ("65536", "0", "0"),
        ("\"65536\"", "8", "1"),
    ] {
        refuse(
            &format!("n = {n}, r = {r}, p = {p}"),
            scrypt(n, r, p).as_bytes(),
        );
    }
    for kdf in [
        format!(r#"{{"PBKDF2":{{"iter":0,"salt":"{SALT}"}}}}"#),
        format!(r#"{{"PBKDF2":{{"iter":4294967295,"salt":"{SALT}"}}}}"#),
        r#"{"PBKDF2":{"iter":65535,"salt":""}}"#.to_owned(),
        r#"{"PBKDF2":{"iter":65535,"salt":"AAAA"}}"#.to_owned(),
    ] {
        refuse(&kdf, sealed(&kdf).as_bytes());
    }
}

#[test]
fn tolerated_as_the_client_does() {
    let member = format!(r#""data":"{KEY}""#);
    for (what, content) in [
        ("trailing newline", plain(&member) + "\n"),
        (
            "pretty",
            plain(&member)
                .replace(',', ",\n  ")
                .replace(':', ": ")
                .replace(": 31: 17", ":31:17")
                .replace("19: ", "19:")
                .replace("+00: 00", "+00:00"),
        ),
        (
            "unknown members",
            plain(&format!(r#"{member},"x":{{"y":[1,2,{{}}]}}"#)),
        ),
        ("no kdf", plain(&member).replace(r#""kdf":null,"#, "")),
        (
            "escaped slash",
            plain(&format!(r#""data":"{}""#, KEY.replace('/', "\\/"))),
        ),
        ("other offset", plain(&member).replace("+00:00", "-11:30")),
        ("Z", plain(&member).replace("+00:00", "Z")),
    ] {
        let file = KeyFile::parse(content.as_bytes(), what).unwrap_or_else(|err| panic!("{err}"));
        assert!(file.open(None).is_ok(), "{what}");
    }
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(fs::metadata(path).unwrap().file_type().is_fifo());
}

#[test]
fn kinds_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fifo(&path("fifo"));
    fs::create_dir(path("directory")).unwrap();
    symlink(path("loop"), path("loop")).unwrap();
    // sparse: takes no room, but would take as much memory as it is long
    File::create(path("large"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    let mut file = File::create(path("64 KiB")).unwrap();
    file.write_all(&vec![b' '; 64 * 1024]).unwrap();
    fs::copy(path("64 KiB"), path("and one")).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(path("and one"))
        .unwrap()
        .write_all(b" ")
        .unwrap();

    for (name, why) in [
        ("fifo", "not a regular file"),
        ("directory", "not a regular file"),
        ("large", "more than 65536 bytes"),
        ("and one", "more than 65536 bytes"),
        ("64 KiB", "ends too early"),
        ("loop", "Too many levels of symbolic links"),
        ("absent", "No such file or directory"),
    ] {
        let text = KeyFile::read(&path(name)).unwrap_err().to_string();
        assert!(text.contains(why), "{name}: {text}");
        assert!(text.contains(name), "{name}: {text}");
    }
    for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
        assert!(KeyFile::read(Path::new(device)).is_err(), "{device}");
    }
}

#[test]
fn a_link_is_read_but_never_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let live = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/keys/live.enc");
    symlink(&live, path("link")).unwrap();
    KeyFile::read(&path("link")).unwrap();

    symlink(path("nowhere"), path("dangling")).unwrap();
    for name in ["link", "dangling"] {
        assert!(
            matches!(file::write_new(&path(name), b"x"), Err(Error::Exists(_))),
            "{name}"
        );
        assert!(path(name).is_symlink(), "{name}");
    }
    assert!(!path("nowhere").exists());
    file::Staged::new(&path("dangling"), b"x")
        .unwrap()
        .replace()
        .unwrap();
    assert!(!path("dangling").is_symlink() && !path("nowhere").exists());
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        2,
        "no temporary file is left"
    );
}

#[test]
fn streams_are_bounded() {
    let endless = std::io::repeat(b'x');
    let text = file::read_stream(endless, "standard input")
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("standard input") && text.contains("more than 65536 bytes"),
        "{text}"
    );
    assert_eq!(
        *file::read_stream(&b"abacus"[..], "standard input").unwrap(),
        b"abacus"
    );
}
