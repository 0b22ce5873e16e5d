//! A random sample of the chunks of an archive.
//!
//! Of `N` chunks of which `L` are lost, `n` chosen by chance miss all lost ones with probability
//! `C(N - L, n) / C(N, n)`, which is at most `(1 - L / N)^n`. For a loss of 1 % and `n` = 459 that is
//! `0.99^459 = 0.0099`: whatever the size of the archive, such a loss is found with 99 %. The first and the last chunk
//! are always among them: they hold partition tables and the ends of files. Against somebody who knows that and
//! spares these two it is `0.99^457 = 0.0101`.
//!
//! What is lost is a chunk, and not its mention in an index, so all chunks have the same chance, however often the
//! archive repeats them. To choose among them without having all in memory, each digest is given a number by a
//! keyed hash with a key of its own per sample, and those with the smallest numbers are kept.

use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, RandomState};

use super::index::Entry;

/// How many chunks find a loss of 1 % with a probability of 99 %: `ln 0.01 / ln 0.99`, rounded up.
pub const CHUNKS: usize = 459;

/// Draws a sample while entries go by.
pub struct Sampler {
    most: usize,
    hasher: RandomState,
    pinned: [[u8; 32]; 2],
    /// The largest number is on top: the next to go.
    order: BinaryHeap<(u64, [u8; 32])>,
    members: HashMap<[u8; 32], Member>,
}

/// A chunk of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its first mention.
    pub entry: Entry,
    /// How many times the archive mentions it.
    pub times: u64,
}

impl Sampler {
    /// Draws at most `most` chunks, at least two: the one that comes first, and the one that is known to be `last`.
    pub fn new(most: usize, last: [u8; 32]) -> Self {
        Self {
            most: most.max(2),
            hasher: RandomState::new(),
            pinned: [last; 2],
            order: BinaryHeap::new(),
            members: HashMap::new(),
        }
    }

    /// The next entry.
    pub fn offer(&mut self, entry: Entry) {
        if self.members.is_empty() {
            self.pinned[0] = entry.digest;
        }
        let number = self.number(&entry.digest);
        if self.members.len() >= self.most
            && self.order.peek().is_some_and(|(most, _)| number > *most)
        {
            return;
        }
        if let Some(member) = self.members.get_mut(&entry.digest) {
            member.times += 1;
            return;
        }
        self.members
            .insert(entry.digest, Member { entry, times: 1 });
        self.order.push((number, entry.digest));
        if self.members.len() > self.most {
            let (_, gone) = self.order.pop().expect("there are as many as members");
            self.members.remove(&gone);
        }
    }

    /// Pinned ones have the smallest number, so they are never the next to go.
    fn number(&self, digest: &[u8; 32]) -> u64 {
        if self.pinned.contains(digest) {
            0
        } else {
            self.hasher.hash_one(digest).max(1)
        }
    }

    /// The sample, in the order of the archive.
    pub fn finish(self) -> Vec<Member> {
        let mut sample: Vec<_> = self.members.into_values().collect();
        sample.sort_by_key(|member| member.entry.start);
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, digest: u64) -> Entry {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&digest.to_le_bytes());
        Entry {
            start: n * 10,
            end: n * 10 + 10,
            digest: bytes,
        }
    }

    fn draw(most: usize, digests: &[u64]) -> Vec<Member> {
        let entries: Vec<_> = digests
            .iter()
            .zip(0..)
            .map(|(digest, n)| entry(n, *digest))
            .collect();
        let mut sampler = Sampler::new(most, entries.last().unwrap().digest);
        entries.iter().for_each(|entry| sampler.offer(*entry));
        sampler.finish()
    }

    #[test]
    fn first_and_last_are_always_in_and_none_is_twice() {
        for count in [1_u64, 2, 3, 458, 459, 460, 5000] {
            for _ in 0..20 {
                let sample = draw(CHUNKS, &(0..count).collect::<Vec<_>>());
                assert_eq!(sample.len() as u64, count.min(459));
                assert_eq!(sample[0].entry, entry(0, 0));
                assert_eq!(sample.last().unwrap().entry, entry(count - 1, count - 1));
                assert!(
                    sample
                        .windows(2)
                        .all(|two| two[0].entry.start < two[1].entry.start),
                    "sorted and distinct"
                );
            }
        }
    }

    #[test]
    fn repeated_chunks_count_once_and_are_counted() {
        let digests: Vec<_> = (0..3000)
            .map(|n| if n % 2 == 0 { 1000 } else { n % 100 })
            .collect();
        let sample = draw(CHUNKS, &digests);
        assert_eq!(sample.len(), 51);
        assert_eq!(sample.iter().map(|member| member.times).sum::<u64>(), 3000);
        assert_eq!(draw(2, &[1, 2, 1, 3, 1]).len(), 2);
        assert_eq!(
            draw(0, &[1, 2, 3, 4])
                .iter()
                .map(|member| member.entry.start)
                .collect::<Vec<_>>(),
            [0, 30]
        );
    }

    #[test]
    fn all_have_the_same_chance() {
        let digests: Vec<_> = (0..1000).chain(0..500).chain([5000]).collect();
        let mut drawn = vec![0; 1000];
        for _ in 0..400 {
            for member in draw(102, &digests) {
                if member.entry.start < 10_000 {
                    drawn[member.entry.start as usize / 10] += 1;
                }
            }
        }
        // 400 times 100 of 999: 40 each, more than 7 standard deviations are no chance
        assert!(
            drawn[1..].iter().all(|times| (1..95).contains(times)),
            "{drawn:?}"
        );
        let (repeated, single) = (
            drawn[1..500].iter().sum::<i32>(),
            drawn[500..].iter().sum::<i32>(),
        );
        assert!((repeated - single).abs() < 1500, "{repeated} {single}");
    }

    #[test]
    fn a_loss_of_one_percent_is_found() {
        let digests: Vec<_> = (0..10_000).collect();
        let found = (0..300)
            .filter(|_| {
                draw(CHUNKS, &digests)
                    .iter()
                    .any(|member| member.entry.start / 10 % 100 == 37)
            })
            .count();
        assert!(found >= 285, "{found}");
    }
}
