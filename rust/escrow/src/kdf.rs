//! Key derivation: from a passphrase or recovery code to the key that protects a key file.

use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Key, romix};

/// Bytes of salt, always.
pub const SALT: usize = 32;

/// Most memory that a key file may ask for: 128 * n * r bytes.
const MAX_MEMORY: u128 = 1 << 30;
/// Most scrypt work, 128 * n * r * p bytes: 64 times what Proxmox Backup and this crate use.
const MAX_WORK: u128 = 1 << 32;
/// Most PBKDF2 iterations: about 150 times what Proxmox Backup uses.
pub(crate) const MAX_ITERATIONS: u64 = 10_000_000;

/// How a key file's protection is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// RFC 7914.
    Scrypt {
        /// Cost, a power of two.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelisation.
        p: u64,
        /// Random bytes.
        salt: [u8; SALT],
    },
    /// PBKDF2-HMAC-SHA256, RFC 8018.
    Pbkdf2 {
        /// Iterations.
        iter: u64,
        /// Random bytes.
        salt: [u8; SALT],
    },
}

impl Kdf {
    /// What Proxmox Backup uses for new passphrases: scrypt with 64 MiB, about a quarter of a second.
    pub fn new(salt: [u8; SALT]) -> Self {
        Self::Scrypt {
            n: 65536,
            r: 8,
            p: 1,
            salt,
        }
    }

    /// The name that `proxmox-backup-client key show` prints.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scrypt { .. } => "scrypt",
            Self::Pbkdf2 { .. } => "pbkdf2",
        }
    }

    /// Refuses parameters that are wrong or would take too much time or memory, before any is spent.
    ///
    /// # Errors
    /// Says which parameter is at fault.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Self::Scrypt { n, r, p, .. } => check_scrypt(n, r, p),
            Self::Pbkdf2 { iter: 0, .. } => Err("PBKDF2 needs at least one iteration".to_owned()),
            Self::Pbkdf2 { iter, .. } if iter > MAX_ITERATIONS => Err(format!(
                "{iter} PBKDF2 iterations are more than the {MAX_ITERATIONS} that are accepted"
            )),
            Self::Pbkdf2 { .. } => Ok(()),
        }
    }

    /// Derives the 32 byte key that protects the key file.
    ///
    /// # Errors
    /// As [`Kdf::check`].
    pub fn derive(&self, passphrase: &[u8]) -> Result<Key, String> {
        self.check()?;
        // not given to the caller itself: moving it would leave a copy behind
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Scrypt { n, r, p, salt } => {
                // the caps leave nothing that does not fit
                let cost = (*n as usize, *r as usize, *p as usize);
                romix::scrypt(passphrase, salt, cost, &mut *key)?;
            }
            Self::Pbkdf2 { iter, salt } => {
                let iter = u32::try_from(*iter).map_err(|err| err.to_string())?;
                pbkdf2_hmac::<Sha256>(passphrase, salt, iter, &mut *key);
            }
        }
        Ok(Key::from_slice(&key[..]).expect("both have 32 bytes"))
    }
}

pub(crate) fn check_scrypt(n: u64, r: u64, p: u64) -> Result<(), String> {
    if n < 2 || !n.is_power_of_two() {
        return Err(format!("scrypt's n is {n}, not a power of two above 1"));
    }
    if r == 0 || p == 0 {
        return Err("scrypt's r and p must be at least 1".to_owned());
    }
    let block = 128 * u128::from(r);
    let memory = u128::from(n).saturating_mul(block);
    if memory > MAX_MEMORY {
        return Err(format!(
            "scrypt with n = {n}, r = {r} needs {} MiB of memory, more than the {} MiB that are accepted",
            memory >> 20,
            MAX_MEMORY >> 20
        ));
    }
    // RFC 7914 limits r * p; the working copy of p blocks must not outgrow the cap either
    if memory.saturating_mul(u128::from(p)) > MAX_WORK || block * u128::from(p) > MAX_MEMORY {
        return Err(format!(
            "scrypt with n = {n}, r = {r}, p = {p} takes longer than is accepted"
        ));
    }
    let bad = || format!("scrypt does not allow n = {n}, r = {r}, p = {p} together");
    let log_n = n.trailing_zeros() as u8;
    let (r, p) = (
        u32::try_from(r).map_err(|_| bad())?,
        u32::try_from(p).map_err(|_| bad())?,
    );
    scrypt::Params::new(log_n, r, p).map_err(|_| bad())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrypt(n: u64, r: u64, p: u64) -> Result<(), String> {
        Kdf::Scrypt {
            n,
            r,
            p,
            salt: [0; SALT],
        }
        .check()
    }

    #[test]
    fn accepts_what_the_client_writes_and_the_caps() {
        assert_eq!(Kdf::new([0; SALT]).check(), Ok(()));
        assert_eq!(scrypt(1 << 20, 8, 1), Ok(()), "1 GiB is allowed");
        assert_eq!(
            Kdf::Pbkdf2 {
                iter: 65535,
                salt: [0; SALT]
            }
            .check(),
            Ok(())
        );
    }

    #[test]
    fn refuses_before_any_allocation() {
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (3, 8, 1),
            (65535, 8, 1),
            (1 << 21, 8, 1),
            (1 << 40, 8, 1),
            (1 << 63, 8, 1),
            (u64::MAX, u64::MAX, u64::MAX),
            (65536, 0, 1),
            (65536, 8, 0),
            (2, u64::MAX, 1),
            (2, 1, u64::MAX),
            (65536, 8, 1 << 30),
            (2, 1 << 15, 1 << 15),
            (1 << 31, 1, 1),
            (1 << 20, 1, 1 << 12),
        ] {
            assert!(scrypt(n, r, p).is_err(), "n = {n}, r = {r}, p = {p}");
        }
        for iter in [0, MAX_ITERATIONS + 1, u64::MAX] {
            assert!(
                Kdf::Pbkdf2 {
                    iter,
                    salt: [0; SALT]
                }
                .check()
                .is_err(),
                "{iter} iterations"
            );
        }
    }
}
