//! Restores one archive of a snapshot: an image, a stream of files (pxar), or a blob.
//!
//! A named file is written sparse, and is complete or absent. At damage it stops and says where; or it goes on, fills
//! the gap with zeros, and says which ranges these are.

mod ahead;
mod sink;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use self::ahead::{Chunk, ahead};
use self::sink::{Sink, Sparse, Stream, is_zero};
use super::blob::{Buffer, Decoder, MAX_BLOB, StreamError};
use super::chunk::Wanted;
use super::datastore::{Datastore, Snapshot, SnapshotId};
use super::index::{self, Entry, Index};
use super::manifest::{FileInfo, Manifest, Protection};
use super::name::{Form, MASTER_KEY_BLOB};
use super::prove::seconds;
use super::watch::{Meter, Watch};
use super::{Crypt, Damage, Fault, MAX_THREADS, default_threads};
use crate::Key;
use crate::error::{Error, Result};
use crate::file::{Staged, must_not_exist};

/// Where the archive goes.
pub enum Output<'a> {
    /// A new file. Nothing may exist there.
    File(&'a Path),
    /// A pipe or the like.
    Stream(&'a mut dyn Write),
}

/// How.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Fill what is damaged with zeros, in place of stopping there.
    pub keep_going: bool,
    /// How many threads decrypt; one more writes.
    pub threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep_going: false,
            threads: default_threads(),
        }
    }
}

/// What was restored.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// From which snapshot.
    #[serde(flatten)]
    pub id: SnapshotId,
    /// Which archive, with its suffix.
    pub archive: String,
    /// Its size, holes included.
    pub bytes: u64,
    /// What is wrong with the manifest, the index or the blob. Only where it was asked to go on regardless.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damages: Vec<Damage>,
    /// What is filled with zeros.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<Hole>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Is it all that was backed up, unchanged?
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.holes.is_empty()
    }
}

/// A range that is filled with zeros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hole {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// How many chunks in a row are damaged.
    pub chunks: u64,
    /// What is wrong with the first of them.
    #[serde(flatten)]
    pub first: HoleFault,
}

/// What is wrong with a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HoleFault {
    /// [`Fault::kind`].
    pub kind: &'static str,
    /// The fault in words.
    pub what: String,
    /// The chunk; none if the index does not say which it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Restores `archive`, named with or without its suffix. The key is needed unless the snapshot is plain.
///
/// # Errors
/// [`Error::KeyNeeded`], [`Error::FingerprintDiffers`]; [`Error::Refused`] if there is no such archive;
/// [`Error::Exists`]; [`Error::Damaged`] with the chunk and its offset;
/// [`Error::Io`]; [`Error::Cancelled`]. Then a file is not there.
pub fn restore(
    datastore: &Datastore,
    id: &SnapshotId,
    archive: &str,
    key: Option<&Key>,
    output: Output<'_>,
    config: Config,
    watch: Watch<'_>,
) -> Result<Report> {
    if let Output::File(target) = output {
        must_not_exist(target)?;
    }
    let path = datastore.path().join(id.path());
    let fault = |fault: Fault| fault.into_error(&id.to_string(), &path);
    let snapshot = datastore.snapshot(id).map_err(fault)?;
    let manifest = snapshot.manifest(&mut Buffer::default()).map_err(|fault| {
        let path = path.join(super::manifest::FILE);
        fault.into_error(&format!("the manifest of {id}"), &path)
    })?;
    let info = find(&manifest, id, archive)?;
    let crypt = key.map(Crypt::new);
    let damages = gate(&manifest, id, info, crypt.as_ref())?;
    let mut task = Task {
        started: Instant::now(),
        datastore,
        snapshot: &snapshot,
        info,
        crypt: crypt.as_ref(),
        config,
        watch,
        meter: Meter::default(),
        report: Report {
            id: id.clone(),
            archive: info.filename.to_string(),
            bytes: 0,
            damages: Vec::new(),
            holes: Vec::new(),
            seconds: 0.0,
        },
    };
    for fault in damages {
        task.damage(fault)?;
    }
    task.run(output)
}

fn find<'m>(manifest: &'m Manifest, id: &SnapshotId, archive: &str) -> Result<&'m FileInfo> {
    let found: Vec<_> = manifest
        .files
        .iter()
        .filter(|info| info.filename.is(archive))
        .collect();
    match found[..] {
        [info] => Ok(info),
        [] => {
            let all: Vec<_> = manifest
                .files
                .iter()
                .map(|info| info.filename.stem())
                .collect();
            Err(Error::Refused(format!(
                "{id} has no archive {:?}: it has {}",
                archive,
                all.join(", ")
            )))
        }
        _ => {
            let all: Vec<_> = found.iter().map(|info| info.filename.as_str()).collect();
            Err(Error::Refused(format!(
                "{archive} may be one of {}",
                all.join(", ")
            )))
        }
    }
}

/// Is it the right key? And what is wrong with the manifest?
fn gate(
    manifest: &Manifest,
    id: &SnapshotId,
    info: &FileInfo,
    crypt: Option<&Crypt>,
) -> Result<Vec<Fault>> {
    let plain = manifest.protection() == Protection::Plain;
    match crypt {
        _ if plain => Ok(manifest.check_snapshot(&id.snapshot).into_iter().collect()),
        Some(crypt) if manifest.belongs_to(crypt) => Ok(manifest.check(&id.snapshot, crypt)),
        Some(crypt) => match manifest.claimed {
            Some(needed) => Err(Error::FingerprintDiffers {
                needed: needed.to_string(),
                offered: crypt.fingerprint(),
            }),
            None => Ok(manifest.check(&id.snapshot, crypt)),
        },
        // it is there for those who have lost the key
        None if info.filename.as_str() == MASTER_KEY_BLOB => Ok(Vec::new()),
        None => Err(Error::KeyNeeded {
            what: id.to_string(),
            needed: manifest
                .claimed
                .map_or_else(|| "unknown".to_owned(), |claimed| claimed.short()),
        }),
    }
}

/// An archive that is being restored.
struct Task<'a> {
    started: Instant,
    datastore: &'a Datastore,
    snapshot: &'a Snapshot,
    info: &'a FileInfo,
    crypt: Option<&'a Crypt>,
    config: Config,
    watch: Watch<'a>,
    meter: Meter,
    report: Report,
}

impl Task<'_> {
    fn run(mut self, output: Output<'_>) -> Result<Report> {
        self.meter.expect(self.info.size);
        match output {
            Output::Stream(stream) => {
                let stream_name = Path::new("the output");
                self.write(&mut Stream(stream), stream_name)?;
            }
            Output::File(target) => {
                let (staged, file) = Staged::create(target)?;
                self.write(&mut Sparse::new(file), target)?;
                staged.publish()?;
            }
        }
        self.report.seconds = seconds(self.started);
        Ok(self.report)
    }

    fn write(&mut self, sink: &mut dyn Sink, target: &Path) -> Result<()> {
        match self.info.filename.form() {
            Form::Blob => self.blob(sink, target)?,
            Form::Index(kind) => self.index(kind, sink, target)?,
        }
        sink.finish().map_err(|err| Error::io("write", target, err))
    }

    fn what(&self) -> String {
        format!("{} of {}", self.info.filename, self.snapshot.id())
    }

    fn error(&self, fault: Fault) -> Error {
        let path = self
            .datastore
            .path()
            .join(self.snapshot.id().path())
            .join(self.info.filename.as_str());
        fault.into_error(&self.what(), &path)
    }

    /// Notes it, or stops.
    fn damage(&mut self, fault: Fault) -> Result<()> {
        if !self.config.keep_going {
            return Err(self.error(fault));
        }
        self.report.damages.push(fault.into());
        Ok(())
    }

    fn blob(&mut self, mut sink: &mut dyn Sink, target: &Path) -> Result<()> {
        let mut buffer = Buffer::default();
        if let Some(fault) = self
            .snapshot
            .blob(self.info, &mut buffer)
            .map_err(|fault| self.error(fault))?
        {
            self.damage(fault)?;
        }
        let decoder = Decoder::new(self.crypt);
        self.report.bytes = decoder
            // Rust 1.85 does not make a `dyn Write` of a `dyn Sink`, but of a pointer to one
            .stream(&mut buffer, MAX_BLOB, self.info.mode(), &mut sink)
            .map_err(|err| match err {
                StreamError::Fault(fault) => self.error(fault),
                StreamError::Write(err) => Error::io("write", target, err),
            })?;
        self.advance(self.info.size);
        Ok(())
    }

    fn index(&mut self, kind: index::Kind, sink: &mut dyn Sink, target: &Path) -> Result<()> {
        let (mut index, faults) = self
            .snapshot
            .index(self.info, kind)
            .map_err(|fault| self.error(fault))?;
        for fault in faults {
            self.damage(fault)?;
        }
        // all of it, before the first byte is written anywhere
        let checked = index
            .entries()
            .and_then(|mut entries| entries.try_for_each(|entry| entry.map(drop)));
        if let Err(fault) = checked {
            self.damage(fault)?;
        }
        self.chunks(&mut index, sink, target)?;
        self.rest(sink, target)
    }

    fn chunks(
        &mut self,
        index: &mut Index<std::fs::File>,
        sink: &mut dyn Sink,
        target: &Path,
    ) -> Result<()> {
        let (chunks, crypt, mode) = (self.datastore.chunks(), self.crypt, self.info.mode());
        let (keep_going, threads) = (self.config.keep_going, self.config.threads);
        let what = self.what();
        let mut entries = index.entries().map_err(|fault| self.error(fault))?;
        let next = || {
            let entry = match entries.next() {
                Some(Ok(entry)) => entry,
                None => return Ok(None),
                // it is noted already
                Some(Err(_)) if keep_going => return Ok(None),
                Some(Err(fault)) => return Err(Error::damaged(&what, fault.to_string())),
            };
            let wanted = Wanted {
                digest: entry.digest,
                size: entry.len() as usize,
                mode,
            };
            Ok(Some((entry, wanted)))
        };
        let take = |entry, chunk: Chunk<'_>| self.take(&entry, chunk, sink, target);
        ahead(
            chunks,
            crypt,
            threads.clamp(1, MAX_THREADS),
            is_zero,
            next,
            take,
        )
    }

    fn take(
        &mut self,
        entry: &Entry,
        chunk: Chunk<'_>,
        sink: &mut dyn Sink,
        target: &Path,
    ) -> Result<()> {
        if self.watch.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let written = match chunk {
            Chunk::Data(data) => sink.write_all(data),
            Chunk::Zeros => sink.zeros(entry.len()),
            Chunk::Fault(fault) => {
                self.hole(&fault, Some(entry), entry.len())?;
                sink.zeros(entry.len())
            }
        };
        written.map_err(|err| Error::io("write", target, err))?;
        self.report.bytes = entry.end;
        self.advance(entry.len());
        Ok(())
    }

    /// If the index ended too early, what is missing at the end.
    fn rest(&mut self, sink: &mut dyn Sink, target: &Path) -> Result<()> {
        let Some(missing @ 1..) = self.info.size.checked_sub(self.report.bytes) else {
            return Ok(());
        };
        self.hole(&Fault::Index("it ends too early".to_owned()), None, missing)?;
        sink.zeros(missing)
            .map_err(|err| Error::io("write", target, err))?;
        self.report.bytes = self.info.size;
        Ok(())
    }

    /// Notes a hole, as part of the one before if they touch; or stops.
    fn hole(&mut self, fault: &Fault, entry: Option<&Entry>, length: u64) -> Result<()> {
        let offset = entry.map_or(self.report.bytes, |entry| entry.start);
        let digest = entry.map(|entry| hex::encode(entry.digest));
        if !self.config.keep_going {
            let chunk = digest.map_or_else(
                || "what follows".to_owned(),
                |digest| format!("chunk {digest}"),
            );
            return Err(Error::damaged(
                &self.what(),
                format!("{chunk} at offset {offset}: {fault}"),
            ));
        }
        match self.report.holes.last_mut() {
            Some(last) if last.offset + last.length == offset => {
                last.length += length;
                last.chunks += 1;
            }
            _ => self.report.holes.push(Hole {
                offset,
                length,
                chunks: 1,
                first: HoleFault {
                    kind: fault.kind(),
                    what: fault.to_string(),
                    digest,
                },
            }),
        }
        Ok(())
    }

    fn advance(&self, bytes: u64) {
        self.meter.advance(
            bytes,
            &self.watch,
            self.snapshot.id(),
            self.info.filename.as_str(),
        );
    }
}
