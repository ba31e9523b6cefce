//! Beginning to put a file together, or going on with one.

use std::sync::{Arc, Mutex};

use super::kept::Kept;
use super::{Arrivals, Staging};
use crate::disk::checked::PLAN;
use crate::disk::have::{Have, kept_plan, plan_bytes};
use crate::disk::table::Sum;
use crate::disk::{Disk, Inner, lock, read_whole, remove_folder};
use crate::plan::LARGEST_FILE;
use crate::{Digest, FilePlan, Open, StoreError};

/// The right to put this file together: one at a time.
pub(super) struct Claim {
    inner: Arc<Inner>,
    digest: Digest,
}

impl Claim {
    fn take(inner: &Arc<Inner>, digest: Digest) -> Result<Self, StoreError> {
        if lock(&inner.open).insert(digest) {
            Ok(Self { inner: Arc::clone(inner), digest })
        } else {
            Err(StoreError::InUse { what: format!("the download of {digest}") })
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.inner.open).remove(&self.digest);
    }
}

impl Disk {
    /// Begins to put a file together, or goes on where somebody stopped.
    ///
    /// # Errors
    /// [`StoreError::Full`] if what is missing does not fit; [`StoreError::InUse`] if it is being put together already;
    /// [`StoreError::Invalid`] if it is installed or the plan is unsound.
    pub fn stage(&self, plan: &FilePlan) -> Result<Staging, StoreError> {
        if plan.chunks.size() != plan.size || plan.size > LARGEST_FILE {
            return Err(StoreError::Invalid {
                field: "plan",
                why: format!("{} bytes do not fit its chunks", plan.size),
            });
        }
        if self.object(&plan.sha256)?.is_some() {
            return Err(StoreError::Invalid { field: "plan", why: format!("{} is installed", plan.sha256) });
        }
        let inner = &self.inner;
        let claim = Claim::take(inner, plan.sha256)?;
        let folder = inner.staging_path(&plan.sha256);
        inner.vfs.create_dir_all(&folder).map_err(inner.failed("making the folder", &folder, 1 << 12))?;
        let data = folder.join("data");
        let file = inner.vfs.open(&data, Open::Create).map_err(inner.failed("opening", &data, 1 << 12))?;
        let (bytes, plan_digest) = plan_bytes(plan);
        let kept = Kept::find(inner, &folder, &*file, plan, plan_digest)?;
        // Chunks that are not believed are written again where they are.
        let taken = file.stat().map_or(0, |stat| stat.allocated).max(kept.bytes(plan));
        if let Err(full) = inner.check_room(&plan.sha256, plan.size.saturating_sub(taken)) {
            if kept.bytes(plan) == 0 {
                let _ = remove_folder(&*inner.vfs, &folder);
            }
            return Err(full);
        }
        let arrivals = Arrivals::new(&kept);
        let staging = Staging {
            disk: self.clone(),
            plan: Arc::new(plan.clone()),
            plan_digest,
            expected: self.expected_sums(plan)?,
            folder,
            file: Arc::from(file),
            writing: Mutex::new(()),
            arrivals,
            recording: Mutex::new(kept.generation),
            ahead: Mutex::new(None),
            _claim: claim,
        };
        // A record that promises more than is believed, or under another plan, would be believed after the next crash,
        // when other bytes are where it points. First the record, then the plan: the other way round, old bits would be
        // read under a new cut.
        if kept.is_stale {
            staging.write_record(&mut lock(&staging.recording), &kept.here)?;
        }
        let path = staging.folder.join("plan");
        let file = PLAN.encode(&bytes);
        let old = read_whole(&*inner.vfs, &path, PLAN.largest_file()).ok().flatten();
        if old.as_deref() != Some(&file[..]) {
            inner.write_whole(&path, &file)?;
        }
        inner.sync_dir(&staging.folder)?;
        inner.sync_dir(&inner.root.join("staging"))?;
        Ok(staging)
    }

    /// What the table of a quarantined object says of its chunks, if it is cut the same way.
    fn expected_sums(&self, plan: &FilePlan) -> Result<Option<Vec<Sum>>, StoreError> {
        let table = self.inner.read_table(&self.inner.quarantined_chunks_path(&plan.sha256))?;
        Ok(table.and_then(|table| table.sums_for(&plan.chunks).map(<[_]>::to_vec)))
    }

    /// Throws away what has arrived of a file that nobody puts together.
    pub fn discard(&self, digest: &Digest) -> Result<(), StoreError> {
        let _claim = Claim::take(&self.inner, *digest)?;
        let folder = self.inner.staging_path(digest);
        remove_folder(&*self.inner.vfs, &folder).map_err(StoreError::io("removing", &folder))?;
        self.inner.put_ballast();
        Ok(())
    }

    /// Bytes that are noted to be there of a file that is being put together.
    pub fn staged_bytes(&self, digest: &Digest) -> u64 {
        let folder = self.inner.staging_path(digest);
        let Some(plan) = kept_plan(&*self.inner.vfs, &folder).ok().flatten() else { return 0 };
        match Have::peek(&*self.inner.vfs, &folder) {
            Some(have) if have.plan == plan_bytes(&plan).1 && have.bits.len() == plan.chunks.len() => {
                let here = have.bits.iter().enumerate().filter(|(_, here)| **here);
                here.map(|(index, _)| plan.chunks.range(index).1).sum()
            }
            _ => 0,
        }
    }

    /// Digests of files of which something is there but not all.
    pub fn staged(&self) -> Result<Vec<Digest>, StoreError> {
        self.inner.staged()
    }

    /// Goes on with a file of which only the digest is known: its plan is the one that was kept. `None` if nobody began
    /// it.
    ///
    /// # Errors
    /// As [`Disk::stage`].
    pub fn resume(&self, digest: &Digest) -> Result<Option<Staging>, StoreError> {
        let folder = self.inner.staging_path(digest);
        let plan = kept_plan(&*self.inner.vfs, &folder).map_err(StoreError::io("reading the plan in", &folder))?;
        plan.filter(|plan| plan.sha256 == *digest).map(|plan| self.stage(&plan)).transpose()
    }
}
