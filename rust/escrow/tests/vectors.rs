//! Key files that the stock client made, and the published vectors of the key derivations.

use std::fs;
use std::path::{Path, PathBuf};

use pbkdf2::pbkdf2_hmac;
use pve_escrow::kdf::Kdf;
use pve_escrow::{Error, Fingerprint, KeyFile, RecoveryCode, SecretString, seal};
use serde_json::Value;
use sha2::Sha256;

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/keys")
}

fn read(name: &str) -> KeyFile {
    KeyFile::read(&keys().join(name)).unwrap()
}

fn manifest() -> Vec<Value> {
    serde_json::from_slice(&fs::read(keys().join("manifest.json")).unwrap()).unwrap()
}

fn clients_code() -> RecoveryCode {
    let manifest = manifest();
    let entry = manifest
        .iter()
        .find(|entry| entry["file"] == "live.escrow-by-client.enc")
        .unwrap();
    RecoveryCode::parse(entry["passphrase"].as_str().unwrap()).unwrap()
}

#[test]
fn every_key_file_is_what_the_client_says() {
    let manifest = manifest();
    assert_eq!(manifest.len(), 9);
    for entry in manifest {
        let name = entry["file"].as_str().unwrap();
        let file = read(name);
        let show = &entry["show"];
        assert_eq!(file.kdf_name(), show["kdf"], "{name}");
        assert_eq!(file.created.timestamp(), show["created"], "{name}");
        assert_eq!(file.modified.timestamp(), show["modified"], "{name}");
        assert_eq!(
            file.claimed.map(|f| f.to_string()).as_deref(),
            show["fingerprint"].as_str(),
            "{name}"
        );
        assert_eq!(file.hint.as_deref(), entry["hint"].as_str(), "{name}");

        let passphrase = entry["passphrase"]
            .as_str()
            .map(|text| SecretString::from(text.to_owned()));
        let opened = file.open(passphrase.as_ref());
        if entry["invalid"] == true {
            let text = opened.unwrap_err().to_string();
            assert!(
                text.contains("7d:34:d4:ed:c3:20:5d:a3"),
                "names the claim: {text}"
            );
            assert!(
                text.contains("03:6b:8f:61:0c:da:d8:85"),
                "names the key: {text}"
            );
            continue;
        }
        let same = entry["same_key_as"].as_str().unwrap_or(name);
        let expected = read(same).claimed.unwrap();
        assert_eq!(Fingerprint::of(&opened.unwrap()), expected, "{name}");
    }
}

#[test]
fn what_is_read_is_written_again_byte_for_byte() {
    for entry in manifest() {
        let name = entry["file"].as_str().unwrap();
        let bytes = fs::read(keys().join(name)).unwrap();
        assert_eq!(*read(name).to_json(), bytes, "{name}");
    }
}

#[test]
fn wrong_and_missing_passphrases() {
    let file = read("utf8-hint.enc");
    assert!(matches!(
        file.open(None),
        Err(Error::PassphraseNeeded { .. })
    ));
    let wrong = SecretString::from("wrong".to_owned());
    let text = file.open(Some(&wrong)).unwrap_err().to_string();
    assert!(text.contains("hint: the usual word"), "{text}");
}

#[test]
fn the_clients_blob_opens_with_its_ten_words() {
    let live = read("live.enc");
    let expected = live.claimed.unwrap().into();
    let opened = seal::unwrap(
        &read("live.escrow-by-client.enc"),
        &clients_code(),
        Some(&expected),
    )
    .unwrap();
    assert!(opened.key == live.open(None).unwrap());
}

/// Everything that is the same in all blobs: times, salt, data and fingerprint become their lengths.
fn shape(blob: &[u8]) -> String {
    let text = std::str::from_utf8(blob).unwrap();
    let parts = text.split('"').map(|part| {
        if part.len() > 20 {
            format!("<{}>", part.len())
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join("\"")
}

#[test]
fn our_blob_has_the_shape_of_the_clients() {
    let live = fs::read(keys().join("live.enc")).unwrap();
    let theirs = fs::read(keys().join("live.escrow-by-client.enc")).unwrap();
    let ours = seal::create(&read("live.enc"), None).unwrap().blob;
    assert_eq!(ours.len(), 383);
    assert_eq!(shape(&ours), shape(&theirs));
    assert!(shape(&ours).starts_with(
        r#"{"kdf":{"Scrypt":{"n":65536,"r":8,"p":1,"salt":"<44>"}},"created":"<25>","#
    ));
    let (ours, theirs): (Value, Value) = (
        serde_json::from_slice(&ours).unwrap(),
        serde_json::from_slice(&theirs).unwrap(),
    );
    for member in ["created", "fingerprint"] {
        assert_eq!(ours[member], theirs[member], "{member} is kept");
    }
    assert!(ours["modified"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(
        fs::read(keys().join("live.enc")).unwrap(),
        live,
        "the live key is untouched"
    );
}

#[test]
fn a_blob_of_any_key_file_has_no_hint_and_a_fingerprint() {
    for (name, passphrase) in [
        ("legacy-no-fingerprint.enc", None),
        ("vienna.enc", None),
        ("utf8-hint.enc", Some("pässwörd-✓-длинный")),
        ("pbkdf2.enc", Some("a pbkdf2 passphrase")),
    ] {
        let passphrase = passphrase.map(|text| SecretString::from(text.to_owned()));
        let sealed = seal::create(&read(name), passphrase.as_ref()).unwrap();
        assert_eq!(sealed.blob.len(), 383, "{name}");
        let blob = KeyFile::parse(&sealed.blob, "blob").unwrap();
        assert_eq!(blob.claimed, Some(sealed.fingerprint), "{name}");
        assert_eq!(blob.created, read(name).created, "{name}");
        let another = RecoveryCode::generate().unwrap();
        assert!(
            matches!(
                seal::unwrap(&blob, &another, None),
                Err(Error::WrongCode { .. })
            ),
            "{name}"
        );
    }
}

#[test]
fn a_recovered_key_file_is_what_the_client_writes() {
    for name in ["live.enc", "vienna.enc"] {
        let live = read(name);
        let sealed = seal::create(&live, None).unwrap();
        let blob = KeyFile::parse(&sealed.blob, "blob").unwrap();
        let recovered = seal::unwrap(&blob, &sealed.code, None)
            .unwrap()
            .into_key_file(&blob)
            .to_json();
        let text = std::str::from_utf8(&recovered).unwrap();
        let original = fs::read_to_string(keys().join(name)).unwrap();
        assert_eq!(recovered.len(), 255);
        assert_eq!(
            text[..50],
            original[..50],
            "{name}: created is kept, with its offset"
        );
        assert_eq!(text[88..], original[88..], "{name}: data and fingerprint");
    }
}

#[test]
fn a_changed_blob_is_refused() {
    let text = fs::read_to_string(keys().join("live.escrow-by-client.enc")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let data = value["data"].as_str().unwrap();
    let salt = value["kdf"]["Scrypt"]["salt"].as_str().unwrap();
    for (old, place, what) in [
        (data, 0, "IV"),
        (data, 30, "tag"),
        (data, 70, "key"),
        (salt, 5, "salt"),
    ] {
        let mut new: Vec<char> = old.chars().collect();
        new[place] = if new[place] == 'A' { 'B' } else { 'A' };
        let changed = text.replace(old, &new.into_iter().collect::<String>());
        let blob = KeyFile::parse(changed.as_bytes(), "blob").unwrap();
        assert!(
            matches!(
                seal::unwrap(&blob, &clients_code(), None),
                Err(Error::WrongCode { .. })
            ),
            "{what}"
        );
    }
    let other = read("other.enc").claimed.unwrap();
    let relabelled = text.replace(value["fingerprint"].as_str().unwrap(), &other.to_string());
    let blob = KeyFile::parse(relabelled.as_bytes(), "blob").unwrap();
    assert!(
        matches!(
            seal::unwrap(&blob, &clients_code(), None),
            Err(Error::Damaged { .. })
        ),
        "a claim is a label"
    );
}

#[test]
fn refuses_another_key_and_an_open_key_file() {
    let blob = read("live.escrow-by-client.enc");
    let other = read("other.enc").claimed.unwrap();
    let err = seal::unwrap(&blob, &clients_code(), Some(&other.into())).unwrap_err();
    assert!(matches!(err, Error::FingerprintDiffers { .. }));
    assert!(
        err.to_string().contains(&other.to_string()) && err.to_string().contains("03:6b:8f:61"),
        "{err}"
    );

    let err = seal::unwrap(&read("live.enc"), &clients_code(), None).unwrap_err();
    assert!(matches!(err, Error::Unsupported { .. }), "{err}");
}

fn decode(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// RFC 7914, section 11, first 32 bytes.
#[test]
fn rfc_7914_pbkdf2_hmac_sha256() {
    for (passphrase, salt, iterations, expected) in [
        (
            "passwd",
            "salt",
            1,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        ),
        (
            "Password",
            "NaCl",
            80000,
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56",
        ),
    ] {
        let mut out = [0; 32];
        pbkdf2_hmac::<Sha256>(passphrase.as_bytes(), salt.as_bytes(), iterations, &mut out);
        assert_eq!(out[..], decode(expected), "{passphrase} {salt}");
    }
}

/// Salts of 32 bytes, as key files have them: computed with OpenSSL 3.0 (Python's hashlib).
#[test]
fn derivations_with_long_salts() {
    let salt = std::array::from_fn(|i| i as u8);
    for (kdf, expected) in [
        (
            Kdf::Scrypt {
                n: 16384,
                r: 8,
                p: 2,
                salt,
            },
            "c14a9fa8f9311a4cccb27c26b0d423b8313deabefe06edd9c5a90c88d89a2ec5",
        ),
        (
            Kdf::Pbkdf2 { iter: 65535, salt },
            "47bf5d0788c0ea183c981e50413fd7ce08892ec8e1888dbf96481745dbfd9323",
        ),
    ] {
        assert_eq!(
            kdf.derive("pässword".as_bytes()).unwrap().as_bytes()[..],
            decode(expected),
            "{}",
            kdf.name()
        );
    }
}
