//! The sheet of the words: all but the kit.

use zeroize::Zeroizing;

use super::{Format, html, printable};
use crate::code::Numbered;
use crate::{Fingerprint, RecoveryCode, keyfile};

const TITLE: &str = "Recovery Code of a Backup Encryption Key";
const ABOUT: &str = "Whoever has these words and a kit can read the backups. Keep this sheet where only the right people \
                     get at it, and away from the kit.";
const OURS: &str = "To get the key back, with the kit: pve-escrow-rescue unwrap KIT --out key.enc";

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
        Zeroizing::new(match format {
            Format::Text => self.text(&facts),
            Format::Html => self.html(&facts),
        })
    }

    fn text(&self, facts: &[(&str, String)]) -> String {
        let facts: String = facts
            .iter()
            .map(|(name, value)| format!("{:<17} {value}\n", format!("{name}:")))
            .collect();
        format!(
            "{TITLE}\n\n{}\n{facts}\n{ABOUT}\n\n{OURS}\n",
            Numbered(self.code)
        )
    }

    fn html(&self, facts: &[(&str, String)]) -> String {
        let words: String = self
            .code
            .words()
            .map(|word| html::element("li", word))
            .collect();
        let body = format!(
            "<ol>\n{words}</ol>\n{}{}{}",
            html::facts(facts),
            html::element("p", ABOUT),
            html::element("p", OURS)
        );
        html::page(TITLE, &body)
    }
}
