//! The members of a key file, as they stand in its JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, FixedOffset, Timelike};
use serde::ser::{Error as _, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::aead::Sealed;
use crate::error::{Error, Result};
use crate::kdf::{Kdf, SALT};
use crate::keyfile::{Protection, timestamp};
use crate::{Fingerprint, Key, KeyFile, SecretBytes};

/// Larger than any key file that is written here, so that the buffer never moves and leaves a copy behind.
const WRITE_BUFFER: usize = 8192;
/// A hint is a remark for a person.
const MAX_HINT: usize = 1024;

/// A key file as read. Unknown members are skipped, as the stock client does; a repeated one is an error.
#[derive(Deserialize)]
pub(crate) struct Read {
    #[serde(default)]
    kdf: Option<ReadKdf>,
    created: String,
    modified: String,
    data: Zeroizing<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Deserialize)]
enum ReadKdf {
    Scrypt {
        n: u64,
        r: u64,
        p: u64,
        salt: String,
    },
    #[serde(rename = "PBKDF2")]
    Pbkdf2 { iter: u64, salt: String },
}

impl Read {
    pub(crate) fn into_key_file(self, what: &str) -> Result<KeyFile> {
        let bad = |why: String| Error::damaged(what, why);
        let kdf = self.kdf.map(ReadKdf::check).transpose().map_err(bad)?;
        if let Some(kdf) = &kdf {
            kdf.check().map_err(|why| Error::Unsupported {
                what: what.to_owned(),
                why,
            })?;
        }
        if self.hint.as_ref().is_some_and(|hint| hint.len() > MAX_HINT) {
            return Err(bad(format!("its hint is longer than {MAX_HINT} bytes")));
        }
        Ok(KeyFile {
            what: what.to_owned(),
            protection: protection(kdf, &self.data).map_err(bad)?,
            created: time(&self.created, "created").map_err(bad)?,
            modified: time(&self.modified, "modified").map_err(bad)?,
            claimed: self
                .fingerprint
                .map(|text| fingerprint(&text))
                .transpose()
                .map_err(bad)?,
            hint: self.hint,
        })
    }
}

impl ReadKdf {
    fn check(self) -> Result<Kdf, String> {
        Ok(match self {
            Self::Scrypt { n, r, p, salt } => Kdf::Scrypt {
                n,
                r,
                p,
                salt: self::salt(&salt)?,
            },
            Self::Pbkdf2 { iter, salt } => Kdf::Pbkdf2 {
                iter,
                salt: self::salt(&salt)?,
            },
        })
    }
}

fn salt(text: &str) -> Result<[u8; SALT], String> {
    let bytes = base64(text, "salt")?;
    bytes[..]
        .try_into()
        .map_err(|_| wrong_length("salt", bytes.len(), SALT))
}

fn protection(kdf: Option<Kdf>, data: &str) -> Result<Protection, String> {
    let bytes = base64(data, "data")?;
    let Some(kdf) = kdf else {
        let key = Key::from_slice(&bytes).ok_or_else(|| wrong_length("data", bytes.len(), 32))?;
        return Ok(Protection::None(key));
    };
    if bytes.len() != 64 {
        return Err(wrong_length("data", bytes.len(), 64));
    }
    let (mut iv, mut tag, mut key) = ([0; 16], [0; 16], [0; 32]);
    iv.copy_from_slice(&bytes[..16]);
    tag.copy_from_slice(&bytes[16..32]);
    key.copy_from_slice(&bytes[32..]);
    Ok(Protection::Sealed(
        kdf,
        Box::new(Sealed { iv, tag, data: key }),
    ))
}

fn wrong_length(member: &str, is: usize, should: usize) -> String {
    format!("its {member} holds {is} bytes, not {should}")
}

fn base64(text: &str, member: &str) -> Result<SecretBytes, String> {
    BASE64_STANDARD
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| format!("its {member} is not base64"))
}

fn time(text: &str, member: &str) -> Result<DateTime<FixedOffset>, String> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
        format!("its time in {member} is not of the form 2026-11-21T19:31:17+00:00")
    })?;
    // files hold whole seconds
    Ok(time.with_nanosecond(0).unwrap_or(time))
}

fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    text.parse()
        .map_err(|_| "its fingerprint is not 32 bytes in hexadecimal digits".to_owned())
}

pub(crate) fn write(file: &KeyFile) -> SecretBytes {
    let mut out = Zeroizing::new(Vec::with_capacity(WRITE_BUFFER));
    serde_json::to_writer(&mut *out, &Write(file))
        .expect("a key file can always be written to memory");
    out
}

struct Write<'a>(&'a KeyFile);

impl Serialize for Write<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let file = self.0;
        let mut out = serializer.serialize_struct("KeyConfig", 6)?;
        match &file.protection {
            Protection::None(_) => out.serialize_field("kdf", &())?,
            Protection::Sealed(kdf, _) => out.serialize_field("kdf", &WriteKdf::from(kdf))?,
        }
        out.serialize_field("created", &timestamp(&file.created))?;
        out.serialize_field("modified", &timestamp(&file.modified))?;
        match &file.protection {
            Protection::None(key) => out.serialize_field("data", &Base64(key.as_bytes()))?,
            Protection::Sealed(_, sealed) => {
                let data = [&sealed.iv[..], &sealed.tag, &sealed.data].concat();
                out.serialize_field("data", &Base64(&data))?;
            }
        }
        if let Some(fingerprint) = &file.claimed {
            out.serialize_field("fingerprint", fingerprint)?;
        }
        if let Some(hint) = &file.hint {
            out.serialize_field("hint", hint)?;
        }
        out.end()
    }
}

#[derive(Serialize)]
enum WriteKdf<'a> {
    Scrypt {
        n: u64,
        r: u64,
        p: u64,
        salt: Base64<'a>,
    },
    #[serde(rename = "PBKDF2")]
    Pbkdf2 { iter: u64, salt: Base64<'a> },
}

impl<'a> From<&'a Kdf> for WriteKdf<'a> {
    fn from(kdf: &'a Kdf) -> Self {
        match kdf {
            Kdf::Scrypt { n, r, p, salt } => Self::Scrypt {
                n: *n,
                r: *r,
                p: *p,
                salt: Base64(salt),
            },
            Kdf::Pbkdf2 { iter, salt } => Self::Pbkdf2 {
                iter: *iter,
                salt: Base64(salt),
            },
        }
    }
}

/// The text in between is wiped. base64's own `Display` leaves one on the stack.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new(vec![0; self.0.len().div_ceil(3) * 4]);
        let len = BASE64_STANDARD
            .encode_slice(self.0, &mut text)
            .map_err(S::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(&text[..len]).map_err(S::Error::custom)?)
    }
}
