//! Where restored data goes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// What file systems allocate, in general.
const BLOCK: usize = 4096;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Something to write an archive to, from its beginning to its end.
pub(super) trait Sink: Write {
    /// Writes zeros.
    fn zeros(&mut self, len: u64) -> io::Result<()>;
    /// Everything is written.
    fn finish(&mut self) -> io::Result<()>;
}

/// A pipe or the like.
pub(super) struct Stream<'a>(pub &'a mut dyn Write);

impl Write for Stream<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Stream<'_> {
    fn zeros(&mut self, mut len: u64) -> io::Result<()> {
        while len > 0 {
            let now = len.min(ZEROS.len() as u64);
            self.0.write_all(&ZEROS[..now as usize])?;
            len -= now;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A new, empty file, in which blocks of zeros stay holes.
pub(super) struct Sparse {
    file: File,
    at: u64,
}

impl Sparse {
    pub fn new(file: File) -> Self {
        Self { file, at: 0 }
    }
}

impl Write for Sparse {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut rest = data;
        while !rest.is_empty() {
            let blocks = run(rest, self.at);
            let (now, later) = rest.split_at(blocks.len);
            if !blocks.zero {
                self.file.write_all_at(now, self.at)?;
            }
            self.at += now.len() as u64;
            rest = later;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Sparse {
    fn zeros(&mut self, len: u64) -> io::Result<()> {
        self.at += len;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.set_len(self.at)?;
        self.file.sync_all()
    }
}

struct Run {
    len: usize,
    zero: bool,
}

/// How far the blocks of the file from `at` on, which isn't empty, are all zero, or all not.
fn run(data: &[u8], at: u64) -> Run {
    let to_border = BLOCK - (at % BLOCK as u64) as usize;
    let (first, rest) = data.split_at(to_border.min(data.len()));
    let zero = is_zero(first);
    let same = rest
        .chunks(BLOCK)
        .take_while(|block| is_zero(block) == zero)
        .map(<[u8]>::len)
        .sum::<usize>();
    Run {
        len: first.len() + same,
        zero,
    }
}

/// Nothing but zeros? Comparing with zeros is quicker than looking at each byte.
pub(super) fn is_zero(data: &[u8]) -> bool {
    data.chunks(BLOCK)
        .all(|block| *block == ZEROS[..block.len()])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn holes_stay_holes() {
        let mut data = vec![0; 1 << 20];
        data[5000] = 1;
        data[70_000..140_000].fill(2);
        for piece in [1 << 20, 4096, 10_007, 512] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut sparse = Sparse::new(file.reopen().unwrap());
            for piece in data.chunks(piece) {
                sparse.write_all(piece).unwrap();
            }
            sparse.zeros(3 << 20).unwrap();
            sparse.finish().unwrap();
            let written = std::fs::read(file.path()).unwrap();
            assert_eq!(written.len(), 4 << 20);
            assert!(
                written[..1 << 20] == data[..] && is_zero(&written[1 << 20..]),
                "{piece}"
            );
            let allocated = file.as_file().metadata().unwrap().blocks() * 512;
            assert!(allocated < 300_000, "{piece}: {allocated}");
        }
    }

    #[test]
    fn streams_get_every_byte() {
        let mut out = Vec::new();
        let mut stream = Stream(&mut out);
        stream.write_all(b"x").unwrap();
        stream.zeros(200_000).unwrap();
        stream.finish().unwrap();
        assert_eq!(out.len(), 200_001);
        assert!(is_zero(&out[1..]) && !is_zero(&out));
    }
}
