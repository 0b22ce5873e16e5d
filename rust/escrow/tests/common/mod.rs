//! What several tests of this crate and of the rescue tool use.
#![allow(dead_code, reason = "every test uses a part of it")]

pub mod fault;
pub mod strace;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pve_escrow::{KeyFile, RecoveryCode, seal};

/// A key file that the stock client made.
pub const LIVE: &str = include_str!("../../../../tests/vectors/keys/live.enc");
/// Another one.
pub const OTHER: &str = include_str!("../../../../tests/vectors/keys/other.enc");

/// Opens [`BLOB`].
pub const CODE: &str =
    "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";

/// The key of [`LIVE`] under [`CODE`], with the least work that scrypt knows (n = 2): it opens at once, so that a
/// test can open it some thousand times. Nothing here writes such a blob, but any power of two is read.
pub const BLOB: &str = r#"{"kdf":{"Scrypt":{"n":2,"r":8,"p":1,"salt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}},"created":"2026-11-21T19:58:34+00:00","modified":"2026-11-21T19:58:34+00:00","data":"AAECAwQFBgcICQoLDA0OD1eCxtjgUYA3aR4UmWihHuMgEprtySPNSg3dbhr1az9+z9D7YM3l8VWN71CY1D51DQ==","fingerprint":"03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b"}"#;

/// With these a test program runs its test `child` alone.
pub const CHILD: [&str; 5] = [
    "--exact",
    "child",
    "--ignored",
    "--test-threads=1",
    "--nocapture",
];

/// The member `data` of a key file, in base64: of a plain one the key.
pub fn data_of(file: &str) -> &str {
    file.split('"')
        .skip_while(|text| *text != "data")
        .nth(2)
        .unwrap()
}

/// What a check found: `Err` says what is wrong.
pub type Checked<T = ()> = Result<T, String>;

/// Fails a check.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}

/// Writes a file that is there before the test begins, with mode 0600.
pub fn put(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// The content of a file, `None` if there is none. Anything but a regular file with mode 0600 is wrong.
pub fn private_file(path: &Path) -> Checked<Option<String>> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    ensure!(
        metadata.is_file(),
        "{} is not a regular file",
        path.display()
    );
    let mode = metadata.permissions().mode() & 0o7777;
    ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
    let content = fs::read(path).map_err(|err| err.to_string())?;
    String::from_utf8(content)
        .map(Some)
        .map_err(|err| err.to_string())
}

/// `content` is [`LIVE`] in every byte, except for the time of its making.
pub fn is_live_key(content: &str) -> Checked {
    let without_time = |content: &str| {
        let (before, after) = content.split_once(r#""modified":""#)?;
        Some((before.to_owned(), after.get(25..)?.to_owned()))
    };
    let same = without_time(content).is_some() && without_time(content) == without_time(LIVE);
    ensure!(same, "not the whole key file: {content:?}");
    Ok(())
}

/// `content` is one line of ten words.
pub fn is_code(content: &str) -> Checked<RecoveryCode> {
    let code = RecoveryCode::parse(content).map_err(|err| format!("{err}: {content:?}"))?;
    ensure!(
        content == format!("{}\n", code.as_str()),
        "not the code and a newline: {content:?}"
    );
    Ok(code)
}

/// `code` opens `blob`, and the key of [`LIVE`] is in it.
pub fn opens_to_live_key(blob: &str, code: &RecoveryCode) -> Checked {
    let open = || {
        let blob = KeyFile::parse(blob.as_bytes(), "the blob")?;
        let live = KeyFile::parse(LIVE.as_bytes(), "the live key")?.open(None)?;
        Ok(seal::unwrap(&blob, code, None)?.key == live)
    };
    match open() {
        Ok(same) => same
            .then_some(())
            .ok_or_else(|| "another key is in the blob".to_owned()),
        Err(err @ pve_escrow::Error::WrongCode { .. }) => Err(err.to_string()),
        Err(err) => Err(format!("{err}: {blob:?}")),
    }
}
