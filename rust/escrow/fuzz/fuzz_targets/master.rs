//! Both halves of a master key, and what is wrapped for one: whoever comes with a PEM text is not trusted.
//!
//! No passphrase is ever given: the work factors in the file are the fuzzer's choice.
#![cfg_attr(not(test), no_main)]

use pve_escrow::Error;
use pve_escrow::master::{MIN_BITS, PrivateFile, PublicKey, Wrapped};

/// What must hold for every input.
pub fn run(data: &[u8]) {
    match PublicKey::parse(data, "the input") {
        Ok(key) => {
            assert!(key.bits() >= MIN_BITS);
            let again = PublicKey::parse(key.to_pem().as_bytes(), "what was written");
            assert_eq!(again.expect("what is written can be read"), key);
        }
        Err(err) => refused(&err),
    }
    match PrivateFile::parse(data, "the input").map(|file| (file.is_protected(), file.open(None))) {
        Ok((true, Err(Error::PassphraseNeeded { .. }))) | Ok((false, Ok(_))) => {}
        Ok((false, Err(err))) | Err(err) => refused(&err),
        Ok((_, opened)) => panic!("{opened:?}"),
    }
    if let Err(err) = Wrapped::parse(data, "the input") {
        refused(&err);
    }
}

/// A refusal is of one of two kinds, and too short to hold a file's content.
fn refused(err: &Error) {
    assert!(
        matches!(err, Error::Damaged { .. } | Error::Unsupported { .. }),
        "{err:?}"
    );
    let text = err.to_string();
    assert!(text.len() < 300, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
