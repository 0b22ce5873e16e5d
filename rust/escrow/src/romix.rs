//! scrypt, RFC 7914, on top of RustCrypto's PBKDF2 and Salsa20.
//!
//! Only the walk through memory (scryptBlockMix and scryptROMix) is written here. The scrypt crate gives the same keys
//! and is what the tests compare with; but its vector code waits for each rotation to be put together from two
//! shifts, which makes it a third slower than OpenSSL, and each seal is derived twice.

use pbkdf2::pbkdf2_hmac;
use salsa20::SalsaCore;
use salsa20::cipher::StreamCipherCore;
use salsa20::cipher::consts::U4;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Salsa20 works on blocks of 16 little-endian words.
const BLOCK: usize = 16;

/// Derives a key. `n` is a power of two above 1, `r` and `p` are at least 1.
///
/// Working memory is 128 * n * r bytes. It is not wiped: it holds nothing from which passphrase or key follow
/// faster than from the sealed key itself.
///
/// # Errors
/// If the system has not enough memory.
pub(crate) fn scrypt(
    passphrase: &[u8],
    salt: &[u8],
    (n, r, p): (usize, usize, usize),
    key: &mut [u8],
) -> Result<(), String> {
    let mut blocks = Zeroizing::new(vec![0; 128 * r * p]);
    pbkdf2_hmac::<Sha256>(passphrase, salt, 1, &mut blocks);
    let mut memory = Vec::new();
    memory.try_reserve_exact(n * 2 * r * BLOCK).map_err(|_| {
        format!(
            "there are no {} MiB of memory for scrypt",
            (n * 128 * r) >> 20
        )
    })?;
    for block in blocks.chunks_exact_mut(128 * r) {
        memory.clear();
        mix(block, n, &mut memory);
    }
    pbkdf2_hmac::<Sha256>(passphrase, &blocks, 1, key);
    Ok(())
}

/// scryptROMix, section 5. `memory` has room for all `n` states, and is empty.
fn mix(bytes: &mut [u8], n: usize, memory: &mut Vec<u32>) {
    let mut state: Zeroizing<Vec<u32>> = Zeroizing::new(bytes.chunks_exact(4).map(word).collect());
    let len = state.len();
    for i in 0..n {
        memory.extend_from_slice(&state);
        block_mix(&memory[i * len..], &mut state);
    }
    let mut mixed = Zeroizing::new(vec![0; len]);
    for _ in 0..n {
        // n is a power of two: the remainder is in the lowest bits of the first word of the last block
        let j = state[len - BLOCK] as usize & (n - 1);
        for ((mixed, state), stored) in mixed.iter_mut().zip(&*state).zip(&memory[j * len..]) {
            *mixed = state ^ stored;
        }
        block_mix(&mixed, &mut state);
    }
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(&*state) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// scryptBlockMix, section 4: blocks with even numbers go to the first half of the output, odd ones to the second.
fn block_mix(input: &[u32], output: &mut [u32]) {
    let (even, odd) = output.split_at_mut(output.len() / 2);
    let mut x = [0; BLOCK];
    x.copy_from_slice(&input[input.len() - BLOCK..]);
    let outputs = even
        .chunks_exact_mut(BLOCK)
        .zip(odd.chunks_exact_mut(BLOCK));
    for (pair, (even, odd)) in input.chunks_exact(2 * BLOCK).zip(outputs) {
        let (first, second) = pair.split_at(BLOCK);
        salsa(&mut x, first);
        even.copy_from_slice(&x);
        salsa(&mut x, second);
        odd.copy_from_slice(&x);
    }
    x.zeroize();
}

/// `x = Salsa20/8(x XOR block)`: a block of key stream is what section 3 defines, as bytes.
#[inline(always)]
fn salsa(x: &mut [u32; BLOCK], block: &[u32]) {
    for (x, block) in x.iter_mut().zip(block) {
        *x ^= block;
    }
    let mut stream = [0; 4 * BLOCK];
    SalsaCore::<U4>::from_raw_state(*x).write_keystream_block((&mut stream).into());
    for (x, bytes) in x.iter_mut().zip(stream.chunks_exact(4)) {
        *x = word(bytes);
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(passphrase: &str, salt: &str, cost: (usize, usize, usize)) -> String {
        let mut key = [0; 64];
        scrypt(passphrase.as_bytes(), salt.as_bytes(), cost, &mut key).unwrap();
        hex::encode(key)
    }

    /// Section 12. The last one needs 1 GiB, the most that is accepted.
    #[test]
    fn rfc_7914() {
        for (passphrase, salt, cost, key) in [
            (
                "",
                "",
                (16, 1, 1),
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            ),
            (
                "password",
                "NaCl",
                (1024, 8, 16),
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                (16384, 8, 1),
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            ),
            (
                "pleaseletmein",
                "SodiumChloride",
                (1 << 20, 8, 1),
                "2101cb9b6a511aaeaddbbe09cf70f881ec568d574a2ffd4dabe5ee9820adaa478e56fd8f4ba5d09ffa1c6d927c40f4c337304049e8a952fbcbf45c6fa77a41a4",
            ),
        ] {
            assert_eq!(
                derive(passphrase, salt, cost),
                key,
                "{passphrase} {salt} {cost:?}"
            );
        }
    }

    #[test]
    fn the_scrypt_crate_gives_the_same_keys() {
        for log_n in 1..=10 {
            for r in [1, 2, 3, 7, 8, 9, 16] {
                for p in [1, 2, 5] {
                    let Ok(params) = scrypt::Params::new(log_n, r, p) else {
                        continue;
                    };
                    let passphrase = format!("{log_n} {r} {p}");
                    let mut theirs = [0; 64];
                    scrypt::scrypt(passphrase.as_bytes(), b"salt", &params, &mut theirs).unwrap();
                    let ours = derive(&passphrase, "salt", (1 << log_n, r as usize, p as usize));
                    assert_eq!(ours, hex::encode(theirs), "n = 2^{log_n}, r = {r}, p = {p}");
                }
            }
        }
    }

    #[test]
    fn too_little_memory_is_an_error() {
        let err = scrypt(b"x", b"x", (1 << 50, 1, 1), &mut [0; 32]).unwrap_err();
        assert!(err.contains("MiB of memory"), "{err}");
    }
}
