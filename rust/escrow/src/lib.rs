//! Seals the encryption key of a Proxmox Backup client under a recovery code of ten words, and gives it back.
//!
//! * [`KeyFile`] reads and writes the client's key files, [`Fingerprint`] names keys.
//! * [`RecoveryCode`] draws codes and reads what people type.
//! * [`seal`] makes and opens blobs: key files sealed under a code.
//! * [`kit`] and [`record`] are what is kept of a seal.
//! * [`mod@file`] reads and writes such that nothing is lost in a crash.
//! * [`pbs`] reads datastores of a backup server: proves that a key opens what is there, and restores it.
//! * [`client`] does that through the installed backup client, where the data is on a server.
//! * [`master`] opens what the client wraps for a master key, and makes and checks such keys.
//! * [`paper`] prints kits and blobs such that they can be typed and scanned, and reads that back.
//! * [`ops`] joins these to whole operations, with a [`schema`] of the input and output of each.
//!
//! ```
//! use pve_escrow::{KeyFile, RecoveryCode, seal};
//!
//! # fn main() -> pve_escrow::Result<()> {
//! let live = KeyFile::parse(include_bytes!("../../../tests/vectors/keys/live.enc"), "live.enc")?;
//! let sealed = seal::create(&live, None)?;
//!
//! let code = RecoveryCode::parse(sealed.code.as_str())?;
//! let blob = KeyFile::parse(&sealed.blob, "the blob")?;
//! let opened = seal::unwrap(&blob, &code, Some(&sealed.fingerprint.into()))?;
//! assert_eq!(opened.fingerprint, sealed.fingerprint);
//! # Ok(())
//! # }
//! ```

mod aead;
pub mod client;
pub mod code;
mod error;
pub mod file;
pub mod fingerprint;
mod json;
pub mod kdf;
pub mod keyfile;
pub mod kit;
mod mac;
pub mod master;
pub mod ops;
pub mod paper;
pub mod pbs;
pub mod record;
mod romix;
pub mod schema;
pub mod seal;
pub mod secret;
mod spelling;
mod wire;
mod words;

pub use code::{CodeError, RecoveryCode};
pub use error::{Error, Result};
pub use fingerprint::{Expected, Fingerprint};
pub use keyfile::KeyFile;
pub use secret::{Key, SecretBytes, SecretString};

#[cfg(test)]
mod tests {
    use crate::KeyFile;

    /// The key file that the stock client made for the tests.
    pub(crate) fn live() -> KeyFile {
        KeyFile::parse(
            include_bytes!("../../../tests/vectors/keys/live.enc"),
            "live.enc",
        )
        .unwrap()
    }
}
