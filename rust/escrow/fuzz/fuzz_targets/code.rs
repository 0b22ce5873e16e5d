//! A recovery code as somebody typed it.
#![cfg_attr(not(test), no_main)]

use pve_escrow::RecoveryCode;
use pve_escrow::code::{self, CodeError, Numbered, WORDS};

/// What must hold for every input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let typed = code::part(text);
    match RecoveryCode::parse(text) {
        Ok(code) => {
            accepted(&code);
            // numbers may have put them in another order
            let mut typed = typed.expect("a whole code is a part too");
            let mut words: Vec<_> = code.words().collect();
            typed.sort_unstable();
            words.sort_unstable();
            assert_eq!(typed, words);
        }
        Err(err) => refused(&err, typed),
    }
}

fn accepted(code: &RecoveryCode) {
    let words: Vec<_> = code.words().collect();
    assert_eq!(words.len(), WORDS);
    for word in &words {
        assert_eq!(
            code::part(word).as_deref(),
            Ok(&[*word][..]),
            "a word of the list is read as itself"
        );
    }
    let with_check = format!("{} {}", code.as_str(), code.check_characters());
    for text in [code.as_str(), &with_check, &Numbered(code).to_string()] {
        let again = RecoveryCode::parse(text).expect("what is printed can be typed");
        assert_eq!(again.as_str(), code.as_str());
    }
}

fn refused(err: &CodeError, typed: Result<Vec<&'static str>, CodeError>) {
    assert!(err.to_string().len() < 200, "{err}");
    match (err, typed) {
        (CodeError::Empty, Ok(words)) => assert!(words.is_empty()),
        (CodeError::Count { found }, Ok(words)) => assert!(words.len() == *found && *found < WORDS),
        (CodeError::Check, Ok(words)) => assert_eq!(words.len(), WORDS),
        // what is wrong with a part is wrong with the whole
        (whole, Err(part)) => assert_eq!(*whole, part),
        (whole, Ok(words)) => panic!("refused as {whole:?}, but read as {words:?}"),
    }
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
