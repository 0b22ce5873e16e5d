//! Records: what a cluster remembers of one key, whatever storages use it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Result;
use crate::kit::Connection;
use crate::mac::Authentic;
use crate::{Fingerprint, Key, file, json};

/// The version that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// A key sealed under one recovery code. All times are of the form `2026-11-21T19:31:17+00:00`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Seal {
    /// Tells it from the other seals of its key.
    pub id: String,
    /// Who holds the code, or where it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The user who made it.
    pub by: String,
    /// When.
    pub created: String,
    /// The sealed key file, byte for byte.
    pub blob: String,
    /// When its code was first typed back and opened it. Without, the seal is pending and protects nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<String>,
    /// When its code last opened it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<String>,
    /// When a newer seal took its place. Its code still opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded: Option<String>,
    /// When it was given up: pending, or on somebody's order. The blob stays, for its code may still be somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

/// All seals of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// Format of the record.
    pub version: u32,
    /// The key.
    pub fingerprint: Fingerprint,
    /// Its seals, oldest first.
    pub seals: Vec<Seal>,
    /// Where backups made with it are.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// Authenticates all of the above and `more`; 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Members that this version does not know, kept when it writes the record.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Authentic for Record {
    const PURPOSE: &'static str = "pve-escrow record 1";
    const NAME: &'static str = "the record";

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn mac(&self) -> Option<&str> {
        self.mac.as_deref()
    }

    fn set_mac(&mut self, mac: String) {
        self.mac = Some(mac);
    }
}

impl Seal {
    /// A pending seal, made now.
    pub fn new(id: &str, by: &str, blob: &str) -> Self {
        Self {
            id: id.to_owned(),
            label: None,
            by: by.to_owned(),
            created: crate::keyfile::timestamp(&crate::keyfile::now()),
            blob: blob.to_owned(),
            confirmed: None,
            last_verified: None,
            superseded: None,
            dropped: None,
        }
    }
}

impl Record {
    /// An empty record.
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self {
            version: VERSION,
            fingerprint,
            seals: Vec::new(),
            connections: Vec::new(),
            mac: None,
            more: Map::new(),
        }
    }

    /// Reads a record: a regular file of at most 64 KiB.
    ///
    /// # Errors
    /// As [`crate::kit::Kit::read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path)?, &path.display().to_string())
    }

    /// Parses the content of a record that messages will call `what`.
    ///
    /// # Errors
    /// As [`Record::read`].
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        json::check_version(bytes, what, VERSION)?;
        json::parse(bytes, what)
    }

    /// Authenticates the record with its key.
    pub fn sign(&mut self, key: &Key) {
        Authentic::sign(self, key);
    }

    /// Is it as a holder of `key` made it?
    ///
    /// # Errors
    /// [`crate::Error::Damaged`] without a MAC or with a wrong one.
    pub fn verify(&self, key: &Key) -> Result<()> {
        Authentic::verify(self, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::tests::live;

    #[test]
    fn keeps_what_it_does_not_know() {
        let key = live().open(None).unwrap();
        let mut record = Record::new(Fingerprint::of(&key));
        record.seals.push(Seal::new("1", "root@pam", "{}"));
        record
            .more
            .insert("proofs".into(), serde_json::json!([{"result": "valid"}]));
        record.sign(&key);

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        file::write_new(&path, &serde_json::to_vec(&record).unwrap()).unwrap();
        let read = Record::read(&path).unwrap();
        assert_eq!(read, record);
        read.verify(&key).unwrap();

        let mut changed = read.clone();
        changed.more.insert("proofs".into(), Value::Null);
        assert!(matches!(changed.verify(&key), Err(Error::Damaged { .. })));
        let mut changed = read;
        changed.seals[0].confirmed = Some(changed.seals[0].created.clone());
        assert!(matches!(changed.verify(&key), Err(Error::Damaged { .. })));
    }
}
