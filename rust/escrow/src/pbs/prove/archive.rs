//! Proves one file of a snapshot.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::report::{Chunks, FileReport};
use super::{Depth, Run};
use crate::pbs::blob::{Buffer, Decoder, MAX_BLOB, StreamError};
use crate::pbs::chunk::Wanted;
use crate::pbs::datastore::Snapshot;
use crate::pbs::fault::{Damage, Fault};
use crate::pbs::index::{self, Index};
use crate::pbs::manifest::FileInfo;
use crate::pbs::name::Form;
use crate::pbs::sample::{Member, Sampler};

/// What is known of images beforehand, and a fair guess for archives of files.
const USUAL_CHUNK: u64 = 4 << 20;

impl Run<'_> {
    /// How many bytes of a file will be looked at.
    pub(super) fn expected(&self, info: &FileInfo) -> u64 {
        match (info.filename.form(), self.config.depth) {
            (Form::Blob, _) | (_, Depth::Full) => info.size,
            (_, Depth::Sample(most)) => info.size.min((most as u64).saturating_mul(USUAL_CHUNK)),
        }
    }

    pub(super) fn file(&self, snapshot: &Snapshot, info: &FileInfo) -> FileReport {
        let mut task = Task {
            run: self,
            snapshot,
            info,
            expected: self.expected(info),
            report: FileReport::new(info),
        };
        let before = self.meter.done();
        let checked = match info.filename.form() {
            Form::Blob => task.blob(),
            Form::Index(kind) => task.index(kind),
        };
        if let Err(fault) = checked {
            task.report.add(fault.into());
        }
        self.meter.set(before + task.expected);
        task.report.judge(!self.watch.is_cancelled());
        task.report
    }
}

/// A file that is being proven.
struct Task<'a> {
    run: &'a Run<'a>,
    snapshot: &'a Snapshot,
    info: &'a FileInfo,
    expected: u64,
    report: FileReport,
}

impl Task<'_> {
    fn blob(&mut self) -> Result<(), Fault> {
        let mut buffer = Buffer::default();
        if let Some(fault) = self.snapshot.blob(self.info, &mut buffer)? {
            self.report.add(fault.into());
        }
        let decoder = Decoder::new(Some(&self.run.crypt));
        match decoder.stream(&mut buffer, MAX_BLOB, self.info.mode(), &mut io::sink()) {
            Ok(bytes) => self.report.bytes = bytes,
            Err(StreamError::Fault(fault)) => return Err(fault),
            Err(StreamError::Write(_)) => unreachable!("nowhere is always writable"),
        }
        self.advance(self.info.size);
        Ok(())
    }

    fn index(&mut self, kind: index::Kind) -> Result<(), Fault> {
        let (mut index, faults) = self.snapshot.index(self.info, kind)?;
        faults
            .into_iter()
            .for_each(|fault| self.report.add(fault.into()));
        let mut chunks = Chunks {
            total: index.count(),
            ..Chunks::default()
        };
        let tally = match self.run.config.depth {
            Depth::Full => {
                let once = |entry| Member { entry, times: 1 };
                self.chunks(index.entries()?.map(|entry| entry.map(once)), chunks.total)
            }
            Depth::Sample(most) => {
                let sample = self.draw(&mut index, most)?;
                let len = sample.len() as u64;
                self.chunks(sample.into_iter().map(Ok), len)
            }
        };
        (chunks.checked, chunks.read, self.report.bytes) = (tally.checked, tally.read, tally.bytes);
        self.report.chunks = Some(chunks);
        let mut damages = tally.damages;
        damages.sort_by_key(|damage| damage.offset);
        let unlisted = (tally.damaged, tally.unreadable);
        damages
            .into_iter()
            .for_each(|damage| self.report.add(damage));
        self.report.damaged += unlisted.0;
        self.report.unreadable += unlisted.1;
        Ok(())
    }

    /// Reads the whole index and checks it on the way.
    fn draw(
        &mut self,
        index: &mut Index<std::fs::File>,
        most: usize,
    ) -> Result<Vec<Member>, Fault> {
        let Some(last) = index.last() else {
            return Ok(Vec::new());
        };
        let mut sampler = Sampler::new(most, last);
        for entry in index.entries()? {
            match entry {
                Ok(entry) => sampler.offer(entry),
                // what was drawn up to here can still be looked at
                Err(fault) => self.report.add(fault.into()),
            }
        }
        let sample = sampler.finish();
        let bytes = sample.iter().map(|member| member.entry.len()).sum();
        self.run.meter.correct(self.expected, bytes);
        self.expected = bytes;
        Ok(sample)
    }

    /// Looks at chunks on all threads. Each takes the next one when it is done with one.
    fn chunks(
        &self,
        source: impl Iterator<Item = Result<Member, Fault>> + Send,
        count: u64,
    ) -> Tally {
        let threads = self
            .run
            .threads
            .min(usize::try_from(count).unwrap_or(usize::MAX))
            .max(1);
        let source = Mutex::new(source);
        if threads == 1 {
            return self.work(&source);
        }
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| self.work(&source)))
                .collect();
            workers.into_iter().fold(Tally::default(), |all, worker| {
                all.join(
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                )
            })
        })
    }

    fn work(&self, source: &Mutex<impl Iterator<Item = Result<Member, Fault>>>) -> Tally {
        let mut decoder = Decoder::new(Some(&self.run.crypt));
        let mut buffer = Buffer::default();
        let mut tally = Tally::default();
        while !self.run.watch.is_cancelled() {
            let next = source.lock().unwrap_or_else(PoisonError::into_inner).next();
            match next {
                None => break,
                Some(Err(fault)) => tally.add(fault.into()),
                Some(Ok(member)) => self.chunk(&member, &mut decoder, &mut buffer, &mut tally),
            }
        }
        tally
    }

    fn chunk(
        &self,
        member: &Member,
        decoder: &mut Decoder<'_>,
        buffer: &mut Buffer,
        tally: &mut Tally,
    ) {
        let entry = &member.entry;
        let wanted = Wanted {
            digest: entry.digest,
            size: entry.len() as usize,
            mode: self.info.mode(),
        };
        tally.checked += member.times;
        let mut sound = self.run.seen.has(&wanted);
        if !sound {
            tally.read += 1;
            match self.run.datastore.chunks().load(&wanted, decoder, buffer) {
                Ok(()) => {
                    self.run.seen.add(&wanted);
                    sound = true;
                }
                Err(fault) => tally.add(Damage::of_chunk(&fault, entry)),
            }
        }
        if sound {
            tally.bytes += entry.len();
        }
        self.advance(entry.len());
    }

    fn advance(&self, bytes: u64) {
        self.run.meter.advance(
            bytes,
            &self.run.watch,
            self.snapshot.id(),
            self.info.filename.as_str(),
        );
    }
}

/// What one thread has found.
#[derive(Default)]
struct Tally {
    checked: u64,
    read: u64,
    bytes: u64,
    damages: Vec<Damage>,
    /// Further ones, only counted.
    damaged: u64,
    unreadable: u64,
}

impl Tally {
    fn add(&mut self, damage: Damage) {
        if self.damages.len() < super::report::MAX_LISTED {
            self.damages.push(damage);
        } else if damage.is_damage {
            self.damaged += 1;
        } else {
            self.unreadable += 1;
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.checked += other.checked;
        self.read += other.read;
        self.bytes += other.bytes;
        self.damages.extend(other.damages);
        self.damaged += other.damaged;
        self.unreadable += other.unreadable;
        self
    }
}
