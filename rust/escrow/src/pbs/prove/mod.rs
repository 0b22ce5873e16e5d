//! Proves that a key opens what is in a datastore.
//!
//! Of each snapshot of the key: signature and fingerprint of the manifest, every blob in full, and of each archive
//! in chunks a random [sample] or all of them. Damage is noted, and never stops the rest. Memory stays
//! below 200 MiB whatever the size: indexes are read in pieces, and each thread holds one chunk.

mod archive;
mod report;
mod seen;

use std::time::{Duration, Instant};

use chrono::Utc;
use nix::errno::Errno;

pub(crate) use report::seconds;
pub use report::{Chunks, FileReport, MAX_LISTED, Report, Skip, SnapshotReport, Totals, Verdict};

use self::seen::Seen;
use super::blob::{Buffer, Decoder, MAX_BLOB, Mode};
use super::datastore::{Datastore, Listing, Scope, Snapshot, SnapshotId};
use super::manifest::{FileInfo, Manifest, Protection};
use super::name::{Form, SnapshotName};
use super::watch::{Meter, Watch};
use super::{Crypt, Fault, MAX_THREADS, default_threads, sample};
use crate::Key;
use crate::error::{Error, Result};

/// A snapshot without manifest that is younger than this counts as a backup that is running.
const MAY_RUN: Duration = Duration::from_secs(24 * 60 * 60);
/// Blobs up to this size are tried with the key in snapshots that seem to be of another one.
const TRIED: u64 = 64 << 10;

/// How many chunks of each archive are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// At most so many, chosen by chance, and always the first and the last.
    Sample(usize),
    /// All.
    Full,
}

/// What is to be proven, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where snapshots are looked for.
    pub scope: Scope,
    /// Only these; all if there are none.
    pub snapshots: Vec<SnapshotName>,
    /// How many chunks.
    pub depth: Depth,
    /// How many threads.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            snapshots: Vec::new(),
            depth: Depth::Sample(sample::CHUNKS),
            threads: default_threads(),
        }
    }
}

/// Proves that `key` opens what it should in `datastore`.
///
/// # Errors
/// [`Error::Io`] if the namespace, or a snapshot that is named, is not there. Whatever is found later is in the report.
pub fn prove(
    datastore: &Datastore,
    key: &Key,
    config: &Config,
    watch: Watch<'_>,
) -> Result<Report> {
    let started = Instant::now();
    let listing = select(datastore, config)?;
    let run = Run {
        datastore,
        crypt: Crypt::new(key),
        config,
        threads: config.threads.clamp(1, MAX_THREADS),
        watch,
        meter: Meter::default(),
        seen: Seen::default(),
    };
    run.measure(&listing.snapshots);
    let mut report = Report {
        result: Verdict::Unknown,
        key: run.crypt.fingerprint(),
        sample: match config.depth {
            Depth::Sample(most) => Some(most.max(2)),
            Depth::Full => None,
        },
        snapshots: Vec::new(),
        unreadable: listing.unreadable,
        cancelled: false,
        totals: Totals::default(),
    };
    for id in &listing.snapshots {
        if watch.is_cancelled() {
            break;
        }
        let snapshot = run.snapshot(id);
        report.totals.add(&snapshot);
        report.snapshots.push(snapshot);
    }
    report.cancelled = watch.is_cancelled();
    report.totals.seconds = seconds(started);
    report.result = verdict(&report);
    Ok(report)
}

/// A proof of nothing is none.
fn verdict(report: &Report) -> Verdict {
    let Totals {
        snapshots,
        invalid,
        unknown,
        ..
    } = report.totals;
    let doubtful =
        unknown > 0 || snapshots == 0 || !report.unreadable.is_empty() || report.cancelled;
    Verdict::of(invalid > 0, doubtful)
}

fn select(datastore: &Datastore, config: &Config) -> Result<Listing> {
    let mut listing = datastore.list(&config.scope)?;
    if config.snapshots.is_empty() {
        return Ok(listing);
    }
    listing
        .snapshots
        .retain(|id| config.snapshots.contains(&id.snapshot));
    match config
        .snapshots
        .iter()
        .find(|name| listing.snapshots.iter().all(|id| id.snapshot != **name))
    {
        None => Ok(listing),
        Some(absent) => {
            let path = datastore.path().join(absent.to_string());
            Err(Error::io("read", &path, Errno::ENOENT))
        }
    }
}

/// A proof at work.
struct Run<'a> {
    datastore: &'a Datastore,
    crypt: Crypt,
    config: &'a Config,
    threads: usize,
    watch: Watch<'a>,
    meter: Meter,
    seen: Seen,
}

impl Run<'_> {
    /// How much is to be done: for the remaining time. Manifests are small, and are read again when it is their turn.
    fn measure(&self, snapshots: &[SnapshotId]) {
        let mut buffer = Buffer::default();
        for id in snapshots {
            if self.watch.is_cancelled() {
                return;
            }
            let manifest = self
                .datastore
                .snapshot(id)
                .and_then(|snapshot| snapshot.manifest(&mut buffer));
            match manifest {
                Ok(manifest) if manifest.belongs_to(&self.crypt) => {
                    self.meter
                        .expect(manifest.files.iter().map(|info| self.expected(info)).sum());
                }
                _ => {}
            }
        }
    }

    fn snapshot(&self, id: &SnapshotId) -> SnapshotReport {
        let started = Instant::now();
        let mut report = SnapshotReport::new(id);
        match self.datastore.snapshot(id) {
            Ok(snapshot) => self.opened(&snapshot, &mut report),
            Err(Fault::Missing) => report.skip(Skip::Gone, "it was removed meanwhile"),
            Err(fault) => {
                report.damages.push(fault.into());
                report.judge();
            }
        }
        report.seconds = seconds(started);
        report
    }

    fn opened(&self, snapshot: &Snapshot, report: &mut SnapshotReport) {
        match snapshot.manifest(&mut Buffer::default()) {
            Ok(manifest) => self.manifest(snapshot, &manifest, report),
            Err(Fault::Missing) => self.without_manifest(snapshot, report),
            Err(fault) => {
                report.damages.push(fault.into());
                report.judge();
            }
        }
    }

    /// Which key it needed, nobody can say: so this is doubt, and not damage of something that the key opens.
    fn without_manifest(&self, snapshot: &Snapshot, report: &mut SnapshotReport) {
        let age = Utc::now().signed_duration_since(snapshot.id().snapshot.time());
        if self.is_gone(snapshot.id()) {
            report.skip(Skip::Gone, "it was removed meanwhile");
        } else if age.to_std().is_ok_and(|age| age > MAY_RUN) {
            report.reason = Some(
                "it has no manifest: its backup was broken off, or index.json.blob is lost"
                    .to_owned(),
            );
        } else {
            report.skip(
                Skip::Unfinished,
                "it has no manifest: its backup may be running",
            );
        }
    }

    fn manifest(&self, snapshot: &Snapshot, manifest: &Manifest, report: &mut SnapshotReport) {
        report.protection = Some(manifest.protection());
        report.key = manifest.claimed;
        if !manifest.belongs_to(&self.crypt) && !self.opens(snapshot, manifest) {
            return self.skip(manifest, report);
        }
        let id = snapshot.id();
        report.damages.extend(
            manifest
                .check(&id.snapshot, &self.crypt)
                .into_iter()
                .map(Into::into),
        );
        for info in &manifest.files {
            if self.watch.is_cancelled() {
                report.reason = Some("it was not looked at to its end".to_owned());
                break;
            }
            report.files.push(self.file(snapshot, info));
        }
        report.judge();
        if report.result == Verdict::Valid && report.reason.is_some() {
            report.result = Verdict::Unknown;
        }
        // pruning while it is looked at is no damage
        if report.result == Verdict::Invalid && report.misses_something() && self.is_going(id) {
            report.skip(Skip::Gone, "it was removed meanwhile");
        }
    }

    fn skip(&self, manifest: &Manifest, report: &mut SnapshotReport) {
        let own = self.crypt.fingerprint().short();
        match (manifest.claimed, manifest.protection()) {
            (Some(other), _) => {
                report.skip(
                    Skip::OtherKey,
                    format!("it was made with key {}, not with {own}", other.short()),
                );
            }
            (None, Protection::Plain) => {
                report.skip(Skip::Plain, "it is neither encrypted nor signed")
            }
            (None, _) => {
                report.skip(
                    Skip::OtherKey,
                    format!("it names no key, and {own} neither signed it nor opens it"),
                );
            }
        }
    }

    fn is_gone(&self, id: &SnapshotId) -> bool {
        matches!(self.datastore.snapshot(id), Err(Fault::Missing))
    }

    /// Of a snapshot that had a manifest: is it being removed?
    fn is_going(&self, id: &SnapshotId) -> bool {
        let manifest = self
            .datastore
            .snapshot(id)
            .and_then(|snapshot| snapshot.manifest(&mut Buffer::default()));
        matches!(manifest, Err(Fault::Missing))
    }

    /// Does the key open something in a snapshot whose manifest says nothing of it? Then the manifest was changed.
    fn opens(&self, snapshot: &Snapshot, manifest: &Manifest) -> bool {
        let blobs = |info: &&FileInfo| info.filename.form() == Form::Blob && info.size <= TRIED;
        if manifest
            .files
            .iter()
            .filter(blobs)
            .any(|info| self.opens_blob(snapshot, info))
        {
            return true;
        }
        // reading a chunk of every snapshot of another key would take long
        let suspicious = manifest.claimed.is_none() && manifest.protection() != Protection::Plain;
        suspicious
            && manifest
                .files
                .iter()
                .any(|info| self.opens_chunk(snapshot, info))
    }

    fn opens_blob(&self, snapshot: &Snapshot, info: &FileInfo) -> bool {
        let mut buffer = Buffer::default();
        snapshot.blob(info, &mut buffer).is_ok()
            && Decoder::new(Some(&self.crypt))
                .stream(&mut buffer, MAX_BLOB, Mode::Encrypted, &mut std::io::sink())
                .is_ok()
    }

    fn opens_chunk(&self, snapshot: &Snapshot, info: &FileInfo) -> bool {
        let Form::Index(kind) = info.filename.form() else {
            return false;
        };
        let first = snapshot
            .index(info, kind)
            .and_then(|(mut index, _)| index.entries()?.next().transpose());
        let Ok(Some(entry)) = first else { return false };
        let mut buffer = Buffer::default();
        let opened = self
            .datastore
            .chunks()
            .read(&entry.digest, &mut buffer)
            .and_then(|()| {
                Decoder::new(Some(&self.crypt)).exact(
                    &mut buffer,
                    entry.len() as usize,
                    Mode::Encrypted,
                )
            });
        // these come after the tag
        matches!(
            opened,
            Ok(()) | Err(Fault::Compression(_) | Fault::Size { .. })
        )
    }
}
