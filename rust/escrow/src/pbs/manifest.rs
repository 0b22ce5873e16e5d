//! Manifests: what a snapshot consists of (`index.json.blob`, `pbs-datastore/src/manifest.rs`).
//!
//! The blob is never encrypted. The signature of its JSON is HMAC-SHA256(id_key, canonical JSON without the members
//! `signature` and `unprotected`), in hexadecimal digits. `unprotected` holds notes, the state of verification and
//! `key-fingerprint`, the name of the key: a label that anybody may have written.
//!
//! The stock client accepts a manifest whose signature was taken out. Here that is a fault, as soon as anything
//! in it is encrypted or it names a key.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blob::{Buffer, Decoder, Mode, StreamError};
use super::crypt::Crypt;
use super::fault::Fault;
use super::name::{ArchiveName, BackupType, SnapshotName};
use crate::error::Error;
use crate::{Fingerprint, json};

/// The file.
pub const FILE: &str = "index.json.blob";
/// Largest manifest, stored and decoded. It bounds what parsing takes.
pub const MAX_SIZE: usize = 4 << 20;

/// How the files of a snapshot are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptMode {
    /// Not at all.
    #[default]
    None,
    /// Encrypted, and the manifest is signed.
    Encrypt,
    /// Only the manifest is signed.
    SignOnly,
}

/// How a snapshot is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// At least one file is encrypted.
    Encrypted,
    /// Nothing is encrypted, but it is signed, or says with which key.
    Signed,
    /// Neither.
    Plain,
}

/// A file of a snapshot.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileInfo {
    /// Its name.
    pub filename: ArchiveName,
    /// How it is protected.
    #[serde(default)]
    pub crypt_mode: CryptMode,
    /// Of a blob: SHA-256 of the file as it is stored. Of an index: the checksum of its entries.
    #[serde(deserialize_with = "digest")]
    pub csum: [u8; 32],
    /// Of a blob: size of the file as it is stored. Of an index: size of the decoded archive.
    pub size: u64,
}

impl FileInfo {
    /// What its blob or its chunks are.
    pub fn mode(&self) -> Mode {
        self.filename.mode(self.crypt_mode == CryptMode::Encrypt)
    }
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)
        .map_err(|_| serde::de::Error::custom("a checksum is not 64 hexadecimal digits"))?;
    Ok(digest)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Wire {
    backup_type: BackupType,
    backup_id: String,
    backup_time: i64,
    files: Vec<FileInfo>,
    #[serde(default)]
    unprotected: Unprotected,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Unprotected {
    #[serde(default)]
    key_fingerprint: Option<Fingerprint>,
}

/// A manifest that has the right form. Nothing in it is known to be true before [`Manifest::check`].
#[derive(Debug)]
pub struct Manifest {
    /// Which snapshot it says it is.
    pub snapshot: SnapshotName,
    /// What the snapshot consists of; each name once.
    pub files: Vec<FileInfo>,
    /// Which key it says it is made with.
    pub claimed: Option<Fingerprint>,
    /// In hexadecimal digits, if it is one at all.
    signature: Option<String>,
    /// What the signature is of.
    signed: Vec<u8>,
}

impl Manifest {
    /// Decodes and parses the blob in `buffer`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(buffer: &mut Buffer) -> Result<Self, Fault> {
        let mut json = Vec::new();
        match Decoder::new(None).stream(buffer, MAX_SIZE, Mode::Plain, &mut json) {
            Ok(_) => Self::parse(&json),
            Err(StreamError::Fault(fault)) => Err(fault),
            Err(StreamError::Write(err)) => Err(Fault::Unreadable(err.to_string())),
        }
    }

    /// Parses the JSON.
    ///
    /// # Errors
    /// [`Fault::Manifest`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut value: Value = json::parse(bytes, FILE).map_err(|err| match err {
            Error::Damaged { why, .. } => Fault::Manifest(why),
            err => Fault::Manifest(err.to_string()),
        })?;
        // what is signed and what is used come from one and the same value
        let wire = Wire::deserialize(&value)
            .map_err(|err| Fault::Manifest(printable(&err.to_string())))?;
        if let Some(members) = value.as_object_mut() {
            members.remove("unprotected");
            members.remove("signature");
        }
        Ok(Self {
            snapshot: wire
                .snapshot()
                .ok_or_else(|| Fault::Manifest("it names no snapshot".to_owned()))?,
            claimed: wire.unprotected.key_fingerprint,
            signature: wire.signature,
            files: each_once(wire.files)?,
            signed: json::canonical(&value),
        })
    }

    /// Is there a file of this name, with or without its suffix?
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.filename.is(name))
    }

    /// How the snapshot is protected.
    pub fn protection(&self) -> Protection {
        if self
            .files
            .iter()
            .any(|file| file.crypt_mode == CryptMode::Encrypt)
        {
            Protection::Encrypted
        } else if self.signature.is_some()
            || self.claimed.is_some()
            || self
                .files
                .iter()
                .any(|file| file.crypt_mode == CryptMode::SignOnly)
        {
            Protection::Signed
        } else {
            Protection::Plain
        }
    }

    /// Is there anything that looks like a signature?
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Is it signed with this key?
    pub fn is_signed_with(&self, crypt: &Crypt) -> bool {
        let signature = self
            .signature
            .as_deref()
            .and_then(|text| hex::decode(text).ok());
        signature.is_some_and(|signature| crypt.signed(&self.signed, &signature))
    }

    /// Does it belong to this key, by signature or by label?
    pub fn belongs_to(&self, crypt: &Crypt) -> bool {
        self.claimed == Some(crypt.fingerprint()) || self.is_signed_with(crypt)
    }

    /// All that is wrong with the manifest of `snapshot`, which should be one of this key.
    pub fn check(&self, snapshot: &SnapshotName, crypt: &Crypt) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.signature.is_none() {
            faults.push(Fault::NotSigned);
        } else if !self.is_signed_with(crypt) {
            faults.push(Fault::Signature);
        }
        if self.claimed != Some(crypt.fingerprint()) {
            let named = self
                .claimed
                .map_or_else(|| "none".to_owned(), |claimed| claimed.short());
            faults.push(Fault::Label(format!(
                "it names {named}, and it is {}",
                crypt.fingerprint().short()
            )));
        }
        faults.extend(self.check_snapshot(snapshot));
        faults
    }

    /// Is it the manifest of another snapshot?
    pub fn check_snapshot(&self, snapshot: &SnapshotName) -> Option<Fault> {
        (self.snapshot != *snapshot).then(|| Fault::OtherSnapshot(self.snapshot.to_string()))
    }
}

impl Wire {
    fn snapshot(&self) -> Option<SnapshotName> {
        SnapshotName::from_parts(self.backup_type, &self.backup_id, self.backup_time)
    }
}

/// serde's texts quote what they found: in a forged manifest that may be long, or meant for a terminal.
fn printable(text: &str) -> String {
    let shown = |c: char| c.is_ascii_graphic() || c == ' ';
    text.chars()
        .take(200)
        .map(|c| if shown(c) { c } else { '?' })
        .collect()
}

fn each_once(files: Vec<FileInfo>) -> Result<Vec<FileInfo>, Fault> {
    let mut names = HashSet::new();
    match files
        .iter()
        .find(|file| !names.insert(file.filename.as_str()))
    {
        Some(twice) => Err(Fault::Manifest(format!(
            "it lists {} twice",
            twice.filename
        ))),
        None => Ok(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::live;

    const CSUM: &str = "2448c83b42ebdbe4bfe87c0a1eef2a0e109d70ba84036286cd0d1721b67207cb";

    fn text(files: &str, rest: &str) -> String {
        format!(
            r#"{{"backup-type":"ct","backup-id":"100","backup-time":1717624800,"files":[{files}]{rest}}}"#
        )
    }

    fn file(name: &str, mode: &str) -> String {
        format!(r#"{{"filename":"{name}","crypt-mode":"{mode}","csum":"{CSUM}","size":218}}"#)
    }

    fn parse(text: &str) -> Result<Manifest, Fault> {
        Manifest::parse(text.as_bytes())
    }

    #[test]
    fn what_is_no_manifest() {
        let good = file("pct.conf.blob", "encrypt");
        parse(&text(&good, "")).unwrap();
        parse(&text(
            "",
            r#","unprotected":{"notes":"x"},"signature":null,"more":[1.5]"#,
        ))
        .unwrap();
        let named = |name: &str| text(&file(name, "none"), "");
        for bad in [
            String::new(),
            "[]".to_owned(),
            text(&good, "")[1..].to_owned(),
            text(&format!("{good},{good}"), ""),
            named("../pct.conf.blob"),
            named("pct.conf"),
            named(".blob"),
            text(&file("x.blob", "maybe"), ""),
            text(&good.replace(CSUM, &CSUM[1..]), ""),
            text(&good.replace("218", "-1"), ""),
            text(&good, "").replace("\"100\"", "\"../100\""),
            text(&good, "").replace("1717624800", "99999999999999"),
            text(&good, "").replace("\"ct\"", "\"qm\""),
            text(&good, r#","signature":7"#),
            text(&good, r#","unprotected":{"key-fingerprint":"00:11"}"#),
            text(
                &good,
                &format!(r#","deep":{}{}"#, "[".repeat(100), "]".repeat(100)),
            ),
        ] {
            assert_eq!(parse(&bad).unwrap_err().kind(), "wrong-manifest", "{bad}");
        }
    }

    #[test]
    fn protection() {
        let of = |files: &str, rest: &str| parse(&text(files, rest)).unwrap().protection();
        let label = format!(
            r#","unprotected":{{"key-fingerprint":"{}"}}"#,
            ["00"; 32].join(":")
        );
        assert_eq!(of(&file("a.blob", "none"), ""), Protection::Plain);
        assert_eq!(of(&file("a.blob", "none"), &label), Protection::Signed);
        assert_eq!(of(&file("a.blob", "sign-only"), ""), Protection::Signed);
        assert_eq!(
            of(
                &[file("a.blob", "none"), file("b.blob", "encrypt")].join(","),
                ""
            ),
            Protection::Encrypted
        );
    }

    #[test]
    fn unsigned_is_a_fault() {
        let crypt = Crypt::new(&live().open(None).unwrap());
        let label = format!(r#""key-fingerprint":"{}""#, crypt.fingerprint());
        let kinds = |rest: String| {
            let manifest = parse(&text(&file("a.blob", "encrypt"), &rest)).unwrap();
            let snapshot = "ct/100/2024-06-05T22:00:00Z".parse().unwrap();
            manifest
                .check(&snapshot, &crypt)
                .iter()
                .map(Fault::kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kinds(format!(r#","unprotected":{{{label}}}"#)),
            ["not-signed"]
        );
        assert_eq!(
            kinds(format!(r#","unprotected":{{{label}}},"signature":null"#)),
            ["not-signed"]
        );
        assert_eq!(
            kinds(format!(
                r#","unprotected":{{{label}}},"signature":"{CSUM}""#
            )),
            ["wrong-signature"]
        );
        assert_eq!(
            kinds(format!(r#","unprotected":{{{label}}},"signature":"x""#)),
            ["wrong-signature"]
        );
        assert_eq!(kinds(String::new()), ["not-signed", "wrong-fingerprint"]);
    }
}
