//! The public half.

use std::path::Path;

use pkcs8::{EncodePublicKey, LineEnding, SubjectPublicKeyInfoRef};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Encrypt, RsaPublicKey, pkcs1};
use sha2::{Digest, Sha256};

use super::pem::Block;
use super::{MAX_BITS, PAYLOAD, rng};
use crate::error::{Error, Result};
use crate::{Fingerprint, KeyFile, file};

/// Smallest master key that is good for years to come. The client needs 2,128 bits.
pub const MIN_BITS: usize = 3072;

const LABEL: &str = "PUBLIC KEY";

/// A public half in the form that the client takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(super) RsaPublicKey);

impl PublicKey {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`file::read`] and [`PublicKey::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path)?, &path.display().to_string())
    }

    /// Parses a PEM text that messages will call `what`, and makes sure that every backup with it will succeed.
    ///
    /// Proxmox VE takes any RSA key; with the wrong form, or with one that is too short, every backup fails.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Unsupported`].
    pub fn parse(pem: &[u8], what: &str) -> Result<Self> {
        let unsupported = |why: String| Error::Unsupported {
            what: what.to_owned(),
            why,
        };
        let block = Block::parse(pem).map_err(|why| Error::damaged(what, why))?;
        if block.label != LABEL {
            return Err(unsupported(other_form(block.label)));
        }
        let info = SubjectPublicKeyInfoRef::try_from(&block.bytes[..])
            .map_err(|_| Error::damaged(what, "its content is no public key"))?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(unsupported("it is no RSA key".to_owned()));
        }
        let key = Self(numbers(&info).map_err(|why| Error::damaged(what, why))?);
        key.check_size().map_err(unsupported)?;
        if !same_text(pem, &key.to_pem()) {
            return Err(unsupported(format!(
                "it is more than the key, or written in another way than the backup client's. Write it anew: {REWRITE}"
            )));
        }
        key.check_wrap().map_err(unsupported)?;
        Ok(key)
    }

    /// Length of its modulus.
    pub fn bits(&self) -> usize {
        self.0.n().bits()
    }

    /// Its name: SHA-256 of its SubjectPublicKeyInfo, as `openssl pkey -pubin -outform DER | sha256sum` has it.
    pub fn fingerprint(&self) -> Fingerprint {
        let der = self.0.to_public_key_der().expect("it has been parsed");
        Fingerprint::from_bytes(Sha256::digest(der.as_bytes()).into())
    }

    /// As the client and OpenSSL write it.
    pub fn to_pem(&self) -> String {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .expect("it has been parsed")
    }

    /// Wraps a key file as the client does: the content of `rsa-encrypted.key`.
    ///
    /// # Errors
    /// [`Error::Refused`] of a key file with protection: what is wrapped has none.
    pub fn wrap(&self, file: &KeyFile) -> Result<Vec<u8>> {
        if file.is_protected() {
            let why = "only a key without passphrase is wrapped for a master key";
            return Err(Error::Refused(why.to_owned()));
        }
        self.encrypt(&file.to_json())
    }

    pub(super) fn encrypt(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.0
            .encrypt(&mut rng()?, Pkcs1v15Encrypt, bytes)
            .map_err(|err| Error::Refused(format!("{} bytes can't be wrapped: {err}", bytes.len())))
    }

    fn check_size(&self) -> Result<(), String> {
        match self.bits() {
            bits if bits < (PAYLOAD + 11) * 8 => Err(format!(
                "it has {bits} bits, and {PAYLOAD} bytes are to be wrapped: every backup would fail. A master key has {MIN_BITS} bits or more"
            )),
            bits if bits < MIN_BITS => Err(format!(
                "it has {bits} bits: a master key has {MIN_BITS} or more"
            )),
            _ => Ok(()),
        }
    }

    /// The very thing that each backup does.
    fn check_wrap(&self) -> Result<(), String> {
        let trial = self
            .encrypt(&[b'x'; PAYLOAD])
            .map_err(|err| err.to_string())?;
        if trial.len() != self.0.size() {
            return Err("a trial did not wrap what a backup wraps".to_owned());
        }
        Ok(())
    }
}

const REWRITE: &str = "openssl pkey -pubin -in FILE -out NEW";

fn other_form(label: &str) -> String {
    match label {
        "RSA PUBLIC KEY" => "its form is BEGIN RSA PUBLIC KEY, which Proxmox VE takes, and then every backup fails. \
            Write it anew: openssl rsa -RSAPublicKey_in -in FILE -pubout -out NEW"
            .to_owned(),
        "CERTIFICATE" => "it is a certificate. Take the key out of it: openssl x509 -in FILE -noout -pubkey".to_owned(),
        label if label.ends_with("PRIVATE KEY") => {
            "it is the PRIVATE half, which never comes near a node. Name the public one".to_owned()
        }
        label => format!("it is a {label}, not a {LABEL}"),
    }
}

fn numbers(info: &SubjectPublicKeyInfoRef<'_>) -> Result<RsaPublicKey, String> {
    let bad = || "its content is no RSA key".to_owned();
    let bits = info.subject_public_key.as_bytes().ok_or_else(bad)?;
    let key = pkcs1::RsaPublicKey::try_from(bits).map_err(|_| bad())?;
    let [n, e] = [key.modulus, key.public_exponent].map(|n| BigUint::from_bytes_be(n.as_bytes()));
    RsaPublicKey::new_with_max_size(n, e, MAX_BITS)
        .map_err(|err| format!("its numbers can't be those of an RSA key: {err}"))
}

fn same_text(is: &[u8], should: &str) -> bool {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default().trim_end();
    let lines = |text: &'_ str| {
        text.lines()
            .map(str::trim_end)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    lines(text(is)) == lines(should)
}
