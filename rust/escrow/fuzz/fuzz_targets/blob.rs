//! A blob or a chunk, of which every byte may be forged.
//!
//! Also with its CRC put right, which hardly any change gets past, and with its data encrypted, which none gets past.
#![cfg_attr(not(test), no_main)]

use std::sync::LazyLock;

use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, aes::Aes256};
use pve_escrow::pbs::blob::{Buffer, Decoder, Header, MAX_BLOB, Mode, StreamError};
use pve_escrow::pbs::chunk::{Wanted, verify};
use pve_escrow::pbs::{Crypt, Fault};
use pve_escrow::{Key, KeyFile};
use sha2::{Digest, Sha256};

/// What a blob may decode to here: little, so that the fuzzer is quick.
const MOST: usize = 1 << 20;
const ENCRYPTED: [u8; 8] = [123, 103, 133, 190, 34, 45, 76, 240];
const ENCRYPTED_COMPRESSED: [u8; 8] = [230, 89, 27, 191, 11, 191, 216, 11];

static KEY: LazyLock<Key> = LazyLock::new(|| {
    let live = include_bytes!("../../../../tests/vectors/keys/live.enc");
    KeyFile::parse(live, "live.enc")
        .and_then(|file| file.open(None))
        .expect("it is sound")
});
static CRYPT: LazyLock<Crypt> = LazyLock::new(|| Crypt::new(&KEY));

/// What must hold for every input.
pub fn run(data: &[u8]) {
    check(data);
    let Ok(header) = Header::parse(data) else {
        return;
    };
    let content = &data[if header.sealed.is_some() { 44 } else { 12 }..];
    let mut mended = data.to_vec();
    mended[8..12].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    check(&mended);
    if header.sealed.is_none() {
        let sealed = seal(content, header.compressed);
        check(&sealed);
        assert_eq!(
            outcome(&sealed, Some(&CRYPT), Mode::Encrypted),
            outcome(&mended, None, Mode::Plain),
            "encryption changes nothing of what is inside"
        );
    }
}

fn seal(content: &[u8], compressed: bool) -> Vec<u8> {
    let mut data = content.to_vec();
    let tag = AesGcm::<Aes256, U16>::new(KEY.as_bytes().into())
        .encrypt_inout_detached(&[7; 16].into(), &[], (&mut data[..]).into())
        .expect("it is within the limits of GCM");
    let magic = if compressed {
        ENCRYPTED_COMPRESSED
    } else {
        ENCRYPTED
    };
    let crc = crc32fast::hash(&data).to_le_bytes();
    [&magic[..], &crc, &[7; 16], &tag, &data].concat()
}

fn check(blob: &[u8]) {
    let plain = outcome(blob, Some(&CRYPT), Mode::Plain);
    let encrypted = outcome(blob, Some(&CRYPT), Mode::Encrypted);
    assert_eq!(
        plain,
        outcome(blob, None, Mode::Plain),
        "a key changes nothing where none is needed"
    );
    assert!(plain.is_err() || encrypted.is_err(), "it is one of both");
    assert!(
        outcome(blob, None, Mode::Encrypted).is_err(),
        "encrypted data needs a key"
    );
}

/// Decodes in all ways, which must agree.
fn outcome(blob: &[u8], crypt: Option<&Crypt>, mode: Mode) -> Result<Vec<u8>, &'static str> {
    let streamed = stream(blob, crypt, mode);
    match &streamed {
        Ok(data) => {
            assert!(exact(blob, crypt, mode, data.len()).as_ref() == Ok(data));
            assert!(exact(blob, crypt, mode, data.len() + 1).is_err());
            assert!(data.is_empty() || exact(blob, crypt, mode, data.len() - 1).is_err());
            is_chunk(blob, crypt, mode, data);
        }
        // in one call it needs no window, so a few more come through: of the size that was asked for
        Err(_) => drop(exact(blob, crypt, mode, 4096)),
    }
    streamed.map_err(|fault| fault.kind())
}

fn filled(blob: &[u8]) -> Buffer {
    let mut buffer = Buffer::default();
    buffer
        .fill(blob, blob.len() as u64, MAX_BLOB)
        .expect("it is as long as it says");
    buffer
}

fn stream(blob: &[u8], crypt: Option<&Crypt>, mode: Mode) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let streamed = Decoder::new(crypt).stream(&mut filled(blob), MOST, mode, &mut out);
    assert!(out.len() <= MOST, "{} bytes were written", out.len());
    match streamed {
        Ok(written) => {
            assert_eq!(written, out.len() as u64);
            Ok(out)
        }
        Err(StreamError::Fault(fault)) => Err(refused(fault)),
        Err(StreamError::Write(err)) => panic!("memory is always writable: {err}"),
    }
}

fn exact(blob: &[u8], crypt: Option<&Crypt>, mode: Mode, size: usize) -> Result<Vec<u8>, Fault> {
    let mut buffer = filled(blob);
    let decoded = Decoder::new(crypt).exact(&mut buffer, size, mode);
    let expected = if decoded.is_ok() { size } else { 0 };
    assert_eq!(buffer.data().len(), expected);
    decoded.map_err(refused)?;
    Ok(buffer.data().to_vec())
}

/// Under its digest, and under no other.
fn is_chunk(blob: &[u8], crypt: Option<&Crypt>, mode: Mode, data: &[u8]) {
    let mut hash = Sha256::new().chain_update(data);
    if mode == Mode::Encrypted {
        hash.update(*pve_escrow::fingerprint::id_key(&KEY));
    }
    let mut wanted = Wanted {
        digest: hash.finalize().into(),
        size: data.len(),
        mode,
    };
    let mut decoder = Decoder::new(crypt);
    assert_eq!(verify(&wanted, &mut decoder, &mut filled(blob)), Ok(()));
    wanted.digest[31] ^= 1;
    let other = verify(&wanted, &mut decoder, &mut filled(blob));
    assert!(matches!(other, Err(Fault::Digest(_))), "{other:?}");
}

fn refused(fault: Fault) -> Fault {
    let text = fault.to_string();
    assert!(
        text.len() < 200 && !text.contains(char::is_control),
        "{text:?}"
    );
    fault
}

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));
