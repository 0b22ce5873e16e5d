//! Reads and decodes chunks ahead on several threads, and hands them over in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};

use crate::pbs::blob::{Buffer, Decoder};
use crate::pbs::chunk::{ChunkStore, Wanted};
use crate::pbs::{Crypt, Fault};

/// Chunks in memory per thread: one at work, one that waits.
const PER_THREAD: usize = 2;

/// A thread that decodes one chunk after the other.
struct Worker {
    jobs: Sender<(Wanted, Buffer)>,
    done: Receiver<(Result<(), Fault>, Buffer)>,
}

impl Worker {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        chunks: &'scope ChunkStore,
        crypt: Option<&'scope Crypt>,
    ) -> Self {
        let (jobs, to_do) = channel::<(Wanted, Buffer)>();
        let (finished, done) = channel();
        scope.spawn(move || {
            let mut decoder = Decoder::new(crypt);
            for (wanted, mut buffer) in to_do {
                let result = chunks.load(&wanted, &mut decoder, &mut buffer);
                if finished.send((result, buffer)).is_err() {
                    break;
                }
            }
        });
        Self { jobs, done }
    }
}

/// What is under way, in order.
enum Pending<T> {
    /// Worker of this number has it.
    Worker(T, usize),
    /// It needs no work: it is all zeros.
    Zeros(T),
}

/// What became of a chunk.
pub(super) enum Chunk<'a> {
    Data(&'a [u8]),
    Zeros,
    Fault(Fault),
}

/// Loads the chunks that `next` names, and calls `take` for each, in the same order, on this thread.
///
/// `is_zero` tells whether data is all zeros: such a chunk, which images are full of, is decoded only once in a row.
pub(super) fn ahead<T, E>(
    chunks: &ChunkStore,
    crypt: Option<&Crypt>,
    threads: usize,
    is_zero: fn(&[u8]) -> bool,
    mut next: impl FnMut() -> Result<Option<(T, Wanted)>, E>,
    mut take: impl FnMut(T, Chunk<'_>) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        // dropped on every way out, which ends the threads
        let workers: Vec<_> = (0..threads)
            .map(|_| Worker::start(scope, chunks, crypt))
            .collect();
        let mut turn = (0..threads).cycle();
        let mut spare: Vec<Buffer> = Vec::new();
        let mut pending = VecDeque::new();
        let mut zeros = None;
        let mut more = true;
        loop {
            while more && pending.len() < threads * PER_THREAD {
                match next()? {
                    None => more = false,
                    Some((item, wanted)) if zeros == Some(wanted) => {
                        pending.push_back((wanted, Pending::Zeros(item)))
                    }
                    Some((item, wanted)) => {
                        let worker = turn.next().unwrap_or_default();
                        let buffer = spare.pop().unwrap_or_default();
                        workers[worker].jobs.send((wanted, buffer)).expect(ALIVE);
                        pending.push_back((wanted, Pending::Worker(item, worker)));
                    }
                }
            }
            match pending.pop_front() {
                None => return Ok(()),
                Some((_, Pending::Zeros(item))) => take(item, Chunk::Zeros)?,
                Some((wanted, Pending::Worker(item, worker))) => {
                    let (result, buffer) = workers[worker].done.recv().expect(ALIVE);
                    match result {
                        Ok(()) if is_zero(buffer.data()) => {
                            zeros = Some(wanted);
                            take(item, Chunk::Zeros)?;
                        }
                        Ok(()) => take(item, Chunk::Data(buffer.data()))?,
                        Err(fault) => take(item, Chunk::Fault(fault))?,
                    }
                    spare.push(buffer);
                }
            }
        }
    })
}

const ALIVE: &str = "a worker ends only when its jobs do";
