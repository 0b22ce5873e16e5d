//! The content of a key file, which may come from anywhere.
//!
//! No passphrase is ever given: the work factors in the file are the fuzzer's choice.
#![cfg_attr(not(test), no_main)]

use pve_escrow::{Error, Fingerprint, KeyFile};

/// What must hold for every input.
pub fn run(data: &[u8]) {
    let file = match KeyFile::parse(data, "the input") {
        Ok(file) => file,
        Err(err) => return refused(&err),
    };
    let written = file.to_json();
    let again = KeyFile::parse(&written, "what was written").expect("what is written can be read");
    assert!(
        again.to_json() == written,
        "reading what was written changes nothing"
    );
    assert_eq!(
        (again.created, again.modified, again.claimed, &again.hint),
        (file.created, file.modified, file.claimed, &file.hint)
    );
    assert_eq!(again.kdf_name(), file.kdf_name());

    match (file.open(None), again.open(None)) {
        (Ok(key), Ok(same)) => {
            assert!(!file.is_protected());
            assert!(key == same, "the key survives writing");
            assert!(
                file.claimed
                    .is_none_or(|claimed| claimed == Fingerprint::of(&key))
            );
        }
        (Err(Error::PassphraseNeeded { .. }), Err(Error::PassphraseNeeded { .. })) => {
            assert!(file.is_protected());
        }
        (Err(Error::Damaged { .. }), Err(Error::Damaged { .. })) => {
            assert!(
                file.claimed.is_some(),
                "nothing else can be wrong with an unprotected file"
            );
        }
        (first, second) => panic!("{first:?}, but after writing {second:?}"),
    }
}

/// A refusal is of one of two kinds, and too short to hold a file's content.
fn refused(err: &Error) {
    assert!(
        matches!(err, Error::Damaged { .. } | Error::Unsupported { .. }),
        "{err:?}"
    );
    let text = err.to_string();
    assert!(text.len() < 200, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
