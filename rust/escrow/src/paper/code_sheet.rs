//! The sheet of the words: all but the kit.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::{Format, html, printable};
use crate::code::Numbered;
use crate::{Fingerprint, RecoveryCode, keyfile};

const TITLE: &str = "Recovery Code of a Backup Encryption Key";
const ABOUT: &str = "Whoever has these words and a kit can read the backups. Keep this sheet where only the right people \
                     get at it, and away from the kit.";
const OURS: &str = "To get the key back, with the kit: pve-escrow-rescue unwrap KIT --out key.enc";

/// Where the words will stand: nothing that is printed has this in it.
const WORDS: char = '\0';
/// Room for them, in bytes.
const MAX_WORDS: usize = 512;

/// Is it such a sheet, in text or HTML?
pub(super) fn is_sheet(text: &str) -> bool {
    text.contains(TITLE)
}

/// What is on it.
#[derive(Debug)]
pub struct CodeSheet<'a> {
    /// The words.
    pub code: &'a RecoveryCode,
    /// The key, if it is known.
    pub fingerprint: Option<Fingerprint>,
    /// Where the kit is; if it is not known, there is room to write it down.
    pub place: Option<&'a str>,
}

impl CodeSheet<'_> {
    /// The sheet to print, which is a secret.
    pub fn print(&self, format: Format) -> Zeroizing<String> {
        let mut facts = vec![("Check characters", self.code.check_characters())];
        if let Some(fingerprint) = self.fingerprint {
            facts.push(("Key", fingerprint.to_string()));
            facts.push(("Short form", fingerprint.short()));
        }
        let place = self.place.map_or_else(|| "_".repeat(40), printable);
        facts.push(("The kit is at", place));
        facts.push(("Date", keyfile::timestamp(&keyfile::now())));
        let around = match format {
            Format::Text => text(&facts),
            Format::Html => page(&facts),
        };
        self.with_words(&around, format)
    }

    /// With its full size from the start: growing would leave copies of the words behind.
    fn with_words(&self, around: &str, format: Format) -> Zeroizing<String> {
        let (before, after) = around
            .split_once(WORDS)
            .expect("both have a place for them");
        let room = around.len() + MAX_WORDS;
        let mut sheet = Zeroizing::new(String::with_capacity(room));
        *sheet += before;
        match format {
            Format::Text => write!(sheet, "{}", Numbered(self.code)),
            Format::Html => self
                .code
                .words()
                .try_for_each(|word| writeln!(sheet, "<li>{word}</li>")),
        }
        .expect("a String takes it");
        *sheet += after;
        debug_assert!(sheet.len() <= room, "it did not grow");
        sheet
    }
}

fn text(facts: &[(&str, String)]) -> String {
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("{:<17} {value}\n", format!("{name}:")))
        .collect();
    format!("{TITLE}\n\n{WORDS}\n{facts}\n{ABOUT}\n\n{OURS}\n")
}

fn page(facts: &[(&str, String)]) -> String {
    let body = format!(
        "<ol>\n{WORDS}</ol>\n{}{}{}",
        html::facts(facts),
        html::element("p", ABOUT),
        html::element("p", OURS)
    );
    html::page(TITLE, &body)
}
