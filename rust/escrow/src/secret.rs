//! Types that hold secrets: wiped when dropped, and printed as `<redacted>`.

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Implements [`std::fmt::Debug`] such that no value ever appears in a log.
macro_rules! redacted {
    ($type:ty) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(<redacted>)"))
            }
        }
    };
}
pub(crate) use redacted;

/// The bytes of a file that may hold a key.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// An encryption key of Proxmox Backup: 32 bytes.
///
/// It stays at one place in memory: moving a `Key` moves a pointer and leaves no copy behind.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(Box<[u8; 32]>);

redacted!(Key);

impl Key {
    /// Copies a key; `None` if there are not exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Box::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The raw key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Key {
    /// Takes the same time wherever the keys differ.
    fn eq(&self, other: &Self) -> bool {
        let differ = self
            .0
            .iter()
            .zip(other.0.iter())
            .fold(0, |all, (a, b)| all | (a ^ b));
        differ == 0
    }
}

/// A passphrase, or a recovery code as somebody typed it.
#[derive(Clone, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretString(String);

redacted!(SecretString);

impl SecretString {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// How much stack is overwritten: the ciphers and hashes need a small part of it.
const STACK: usize = 16 * 1024;

/// Does some work, and then overwrites the stack that it has used: libraries move what holds a key, such as AES' round
/// keys, and each move leaves a copy behind that nobody wipes.
pub(crate) fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn below<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    fn wipe() {
        [0_u8; STACK].zeroize();
    }
    let done = below(work);
    wipe();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_is_redacted() {
        let key = Key::from_slice(&[0x41; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(<redacted>)");
        let text = SecretString::from("abacus".to_owned());
        assert_eq!(format!("{text:?}"), "SecretString(<redacted>)");
        assert_eq!(
            format!("{:?}", Some(&text)),
            "Some(SecretString(<redacted>))"
        );
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert!(Key::from_slice(&[1; 31]).is_none());
        assert!(Key::from_slice(&[1; 33]).is_none());
        let (a, mut b) = ([1; 32], [1; 32]);
        assert!(Key::from_slice(&a) == Key::from_slice(&b));
        b[31] = 2;
        assert!(Key::from_slice(&a) != Key::from_slice(&b));
    }
}
