//! Kits: what may leave the cluster. Blobs, where the backups are, and no secret.
//!
//! A member more or less is another version: an unknown one is an error, since the MAC would not cover it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::mac::Authentic;
use crate::record::Seal;
use crate::{Fingerprint, Key, KeyFile, file, json};

/// The version that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Where backups made with a key are.
///
/// Out of a kit it may be used only after [`Kit::verify`]: else somebody could lead a secret to a server of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Connection {
    /// Host name or address.
    pub server: String,
    /// TCP port, if not 8007.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Datastore on that server.
    pub datastore: String,
    /// Namespace in that datastore, if not the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// User or API token, as `user@realm` or `user@realm!token`.
    pub username: String,
    /// SHA-256 of the server's certificate, colon hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// How far a node's evidence had come when a kit was made: whoever changes what was written until then, is found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evidence {
    /// Which chain of events.
    pub chain: String,
    /// Events in it.
    pub count: u64,
    /// SHA-256 of the last one, hexadecimal; each holds that of the one before.
    pub hash: String,
    /// Whose chain it is.
    pub node: String,
}

/// Everything but the recovery code that is needed to get a key and its backups back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kit {
    /// Format of the kit.
    pub version: u32,
    /// The key, as its maker computed it; out of a kit a label.
    pub fingerprint: Fingerprint,
    /// The sealed keys: each opens with a recovery code of its own.
    pub seals: Vec<Seal>,
    /// Name of the storage that the backups are on, in the cluster that made the kit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Where the backups are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// When the kit was made, `2026-11-21T19:31:17+00:00`.
    pub created: String,
    /// Name and version of the program that made it.
    pub program: String,
    /// How far the evidence of the node that made it had come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Authenticates all of the above; 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// The sealed keys in a kit or a record, each for a code of its own, or the one in a blob by itself; at least one.
///
/// Nothing is authenticated, and need not be: a code opens a blob, or it does not.
///
/// # Errors
/// As [`KeyFile::parse`], if there is none that can be tried.
pub fn blobs(bytes: &[u8], what: &str) -> Result<Vec<KeyFile>> {
    #[derive(Deserialize)]
    struct Sealed {
        blob: String,
    }
    #[derive(Deserialize)]
    struct Several {
        seals: Vec<Sealed>,
    }
    let seals = json::parse(bytes, what).map_or_else(|_| Vec::new(), |Several { seals }| seals);
    let mut failure = None;
    let mut blobs = Vec::new();
    for seal in seals {
        match KeyFile::parse(seal.blob.as_bytes(), what) {
            Ok(blob) => blobs.push(blob),
            Err(err) => failure = Some(err),
        }
    }
    match failure {
        _ if !blobs.is_empty() => Ok(blobs),
        Some(err) => Err(err),
        None => Ok(vec![KeyFile::parse(bytes, what)?]),
    }
}

impl Authentic for Kit {
    const PURPOSE: &'static str = "pve-escrow kit 1";
    const NAME: &'static str = "the kit";

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

impl Kit {
    /// Reads a kit: a regular file of at most 64 KiB. Its content is not to be trusted before [`Kit::verify`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Damaged`]; [`Error::Unsupported`] for one of a later version.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path)?, &path.display().to_string())
    }

    /// Parses the content of a kit that messages will call `what`.
    ///
    /// # Errors
    /// As [`Kit::read`].
    pub fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        json::check_version(bytes, what, VERSION)?;
        json::parse(bytes, what)
    }

    /// Authenticates the kit with the key that is sealed in it.
    pub fn sign(&mut self, key: &Key) {
        Authentic::sign(self, key);
    }

    /// Is it as a holder of `key` made it?
    ///
    /// # Errors
    /// [`Error::Damaged`] without a MAC or with a wrong one: then only the blobs may be used, never the connection.
    pub fn verify(&self, key: &Key) -> Result<()> {
        let computed = Fingerprint::of(key);
        if self.fingerprint != computed {
            return Err(Error::FingerprintDiffers {
                needed: self.fingerprint.to_string(),
                offered: computed,
            });
        }
        Authentic::verify(self, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::live;

    fn kit() -> Kit {
        let key = live().open(None).unwrap();
        let mut kit = Kit {
            version: VERSION,
            fingerprint: Fingerprint::of(&key),
            seals: vec![Seal::new("00000001", "root@pam", "{}")],
            connection: Some(Connection {
                server: "backup.example".into(),
                datastore: "store1".into(),
                username: "root@pam!pve".into(),
                ..Connection::default()
            }),
            created: "2026-11-21T19:31:17+00:00".into(),
            program: "pve-escrow 0.1.0".into(),
            storage: Some("vault".to_owned()),
            evidence: Some(Evidence {
                chain: "0123456789abcdef".into(),
                count: 17,
                hash: "ab".repeat(32),
                node: "pve1".into(),
            }),
            mac: None,
        };
        kit.sign(&key);
        kit
    }

    #[test]
    fn every_change_is_found() {
        let key = live().open(None).unwrap();
        let text = serde_json::to_string(&kit()).unwrap();
        Kit::parse(text.as_bytes(), "kit")
            .unwrap()
            .verify(&key)
            .unwrap();

        for (from, to) in [
            ("backup.example", "evil.example"),
            ("store1", "store2"),
            ("root@pam!pve", "evil@pbs"),
            ("19:31:17", "19:31:18"),
            ("00000001", "00000002"),
            (r#""blob":"{}""#, r#""blob":"[]""#),
            (r#""version":1"#, r#""version":0"#),
            (r#""count":17"#, r#""count":16"#),
            (r#""pve1""#, r#""pve2""#),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            let kit = Kit::parse(changed.as_bytes(), "kit").unwrap();
            assert!(
                matches!(kit.verify(&key), Err(Error::Damaged { .. })),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn needs_a_mac_and_the_right_key() {
        let key = live().open(None).unwrap();
        let mut kit = kit();
        kit.mac = None;
        assert!(kit.verify(&key).unwrap_err().to_string().contains("no MAC"));

        let other = Key::from_slice(&[7; 32]).unwrap();
        assert!(matches!(
            kit.verify(&other),
            Err(Error::FingerprintDiffers { .. })
        ));
    }

    #[test]
    fn evidence_may_be_missing() {
        let key = live().open(None).unwrap();
        let mut kit = kit();
        kit.evidence = None;
        kit.sign(&key);
        let text = serde_json::to_string(&kit).unwrap();
        assert!(!text.contains("evidence"));
        Kit::parse(text.as_bytes(), "kit")
            .unwrap()
            .verify(&key)
            .unwrap();
    }

    #[test]
    fn a_later_version_is_refused() {
        let text = serde_json::to_string(&kit())
            .unwrap()
            .replace(r#""version":1"#, r#""version":2"#);
        assert!(matches!(
            Kit::parse(text.as_bytes(), "kit"),
            Err(Error::Unsupported { .. })
        ));
    }
}
