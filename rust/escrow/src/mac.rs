//! A seal of authenticity that only a holder of the key can make or check.
//!
//! `HMAC-SHA256(HMAC-SHA256(key, purpose), canonical JSON without its member "mac")`, RFC 2104, as 64 hexadecimal
//! digits in the member `mac`. The purpose separates kits, records and whatever else is derived from a key.

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::{Fingerprint, Key, json};

const MEMBER: &str = "mac";

/// Something with a member `mac`.
pub(crate) trait Authentic: Serialize {
    /// What it is, for the derivation: never the same for two formats.
    const PURPOSE: &'static str;
    /// What messages call it.
    const NAME: &'static str;

    /// The key that it belongs to, as it claims.
    fn fingerprint(&self) -> Fingerprint;
    fn mac(&self) -> Option<&str>;
    fn set_mac(&mut self, mac: String);

    fn sign(&mut self, key: &Key) {
        let mac = hex::encode(authenticate(self, key).finalize().into_bytes());
        self.set_mac(mac);
    }

    /// Compares in constant time.
    fn verify(&self, key: &Key) -> Result<()> {
        let wrong = |why: &str| Error::damaged(Self::NAME, why);
        let mac = self
            .mac()
            .ok_or_else(|| wrong("it has no MAC: nothing in it but the blob can be relied on"))?;
        let mac = hex::decode(mac).map_err(|_| wrong("its MAC is not in hexadecimal digits"))?;
        authenticate(self, key)
            .verify_slice(&mac)
            .map_err(|_| wrong("its MAC is not that of its content: somebody changed it, or it belongs to another key"))
    }
}

fn authenticate<T: Authentic + ?Sized>(signed: &T, key: &Key) -> Hmac<Sha256> {
    let derived = hmac(key.as_bytes(), T::PURPOSE.as_bytes())
        .finalize()
        .into_bytes();
    let mut value =
        serde_json::to_value(signed).expect("these types have only text for member names");
    if let Value::Object(members) = &mut value {
        members.remove(MEMBER);
    }
    hmac(&derived, &json::canonical(&value))
}

fn hmac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message);
    hmac
}
