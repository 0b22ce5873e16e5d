//! What somebody has typed from a sheet or saved of one: lines, the texts of QR codes, sheets of the stock client.
//!
//! Also with the checksums of lines put right, which hardly any change gets past; and printed first.
#![cfg_attr(not(test), no_main)]

use pve_escrow::paper::lines::{from_text, in_text};
use pve_escrow::paper::qr::{self, Parts};
use pve_escrow::paper::{LineReader, Sheet, is_sheet, paperkey, to_lines};
use pve_escrow::{Error, KeyFile, Result};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What must hold for every input.
pub fn run(data: &[u8]) {
    if data.len() <= 64 {
        printed(data);
    }
    if let Some(lines) = mended(data) {
        typed(&lines);
        assert!(is_sheet(&lines), "its lines are right");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        typed(text);
        scanned(text);
        sheet_of_the_client(text);
    }
}

/// What was printed comes back; with one other character it does not.
fn printed(data: &[u8]) {
    let lines = to_lines(data).expect("it is short");
    let text = lines.join("\n");
    typed(&text);
    assert_eq!(from_text(&text, "the input").expect("it is right"), data);
    let mut parts = Parts::default();
    for part in qr::parts(&lines) {
        parts.add(&part).expect("it is a part");
    }
    assert_eq!(parts.finish("the input").expect("it is whole"), data);

    let mut wrong = text.into_bytes();
    let number = data
        .iter()
        .fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(*byte));
    let at = number % wrong.len();
    if ALPHABET.contains(&wrong[at]) {
        let place = ALPHABET.iter().position(|letter| *letter == wrong[at]);
        wrong[at] = ALPHABET[(place.expect("it is one") + 1 + number % 31) % 32];
        let wrong = String::from_utf8(wrong).expect("it is ASCII");
        refused(&from_text(&wrong, "the input").expect_err("a character is wrong"));
    }
}

fn typed(text: &str) {
    let whole = from_text(text, "the input");
    match (&whole, one_by_one(text)) {
        (Ok(bytes), Some(Ok(same))) => assert!(*bytes == same),
        (Err(err), None | Some(Err(_))) => refused(err),
        (whole, one_by_one) => panic!("{whole:?}, but one by one {one_by_one:?}"),
    }
    match Sheet::read(text, "the input") {
        Ok(sheet) => {
            assert!(is_sheet(text));
            if let Sheet::Kit(bytes) = &sheet {
                assert!(whole.is_ok_and(|whole| whole == *bytes));
            }
            assert!(!sheet.into_content().is_empty());
        }
        Err(err) => refused(&err),
    }
}

/// Nothing if a line is wrong.
fn one_by_one(text: &str) -> Option<Result<Vec<u8>>> {
    let mut reader = LineReader::default();
    for line in in_text(text) {
        let next = reader.next();
        if reader.read(line).is_err() {
            assert_eq!(reader.next(), next, "it can be typed again");
            return None;
        }
    }
    let read = reader.finish("the input");
    assert!(read.is_err() || reader.is_complete());
    Some(read)
}

fn scanned(text: &str) {
    let mut parts = Parts::default();
    for line in text.lines() {
        if let Err(err) = parts.add(line) {
            refused(&err);
        }
    }
    if let Err(err) = parts.finish("the input") {
        refused(&err);
    }
}

/// The marks around a key file change nothing.
fn sheet_of_the_client(text: &str) {
    if text.contains("-----") {
        return;
    }
    let sheet =
        format!("-----BEGIN PROXMOX BACKUP KEY-----\n{text}\n-----END PROXMOX BACKUP KEY-----\n");
    assert!(is_sheet(&sheet));
    let file = KeyFile::parse(text.trim().as_bytes(), "the input");
    match (paperkey::read(&sheet, "the input"), file) {
        (Ok(read), Ok(file)) => assert!(read.to_json() == file.to_json()),
        (Err(err), Ok(file)) => {
            assert!(!file.is_protected() && file.open(None).is_err());
            refused(&err);
        }
        (Err(err), Err(_)) => refused(&err),
        (Ok(_), Err(err)) => panic!("only on a sheet it is read: {err}"),
    }
}

/// Lines with this as what was compressed, and a hash that does not fit.
fn mended(data: &[u8]) -> Option<String> {
    let length = u16::try_from(data.len()).ok()?;
    let mut content = [&[1][..], &length.to_be_bytes(), data].concat();
    content.resize(content.len().next_multiple_of(20), 0);
    let lines = (1..1000).zip(content.chunks(20).chain([&[7; 10][..]]));
    Some(lines.map(|(number, bytes)| line(number, bytes)).collect())
}

fn line(number: u16, bytes: &[u8]) -> String {
    let bits = |byte: &u8| {
        (0..8)
            .rev()
            .map(move |bit| *byte >> bit & 1)
            .collect::<Vec<_>>()
    };
    let bits: Vec<u8> = bytes.iter().flat_map(bits).collect();
    let mut symbols: Vec<u8> = bits
        .chunks(5)
        .map(|bits| bits.iter().fold(0, |symbol, bit| symbol << 1 | bit))
        .collect();
    let number_bits = (0..10).rev().map(|bit| (number >> bit & 1) as u8);
    let crc = number_bits.chain(bits).fold(0_u16, |crc, bit| {
        let shifted = crc << 1 & 0x3ff;
        match (crc >> 9 & 1) as u8 == bit {
            true => shifted,
            false => shifted ^ 0x233,
        }
    });
    symbols.extend([(crc >> 5) as u8, (crc & 31) as u8]);
    let letters = symbols
        .iter()
        .map(|symbol| char::from(ALPHABET[usize::from(*symbol)]));
    format!("{number}: {}\n", letters.collect::<String>())
}

/// A refusal is of one of three kinds, and fits on a screen.
fn refused(err: &Error) {
    assert!(
        matches!(
            err,
            Error::Damaged { .. } | Error::Unsupported { .. } | Error::Refused(_)
        ),
        "{err:?}"
    );
    let text = err.to_string();
    assert!(text.len() < 1500, "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
