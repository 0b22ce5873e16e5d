//! What a backup is decrypted and authenticated with.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::aead::Aes256Gcm16;
use crate::fingerprint::id_key;
use crate::{Fingerprint, Key, aead};

/// A key with all that is derived from it once: the round keys of AES, and the key that names chunks.
pub struct Crypt {
    cipher: Box<Aes256Gcm16>,
    id_key: Key,
    fingerprint: Fingerprint,
}

crate::secret::redacted!(Crypt);

impl Crypt {
    /// Derives everything from `key`.
    pub fn new(key: &Key) -> Self {
        Self {
            cipher: Box::new(aead::cipher(key.as_bytes())),
            id_key: Key::from_slice(&id_key(key)[..]).expect("both have 32 bytes"),
            fingerprint: Fingerprint::of(key),
        }
    }

    /// The name of the key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Decrypts in place. `false` if the tag is not that of the content: then no byte was decrypted.
    pub(crate) fn decrypt(&self, iv: &[u8; 16], tag: &[u8; 16], data: &mut [u8]) -> bool {
        use aes_gcm::aead::AeadInOut;
        self.cipher
            .decrypt_inout_detached(iv.into(), &[], data.into(), tag.into())
            .is_ok()
    }

    /// Encrypts in place, and gives the tag.
    #[cfg(test)]
    pub(crate) fn encrypt(&self, iv: &[u8; 16], data: &mut [u8]) -> [u8; 16] {
        use aes_gcm::aead::AeadInOut;
        self.cipher
            .encrypt_inout_detached(iv.into(), &[], data.into())
            .unwrap()
            .into()
    }

    /// The name of an encrypted chunk: `SHA-256(data || id_key)`.
    pub(crate) fn digest(&self, data: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update(data)
            .chain_update(self.id_key.as_bytes())
            .finalize()
            .into()
    }

    /// Is `signature` the HMAC-SHA256 of `message` under the id_key? Compares in constant time.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let mut hmac = Hmac::<Sha256>::new_from_slice(self.id_key.as_bytes())
            .expect("HMAC takes keys of any length");
        hmac.update(message);
        hmac.verify_slice(signature).is_ok()
    }
}

/// The name of a chunk: with a key that of an encrypted one, else `SHA-256(data)`.
pub(crate) fn digest(crypt: Option<&Crypt>, data: &[u8]) -> [u8; 32] {
    match crypt {
        Some(crypt) => crypt.digest(data),
        None => Sha256::digest(data).into(),
    }
}
