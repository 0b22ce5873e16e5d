//! A new master key.

use zeroize::Zeroizing;

use super::{PAYLOAD, PrivateFile, PrivateKey, PublicKey};
use crate::SecretString;
use crate::error::{Error, Result};
use crate::secret::redacted;

/// Shortest passphrase, in bytes: as the client has it.
const SHORTEST: usize = 5;
/// OpenSSL reads no more.
const LONGEST: usize = 1024;

/// Both halves of a new master key.
pub struct NewMasterKey {
    /// The private one under its passphrase, as PEM.
    pub private: Zeroizing<String>,
    /// The public one.
    pub public: PublicKey,
}

redacted!(NewMasterKey);

/// Makes a master key, which takes seconds, and makes sure that its passphrase gives back what opens a wrapped key.
///
/// # Errors
/// [`Error::Refused`] of a passphrase that is too short or too long, or without randomness.
pub fn create(passphrase: &SecretString) -> Result<NewMasterKey> {
    check_passphrase(passphrase)?;
    let key = PrivateKey::generate()?;
    let (private, public) = (key.to_pem(passphrase)?, key.public());

    let read =
        PrivateFile::parse(private.as_bytes(), "the new master key")?.open(Some(passphrase))?;
    let trial = [b'x'; PAYLOAD];
    let opened = read.decrypt(&public.encrypt(&trial)?)?;
    if opened.is_none_or(|opened| opened[..] != trial) {
        return Err(Error::Refused(
            "the new master key does not open what was wrapped for it: nothing was written"
                .to_owned(),
        ));
    }
    PublicKey::parse(public.to_pem().as_bytes(), "the new master key")?;
    Ok(NewMasterKey { private, public })
}

/// Can it be the passphrase of a master key?
///
/// # Errors
/// [`Error::Refused`].
pub fn check_passphrase(passphrase: &SecretString) -> Result<()> {
    if (SHORTEST..=LONGEST).contains(&passphrase.as_str().len()) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "a master key's passphrase has {SHORTEST} to {LONGEST} bytes"
    )))
}
