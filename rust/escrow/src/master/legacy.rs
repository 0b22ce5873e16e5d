//! The encryption of PEM blocks before PKCS#8: `DEK-Info: AES-256-CBC`, the key by OpenSSL's `EVP_BytesToKey` with MD5
//! in one round. It is weak; it is read, and never written.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, KeyIvInit};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::SecretBytes;

/// The cipher's name in the header.
pub const CIPHER: &str = "AES-256-CBC";

/// `None` if the passphrase does not open it, as far as its padding tells.
pub fn decrypt(bytes: &[u8], iv: [u8; 16], passphrase: &[u8]) -> Option<SecretBytes> {
    let key = derive(passphrase, &iv[..8]);
    let mut buffer = Zeroizing::new(bytes.to_vec());
    let len = cbc::Decryptor::<Aes256>::new((&*key).into(), &iv.into())
        .decrypt_padded_mut::<Pkcs7>(&mut buffer)
        .ok()?
        .len();
    buffer.truncate(len);
    Some(buffer)
}

fn derive(passphrase: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let (first, second) = key.split_at_mut(16);
    first.copy_from_slice(
        &Md5::new()
            .chain_update(passphrase)
            .chain_update(salt)
            .finalize(),
    );
    let next = Md5::new().chain_update(&*first).chain_update(passphrase);
    second.copy_from_slice(&next.chain_update(salt).finalize());
    key
}
