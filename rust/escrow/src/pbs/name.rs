//! Names of namespaces, snapshots and archives, as the client has them. What is parsed is safe as part of a path.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::blob::Mode;
use super::index::Kind;

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not the name of {what}")]
pub struct NameError {
    text: String,
    what: &'static str,
}

impl NameError {
    fn new(text: &str, what: &'static str) -> Self {
        let text = text
            .chars()
            .take(200)
            .collect::<String>()
            .escape_debug()
            .to_string();
        Self { text, what }
    }
}

/// What the client allows in identifiers: letters, digits and `_`, and further on also `.` and `-`.
fn is_safe(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(inner)
}

/// A namespace: `a/b`, or nothing for the root. In the datastore it is the directory `ns/a/ns/b`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Namespace(Vec<String>);

impl Namespace {
    /// Namespaces nest no deeper than this.
    pub const MAX_DEPTH: usize = 7;

    /// The root namespace.
    pub fn root() -> Self {
        Self::default()
    }

    /// The names on the way down.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// Where it lies below the datastore.
    pub fn path(&self) -> PathBuf {
        self.0
            .iter()
            .fold(PathBuf::new(), |path, name| path.join("ns").join(name))
    }

    /// A namespace in this one; `None` if that is no name, or too deep.
    pub fn child(&self, name: &str) -> Option<Self> {
        if self.0.len() >= Self::MAX_DEPTH || !is_safe(name) {
            return None;
        }
        let mut components = self.0.clone();
        components.push(name.to_owned());
        Some(Self(components))
    }
}

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::root());
        }
        let child = |namespace: Self, name: &str| namespace.child(name);
        text.split('/')
            .try_fold(Self::root(), child)
            .ok_or_else(|| NameError::new(text, "a namespace"))
    }
}

impl TryFrom<String> for Namespace {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.to_string()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// What was backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupType {
    /// A container.
    Ct,
    /// A machine that runs the client itself.
    Host,
    /// A virtual machine.
    Vm,
}

impl BackupType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ct, Self::Host, Self::Vm];

    /// The name of its directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Host => "host",
            Self::Vm => "vm",
        }
    }
}

/// Is it the identifier of a backup group?
pub(super) fn is_backup_id(text: &str) -> bool {
    is_safe(text)
}

/// Do kits lie in a `host` group of this name? `pve-escrow-`, a name, and 8 hexadecimal digits.
pub fn is_of_kits(id: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    id.strip_prefix("pve-escrow-")
        .and_then(|rest| rest.rsplit_once('-'))
        .is_some_and(|(name, hex)| !name.is_empty() && hex.len() == 8 && hex.chars().all(is_hex))
}

/// A snapshot in its namespace: `ct/100/2024-06-05T16:00:00Z`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SnapshotName {
    backup_type: BackupType,
    id: String,
    time: DateTime<Utc>,
}

impl SnapshotName {
    /// `None` if `id` or `time` are not of the form that the client gives them.
    pub fn new(backup_type: BackupType, id: &str, time: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(time).ok()?;
        let name = Self {
            backup_type,
            id: id.to_owned(),
            time: DateTime::from_timestamp(parsed.timestamp(), 0)?,
        };
        // one time has one name: no other zones, fractions or leap seconds
        (is_safe(id) && name.time_text() == time).then_some(name)
    }

    /// From the parts that manifests and servers name, the time in seconds since 1970.
    pub(crate) fn from_parts(backup_type: BackupType, id: &str, time: i64) -> Option<Self> {
        let time = DateTime::from_timestamp(time, 0)?;
        Self::new(
            backup_type,
            id,
            &time.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
    }

    /// What was backed up.
    pub fn backup_type(&self) -> BackupType {
        self.backup_type
    }

    /// Which of them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When.
    pub fn time(&self) -> DateTime<Utc> {
        self.time
    }

    /// When, as its directory is named: `2024-06-05T16:00:00Z`.
    pub fn time_text(&self) -> String {
        self.time.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl FromStr for SnapshotName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (backup_type, rest) = text.split_once('/')?;
            let (id, time) = rest.split_once('/')?;
            let backup_type = BackupType::ALL
                .into_iter()
                .find(|all| all.as_str() == backup_type)?;
            Self::new(backup_type, id, time)
        };
        parse()
            .ok_or_else(|| NameError::new(text, "a snapshot, such as ct/100/2024-06-05T16:00:00Z"))
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.backup_type.as_str(),
            self.id,
            self.time_text()
        )
    }
}

/// The blob with the key itself, encrypted with a master key. It is listed as encrypted, and is a plain blob.
pub const MASTER_KEY_BLOB: &str = "rsa-encrypted.key.blob";

/// How an archive is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As one blob.
    Blob,
    /// As chunks, listed by an index.
    Index(Kind),
}

/// The file of an archive: its name with `.blob`, `.fidx` or `.didx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ArchiveName(String);

const FORMS: [(&str, Form); 3] = [
    (".blob", Form::Blob),
    (".fidx", Form::Index(Kind::Fixed)),
    (".didx", Form::Index(Kind::Dynamic)),
];

impl ArchiveName {
    /// With its suffix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its suffix, as the client's commands take it.
    pub fn stem(&self) -> &str {
        &self.0[..self.0.len() - 5]
    }

    /// Is it named so, with or without its suffix?
    pub fn is(&self, name: &str) -> bool {
        self.as_str() == name || self.stem() == name
    }

    /// How it is stored.
    pub fn form(&self) -> Form {
        FORMS
            .iter()
            .find(|(suffix, _)| self.0.ends_with(suffix))
            .map(|(_, form)| *form)
            .expect("checked when parsed")
    }

    /// What its blob or chunks are if the manifest lists it as encrypted, or not.
    pub(super) fn mode(&self, encrypted: bool) -> Mode {
        if encrypted && self.0 != MASTER_KEY_BLOB {
            Mode::Encrypted
        } else {
            Mode::Plain
        }
    }
}

impl FromStr for ArchiveName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let stem = FORMS
            .iter()
            .find_map(|(suffix, _)| text.strip_suffix(suffix));
        match stem {
            Some(stem) if is_safe(stem) && text.len() <= 255 => Ok(Self(text.to_owned())),
            _ => Err(NameError::new(
                text,
                "an archive with .blob, .fidx or .didx",
            )),
        }
    }
}

impl TryFrom<String> for ArchiveName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ArchiveName> for String {
    fn from(name: ArchiveName) -> Self {
        name.0
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots() {
        for text in [
            "ct/100/2024-06-05T16:00:00Z",
            "host/lab-host.example_1/1999-12-31T23:59:59Z",
            "vm/0/2024-02-29T00:00:00Z",
        ] {
            assert_eq!(text.parse::<SnapshotName>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "ct",
            "ct/100",
            "ct/100/",
            "ct//2024-06-05T16:00:00Z",
            "qm/100/2024-06-05T16:00:00Z",
            "CT/100/2024-06-05T16:00:00Z",
            "ct/../2024-06-05T16:00:00Z",
            "ct/.100/2024-06-05T16:00:00Z",
            "ct/100/2024-06-05T16:00:00Z/",
            "ct/100/2024-06-05T16:00:00Z/x",
            "ct/100/2024-06-05T16:00:00+00:00",
            "ct/100/2024-06-05T16:00:00z",
            "ct/100/2024-06-05 16:00:00Z",
            "ct/100/2024-06-05T16:00:00.0Z",
            "ct/100/2024-06-05T23:59:60Z",
            "ct/100/2024-02-30T16:00:00Z",
            "ct/1\n0/2024-06-05T16:00:00Z",
            "/ct/100/2024-06-05T16:00:00Z",
        ] {
            assert!(text.parse::<SnapshotName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn namespaces() {
        for text in ["", "tenant", "a/b/c/d/e/f/g"] {
            assert_eq!(text.parse::<Namespace>().unwrap().to_string(), text);
        }
        for text in [
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a/../b",
            ".a",
            "-a",
            "a b",
            "a/b/c/d/e/f/g/h",
            "ä",
        ] {
            assert!(text.parse::<Namespace>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn archives() {
        let name: ArchiveName = "drive-scsi0.img.fidx".parse().unwrap();
        assert_eq!(
            (name.stem(), name.form()),
            ("drive-scsi0.img", Form::Index(Kind::Fixed))
        );
        assert_eq!(
            "catalog.pcat1.didx".parse::<ArchiveName>().unwrap().form(),
            Form::Index(Kind::Dynamic)
        );
        assert_eq!(
            "pct.conf.blob".parse::<ArchiveName>().unwrap().mode(true),
            Mode::Encrypted
        );
        assert_eq!(
            MASTER_KEY_BLOB.parse::<ArchiveName>().unwrap().mode(true),
            Mode::Plain
        );
        for text in [
            "",
            ".blob",
            "x",
            "x.tmp_fidx",
            "../x.blob",
            "a/b.blob",
            "..blob",
            "x.blob/",
            "x.blob\n",
            "x.\0.blob",
        ] {
            assert!(text.parse::<ArchiveName>().is_err(), "{text:?}");
        }
    }
}
