//! One line of a sheet: `12: 8G3K 0ZQX … R7`, a number, symbols of five bits, and two more as its checksum.
//!
//! The checksum is a CRC of ten bits over number and symbols. It finds every error within ten bits in a row: each single
//! wrong character, also in the number, and each two neighbours in the wrong order.

/// Crockford's base32: no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Symbols of a line before its checksum; 20 bytes.
pub(super) const DATA: usize = 32;
/// The same of the last line, which is a hash: 10 bytes.
pub(super) const HASH: usize = 16;
const CHECK: usize = 2;
/// Symbols between blanks.
const GROUP: usize = 4;
/// The checksum covers ten bits of the number.
pub(super) const MAX_NUMBER: u16 = 1023;

/// Why a typed line can't be right. The number is that of the line on the sheet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A character that is on no sheet.
    #[error("line {line} is wrong: no sheet has the character {}", character.escape_default())]
    Character {
        /// Which line.
        line: u16,
        /// What was typed.
        character: char,
    },
    /// Something was left out, or typed twice.
    #[error(
        "line {line} is wrong: it has {found} characters, but should have {}, or {} if it is the last one",
        DATA + CHECK,
        HASH + CHECK
    )]
    Length {
        /// Which line.
        line: u16,
        /// How many characters it has, without number and blanks.
        found: usize,
    },
    /// A character is wrong, or two are in the wrong order.
    #[error("line {line} is wrong: its last two characters, the checksum, do not fit the others")]
    Checksum {
        /// Which line.
        line: u16,
    },
    /// All is right but the number.
    #[error("line {line} is wrong: it has another number here")]
    Number {
        /// Which line.
        line: u16,
    },
    /// The same line in another's place.
    #[error("line {line} is wrong: this is line {earlier} once more")]
    Again {
        /// Which line.
        line: u16,
        /// Whose content it has.
        earlier: u16,
    },
    /// The same number with another content, each with a checksum that fits.
    #[error("line {line} is there twice, and the two differ: one is from another sheet")]
    Differs {
        /// Which line.
        line: u16,
    },
    /// A line beyond the last one, or a last one that is not the last.
    #[error("line {line} is wrong: it comes after the last one, {last}")]
    AfterLast {
        /// Which line.
        line: u16,
        /// The one with the hash.
        last: u16,
    },
}

/// Prints a line.
pub(super) fn format(number: u16, symbols: &[u8]) -> String {
    let checked = [symbols, &checksum(number, symbols)].concat();
    let groups: Vec<String> = checked
        .chunks(GROUP)
        .map(|group| {
            let letter = |symbol: &u8| char::from(ALPHABET[usize::from(*symbol)]);
            group.iter().map(letter).collect()
        })
        .collect();
    format!("{number}: {}", groups.join(" "))
}

/// Reads a line that should have the number `next`: its number, and the symbols before the checksum.
///
/// Where a number is typed that does not fit, the line is named that was next.
pub(super) fn parse(typed: &str, next: u16) -> Result<(u16, Vec<u8>), LineError> {
    let (number, rest) = match typed.split_once(':') {
        Some((number, rest)) => (number.trim().parse().ok(), rest),
        None => (Some(next), typed),
    };
    let mut symbols = read_symbols(rest, next)?;
    let found = symbols.len();
    if found != DATA + CHECK && found != HASH + CHECK {
        return Err(LineError::Length { line: next, found });
    }
    let check = symbols.split_off(found - CHECK);
    let fits = |number| checksum(number, &symbols)[..] == check[..];
    match number {
        Some(number) if (1..=MAX_NUMBER).contains(&number) && fits(number) => Ok((number, symbols)),
        _ if fits(next) => Err(LineError::Number { line: next }),
        _ => Err(LineError::Checksum { line: next }),
    }
}

fn read_symbols(text: &str, line: u16) -> Result<Vec<u8>, LineError> {
    text.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|character| symbol(character).ok_or(LineError::Character { line, character }))
        .collect()
}

/// Case does not matter, and what looks like a digit is one.
fn symbol(character: char) -> Option<u8> {
    let letter = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    let found = ALPHABET.iter().position(|c| char::from(*c) == letter)?;
    u8::try_from(found).ok()
}

/// CRC-10 (x^10 + x^9 + x^5 + x^4 + x + 1) of the number and the symbols.
fn checksum(number: u16, symbols: &[u8]) -> [u8; CHECK] {
    const POLYNOMIAL: u16 = 0x233;
    let bits = |value: u16, count: u16| (0..count).rev().map(move |bit| value >> bit & 1);
    let all = bits(number, 10).chain(symbols.iter().flat_map(|s| bits(u16::from(*s), 5)));
    let crc = all.fold(0_u16, |crc, bit| {
        let out = crc >> 9 & 1;
        let shifted = crc << 1 & 0x3ff;
        if out ^ bit == 1 {
            shifted ^ POLYNOMIAL
        } else {
            shifted
        }
    });
    [(crc >> 5) as u8, (crc & 31) as u8]
}

/// Five bits each; the last one is filled with zeros.
pub(super) fn to_symbols(bytes: &[u8]) -> Vec<u8> {
    let bit = |index: usize| {
        bytes
            .get(index / 8)
            .map_or(0, |byte| byte >> (7 - index % 8) & 1)
    };
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|at| (0..5).fold(0, |symbol, i| symbol << 1 | bit(at * 5 + i)))
        .collect()
}

/// The other way round; bits that make no byte are left out.
pub(super) fn to_bytes(symbols: &[u8]) -> Vec<u8> {
    let bit = |index: usize| symbols[index / 5] >> (4 - index % 5) & 1;
    (0..symbols.len() * 5 / 8)
        .map(|at| (0..8).fold(0, |byte, i| byte << 1 | bit(at * 8 + i)))
        .collect()
}
