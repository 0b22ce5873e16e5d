//! Operations on the public half of a master key: the private one never comes near a node.

use serde::{Deserialize, Serialize};

use crate::Fingerprint;
use crate::error::Result;
use crate::master::PublicKey;

/// A public half.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Public {
    /// Its PEM text.
    pub pem: String,
}

/// A public half that every backup will succeed with.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// Length of the modulus.
    pub bits: usize,
    /// SHA-256 of its SubjectPublicKeyInfo, 64 hexadecimal digits.
    pub sha256: String,
    /// The same with colons.
    pub fingerprint: Fingerprint,
}

/// Checks a public half, with a trial of what each backup does with it.
///
/// # Errors
/// As [`PublicKey::parse`].
pub fn check_master_key(input: &Public) -> Result<Checked> {
    let key = PublicKey::parse(input.pem.as_bytes(), "the master key")?;
    let fingerprint = key.fingerprint();
    Ok(Checked {
        bits: key.bits(),
        sha256: fingerprint.hex(),
        fingerprint,
    })
}
