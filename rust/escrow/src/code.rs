//! Recovery codes: ten words drawn from a list of 7,776, which is 129.2 bits.
//!
//! The words joined by single spaces are the passphrase of the sealed key file. A sheet with the words also
//! prints four check characters, a hash of the code: typed with the words, they tell a mistyped word from a
//! code that belongs to another seal.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Result;
use crate::keyfile::random;
use crate::secret::{SecretString, redacted};
use crate::spelling;
use crate::words::{self, Found};

/// How many words make a code.
pub const WORDS: usize = 10;

/// Letters of the check characters. There are no vowels, so that they can't be taken for a word, and none
/// that look like digits.
const CHECK_LETTERS: &[u8; 19] = b"bcdfghjkmnpqrstvwxz";
/// Digits of the check characters, without those that look like letters.
const CHECK_DIGITS: &[u8; 8] = b"23456789";
const CHECK_DOMAIN: &[u8] = b"pve-escrow check characters 1\0";

/// A recovery code: ten words of the list, in order.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode(String);

redacted!(RecoveryCode);

/// Why a typed text is no recovery code. No key derivation has run yet.
///
/// The texts name a position and words of the list near to what was typed, not the typed text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nothing was typed.
    #[error("no recovery code was given")]
    Empty,
    /// Far more than ten words.
    #[error("this is longer than a recovery code can be")]
    TooLong,
    /// One of the words is unknown.
    #[error("word {position} is not in the word list{}", suggestion(nearest))]
    Word {
        /// Counted from 1.
        position: usize,
        /// The nearest words of the list.
        nearest: Vec<&'static str>,
    },
    /// One of the words was shortened too much.
    #[error("word {position} is too short to be clear: it could be {}", nearest.join(", "))]
    Ambiguous {
        /// Counted from 1.
        position: usize,
        /// Some of the words that begin so.
        nearest: Vec<&'static str>,
    },
    /// All words are in the list, but there are too few or too many.
    #[error("a recovery code has ten words, but {found} {} given", if *found == 1 { "was" } else { "were" })]
    Count {
        /// How many there are.
        found: usize,
    },
    /// The check characters belong to other words.
    #[error(
        "the check characters do not fit the ten words: compare each word with the sheet, one is probably another word of the list"
    )]
    Check,
}

fn suggestion(nearest: &[&str]) -> String {
    match nearest {
        [] => String::new(),
        [only] => format!("; did you mean {only}?"),
        _ => format!("; nearest are {}", nearest.join(", ")),
    }
}

impl RecoveryCode {
    /// Draws a new code, uniformly, from the operating system's randomness.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] if the system has none to give.
    pub fn generate() -> Result<Self> {
        let mut picked = [""; WORDS];
        for word in &mut picked {
            *word = words::word(draw()?);
        }
        Ok(Self::join(&picked))
    }

    /// Reads a code as people type it, with or without its check characters.
    ///
    /// Any case and white space, numbering, commas, hyphens between words and unique beginnings of at least
    /// four letters are understood. Numbers that give every word its place put the words in that order: a
    /// sheet has two columns.
    ///
    /// # Errors
    /// A [`CodeError`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        Self::parse_checked(text).map(|(code, _)| code)
    }

    /// As [`RecoveryCode::parse`], and whether check characters were among what was typed.
    ///
    /// # Errors
    /// A [`CodeError`].
    pub fn parse_checked(text: &str) -> Result<(Self, bool), CodeError> {
        let typed = spelling::read(text)?;
        let code = Self::join(&typed.words);
        match typed.check {
            None => Ok((code, false)),
            Some(check) if *check == code.check_characters() => Ok((code, true)),
            Some(_) => Err(CodeError::Check),
        }
    }

    fn join(words: &[&str; WORDS]) -> Self {
        // large enough from the start, so that no part of the code is left behind by growing
        let mut code = String::with_capacity(256);
        for (i, word) in words.iter().enumerate() {
            if i > 0 {
                code.push(' ');
            }
            code.push_str(word);
        }
        Self(code)
    }

    /// The ten words joined by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words in order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    /// Letter, digit, letter, digit: four remainders of the first eight bytes of
    /// `SHA-256("pve-escrow check characters 1\0" || code)`, two bytes each, most significant first.
    pub fn check_characters(&self) -> String {
        let hash = Sha256::new()
            .chain_update(CHECK_DOMAIN)
            .chain_update(&self.0)
            .finalize();
        let pick = |i: usize, from: &[u8]| {
            let number = u16::from_be_bytes([hash[2 * i], hash[2 * i + 1]]);
            char::from(from[usize::from(number) % from.len()])
        };
        [
            pick(0, CHECK_LETTERS),
            pick(1, CHECK_DIGITS),
            pick(2, CHECK_LETTERS),
            pick(3, CHECK_DIGITS),
        ]
        .into_iter()
        .collect()
    }
}

/// Has `text` the form of check characters?
pub(crate) fn is_check(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 4
        && bytes.iter().enumerate().all(|(i, byte)| {
            if i % 2 == 0 {
                CHECK_LETTERS.contains(byte)
            } else {
                CHECK_DIGITS.contains(byte)
            }
        })
}

/// A number below 7,776, each as likely as any other: what lies above the largest multiple is drawn again.
fn draw() -> Result<usize> {
    const LIMIT: usize = (1 << 16) / words::COUNT * words::COUNT;
    loop {
        let number = usize::from(u16::from_be_bytes(random()?));
        if number < LIMIT {
            return Ok(number % words::COUNT);
        }
    }
}

/// Reads the first words of a code, for a prompt that says at once what is wrong.
///
/// # Errors
/// A [`CodeError`] about what was typed so far; too few words are none.
pub fn part(text: &str) -> Result<Vec<&'static str>, CodeError> {
    spelling::read_part(text)
}

/// Looks up one word.
pub(crate) fn word(text: &str, position: usize) -> Result<&'static str, CodeError> {
    match words::find(text) {
        Found::Word(word) => Ok(word),
        Found::Ambiguous(nearest) => Err(CodeError::Ambiguous { position, nearest }),
        Found::Unknown(nearest) => Err(CodeError::Word { position, nearest }),
    }
}

/// Prints the words numbered, in two columns of five.
pub struct Numbered<'a>(pub &'a RecoveryCode);

impl Numbered<'_> {
    /// The rows of it.
    pub fn rows(&self) -> SecretString {
        // its full size from the start: growing would leave copies behind
        let mut rows = String::with_capacity(512);
        write!(rows, "{self}").expect("a String takes it");
        SecretString::from(rows)
    }
}

impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.words().collect();
        let rows = WORDS / 2;
        for i in 0..rows {
            writeln!(
                f,
                "  {:>2}. {:<16}  {:>2}. {}",
                i + 1,
                words[i],
                i + 1 + rows,
                words[i + rows]
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "abacus goldfish thimble overcast remnant lubricant scorpion dwindle pancake virtuous";

    #[test]
    fn check_characters_have_their_form_and_depend_on_every_word() {
        let code = RecoveryCode::parse(CODE).unwrap();
        let check = code.check_characters();
        assert!(is_check(&check), "{check}");
        let swapped =
            RecoveryCode::parse(&CODE.replace("abacus goldfish", "goldfish abacus")).unwrap();
        assert_ne!(check, swapped.check_characters());
        assert!(RecoveryCode::parse(&format!("{CODE} {check}")).is_ok());
        assert_eq!(
            RecoveryCode::parse(&format!("{CODE} {}", swapped.check_characters())).unwrap_err(),
            CodeError::Check
        );
    }

    #[test]
    fn codes_are_drawn_from_the_whole_list() {
        let mut halves = [0_u32; 2];
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let code = RecoveryCode::generate().unwrap();
            assert_eq!(code.words().count(), WORDS);
            for word in code.words() {
                halves[usize::from(word > "metro")] += 1;
            }
            assert!(seen.insert(code.as_str().to_owned()));
        }
        // 2,000 fair draws: six standard deviations are 134
        assert!(halves[0].abs_diff(halves[1]) < 400, "{halves:?}");
    }

    #[test]
    fn numbered_print_reads_back() {
        let code = RecoveryCode::parse(CODE).unwrap();
        let printed = Numbered(&code).to_string();
        assert!(
            printed.starts_with("   1. abacus             6. lubricant\n"),
            "{printed}"
        );
        assert_eq!(RecoveryCode::parse(&printed).unwrap().as_str(), CODE);
    }
}
