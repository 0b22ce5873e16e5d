//! Lines in QR codes, several in each: `PVE-ESCROW 2/5 8G3K+9:…+10:…`, part, number of parts, and the beginning of the hash.
//!
//! All characters are of the alphanumeric mode, in which a code has the most room. What a phone reads can be given to the
//! same reader as what a person types.

use std::collections::BTreeMap;

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

use super::line::LineError;
use super::lines::{LineReader, QR_MARK, SEPARATOR, in_text};
use crate::error::{Error, Result};

/// With 5 lines a code has 49 modules: on 5 cm a phone reads it, and a scan of 150 dpi.
const LINES: usize = 5;
/// White modules around a code, as the standard wants.
const QUIET: usize = 4;

/// The texts of the QR codes for these lines.
pub fn parts(lines: &[String]) -> Vec<String> {
    let sheet = sheet_of(lines);
    let count = lines.len().div_ceil(LINES);
    let separator = SEPARATOR.to_string();
    (1..)
        .zip(lines.chunks(LINES))
        .map(|(part, lines)| {
            let lines = lines.join(&separator).replace(' ', "");
            format!("{QR_MARK}{part}/{count} {sheet}{separator}{lines}")
        })
        .collect()
}

/// What tells sheets apart: the beginning of the last line.
fn sheet_of(lines: &[String]) -> &str {
    let last = lines.last().map_or("", String::as_str);
    last.split(' ').nth(1).unwrap_or_default()
}

/// A code as an SVG picture.
///
/// # Errors
/// [`Error::Refused`] if a text is too long for one.
pub fn svg(text: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|err| Error::Refused(format!("cannot make a QR code: {err}")))?;
    let width = code.width();
    let size = width + 2 * QUIET;
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            let length = run.len();
            if run[0] == Color::Dark {
                path += &format!("M{} {}h{length}v1h-{length}z", x + QUIET, y + QUIET);
            }
            x += length;
        }
    }
    Ok(format!(
        r##"<svg viewBox="0 0 {size} {size}" shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#fff"/><path d="{path}"/></svg>"##
    ))
}

/// Is this the text of one of our codes?
pub fn is_part(text: &str) -> bool {
    text.starts_with(QR_MARK)
}

/// Puts parts together, in whatever order and however often they are read.
#[derive(Debug, Default)]
pub struct Parts {
    sheet: Option<(String, usize)>,
    seen: BTreeMap<usize, String>,
}

impl Parts {
    /// Takes the text of a code.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is none of ours, or of another sheet than those before.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let (part, count, sheet) = head(text)
            .ok_or_else(|| Error::damaged("a QR code", "it is not one of a sheet of pve-escrow"))?;
        let this = (sheet.to_owned(), count);
        if *self.sheet.get_or_insert_with(|| this.clone()) != this {
            return Err(Error::damaged(
                "a QR code",
                "it is of another sheet than those before: read one sheet at a time",
            ));
        }
        self.seen.insert(part, text.to_owned());
        Ok(())
    }

    /// How many parts there are on the sheet; none if no code was read.
    pub fn count(&self) -> usize {
        self.sheet.as_ref().map_or(0, |(_, count)| *count)
    }

    /// Were all parts read?
    pub fn is_complete(&self) -> bool {
        self.count() > 0 && self.seen.len() == self.count()
    }

    /// The bytes that were printed; messages call them `what`.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the missing parts; as [`LineReader::finish`].
    pub fn finish(&self, what: &str) -> Result<Vec<u8>> {
        let missing: Vec<String> = (1..=self.count())
            .filter(|part| !self.seen.contains_key(part))
            .map(|part| part.to_string())
            .collect();
        if !missing.is_empty() {
            let why = format!(
                "of {} QR codes these are missing or can't be read: {}",
                self.count(),
                missing.join(", ")
            );
            return Err(Error::damaged(what, why));
        }
        let mut reader = LineReader::default();
        let wrong = |err: LineError| Error::damaged(what, err.to_string());
        for line in self.seen.values().flat_map(|text| in_text(text)) {
            reader.read(line).map_err(wrong)?;
        }
        reader.finish(what)
    }
}

/// Part, number of parts, sheet.
fn head(text: &str) -> Option<(usize, usize, &str)> {
    const MOST: usize = 128;
    let (head, _) = text.strip_prefix(QR_MARK)?.split_once(SEPARATOR)?;
    let (numbers, sheet) = head.split_once(' ')?;
    let (part, count) = numbers.split_once('/')?;
    let (part, count) = (part.parse().ok()?, count.parse().ok()?);
    (1 <= part && part <= count && count <= MOST).then_some((part, count, sheet))
}
