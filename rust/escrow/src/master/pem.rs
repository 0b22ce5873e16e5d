//! PEM texts (RFC 7468, and RFC 1421 with its headers, which newer parsers refuse).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::SecretBytes;

/// The only block of a text.
pub struct Block<'t> {
    /// What it says it is: `PUBLIC KEY`.
    pub label: &'t str,
    /// `Proc-Type` and the like.
    pub headers: Vec<(&'t str, &'t str)>,
    /// Its content.
    pub bytes: SecretBytes,
}

impl<'t> Block<'t> {
    /// Reads it. As OpenSSL does, what stands before and behind it is skipped; another block is not.
    pub fn parse(text: &'t [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
        let mut lines = text.lines().map(str::trim_end);
        let label = lines
            .find_map(begin)
            .ok_or_else(|| "it has no line -----BEGIN ...-----".to_owned())?;
        let mut headers = Vec::new();
        // never longer than the text, so that no copy is left where it has grown
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        loop {
            match lines.next() {
                None => return Err(format!("it ends before its line -----END {label}-----")),
                Some(line) if line.starts_with("-----") => {
                    if line.strip_prefix("-----END ").and_then(dashes) != Some(label) {
                        return Err(format!("what begins as {label} does not end as it"));
                    }
                    break;
                }
                Some(line) => match line.split_once(':') {
                    Some((name, value)) if digits.is_empty() => headers.push((name, value.trim())),
                    _ => digits.push_str(line),
                },
            }
        }
        if lines.find_map(begin).is_some() {
            return Err("it holds more than one block".to_owned());
        }
        let bytes = BASE64_STANDARD
            .decode(digits.as_bytes())
            .map_err(|_| format!("what lies between the lines of {label} is not base64"))?;
        Ok(Self {
            label,
            headers,
            bytes: Zeroizing::new(bytes),
        })
    }

    pub fn header(&self, name: &str) -> Option<&'t str> {
        let mut headers = self.headers.iter();
        headers.find(|(is, _)| *is == name).map(|(_, value)| *value)
    }
}

fn begin(line: &str) -> Option<&str> {
    line.strip_prefix("-----BEGIN ").and_then(dashes)
}

/// A label, which messages repeat: no control characters, and not endless.
fn dashes(rest: &str) -> Option<&str> {
    let label = rest.strip_suffix("-----")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == ' ';
    (label.len() <= 64 && label.chars().all(fits)).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let text = b"Bag Attributes: x\r\n-----BEGIN A KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n\r\nAAEC\r\nAwQ=  \r\n-----END A KEY-----\r\n";
        let block = Block::parse(text).unwrap();
        assert_eq!(block.label, "A KEY");
        assert_eq!(block.header("Proc-Type"), Some("4,ENCRYPTED"));
        assert_eq!(block.header("DEK-Info"), None);
        assert_eq!(block.bytes[..], [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_no_block() {
        for (text, why) in [
            ("", "no line"),
            ("-----BEGIN \x1b[2J-----\nAAEC\n", "no line"),
            ("-----BEGIN A-----\nAAEC\n", "ends before"),
            ("-----BEGIN A-----\nAAEC\n-----END B-----", "does not end"),
            ("-----BEGIN A-----\nAAE\n-----END A-----", "not base64"),
            ("-----BEGIN A-----\nAA_C\n-----END A-----", "not base64"),
            (
                "-----BEGIN A-----\nAAEC\nx: y\n-----END A-----",
                "not base64",
            ),
            (
                "-----BEGIN A-----\nAAEC\n-----END A-----\n-----BEGIN A-----",
                "more than one",
            ),
        ] {
            let err = Block::parse(text.as_bytes()).err().unwrap();
            assert!(err.contains(why), "{text}: {err}");
        }
        assert!(Block::parse(b"\xff").is_err());
    }
}
