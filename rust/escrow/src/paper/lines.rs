//! Bytes as lines to type.
//!
//! What is typed is `1 || length (2 bytes, most significant first) || zstd(bytes)`, filled up with zeros to whole lines. The
//! last line, shorter than the others, is the beginning of the SHA-256 of the bytes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::line::{self, DATA, HASH, LineError, MAX_NUMBER};
use crate::error::{Error, Result};
use crate::file::MAX_SIZE;

const VERSION: u8 = 1;
/// Lines that a message names.
const MOST: usize = 10;
const LINE_BYTES: usize = DATA * 5 / 8;
/// How hard zstd tries.
const LEVEL: i32 = 19;
/// What surrounds lines among other text.
pub const BEGIN: &str = "-----BEGIN PVE-ESCROW LINES-----";
/// The end of that.
pub const END: &str = "-----END PVE-ESCROW LINES-----";
/// Between the lines in a QR code: it has no line breaks where it has the most room.
pub(super) const SEPARATOR: char = '+';
/// What begins the text of a QR code, and is no line.
pub(super) const QR_MARK: &str = "PVE-ESCROW ";

/// Writes a kit or a blob as lines to type.
///
/// # Errors
/// [`Error::Refused`] for more than a thousand lines.
pub fn to_lines(bytes: &[u8]) -> Result<Vec<String>> {
    let too_long = || Error::Refused("this is too long for paper".to_owned());
    let packed = zstd::bulk::compress(bytes, LEVEL)
        .map_err(|err| Error::Refused(format!("cannot compress it: {err}")))?;
    let length = u16::try_from(packed.len()).map_err(|_| too_long())?;
    let mut content = vec![VERSION];
    content.extend(length.to_be_bytes());
    content.extend(packed);
    content.resize(content.len().next_multiple_of(LINE_BYTES), 0);

    let parts = content.chunks(LINE_BYTES).map(line::to_symbols);
    let lines: Vec<String> = (1..=MAX_NUMBER)
        .zip(parts.chain([hash(bytes)]))
        .map(|(number, symbols)| line::format(number, &symbols))
        .collect();
    if lines.len() <= content.len() / LINE_BYTES {
        return Err(too_long());
    }
    Ok(lines)
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    line::to_symbols(&Sha256::digest(bytes)[..HASH * 5 / 8])
}

/// Takes lines as they are typed, one after the other, and says at once which one is wrong.
///
/// Numbers may be left out: then a line is the one after that before. Where they are there they count, in any order.
#[derive(Debug)]
pub struct LineReader {
    lines: BTreeMap<u16, Vec<u8>>,
    last: Option<u16>,
    next: u16,
}

impl Default for LineReader {
    fn default() -> Self {
        Self {
            lines: BTreeMap::new(),
            last: None,
            next: 1,
        }
    }
}

impl LineReader {
    /// The number of the line that should be typed now.
    pub fn next(&self) -> u16 {
        self.next
    }

    /// Reads a line, and gives its number.
    ///
    /// # Errors
    /// A [`LineError`]; then nothing has changed, and the line can be typed again.
    pub fn read(&mut self, typed: &str) -> Result<u16, LineError> {
        let (number, symbols) =
            line::parse(typed, self.next).map_err(|err| self.again(typed, err))?;
        let last = match symbols.len() {
            HASH => Some(number),
            _ => self.last,
        };
        match (self.lines.get(&number), last, self.lines.keys().next_back()) {
            (Some(before), ..) if *before != symbols => {
                return Err(LineError::Differs { line: number });
            }
            (_, Some(last), _) if number > last => {
                return Err(LineError::AfterLast { line: number, last });
            }
            (_, Some(last), Some(highest)) if *highest > last => {
                let line = *highest;
                return Err(LineError::AfterLast { line, last });
            }
            _ => {}
        }
        self.last = last;
        self.lines.insert(number, symbols);
        self.next = number + 1;
        if last == Some(number) {
            self.next = self.missing().first().copied().unwrap_or(self.next);
        }
        Ok(number)
    }

    /// Is it a line that was there before?
    fn again(&self, typed: &str, err: LineError) -> LineError {
        let is_this = |number: u16| match line::parse(typed, number) {
            Ok((found, symbols)) => found == number && self.lines.get(&number) == Some(&symbols),
            Err(_) => false,
        };
        match (self.lines.keys().copied().find(|n| is_this(*n)), err) {
            (Some(earlier), LineError::Checksum { line }) => LineError::Again { line, earlier },
            (_, err) => err,
        }
    }

    /// Goes on after a line that was wrong and can't be typed again.
    pub fn skip(&mut self) {
        self.next = self.next.saturating_add(1).min(MAX_NUMBER);
    }

    /// Are all lines there?
    pub fn is_complete(&self) -> bool {
        self.last.is_some() && self.missing().is_empty()
    }

    /// The numbers of missing lines, as far as they can be known: what comes after the highest one only if that is the last.
    pub fn missing(&self) -> Vec<u16> {
        let highest = self.lines.keys().next_back().copied().unwrap_or(0);
        (1..highest)
            .filter(|number| !self.lines.contains_key(number))
            .collect()
    }

    /// The bytes that were printed; messages call them `what`.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the numbers of missing lines, or if lines do not belong together.
    pub fn finish(&self, what: &str) -> Result<Vec<u8>> {
        let missing = self.missing();
        if !missing.is_empty() {
            let numbers: Vec<_> = missing.iter().take(MOST).map(u16::to_string).collect();
            let mut why = format!("missing: line {}", numbers.join(", "));
            if missing.len() > MOST {
                why += &format!(" and {} more", missing.len() - MOST);
            }
            return Err(Error::damaged(what, why));
        }
        let Some(last) = self.last else {
            let why = format!(
                "missing: line {} and those after it, to the short one at the end",
                self.lines.len() + 1
            );
            return Err(Error::damaged(what, why));
        };
        let symbols: Vec<u8> = self
            .lines
            .range(..last)
            .flat_map(|(_, s)| s.clone())
            .collect();
        let content = line::to_bytes(&symbols);
        if content.first().is_some_and(|version| *version > VERSION) {
            return Err(Error::Unsupported {
                what: what.to_owned(),
                why: "it was printed by a later version of this program".to_owned(),
            });
        }
        unpack(&content)
            .filter(|bytes| hash(bytes) == self.lines[&last])
            .ok_or_else(|| {
                Error::damaged(
                    what,
                    "every line is right by itself, but not all are from the same sheet",
                )
            })
    }
}

fn unpack(content: &[u8]) -> Option<Vec<u8>> {
    let (&[VERSION, high, low], rest) = content.split_first_chunk()? else {
        return None;
    };
    let packed = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    zstd::bulk::decompress(packed, MAX_SIZE).ok()
}

/// Is this a sheet with lines, or are lines typed from one in it?
pub fn is_sheet(text: &str) -> bool {
    let mut reader = LineReader::default();
    let mut is_right = |line| {
        let right = reader.read(line).is_ok();
        reader.skip();
        right
    };
    text.contains(BEGIN) || in_text(text).into_iter().any(&mut is_right)
}

/// The lines in a text: what stands between [`BEGIN`] and [`END`] if these are there, else all; also the texts of QR codes.
pub fn in_text(text: &str) -> Vec<&str> {
    let inner = match text.split_once(BEGIN) {
        Some((_, rest)) => rest.split(END).next().unwrap_or_default(),
        None => text,
    };
    inner
        .split(['\n', SEPARATOR])
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(QR_MARK))
        .collect()
}

/// Reads all lines of a text; messages call it `what`.
///
/// # Errors
/// [`Error::Damaged`] with all wrong lines, at most ten; as [`LineReader::finish`].
pub fn from_text(text: &str, what: &str) -> Result<Vec<u8>> {
    let mut reader = LineReader::default();
    let mut wrong = Vec::new();
    for line in in_text(text) {
        if let Err(err) = reader.read(line) {
            wrong.push(err.to_string());
            reader.skip();
        }
        if wrong.len() == MOST {
            break;
        }
    }
    if !wrong.is_empty() {
        return Err(Error::damaged(what, wrong.join("; ")));
    }
    reader.finish(what)
}
