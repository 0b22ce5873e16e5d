//! The command line of paper.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pve_escrow::paper::Format;

/// Print a kit or a blob as a sheet that can be scanned or typed back, or the words as another one.
///
/// Each of the two sheets is useless alone. Print HTML with a browser, on A4 or US Letter, or make a PDF of it.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Paper {
    /// Kit or blob; with --code-in only to name the key
    #[arg(required_unless_present = "code_in")]
    pub kit: Option<PathBuf>,
    /// Write to this new file, in place of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    pub format: FormatName,
    /// Print the sheet of the words, read from this file ("-": standard input)
    #[arg(long, value_name = "FILE")]
    pub code_in: Option<PathBuf>,
    /// Where the kit is, to stand on the sheet of the words
    #[arg(long, value_name = "PLACE", requires = "code_in")]
    pub kit_at: Option<String>,
}

/// [`Format`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum FormatName {
    Text,
    Html,
    /// The same page: it needs no settings to be printed
    PdfReady,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Text => Self::Text,
            FormatName::Html | FormatName::PdfReady => Self::Html,
        }
    }
}

/// Read a sheet back: a kit or a blob, or a key file from "proxmox-backup-client key paperkey".
///
/// Takes pictures of the QR codes, or typed lines. Without a file it asks for the lines, and says at once which one is wrong.
#[derive(Parser)]
#[command(after_help = super::EXIT_CODES)]
pub struct Import {
    /// Pictures of one sheet (PNG, JPEG), or its text, or a text or HTML of the client ("-": standard input)
    pub file: Vec<PathBuf>,
    /// New file for what was on the sheet
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
