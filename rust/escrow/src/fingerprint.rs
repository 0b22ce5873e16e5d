//! Fingerprints: the public names of keys.
//!
//! `id_key = PBKDF2-HMAC-SHA256(key, "_id_key", 10 iterations, 32 bytes)`, and the fingerprint is
//! `SHA-256(SHA-256("Proxmox Backup Encryption Key Fingerprint") || id_key)`; both as in
//! proxmox-backup's `pbs-tools/src/crypt_config.rs` and `pbs-key-config`.

use std::fmt;
use std::str::FromStr;

use once_cell::sync::Lazy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Key;

static INPUT: Lazy<[u8; 32]> =
    Lazy::new(|| Sha256::digest(b"Proxmox Backup Encryption Key Fingerprint").into());

/// What identifies a key: 32 bytes, computed from it. A fingerprint found in a file is only a claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a key.
    pub fn of(key: &Key) -> Self {
        let id_key = id_key(key);
        Self(
            Sha256::new()
                .chain_update(*INPUT)
                .chain_update(*id_key)
                .finalize()
                .into(),
        )
    }

    /// The first 8 bytes, as Proxmox Backup prints them in messages: `40:90:0d:79:c2:6f:c7:04`.
    pub fn short(&self) -> String {
        colons(&self.0[..8])
    }

    /// 64 hexadecimal digits, for file names.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// For what is named by another hash in place of a fingerprint.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Derives the key that Proxmox Backup signs manifests and names chunks with.
pub fn id_key(key: &Key) -> Zeroizing<[u8; 32]> {
    let mut id_key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(key.as_bytes(), b"_id_key", 10, &mut *id_key);
    id_key
}

/// A fingerprint that a caller expects: all 32 bytes, or the 8 of the short form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Expected(Vec<u8>);

impl Expected {
    /// Does `fingerprint` begin with the bytes that were given?
    pub fn matches(&self, fingerprint: &Fingerprint) -> bool {
        fingerprint.0.starts_with(&self.0)
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a fingerprint: 32 or 8 bytes in hexadecimal digits, with or without colons"
)]
pub struct FingerprintError(String);

fn colons(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

/// Reads hexadecimal digits in any case, with a colon between all bytes or none.
fn bytes(text: &str) -> Result<Vec<u8>, FingerprintError> {
    let bad = || FingerprintError(text.chars().take(100).collect());
    if text.contains(':') && !text.split(':').all(|byte| byte.len() == 2) {
        return Err(bad());
    }
    hex::decode(text.replace(':', "")).map_err(|_| bad())
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let bytes = bytes(text)?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FingerprintError(text.to_owned()))
    }
}

impl FromStr for Expected {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let bytes = bytes(text.trim())?;
        if bytes.len() != 32 && bytes.len() != 8 {
            return Err(FingerprintError(text.to_owned()));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&colons(&self.0))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&colons(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl From<Fingerprint> for Expected {
    fn from(fingerprint: Fingerprint) -> Self {
        Self(fingerprint.0.to_vec())
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl TryFrom<String> for Expected {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b";

    #[test]
    fn expected_forms() {
        let fingerprint: Fingerprint = FULL.parse().unwrap();
        for text in [
            FULL,
            &FULL.to_uppercase(),
            &FULL.replace(':', ""),
            "03:6b:8f:61:0c:da:d8:85",
            "036B8F610CDAD885",
            " 03:6b:8f:61:0c:da:d8:85\n",
        ] {
            let expected: Expected = text.parse().unwrap();
            assert!(expected.matches(&fingerprint), "{text}");
        }
        let other: Expected = "03:6b:8f:61:0c:da:d8:86".parse().unwrap();
        assert!(!other.matches(&fingerprint));
    }

    #[test]
    fn what_is_no_fingerprint() {
        for text in [
            "",
            ":",
            "03",
            "03:6b",
            "zz:6b:8f:61:0c:da:d8:85",
            "0:36b:8f:61:0c:da:d8:85",
            "03:6b8f:61:0c:da:d8:85",
            &FULL[..94],
        ] {
            assert!(text.parse::<Expected>().is_err(), "{text}");
        }
        assert!(
            FULL[..23].parse::<Fingerprint>().is_err(),
            "the short form identifies no key"
        );
    }

    #[test]
    fn forms() {
        let fingerprint: Fingerprint = FULL.parse().unwrap();
        assert_eq!(fingerprint.to_string(), FULL);
        assert_eq!(fingerprint.short(), &FULL[..23]);
        assert_eq!(fingerprint.hex(), FULL.replace(':', ""));
    }
}
