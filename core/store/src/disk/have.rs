//! Which chunks of a file are there: what a download goes on from.
//!
//! The record is there twice, as every small one. It belongs to one plan, named by its digest: the same bits mean other
//! bytes under another cut. It notes which chunks came since the record before it. Those are verified again before they
//! are believed, because a disk may have said that it had written what it had not.

use std::io;
use std::path::Path;

use super::checked::{HAVE, PLAN};
use super::read_whole;
use super::records::{self, Found, Pair};
use super::table::Sum;
use crate::{Digest, FilePlan, Vfs};

/// The record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Have {
    /// How often it was written.
    pub(super) generation: u64,
    /// Digest of the plan.
    pub(super) plan: Digest,
    /// Chunks that are there.
    pub(super) bits: Vec<bool>,
    /// Those of them that came last.
    pub(super) last: Vec<bool>,
    /// Sums on arrival, where the plan has no digests.
    pub(super) sums: Vec<Option<Sum>>,
}

/// The bytes of a plan, as they are kept, and their digest.
pub(super) fn plan_bytes(plan: &FilePlan) -> (Vec<u8>, Digest) {
    // Numbers and digests can always be written.
    let bytes = serde_json::to_vec(plan).unwrap_or_default();
    let digest = Digest::of(&bytes);
    (bytes, digest)
}

/// The plan that was kept in the folder of a file that is put together; `None` if there is none, or a damaged one.
pub(super) fn kept_plan(vfs: &dyn Vfs, folder: &Path) -> io::Result<Option<FilePlan>> {
    let bytes = read_whole(vfs, &folder.join("plan"), PLAN.largest_file())?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(PLAN.decode(&bytes).ok()?).ok()))
}

fn pack(bits: &[bool]) -> impl Iterator<Item = u8> {
    bits.chunks(8).map(|bits| bits.iter().enumerate().map(|(at, &bit)| u8::from(bit) << at).sum())
}

fn unpack(bytes: &[u8], count: usize) -> Vec<bool> {
    (0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect()
}

impl Have {
    /// Where it is, of a file that is put together in this folder.
    pub(super) fn pair(folder: &Path) -> Pair {
        Pair::new(folder, "have", "")
    }

    /// The record, of a file that nobody else puts together meanwhile; what cannot be read is not there.
    pub(super) fn read(vfs: &dyn Vfs, folder: &Path) -> Option<Self> {
        match records::read(vfs, &Self::pair(folder), HAVE.largest_file(), Self::decode) {
            Ok(Found::Sound(have)) => Some(have),
            _ => None,
        }
    }

    /// As [`Have::read`], also while somebody puts the file together.
    pub(super) fn peek(vfs: &dyn Vfs, folder: &Path) -> Option<Self> {
        records::peek(vfs, &Self::pair(folder), HAVE.largest_file(), Self::decode)
    }

    fn decode(bytes: &[u8]) -> Result<(u64, Self), String> {
        Self::from_bytes(bytes).map(|have| (have.generation, have)).ok_or_else(|| "it is damaged".to_owned())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.generation.to_le_bytes().to_vec();
        payload.extend_from_slice(&self.plan.0);
        payload.extend_from_slice(&(self.bits.len() as u64).to_le_bytes());
        payload.extend(pack(&self.bits));
        payload.extend(pack(&self.last));
        for sum in &self.sums {
            payload.extend_from_slice(&sum.map_or([0; Sum::BYTES], Sum::to_bytes));
        }
        HAVE.encode(&payload)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let payload = HAVE.decode(bytes).ok()?;
        let (generation, rest) = payload.split_first_chunk::<8>()?;
        let (plan, rest) = rest.split_first_chunk::<32>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let packed = count.div_ceil(8);
        let (bits, rest) = rest.split_at_checked(packed)?;
        let (last, rest) = rest.split_at_checked(packed)?;
        let (sums, over) = rest.as_chunks::<{ Sum::BYTES }>();
        if !over.is_empty() || !(sums.is_empty() || sums.len() == count) {
            return None;
        }
        let sums = sums.iter().map(|bytes| (*bytes != [0; Sum::BYTES]).then(|| Sum::from_bytes(*bytes))).collect();
        let generation = u64::from_le_bytes(*generation);
        Some(Self { generation, plan: Digest(*plan), bits: unpack(bits, count), last: unpack(last, count), sums })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back(bits: Vec<(bool, bool)>, known: bool) {
            let sum = |at: usize| Sum::of(&at.to_le_bytes());
            let have = Have {
                generation: 7,
                plan: Digest::of(b"plan"),
                bits: bits.iter().map(|pair| pair.0).collect(),
                last: bits.iter().map(|pair| pair.1).collect(),
                sums: if known { (0..bits.len()).map(|at| (at % 2 == 0).then(|| sum(at))).collect() } else { vec![] },
            };
            prop_assert_eq!(Have::from_bytes(&have.to_bytes()), Some(have));
        }

        #[test]
        fn strangers_bytes_are_no_record(payload: Vec<u8>) {
            // Sound as a file, anything as a record: no panic, and no more memory than the bytes justify.
            if let Some(have) = Have::from_bytes(&HAVE.encode(&payload)) {
                prop_assert!(have.bits.len() <= payload.len() * 8);
            }
        }
    }
}
