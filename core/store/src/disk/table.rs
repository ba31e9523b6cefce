//! How an object is cut, and what tells whether each chunk is still what was installed.
//!
//! Where a publisher gave the digests of chunks, those do. Where only the digest of the whole is known, the store makes a
//! sum of its own for each chunk as it arrives: 128 bits of XXH3, ten times as fast as SHA-256. They are there against
//! disks that forget, not against people: what somebody may have chosen is always compared with a SHA-256.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::{Chunks, Digest};

/// The store's own sum of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum(u64, u64);

impl Sum {
    pub(super) const BYTES: usize = 16;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let sum = XxHash3_128::oneshot(bytes);
        // Its halves.
        Self((sum >> 64) as u64, sum as u64)
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.0) << 64 | u128::from(self.1)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let sum = u128::from_le_bytes(bytes);
        Self((sum >> 64) as u64, sum as u64)
    }
}

/// The chunks of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    /// With digests, if they were published.
    pub(super) chunks: Chunks,
    /// Sums of the store's own otherwise, one for each.
    sums: Vec<Sum>,
    /// Whether the digest of the whole was ever compared. A file all of whose chunks had the published digests is
    /// installed without; its first verification does it.
    pub(super) whole: bool,
}

impl Table {
    /// Of a file whose chunks were compared with published digests.
    pub(super) fn published(chunks: Chunks) -> Self {
        Self { chunks, sums: Vec::new(), whole: false }
    }

    /// Of a file whose whole was compared. `None` unless there is a sum for each chunk.
    pub(super) fn own(chunks: Chunks, sums: Vec<Sum>) -> Option<Self> {
        Some(Self { chunks, sums, whole: true }).filter(Self::is_sound)
    }

    /// Whether every chunk can be judged.
    pub(super) fn is_sound(&self) -> bool {
        self.chunks.has_digests() || self.sums.len() == self.chunks.len()
    }

    /// Whether these are the bytes of the chunk.
    pub(super) fn is_right(&self, index: usize, bytes: &[u8]) -> bool {
        match self.chunks.digest(index) {
            Some(digest) => Digest::of(bytes) == digest,
            None => self.sums.get(index) == Some(&Sum::of(bytes)),
        }
    }

    /// Whether a file of these chunks is cut the same way.
    pub(super) fn is_cut_as(&self, chunks: &Chunks) -> bool {
        self.chunks.len() == chunks.len()
            && (0..chunks.len()).all(|index| self.chunks.range(index) == chunks.range(index))
    }

    /// Sums of the store's own for a file that is cut the same way.
    pub(super) fn sums_for(&self, chunks: &Chunks) -> Option<&[Sum]> {
        (!self.chunks.has_digests() && self.chunks == *chunks).then_some(&self.sums[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_and_read() {
        let sum = Sum::of(b"abc");
        // XXH3_128 of "abc", as the reference implementation in C gives it.
        assert_eq!(format!("{:016x}{:016x}", sum.0, sum.1), "06b05ab6733a618578af5f94892f3950");
        assert_eq!(Sum::from_bytes(sum.to_bytes()), sum);
        let text = serde_json::to_string(&sum).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Sum>(&text).ok(), Some(sum));
    }

    #[test]
    fn a_chunk_is_judged_by_what_is_known() {
        let plain = Chunks::plain(3);
        assert_eq!(Table::own(plain.clone(), Vec::new()), None);
        let own = Table::own(plain.clone(), vec![Sum::of(b"abc")]);
        let published = plain.with_digests(vec![Digest::of(b"abc")]).map(Table::published);
        for table in [own, published].into_iter().flatten() {
            assert!(table.is_sound() && table.is_right(0, b"abc"));
            assert!(!table.is_right(0, b"xyz") && !table.is_right(1, b"abc"));
        }
    }
}
