//! What a proof has shown.

use std::fmt;

use serde::Serialize;

use crate::Fingerprint;
use crate::pbs::datastore::{SnapshotId, Unreadable};
use crate::pbs::fault::{Damage, Fault};
use crate::pbs::manifest::{CryptMode, FileInfo, Protection};

/// Damages of one file that are listed one by one; beyond, they are counted.
pub const MAX_LISTED: usize = 1000;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was looked at is as it was written.
    Valid,
    /// Something is damaged.
    Invalid,
    /// No damage was found, but something could not be looked at, or nothing was.
    Unknown,
    /// Not one for this key. That affects no other result.
    Skipped,
}

impl Verdict {
    /// Damage outweighs doubt, and doubt what is sound.
    pub(crate) fn of(damaged: bool, doubtful: bool) -> Self {
        match (damaged, doubtful) {
            (true, _) => Self::Invalid,
            (false, true) => Self::Unknown,
            (false, false) => Self::Valid,
        }
    }
}

/// Why a snapshot was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// It was made with another key.
    OtherKey,
    /// It was made without a key.
    Plain,
    /// It has no manifest, and is so young that its backup may still be running.
    Unfinished,
    /// It was removed meanwhile.
    Gone,
}

/// The result of [`super::prove`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The answer: never [`Verdict::Skipped`].
    pub result: Verdict,
    /// The key that it was proven with.
    pub key: Fingerprint,
    /// Chunks of each archive that were looked at: at most so many, all if there is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Each snapshot that was selected.
    pub snapshots: Vec<SnapshotReport>,
    /// Directories that could not be looked into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
    /// Was it stopped before its end?
    pub cancelled: bool,
    /// All in all.
    pub totals: Totals,
}

/// All in all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Snapshots that were looked at, without the skipped ones.
    pub snapshots: u64,
    /// Those without damage.
    pub valid: u64,
    /// Those with damage.
    pub invalid: u64,
    /// Those that can't be told.
    pub unknown: u64,
    /// Those that are not for this key.
    pub skipped: u64,
    /// Files that were looked at.
    pub files: u64,
    /// Chunks.
    pub chunks: Chunks,
    /// Bytes of decoded data that are proven.
    pub bytes: u64,
    /// Damages.
    pub damages: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Chunks of an archive, as its index lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Chunks {
    /// Entries of the index.
    pub total: u64,
    /// Entries whose chunk was looked at, in this archive or in one before.
    pub checked: u64,
    /// Chunks that were read for it.
    pub read: u64,
}

impl Chunks {
    pub(super) fn add(&mut self, other: Self) {
        self.total += other.total;
        self.checked += other.checked;
        self.read += other.read;
    }
}

/// One snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotReport {
    /// Its name and namespace.
    #[serde(flatten)]
    pub id: SnapshotId,
    /// The answer.
    pub result: Verdict,
    /// Why it was skipped, or why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it was skipped, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skip>,
    /// How it is protected, as its manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// The key that its manifest names: a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Fingerprint>,
    /// What is wrong with its manifest.
    pub damages: Vec<Damage>,
    /// Its files.
    pub files: Vec<FileReport>,
    /// How long it took.
    pub seconds: f64,
}

impl SnapshotReport {
    pub(crate) fn new(id: &SnapshotId) -> Self {
        Self {
            id: id.clone(),
            result: Verdict::Unknown,
            reason: None,
            skipped: None,
            protection: None,
            key: None,
            damages: Vec::new(),
            files: Vec::new(),
            seconds: 0.0,
        }
    }

    pub(crate) fn skip(&mut self, skip: Skip, reason: impl Into<String>) {
        self.result = Verdict::Skipped;
        self.skipped = Some(skip);
        self.reason = Some(reason.into());
    }

    pub(crate) fn judge(&mut self) {
        let of_files = |verdict| self.files.iter().any(|file| file.result == verdict);
        let damaged =
            self.damages.iter().any(|damage| damage.is_damage) || of_files(Verdict::Invalid);
        let doubtful =
            self.damages.iter().any(|damage| !damage.is_damage) || of_files(Verdict::Unknown);
        self.result = Verdict::of(damaged, doubtful);
    }

    /// Is something reported as missing?
    pub(super) fn misses_something(&self) -> bool {
        let missing = |damages: &[Damage]| {
            damages
                .iter()
                .any(|damage| damage.kind == Fault::Missing.kind())
        };
        missing(&self.damages) || self.files.iter().any(|file| missing(&file.damages))
    }

    pub(super) fn count_damages(&self) -> u64 {
        let own = self
            .damages
            .iter()
            .filter(|damage| damage.is_damage)
            .count() as u64;
        own + self.files.iter().map(|file| file.damaged).sum::<u64>()
    }
}

/// A line for a log.
impl fmt::Display for SnapshotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            Verdict::Valid => "valid",
            Verdict::Invalid => "invalid",
            Verdict::Unknown => "unknown",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{}: {result}", self.id)?;
        if let Some(reason) = &self.reason {
            return write!(f, ": {reason}");
        }
        if let Some(damage) = self.damages.first() {
            return write!(f, ": {}", damage.what);
        }
        let of_file = |file: &FileReport| Some((file.name.clone(), file.damages.first()?.clone()));
        if let Some((name, damage)) = self.files.iter().find_map(of_file) {
            return write!(f, ": {name}: {}", damage.what);
        }
        let bytes = self.files.iter().map(|file| file.bytes).sum::<u64>();
        let skipped = |file: &&FileReport| file.result == Verdict::Skipped;
        let count = self.files.iter().filter(|file| !skipped(file)).count();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, ", {count} file{plural}, {bytes} bytes decrypted")?;
        for file in self.files.iter().filter(skipped) {
            write!(f, "; {} not, since the client does not pipe it", file.name)?;
        }
        Ok(())
    }
}

/// One file of a snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// How it is protected.
    pub crypt_mode: CryptMode,
    /// The answer.
    pub result: Verdict,
    /// Of an archive in chunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<Chunks>,
    /// Bytes of decoded data that are proven.
    pub bytes: u64,
    /// How many damages there are.
    pub damaged: u64,
    /// How many parts could not be looked at.
    pub unreadable: u64,
    /// The first [`MAX_LISTED`] of both.
    pub damages: Vec<Damage>,
}

impl FileReport {
    pub(crate) fn new(info: &FileInfo) -> Self {
        Self {
            name: info.filename.to_string(),
            crypt_mode: info.crypt_mode,
            result: Verdict::Unknown,
            chunks: None,
            bytes: 0,
            damaged: 0,
            unreadable: 0,
            damages: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, damage: Damage) {
        match damage.is_damage {
            true => self.damaged += 1,
            false => self.unreadable += 1,
        }
        if self.damages.len() < MAX_LISTED {
            self.damages.push(damage);
        }
    }

    pub(crate) fn judge(&mut self, complete: bool) {
        self.result = Verdict::of(self.damaged > 0, self.unreadable > 0 || !complete);
    }
}

impl Totals {
    pub(crate) fn add(&mut self, report: &SnapshotReport) {
        match report.result {
            Verdict::Valid => self.valid += 1,
            Verdict::Invalid => self.invalid += 1,
            Verdict::Unknown => self.unknown += 1,
            Verdict::Skipped => {
                self.skipped += 1;
                return;
            }
        }
        self.snapshots += 1;
        self.damages += report.count_damages();
        for file in report
            .files
            .iter()
            .filter(|file| file.result != Verdict::Skipped)
        {
            self.files += 1;
            self.bytes += file.bytes;
            self.chunks.add(file.chunks.unwrap_or_default());
        }
    }
}

/// Seconds with three digits after the point.
pub(crate) fn seconds(since: std::time::Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
