//! Where a publisher cuts a file, so that what did not change can be taken from an older one.
//!
//! Chunks of a fixed size would do if bytes were only replaced. But a chat template that grows by a character moves
//! everything after it, and no chunk behind it is the same again. So a GGUF file is cut where its parts begin: those
//! chunks move with their part, and their digests stay what they were. [`delta`] then finds them wherever they are.
//!
//! * **Header.** Large values (the vocabulary, its scores and merges) and a large list of tensors are chunks of their
//!   own; everything small between two of them shares one. A changed template is one changed chunk, or two: the
//!   padding before the data may change with the header's length.
//! * **Data.** It begins a chunk, whatever the header's length is. A tensor of [`LARGE`] bytes or more begins a chunk and
//!   is cut every MiB from there; neighbours that are smaller share one.
//!
//! Anything that is not GGUF is cut every MiB.

pub mod delta;

use std::path::Path;

use inkling_gguf::Outline;

use crate::{CHUNK, Chunks};

/// Values and tensors of at least so many bytes do not share chunks. Lower would make longer lists of chunks, higher
/// would fetch more neighbours of what has changed: models for phones have many tensors below 1 MiB.
pub const LARGE: u64 = 64 << 10;

/// The chunks of a file, without digests: cut by its parts if it is GGUF, every MiB if not.
///
/// # Errors
/// What the file system says. A file that is no sound GGUF is not an error.
pub fn chunk_file(path: &Path) -> std::io::Result<Chunks> {
    let size = std::fs::metadata(path)?.len();
    Ok(match Outline::open(path) {
        Ok(outline) if outline.file_bytes == size => chunk_gguf(&outline),
        _ => Chunks::plain(size),
    })
}

/// The chunks of a GGUF file, without digests.
pub fn chunk_gguf(outline: &Outline) -> Chunks {
    let mut cutter = Cutter::default();
    let header = outline.keys.iter().chain([&outline.descriptions]);
    for part in header {
        cutter.part(part.end);
    }
    // The padding belongs to what is before it; it is shorter than a chunk unless the alignment is absurd.
    cutter.padding(outline.data_start.min(outline.file_bytes));
    cutter.cut();
    for (index, tensor) in outline.tensors.iter().enumerate() {
        // With the padding after it, so that every byte is in some part.
        let end = outline.tensors.get(index + 1).map_or(tensor.end, |next| next.start);
        cutter.tensor(end, tensor.end - tensor.start >= LARGE);
    }
    cutter.padding(outline.file_bytes);
    cutter.cut();
    Chunks::new(outline.file_bytes, cutter.ends, Vec::new()).unwrap_or_else(|| Chunks::plain(outline.file_bytes))
}

/// Puts parts into chunks as they come.
#[derive(Default)]
struct Cutter {
    ends: Vec<u64>,
    /// Where the last part ended; what lies between here and the last of `ends` is not cut yet.
    position: u64,
}

impl Cutter {
    /// Where the open chunk begins.
    fn start(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Ends the open chunk here, in pieces if it is too long.
    fn cut(&mut self) {
        while self.start() < self.position {
            let end = self.position.min(self.start() + CHUNK);
            self.ends.push(end);
        }
    }

    /// A part of the header that ends at `end`.
    fn part(&mut self, end: u64) {
        let large = end - self.position >= LARGE;
        self.tensor(end, large);
    }

    fn tensor(&mut self, end: u64, large: bool) {
        if large || end - self.start() > CHUNK {
            self.cut();
        }
        self.position = end;
        if large {
            self.cut();
        }
    }

    /// Bytes that nobody reads, up to `end`: part of what is open, or of the last chunk if that has room.
    fn padding(&mut self, end: u64) {
        if self.start() == self.position && end > self.position {
            let before = self.ends.len().checked_sub(2).map_or(0, |index| self.ends[index]);
            if !self.ends.is_empty() && end - before <= CHUNK {
                self.ends.pop();
            }
        }
        self.position = self.position.max(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 1 << 10;

    fn outline(keys: &[u64], descriptions: u64, tensors: &[u64], tail: u64) -> Outline {
        let mut at = 24;
        let mut range = |bytes: u64| {
            at += bytes;
            at - bytes..at
        };
        let keys = keys.iter().map(|&bytes| range(bytes)).collect();
        let descriptions = range(descriptions);
        let data_start = range(0).end.next_multiple_of(32);
        at = data_start;
        let tensors: Vec<_> = tensors
            .iter()
            .map(|&bytes| {
                let start = at;
                at = (at + bytes).next_multiple_of(32);
                start..start + bytes
            })
            .collect();
        let end = tensors.last().map_or(data_start, |range| range.end);
        Outline { keys, descriptions, data_start, tensors, file_bytes: end + tail }
    }

    fn lengths(outline: &Outline) -> Vec<u64> {
        let chunks = chunk_gguf(outline);
        assert_eq!((0..chunks.len()).map(|index| chunks.range(index).1).sum::<u64>(), outline.file_bytes);
        (0..chunks.len()).map(|index| chunks.range(index).1).collect()
    }

    #[test]
    fn large_values_stand_alone_and_small_ones_together() {
        let found = lengths(&outline(&[100, 76, 3 * K * K, 200, 65 * K, 300, 400], 500, &[], 0));
        assert_eq!(found, [200, K * K, K * K, K * K, 200, 65 * K, (300 + 400 + 500_u64).next_multiple_of(8)]);
    }

    #[test]
    fn tensors_are_cut_from_their_own_start() {
        let found = lengths(&outline(&[], 8, &[2 * K * K + 64 * K, 32, 64, 100 * K, 96], 7));
        assert_eq!(found, [32, K * K, K * K, 64 * K, 96, 100 * K, 103]);
    }

    #[test]
    fn many_small_ones_fill_chunks() {
        let found = lengths(&outline(&[], 8, &[60 * K; 40], 0));
        assert_eq!(found, [32, 17 * 60 * K, 17 * 60 * K, 6 * 60 * K]);
    }

    #[test]
    fn nothing_is_no_chunk() {
        let nothing = Outline { keys: vec![], descriptions: 24..24, data_start: 32, tensors: vec![], file_bytes: 24 };
        assert_eq!(lengths(&nothing), [24]);
    }
}
