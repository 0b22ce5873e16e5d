//! Just enough of the format of archives of files to find the files: items with a header of type and length.

use sha2::{Digest, Sha256};

const FILENAME: u64 = 0x1670_1121_0639_17b3;
const PAYLOAD: u64 = 0x2814_7a1b_0b7c_1a25;

/// Base name and SHA-256 of every regular file, hard links aside.
pub fn files(archive: &[u8]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut name = String::new();
    let mut at = 0;
    while at < archive.len() {
        let number = |at: usize| u64::from_le_bytes(archive[at..at + 8].try_into().unwrap());
        let (kind, len) = (number(at), number(at + 8) as usize);
        assert!(
            len >= 16 && at + len <= archive.len(),
            "an item at {at} of {len} bytes"
        );
        let content = &archive[at + 16..at + len];
        match kind {
            FILENAME => {
                name = String::from_utf8_lossy(content.strip_suffix(b"\0").unwrap()).into_owned()
            }
            PAYLOAD => files.push((name.clone(), hex::encode(Sha256::digest(content)))),
            _ => {}
        }
        at += len;
    }
    files
}
