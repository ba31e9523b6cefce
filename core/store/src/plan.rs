//! What a file will be once it is there: its size, its digest, the chunks it is fetched and checked by.
//!
//! A publisher who knows the digest of every chunk lets each be checked as it arrives and be taken from an older file
//! that has it. Without them (a plain URL) chunks are cut every MiB, their digests become known on arrival, and the
//! digest of the whole decides at the end.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Bytes of a chunk, but for those that end where a tensor does.
pub const CHUNK: u64 = 1 << 20;
/// The largest file that is taken for a model file.
pub const LARGEST_FILE: u64 = 1 << 40;

/// Where the chunks of a file end, and what is known of their contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Cut")]
pub struct Chunks {
    /// The end of each, ascending; the last is the file's size. No chunk is empty or has more than [`CHUNK`] bytes.
    ends: Vec<u64>,
    /// The digest of each; empty if they are not known beforehand.
    digests: Vec<Digest>,
}

/// Chunks as they are read, before anybody looked whether they are sound.
#[derive(Deserialize)]
struct Cut {
    ends: Vec<u64>,
    digests: Vec<Digest>,
}

impl TryFrom<Cut> for Chunks {
    type Error = &'static str;

    fn try_from(cut: Cut) -> Result<Self, Self::Error> {
        let size = cut.ends.last().copied().unwrap_or(0);
        Self::new(size, cut.ends, cut.digests).ok_or("chunks must have 1 to 2^20 bytes and a digest each, or none")
    }
}

impl Chunks {
    /// Chunks of [`CHUNK`] bytes, with unknown contents.
    pub fn plain(size: u64) -> Self {
        let whole = (1..=size / CHUNK).map(|index| index * CHUNK);
        Self { ends: whole.chain((!size.is_multiple_of(CHUNK)).then_some(size)).collect(), digests: Vec::new() }
    }

    /// Chunks that end at `ends` and have these digests (or none). `None` unless each has 1 to [`CHUNK`] bytes, all
    /// together have `size`, and there are as many digests as chunks or none.
    pub fn new(size: u64, ends: Vec<u64>, digests: Vec<Digest>) -> Option<Self> {
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let sound = starts.zip(&ends).all(|(start, &end)| end > start && end - start <= CHUNK);
        let fits = ends.last().copied().unwrap_or(0) == size && (digests.is_empty() || digests.len() == ends.len());
        (sound && fits).then_some(Self { ends, digests })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none: the file is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Offset and length of a chunk.
    ///
    /// # Panics
    /// If there is no such chunk.
    pub fn range(&self, index: usize) -> (u64, u64) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        (start, self.ends[index] - start)
    }

    /// The digest that a chunk must have, if it is known.
    pub fn digest(&self, index: usize) -> Option<Digest> {
        self.digests.get(index).copied()
    }

    /// Whether the digests are known.
    pub fn has_digests(&self) -> bool {
        self.digests.len() == self.ends.len()
    }

    /// Bytes of all together: the size of the file.
    pub fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The chunk that holds this byte of the file.
    pub fn at(&self, offset: u64) -> usize {
        self.ends.partition_point(|&end| end <= offset)
    }

    /// The same chunks, with unknown contents.
    pub fn without_digests(&self) -> Self {
        Self { ends: self.ends.clone(), digests: Vec::new() }
    }

    /// The same chunks with digests that have become known, one for each.
    pub fn with_digests(&self, digests: Vec<Digest>) -> Option<Self> {
        (digests.len() == self.ends.len()).then(|| Self { ends: self.ends.clone(), digests })
    }
}

/// A file to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlan {
    /// The digest of the whole file, which is also its name in the store.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
    /// How it is cut.
    pub chunks: Chunks,
}

impl FilePlan {
    /// A file of which only size and digest are known.
    pub fn plain(sha256: Digest, size: u64) -> Self {
        Self { sha256, size, chunks: Chunks::plain(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_chunks_cover_the_file() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 7] {
            let chunks = Chunks::plain(size);
            let total: u64 = (0..chunks.len()).map(|index| chunks.range(index).1).sum();
            assert_eq!((total, chunks.has_digests()), (size, size == 0), "{size}");
            assert_eq!(Chunks::new(size, chunks.ends.clone(), Vec::new()), Some(chunks.clone()));
            for index in 0..chunks.len() {
                let (start, length) = chunks.range(index);
                assert_eq!((chunks.at(start), chunks.at(start + length - 1)), (index, index));
            }
        }
    }

    #[test]
    fn unsound_chunks_are_none() {
        for (size, ends) in
            [(2, vec![1]), (2, vec![1, 1, 2]), (CHUNK + 1, vec![CHUNK + 1]), (1, vec![]), (3, vec![2, 1, 3])]
        {
            assert_eq!(Chunks::new(size, ends, Vec::new()), None);
        }
        assert_eq!(Chunks::new(2, vec![1, 2], vec![Digest::of(b"a")]), None);
    }
}
