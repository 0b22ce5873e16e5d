//! Kits and blobs on paper: sheets to print, and reading them back.
//!
//! * [`lines`] turns bytes into lines that a person can type, and back; each line shows by itself whether it is right.
//! * [`qr`] puts the same lines into QR codes.
//! * [`kit_sheet`] and [`code_sheet`] are the two sheets: each is useless without the other.
//! * [`paperkey`] reads the sheets of `proxmox-backup-client key paperkey`.
//! * [`Sheet`] reads all of these back.

mod code_sheet;
mod html;
mod kit_sheet;
mod line;
pub mod lines;
pub mod paperkey;
pub mod qr;
mod sheet;

pub use code_sheet::CodeSheet;
pub use kit_sheet::KitSheet;
pub use line::LineError;
pub use lines::{LineReader, to_lines};
pub use sheet::{Sheet, is_sheet};

use serde::Deserialize;

/// What a sheet is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// For any printer, and for reading back.
    Text,
    /// One page of HTML without scripts, with QR codes, which a browser prints as it is: also called `pdf-ready`.
    #[serde(alias = "pdf-ready")]
    Html,
}

/// Nothing that a terminal or a printer would act upon, nor a reader of sheets.
fn printable(text: &str) -> String {
    text.replace("-----", "?????")
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
