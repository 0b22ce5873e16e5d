//! From what somebody typed to words of the list.

use zeroize::Zeroizing;

use crate::code::{self, CodeError, WORDS};
use crate::words::{self, HYPHENATED};

/// Longest text that is looked at, in bytes: ten of the longest words with numbers take a tenth of it.
const MAX_TEXT: usize = 2048;

/// The ten words of a typed code, and its check characters if they were typed.
#[derive(Debug)]
pub(crate) struct Typed {
    pub words: [&'static str; WORDS],
    pub check: Option<Zeroizing<String>>,
}

/// Reads a code; its check characters are not compared here.
pub(crate) fn read(text: &str) -> Result<Typed, CodeError> {
    reader(text)?.finish()
}

/// Reads the first words of a code that is not complete yet.
pub(crate) fn read_part(text: &str) -> Result<Vec<&'static str>, CodeError> {
    let mut reader = reader(text)?;
    reader.flush()?;
    if reader.words.len() > WORDS {
        return Err(reader.count());
    }
    Ok(reader.words)
}

fn reader(text: &str) -> Result<Reader, CodeError> {
    if text.len() > MAX_TEXT {
        return Err(CodeError::TooLong);
    }
    let text = normalise(text);
    let mut reader = Reader::default();
    for token in text.split(' ').filter(|token| !token.is_empty()) {
        reader.token(token)?;
    }
    Ok(reader)
}

/// Lower case, and a single space for everything that only separates. What is invisible inside a word goes.
fn normalise(text: &str) -> Zeroizing<String> {
    // lower case may take more bytes than upper case, but never three times as many
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len() + 1));
    for char in text.chars() {
        match char {
            // soft hyphen, joiners, byte order mark
            '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => {}
            // hyphens and dashes
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => {
                out.push('-')
            }
            // full width forms, as some keyboards type them
            '\u{ff01}'..='\u{ff5e}' => push(&mut out, half_width(char)),
            _ => push(&mut out, char),
        }
    }
    out
}

fn push(out: &mut String, char: char) {
    if char.is_alphanumeric() {
        out.extend(char.to_lowercase());
    } else {
        out.push(' ');
    }
}

fn half_width(char: char) -> char {
    char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char)
}

#[derive(Default)]
struct Reader {
    words: Vec<&'static str>,
    /// The number that stood before each word.
    numbers: Vec<Option<usize>>,
    /// The last number, if no word has followed yet.
    number: Option<usize>,
    check: Option<Zeroizing<String>>,
    /// The first half of a word with a hyphen, of which the second half is still to come.
    head: Option<&'static str>,
}

impl Reader {
    fn count(&self) -> CodeError {
        CodeError::Count {
            found: self.words.len(),
        }
    }

    /// Takes what stood between two spaces.
    fn token(&mut self, token: &str) -> Result<(), CodeError> {
        // `down` is a word too, but `drop` before it is none
        let word = self.second_half(token);
        if let Some(word) = word.or_else(|| hyphenated(token)) {
            self.flush()?;
            self.word(word);
            return Ok(());
        }
        token
            .split('-')
            .filter(|part| !part.is_empty())
            .try_for_each(|part| self.part(part))
    }

    fn part(&mut self, part: &str) -> Result<(), CodeError> {
        if let Some(word) = self.second_half(part) {
            self.word(word);
            return Ok(());
        }
        self.flush()?;
        if code::is_check(part) && self.check.is_none() {
            self.check = Some(Zeroizing::new(part.to_owned()));
            return Ok(());
        }
        let letters = part.trim_start_matches(|char: char| char.is_ascii_digit());
        if letters.len() < part.len() {
            self.number = part[..part.len() - letters.len()].parse().ok();
        }
        if letters.is_empty() {
            return Ok(());
        }
        self.head = HYPHENATED
            .iter()
            .map(|(head, ..)| *head)
            .find(|head| *head == letters);
        match self.head {
            Some(_) => Ok(()),
            None => self.look_up(letters),
        }
    }

    /// `drop down` and `drop-down` are one word, which is known only when its second half has come.
    fn second_half(&mut self, part: &str) -> Option<&'static str> {
        let head = self.head?;
        let (.., word) = HYPHENATED
            .iter()
            .find(|(h, tail, _)| *h == head && *tail == part)?;
        self.head = None;
        Some(word)
    }

    /// A first half without its second one stands for itself.
    fn flush(&mut self) -> Result<(), CodeError> {
        match self.head.take() {
            Some(head) => self.look_up(head),
            None => Ok(()),
        }
    }

    fn look_up(&mut self, letters: &str) -> Result<(), CodeError> {
        let word = code::word(letters, self.words.len() + 1)?;
        self.word(word);
        Ok(())
    }

    fn word(&mut self, word: &'static str) {
        self.words.push(word);
        self.numbers.push(self.number.take());
    }

    fn finish(mut self) -> Result<Typed, CodeError> {
        self.flush()?;
        if self.words.is_empty() {
            return Err(CodeError::Empty);
        }
        let words = self.words[..].try_into().map_err(|_| self.count())?;
        Ok(Typed {
            words: in_order(words, &self.numbers),
            check: self.check.take(),
        })
    }
}

/// A word with a hyphen, typed with it or in one: `drop-down`, `dropdown`, `felt-t`. But `yoyo` is a word too.
fn hyphenated(token: &str) -> Option<&'static str> {
    match words::known(token) {
        Some(word) if word == token || token.contains('-') => Some(word),
        _ => HYPHENATED
            .iter()
            .find(|(head, tail, _)| token.strip_prefix(head) == Some(tail))
            .map(|(.., word)| *word),
    }
}

/// If the numbers name every place once, they tell the order: somebody may have read line by line a sheet that
/// has two columns.
fn in_order(words: [&'static str; WORDS], numbers: &[Option<usize>]) -> [&'static str; WORDS] {
    let mut ordered = [None; WORDS];
    for (word, number) in words.iter().zip(numbers) {
        let place = number.and_then(|number| ordered.get_mut(number.checked_sub(1)?));
        match place {
            Some(place @ None) => *place = Some(*word),
            _ => return words,
        }
    }
    ordered.map(|word| word.unwrap_or_default())
}
