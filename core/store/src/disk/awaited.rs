//! Files that somebody else fetches, who may be long in coming: they stay until they are collected, also when room is
//! needed. It is noted for which release of which model they come, so that whoever brings the last part need ask nobody
//! what to do with it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checked::AWAITED;
use super::{Disk, Inner, Staging, read_whole};
use crate::{Digest, Landing, ModelId, Release, SourceText, StoreError};

/// The most models for which a file is noted to come; the latest stay.
const MOST: usize = 16;

/// What a file is awaited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Awaited {
    /// The model.
    pub id: ModelId,
    /// Where it comes from, as [`crate::Source`] writes it.
    pub source: SourceText,
    /// Take it also if it failed here before.
    pub insist: bool,
    /// The release, as its source had it when it was asked.
    pub release: Release,
}

/// As it is kept beside what has arrived.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Digest of the plan by which the file is put together: under another one it would be compared with what somebody
    /// else published.
    plan: Digest,
    by: Vec<Awaited>,
}

impl Staging {
    /// Says that somebody else fetches the file, and for what.
    pub fn await_parts(&self, by: &Awaited) -> Result<(), StoreError> {
        let (inner, digest) = (self.inner(), &self.plan().sha256);
        let kept = inner.awaited(digest).filter(|kept| kept.plan == self.plan_digest());
        let mut record = kept.unwrap_or_else(|| Record { plan: self.plan_digest(), by: Vec::new() });
        record.by.retain(|other| other.id != by.id);
        record.by.drain(..(record.by.len() + 1).saturating_sub(MOST));
        record.by.push(by.clone());
        inner.write_awaited(digest, &record)
    }

    /// Whether it comes for this, and by the plan that it was begun with.
    pub(crate) fn is_awaited_by(&self, by: &Awaited) -> bool {
        let kept = self.inner().awaited(&self.plan().sha256);
        kept.is_some_and(|kept| kept.plan == self.plan_digest() && kept.by.contains(by))
    }
}

impl Disk {
    /// Nobody else fetches a file any more.
    pub fn await_no_parts(&self, digest: &Digest) -> Result<(), StoreError> {
        self.inner.remove_file(&self.inner.awaited_path(digest)).map(drop)
    }

    /// As [`Disk::await_no_parts`], of all files that come for this model. Gives those that nobody awaits now.
    pub(crate) fn await_none_for(&self, id: &ModelId) -> Result<Vec<Digest>, StoreError> {
        let mut left = Vec::new();
        for digest in self.staged()? {
            let Some(mut record) = self.inner.awaited(&digest) else { continue };
            let before = record.by.len();
            record.by.retain(|by| by.id != *id);
            if record.by.is_empty() {
                self.await_no_parts(&digest)?;
                left.push(digest);
            } else if record.by.len() < before {
                self.inner.write_awaited(&digest, &record)?;
            }
        }
        Ok(left)
    }

    /// What somebody else fetches for this model; more than one release if it was asked for more than once.
    pub(crate) fn awaited_for(&self, id: &ModelId) -> Result<Vec<Awaited>, StoreError> {
        let mut releases: Vec<Awaited> = Vec::new();
        for by in self.staged()?.iter().flat_map(|digest| self.awaited_by(digest)) {
            if by.id == *id && !releases.contains(&by) {
                releases.push(by);
            }
        }
        Ok(releases)
    }

    /// What a file is awaited for.
    pub(crate) fn awaited_by(&self, digest: &Digest) -> Vec<Awaited> {
        self.inner.awaited(digest).map_or_else(Vec::new, |record| record.by)
    }

    /// Whether somebody else fetches a file that has begun.
    pub(crate) fn is_awaited(&self, digest: &Digest) -> bool {
        self.inner.is_awaited(digest)
    }
}

impl Inner {
    fn awaited_path(&self, digest: &Digest) -> PathBuf {
        self.staging_path(digest).join("awaited")
    }

    pub(super) fn is_awaited(&self, digest: &Digest) -> bool {
        self.vfs.stat(&self.awaited_path(digest)).is_ok()
    }

    /// What cannot be read is known to be awaited, and no more.
    fn awaited(&self, digest: &Digest) -> Option<Record> {
        let bytes = read_whole(&*self.vfs, &self.awaited_path(digest), AWAITED.largest_file()).ok().flatten()?;
        serde_json::from_slice(AWAITED.decode(&bytes).ok()?).ok()
    }

    fn write_awaited(&self, digest: &Digest, record: &Record) -> Result<(), StoreError> {
        let payload = serde_json::to_vec(record).map_err(|error| StoreError::Internal(error.to_string()))?;
        self.write_whole(&self.awaited_path(digest), &AWAITED.encode(&payload))?;
        self.sync_dir(&self.staging_path(digest))
    }
}
