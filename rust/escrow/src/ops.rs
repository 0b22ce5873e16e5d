//! Whole operations, as the Perl bindings offer them. Names and members of their input and output are those of
//! [`crate::schema`].

pub mod code;
pub mod datastore;
pub mod document;
pub mod master;
pub mod remote;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::fingerprint::Expected;
use crate::seal::{self, Opened};
use crate::{Fingerprint, Key, KeyFile, RecoveryCode, SecretBytes, SecretString, file};

/// Input of [`fingerprint`], [`inspect`] and [`create`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OfKeyFile {
    /// Path of a key file.
    pub keyfile: PathBuf,
}

/// The name of a key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Named {
    /// The fingerprint; of a protected file the one that it claims, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Was it computed from the key? Else it is a claim.
    pub verified: bool,
}

/// The fingerprint of a key file, without asking for a passphrase.
///
/// # Errors
/// As [`KeyFile::read`] and [`KeyFile::open`].
pub fn fingerprint(input: &OfKeyFile) -> Result<Named> {
    Named::of(&KeyFile::read(&input.keyfile)?)
}

impl Named {
    /// Of a key that is known.
    pub fn computed(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint: Some(fingerprint),
            verified: true,
        }
    }

    /// Of a key file whose passphrase is not known.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub fn of(file: &KeyFile) -> Result<Self> {
        match file.open(None) {
            Ok(key) => Ok(Self::computed(Fingerprint::of(&key))),
            Err(Error::PassphraseNeeded { .. }) => Ok(Self {
                fingerprint: file.claimed,
                verified: false,
            }),
            Err(err) => Err(err),
        }
    }
}

/// What can be said of a key file without its passphrase.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspected {
    /// `none`, `scrypt` or `pbkdf2`.
    pub kdf: &'static str,
    /// When the key was made, seconds since 1970.
    pub created: i64,
    /// When this file was made, seconds since 1970.
    pub modified: i64,
    /// Its name.
    #[serde(flatten)]
    pub name: Named,
    /// What its owner left to remember the passphrase by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Describes a key file.
///
/// # Errors
/// As [`fingerprint`].
pub fn inspect(input: &OfKeyFile) -> Result<Inspected> {
    let file = KeyFile::read(&input.keyfile)?;
    Ok(Inspected {
        kdf: file.kdf_name(),
        created: file.created.timestamp(),
        modified: file.modified.timestamp(),
        name: Named::of(&file)?,
        hint: file.hint,
    })
}

/// A new seal, and the only sight of its recovery code.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Created {
    /// The content of the sealed key file.
    pub blob: String,
    /// The ten words.
    #[serde(serialize_with = "reveal")]
    pub code: RecoveryCode,
    /// The check characters for the sheet with the words; never for the kit.
    pub check: String,
    /// Which key is sealed.
    pub fingerprint: Fingerprint,
}

fn reveal<S: Serializer>(code: &RecoveryCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

/// Seals the key of an unprotected key file under a new recovery code. No file is changed or written.
///
/// # Errors
/// As [`KeyFile::read`] and [`seal::create`].
pub fn create(input: &OfKeyFile) -> Result<Created> {
    let live = KeyFile::read(&input.keyfile)?;
    let sealed = seal::create(&live, None)?;
    let blob = String::from_utf8(sealed.blob).expect("JSON is UTF-8");
    Ok(Created {
        blob,
        check: sealed.code.check_characters(),
        code: sealed.code,
        fingerprint: sealed.fingerprint,
    })
}

/// A blob, its recovery code, and what key is expected in it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Verify {
    /// The content of a sealed key file.
    pub blob: String,
    /// The recovery code as typed.
    pub code: SecretString,
    /// The key that is expected: its fingerprint, or the short form.
    pub expect: Option<Expected>,
}

/// Which key it was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verified {
    /// Computed from the key.
    pub fingerprint: Fingerprint,
}

/// Opens a blob, and changes nothing.
///
/// # Errors
/// [`Error::Code`] before any key derivation; as [`KeyFile::parse`] and [`seal::unwrap`].
pub fn verify(input: &Verify) -> Result<Verified> {
    let (opened, _) = open(&input.blob, &input.code, input.expect.as_ref())?;
    Ok(Verified {
        fingerprint: opened.fingerprint,
    })
}

fn open(blob: &str, code: &SecretString, expect: Option<&Expected>) -> Result<(Opened, KeyFile)> {
    let code = RecoveryCode::parse(code.as_str())?;
    let blob = KeyFile::parse(blob.as_bytes(), "the blob")?;
    Ok((seal::unwrap(&blob, &code, expect)?, blob))
}

const KEY_NEEDED: &str = "this needs a key file, or a blob and its code";

/// The key of a key file, or of a blob and its code.
fn key_of(keyfile: Option<&Path>, blob: Option<&str>, code: Option<&SecretString>) -> Result<Key> {
    match (keyfile, blob, code) {
        (Some(path), None, None) => KeyFile::read(path)?.open(None),
        (None, Some(blob), Some(code)) => Ok(open(blob, code, None)?.0.key),
        _ => Err(Error::Refused(KEY_NEEDED.to_owned())),
    }
}

/// A blob, its recovery code, and where its key goes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unwrap {
    /// The content of a sealed key file.
    pub blob: String,
    /// The recovery code as typed.
    pub code: SecretString,
    /// The key that is expected.
    pub expect: Option<Expected>,
    /// Path of the new key file. Nothing may exist there.
    pub out: PathBuf,
}

/// Writes the key of a blob to a new plain key file.
///
/// # Errors
/// As [`verify`] and [`file::write_new`].
pub fn unwrap(input: &Unwrap) -> Result<Verified> {
    file::must_not_exist(&input.out)?;
    let (opened, blob) = open(&input.blob, &input.code, input.expect.as_ref())?;
    let fingerprint = opened.fingerprint;
    file::write_new(&input.out, &opened.into_key_file(&blob).to_json())?;
    Ok(Verified { fingerprint })
}

/// A key, and the place of a live key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Install {
    /// Path of a plain key file, for those who hold a lock and can't wait for a key derivation; or
    pub keyfile: Option<PathBuf>,
    /// the content of a sealed one, with
    pub blob: Option<String>,
    /// its recovery code.
    pub code: Option<SecretString>,
    /// The key that is expected.
    pub expect: Option<Expected>,
    /// Path of the live key file.
    pub target: PathBuf,
    /// If another key is there: its fingerprint (of a file that holds no readable key: its SHA-256).
    pub displace: Option<Expected>,
    /// Directory where a displaced file is kept, named by the SHA-256 of its bytes.
    pub keep: Option<PathBuf>,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Installed {
    /// The key that is live now.
    pub fingerprint: Fingerprint,
    /// Was the file written? Not if the same key was there already.
    pub changed: bool,
    /// Where the displaced file is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

impl Install {
    /// The key file that is to be written, plain, and whose key that is.
    fn source(&self) -> Result<(KeyFile, Fingerprint)> {
        if let (Some(path), None, None) = (&self.keyfile, &self.blob, &self.code) {
            let file = KeyFile::read(path)?;
            let key = file.open(None)?;
            let fingerprint = Fingerprint::of(&key);
            seal::check_expected(self.expect.as_ref(), fingerprint)?;
            return Ok((KeyFile::plain(key, file.created), fingerprint));
        }
        let (Some(blob), Some(code), None) = (&self.blob, &self.code, &self.keyfile) else {
            return Err(Error::Refused(KEY_NEEDED.to_owned()));
        };
        let (opened, blob) = open(blob, code, self.expect.as_ref())?;
        let fingerprint = opened.fingerprint;
        Ok((opened.into_key_file(&blob), fingerprint))
    }
}

/// Makes the key of a blob, or that of a key file, the live key at a place.
///
/// The caller holds the lock that keeps others from writing there.
///
/// # Errors
/// As [`verify`]; [`Error::Refused`] over another key that is not named or could not be kept. Then it is still there.
pub fn install(input: &Install) -> Result<Installed> {
    let present = Present::read(&input.target)?;
    let (file, fingerprint) = input.source()?;
    let content = file.to_json();
    let installed = |changed, kept| Installed {
        fingerprint,
        changed,
        kept,
    };
    match present {
        None => {
            file::write_new(&input.target, &content)?;
            Ok(installed(true, None))
        }
        Some(present) if present.fingerprint == Some(fingerprint) => Ok(installed(false, None)),
        Some(present) => {
            let kept = present.keep(input)?;
            file::Staged::new(&input.target, &content)?.replace()?;
            Ok(installed(true, Some(kept)))
        }
    }
}

/// What is at the place of a live key.
struct Present {
    bytes: SecretBytes,
    sha256: [u8; 32],
    /// `None` if no key can be read from it.
    fingerprint: Option<Fingerprint>,
}

impl Present {
    fn read(target: &Path) -> Result<Option<Self>> {
        match file::must_not_exist(target) {
            Ok(()) => return Ok(None),
            Err(Error::Exists(_)) => {}
            Err(err) => return Err(err),
        }
        let bytes = file::read(target)?;
        let key = KeyFile::parse(&bytes, "the present file").and_then(|file| file.open(None));
        Ok(Some(Self {
            sha256: Sha256::digest(&bytes).into(),
            fingerprint: key.ok().map(|key| Fingerprint::of(&key)),
            bytes,
        }))
    }

    /// Copies it to where it is kept, if the caller has named it.
    fn keep(&self, input: &Install) -> Result<PathBuf> {
        let refused = |why: String| Error::Refused(format!("{} {why}", input.target.display()));
        let holds = match self.fingerprint {
            Some(fingerprint) => format!("holds another key, {fingerprint}"),
            None => format!(
                "holds no key that can be read; its SHA-256 is {}",
                hex::encode(self.sha256)
            ),
        };
        let name = self
            .fingerprint
            .unwrap_or_else(|| Fingerprint::from_bytes(self.sha256));
        match &input.displace {
            Some(named) if named.matches(&name) => {}
            Some(named) => {
                return Err(refused(format!(
                    "{holds}: not {named}, which was to be displaced"
                )));
            }
            None => {
                return Err(refused(format!(
                    "{holds}: name that to have it displaced and kept"
                )));
            }
        }
        match &input.keep {
            Some(directory) => self.keep_in(directory),
            None => Err(refused(format!(
                "{holds}, and no place is named to keep it"
            ))),
        }
    }

    fn keep_in(&self, directory: &Path) -> Result<PathBuf> {
        let kept = directory.join(format!("{}.enc", hex::encode(self.sha256)));
        match file::write_new(&kept, &self.bytes) {
            Ok(()) => Ok(kept),
            Err(Error::Exists(_)) if file::read(&kept)? == self.bytes => Ok(kept),
            Err(Error::Exists(_)) => Err(Error::damaged(
                &kept.display().to_string(),
                "its content is not that of its name",
            )),
            Err(err) => Err(err),
        }
    }
}
