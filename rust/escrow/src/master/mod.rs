//! Master keys: an RSA key whose public half wraps the encryption key into every backup, as `rsa-encrypted.key`.
//!
//! The client writes the key file without protection, 255 bytes of JSON, as RSAES-PKCS1-v1_5 (`pbs-key-config`,
//! `rsa_encrypt_key_config`); on a server it is `rsa-encrypted.key.blob`, neither compressed nor encrypted once more.
//!
//! * [`PublicKey`] is the half that nodes have: here it is checked more strictly than anybody else does it.
//! * [`PrivateFile`] and [`PrivateKey`] are the other half, which belongs into a safe.
//! * [`Wrapped`] is what it opens.

mod create;
mod legacy;
mod pem;
mod private;
mod public;
mod wrapped;

pub use create::{NewMasterKey, check_passphrase, create};
pub use private::{BITS, PrivateFile, PrivateKey};
pub use public::{MIN_BITS, PublicKey};
pub use wrapped::{Recovered, Wrapped};

/// What the client wraps, in bytes.
const PAYLOAD: usize = 255;
/// No client takes a larger modulus, in bits.
const MAX_BITS: usize = 16384;

/// For `rsa`, which takes the generator of an older release of rand_core.
fn rng() -> crate::Result<rand_core::OsRng> {
    // it panics where the system gives nothing, so that is asked here
    crate::keyfile::random::<1>().map(|_| rand_core::OsRng)
}
