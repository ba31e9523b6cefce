//! What an earlier staging left that can be used.

use std::path::Path;

use crate::disk::Inner;
use crate::disk::have::{Have, kept_plan, plan_bytes};
use crate::disk::objects::read_chunk;
use crate::disk::table::Sum;
use crate::{Digest, FilePlan, StoreError, VfsFile};

/// What an earlier staging left that can be used.
pub(super) struct Kept {
    pub(super) here: Vec<bool>,
    /// Where the plan has no digests.
    pub(super) sums: Vec<Option<Sum>>,
    /// Those that are believed without having been read.
    pub(super) unread: Vec<bool>,
    /// There is a record that says otherwise.
    pub(super) is_stale: bool,
    /// That of the record.
    pub(super) generation: u64,
}

impl Kept {
    pub(super) fn bytes(&self, plan: &FilePlan) -> u64 {
        self.here.iter().enumerate().filter(|(_, here)| **here).map(|(index, _)| plan.chunks.range(index).1).sum()
    }

    pub(super) fn find(
        inner: &Inner,
        folder: &Path,
        file: &dyn VfsFile,
        plan: &FilePlan,
        plan_digest: Digest,
    ) -> Result<Self, StoreError> {
        let count = plan.chunks.len();
        let nothing = |generation| Self {
            here: vec![false; count],
            sums: vec![None; count],
            unread: vec![false; count],
            is_stale: generation > 0,
            generation,
        };
        let Some(have) = Have::read(&*inner.vfs, folder) else { return Ok(nothing(0)) };
        let len = file.stat().map_err(StoreError::io("looking at", folder))?.len;
        if have.plan == plan_digest && have.bits.len() == count {
            return Ok(Self::same(file, len, plan, &have));
        }
        let old = kept_plan(&*inner.vfs, folder).ok().flatten();
        let old = old.filter(|old| plan_bytes(old).1 == have.plan && old.chunks.len() == have.bits.len());
        let Some(old) = old else { return Ok(nothing(have.generation)) };
        Ok(Self::other(file, len, plan, &old, &have))
    }

    /// Under the same plan: believed, but for the last batch, which is verified.
    fn same(file: &dyn VfsFile, len: u64, plan: &FilePlan, have: &Have) -> Self {
        let mut kept = Self::of(have, false);
        let mut buffer = Vec::new();
        for index in 0..plan.chunks.len() {
            let (start, length) = plan.chunks.range(index);
            let known = Known::of(plan, index, have.sums.get(index).copied().flatten());
            let believed = have.bits[index] && start + length <= len && known.is_some();
            let here = believed
                && (!have.last[index] || known.is_some_and(|known| known.holds(file, plan, index, &mut buffer)));
            kept.is_stale |= here != have.bits[index];
            kept.add(here, known, !have.last[index]);
        }
        kept
    }

    /// Under another plan for the same file: chunks of the new cut that old chunks cover are read again and kept if they
    /// are right: by the plan's digest, or, without one, by what is known of an old chunk with the same ends.
    fn other(file: &dyn VfsFile, len: u64, plan: &FilePlan, old: &FilePlan, have: &Have) -> Self {
        let mut kept = Self::of(have, true);
        let mut buffer = Vec::new();
        for index in 0..plan.chunks.len() {
            let (start, length) = plan.chunks.range(index);
            let covered = start + length <= len.min(old.size)
                && (old.chunks.at(start)..=old.chunks.at(start + length - 1)).all(|index| have.bits[index]);
            let same = covered.then(|| old.chunks.at(start)).filter(|&at| old.chunks.range(at) == (start, length));
            let known = Known::of(plan, index, same.and_then(|at| have.sums.get(at).copied().flatten()))
                .or_else(|| same.and_then(|at| old.chunks.digest(at)).map(Known::Digest));
            let mut here = covered && known.is_some_and(|known| known.holds(file, plan, index, &mut buffer));
            // Also of a chunk that a digest was known of, the sum is what is recorded under a plan without.
            let known = match known {
                Some(Known::Digest(_)) if here && !plan.chunks.has_digests() => Some(Known::Sum(Sum::of(&buffer))),
                other => other,
            };
            here &= known.is_some();
            kept.add(here, known, false);
        }
        kept
    }

    fn of(have: &Have, is_stale: bool) -> Self {
        Self { here: Vec::new(), sums: Vec::new(), unread: Vec::new(), is_stale, generation: have.generation }
    }

    fn add(&mut self, here: bool, known: Option<Known>, unread: bool) {
        self.here.push(here);
        self.unread.push(here && unread);
        self.sums.push(match known {
            Some(Known::Sum(sum)) if here => Some(sum),
            _ => None,
        });
    }
}

/// What a chunk is compared with.
#[derive(Clone, Copy)]
pub(super) enum Known {
    Digest(Digest),
    Sum(Sum),
}

impl Known {
    /// The plan's digest, or else the sum on arrival.
    pub(super) fn of(plan: &FilePlan, index: usize, sum: Option<Sum>) -> Option<Self> {
        plan.chunks.digest(index).map(Self::Digest).or(sum.map(Self::Sum))
    }

    /// Whether the file has these bytes, which are in `buffer` then.
    pub(super) fn holds(self, file: &dyn VfsFile, plan: &FilePlan, index: usize, buffer: &mut Vec<u8>) -> bool {
        let read = read_chunk(file, &plan.chunks, index, buffer).unwrap_or(false);
        read && match self {
            Self::Digest(digest) => Digest::of(buffer) == digest,
            Self::Sum(sum) => Sum::of(buffer) == sum,
        }
    }
}
