//! What the texts of the client mean. It exits with 255 for every error, so the text is all there is to tell them apart
//! (proxmox-backup 3.2.4: `pbs-datastore/src/manifest.rs`, `pbs-client`, `src/api2`).

use std::fmt;

/// Why the client did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The snapshot was made with another key than the one that was given.
    WrongKey,
    /// The snapshot needs a key, and none was given.
    MissingKey,
    /// What was given as a key can't be used as one.
    NoKey,
    /// What the server has is not what was written.
    Damaged,
    /// There is no such snapshot, or no such archive in it.
    Gone,
    /// It is one half of an archive that the client gives out as files only.
    Split,
    /// The snapshot belongs to another user of the server.
    Owner,
    /// The server does not let this user in, or not there.
    Login,
    /// The server, or the server that is meant, can't be reached.
    Unreachable,
    /// It was silent for too long, or too slow, and was killed.
    TimedOut,
    /// It said more than it may.
    Flooded,
    /// A signal ended it.
    Killed,
    /// The client is not installed, or can't be started.
    NoClient,
    /// The group has a snapshot of this time, or of a later one.
    NotNewer,
    /// Somebody else writes or removes it just now.
    Locked,
    /// Something else.
    Other,
}

/// Parts of a text, with `…` between them, and what they mean. The first that occur count.
const TEXTS: &[(&str, Refusal)] = &[
    ("wrong key - ", Refusal::WrongKey),
    ("missing key - ", Refusal::MissingKey),
    ("no password input mechanism available", Refusal::NoKey),
    ("Unable to decrypt key", Refusal::NoKey),
    ("Passphrase is too short", Refusal::NoKey),
    ("KeyConfig contains wrong fingerprint", Refusal::NoKey),
    ("wrong signature in manifest", Refusal::Damaged),
    ("wrong checksum for file", Refusal::Damaged),
    ("wrong size for file", Refusal::Damaged),
    ("wrong CRC checksum", Refusal::Damaged),
    ("detected chunk with wrong digest", Refusal::Damaged),
    ("CryptMode don't match", Refusal::Damaged),
    ("Unknown frame descriptor", Refusal::Damaged),
    ("Failed to parse chunk", Refusal::Damaged),
    ("OpenSSL error", Refusal::Damaged),
    ("blob too small", Refusal::Damaged),
    ("index too small", Refusal::Damaged),
    ("/.chunks/…No such file", Refusal::Damaged),
    // the server holds a snapshot as long as it is read: a manifest, and not what it lists
    ("Unable to open…No such file", Refusal::Damaged),
    ("index.json.blob\" failed - not found", Refusal::Gone),
    (".blob\" failed - not found", Refusal::Damaged),
    ("/owner\" - No such file", Refusal::Gone),
    ("ENOENT: No such file", Refusal::Gone),
    ("namespace not found", Refusal::Gone),
    ("unable to parse", Refusal::Damaged),
    ("owner check failed", Refusal::Owner),
    ("manifest does not contain file", Refusal::Gone),
    ("unable to pipe split archive", Refusal::Split),
    ("does not exist", Refusal::Gone),
    ("older than last backup", Refusal::NotNewer),
    ("unable to acquire lock", Refusal::Locked),
    ("authentication failed", Refusal::Login),
    ("permission check failed", Refusal::Login),
    ("API token secret must be provided", Refusal::Login),
    ("401 Unauthorized", Refusal::Login),
    ("no permission", Refusal::Login),
    ("missing permission", Refusal::Login),
    ("maintenance mode", Refusal::Unreachable),
    ("ertificate fingerprint", Refusal::Unreachable),
    ("certificate of the server", Refusal::Unreachable),
    ("certificate verify failed", Refusal::Unreachable),
    ("certificate validation failed", Refusal::Unreachable),
    ("error trying to connect", Refusal::Unreachable),
    ("client error (Connect)", Refusal::Unreachable),
    ("onnection refused", Refusal::Unreachable),
    ("onnection reset", Refusal::Unreachable),
    ("stream closed because", Refusal::Unreachable),
    ("No route to host", Refusal::Unreachable),
    ("failed to lookup address", Refusal::Unreachable),
    ("timed out", Refusal::Unreachable),
    ("deadline has elapsed", Refusal::Unreachable),
];

impl Refusal {
    /// What the text of an error means.
    pub fn of(text: &str) -> Self {
        TEXTS
            .iter()
            .find(|(parts, _)| parts.split('…').all(|part| text.contains(part)))
            .map_or(Self::Other, |(_, refusal)| *refusal)
    }

    /// A word for programs; it does not change.
    pub fn kind(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong-key",
            Self::MissingKey => "missing-key",
            Self::NoKey => "no-key",
            Self::Damaged => "damaged",
            Self::Gone => "gone",
            Self::Split => "split",
            Self::Owner => "owner",
            Self::Login => "login",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Flooded => "flooded",
            Self::Killed => "killed",
            Self::NoClient => "no-client",
            Self::NotNewer => "not-newer",
            Self::Locked => "locked",
            Self::Other => "other",
        }
    }

    /// Does it say something of the data or the key? Else nothing is known of them.
    pub fn is_finding(self) -> bool {
        matches!(self, Self::WrongKey | Self::Damaged)
    }

    /// Will the next call have the same answer, whatever it asks for?
    pub fn is_of_server(self) -> bool {
        matches!(self, Self::Login | Self::Unreachable | Self::NoClient)
    }
}

/// A refusal and the client's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it means.
    pub refusal: Refusal,
    /// In words, on one line.
    pub text: String,
}

impl Refused {
    /// What a failed client wrote to standard error: the last error counts.
    pub fn from_stderr(stderr: &str) -> Self {
        let line = stderr
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("Error: "))
            .or_else(|| stderr.lines().rev().find(|line| !line.trim().is_empty()))
            .unwrap_or("it gave no reason");
        // it says so before that, and ends with a line of OpenSSL's source code
        let other_certificate = line.contains("certificate verify failed")
            && stderr.contains("fingerprint does not match expected fingerprint");
        let line = if other_certificate {
            "the certificate of the server is not the one whose fingerprint is expected"
        } else {
            line
        };
        Self {
            refusal: Refusal::of(line),
            text: on_one_line(line),
        }
    }

    pub(super) fn new(refusal: Refusal, text: impl Into<String>) -> Self {
        Self {
            refusal,
            text: text.into(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// It may quote what a server sent.
fn on_one_line(text: &str) -> String {
    text.chars()
        .take(300)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_client() {
        for (text, kind) in [
            (
                "Error: missing key - manifest was created with key 40:90:0d:79:c2:6f:c7:04",
                "missing-key",
            ),
            (
                "Using encryption key\nError: wrong key - unable to verify signature since manifest's key 40:90 does not match provided key 00:47",
                "wrong-key",
            ),
            (
                "Error: Unable to decrypt key (wrong password?) - OpenSSL error",
                "no-key",
            ),
            ("Error: no password input mechanism available", "no-key"),
            (
                "Error: Failed to parse chunk 00ff - OpenSSL error",
                "damaged",
            ),
            ("Error: wrong signature in manifest", "damaged"),
            (
                "Error: snapshot ct/9001/2020-01-01T00:00:00Z does not exist.",
                "gone",
            ),
            ("Error: backup owner check failed (a@pbs != b@pbs)", "owner"),
            (
                "Error: error trying to connect: tcp connect error: Connection refused (os error 111)",
                "unreachable",
            ),
            (
                "Error: permission check failed - missing Datastore.Read",
                "login",
            ),
            ("", "other"),
            ("thread 'main' panicked at x.rs:1", "other"),
        ] {
            assert_eq!(Refused::from_stderr(text).refusal.kind(), kind, "{text}");
        }
        let refused = Refused::from_stderr("Error: a\u{1b}[2Jb\nError: last\n\n");
        assert_eq!(refused.text, "last");
        assert_eq!(Refused::from_stderr("Error: a\u{1b}b").text, "a b");
    }

    /// As the client and the server 3.2.4 said it, with the datastore in `/store`; split archives came with 3.3.
    #[test]
    fn texts_of_a_server_in_trouble() {
        for (text, kind) in [
            (
                r#"reading file "/store/.chunks/f3fb/f3fbd6e9" failed: No such file or directory (os error 2)"#,
                "damaged",
            ),
            (
                r#"reading file "/store/.chunks/f3fb/f3fbd6e9" failed: Permission denied (os error 13)"#,
                "other",
            ),
            (
                "Failed to parse chunk f3fbd6e9 - blob too small (0 bytes).",
                "damaged",
            ),
            (
                r#"Unable to open fixed index "/store/vm/200/2026-11-25T16:50:49Z/drive-scsi0.img.fidx" - No such file or directory (os error 2)"#,
                "damaged",
            ),
            (
                r#"Unable to open dynamic index "/store/ct/100/2026-11-25T16:50:49Z/root.pxar.didx" - index too small (0)"#,
                "damaged",
            ),
            (
                r#"open file "/store/vm/200/2026-11-25T16:50:49Z/qemu-server.conf.blob" failed - not found"#,
                "damaged",
            ),
            (
                r#"open file "/store/vm/200/2026-11-25T16:50:49Z/index.json.blob" failed - not found"#,
                "gone",
            ),
            (
                "wrong size for file 'qemu-server.conf.blob' (222 != 217)",
                "damaged",
            ),
            ("Data blob has wrong CRC checksum.", "damaged"),
            ("blob too small (0 bytes).", "damaged"),
            (
                r#"unable to read "/store/vm/999/owner" - No such file or directory (os error 2)"#,
                "gone",
            ),
            ("ENOENT: No such file or directory", "gone"),
            ("namespace not found", "gone"),
            ("backup owner check failed!", "owner"),
            ("no permissions on /datastore/store", "login"),
            (
                "missing permissions 'Datastore.Backup' on '/datastore/store'",
                "login",
            ),
            (
                "authentication failed - user account or token disabled or expired.",
                "login",
            ),
            (
                "datastore 'store' is in offline maintenance mode: moving",
                "unreachable",
            ),
            ("backup timestamp is older than last backup.", "not-newer"),
            (
                r#"unable to acquire lock on backup group directory "/store/vm/700" - another backup is already running"#,
                "locked",
            ),
            ("unable to pipe split archive", "split"),
            ("stream closed because of a broken pipe", "unreachable"),
            (
                "error trying to connect: error connecting to https://nohost.invalid:8007/ - dns error: failed to lookup address information: Name or service not known",
                "unreachable",
            ),
        ] {
            let refused = Refused::from_stderr(&format!("Error: {text}\n"));
            assert_eq!(refused.refusal.kind(), kind, "{text}");
            assert_eq!(refused.text, text);
        }
    }

    #[test]
    fn another_certificate() {
        let refused = Refused::from_stderr(
            "WARNING: certificate fingerprint does not match expected fingerprint!\nexpected:    cd:67\ncertificate validation failed - Certificate fingerprint was not confirmed.\nError: error trying to connect: error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/statem/statem_clnt.c:1889:\n",
        );
        assert_eq!(refused.refusal.kind(), "unreachable");
        assert_eq!(
            refused.text,
            "the certificate of the server is not the one whose fingerprint is expected"
        );
    }
}
