//! Repair: the damaged object leaves its place, what is good of it is kept, the rest is fetched again. The damaged copy
//! stays in quarantine as long as a slot names the file and it is not whole again: whoever goes on with an interrupted
//! repair takes from it what the first had no time for.

use inkling_base::CancelToken;

use super::objects::BadChunk;
use super::staging::Staging;
use super::table::Table;
use super::{Disk, lock};
use crate::{Digest, FilePlan, StoreError};

impl Disk {
    /// Moves a damaged object into quarantine and begins a new file that lacks only its bad chunks, for somebody who
    /// wants it by this plan. Whoever has the old file open or mapped keeps it. Slots still name the object; until it is
    /// finished there is none. The new file may be cut otherwise than the plan (see [`Disk::mend`]).
    ///
    /// # Errors
    /// [`StoreError::Full`] if a second copy does not fit: nothing was moved then.
    pub fn begin_repair(&self, plan: &FilePlan, bad: &[BadChunk], cancel: &CancelToken) -> Result<Staging, StoreError> {
        let (inner, digest) = (&self.inner, &plan.sha256);
        let object = self.need(digest)?;
        let table = inner.read_table(&inner.chunks_path(digest))?;
        inner.check_room(digest, plan.size)?;
        {
            let _names = lock(&inner.names);
            // The table is there twice until the object has moved: it is lost with neither, whenever the power goes.
            if let Some(table) = &table {
                inner.write_table(&inner.quarantined_chunks_path(digest), table)?;
                inner.sync_dir(&inner.root.join("quarantine"))?;
            }
            inner.rename(&object.path, &inner.quarantine_path(digest))?;
            inner.sync_dir(&inner.root.join("quarantine"))?;
            inner.sync_dir(&inner.root.join("objects"))?;
            inner.remove_file(&inner.chunks_path(digest))?;
            lock(&inner.held).insert(*digest);
        }
        self.distrust(digest)?;
        let staging = self.mend(plan)?;
        // Without a table nobody knows which are bad.
        let unreadable = bad.iter().filter(|bad| bad.failing_storage && table.is_some());
        staging.take_from_quarantine(&unreadable.map(|bad| bad.index).collect::<Vec<_>>(), cancel)?;
        staging.checkpoint()?;
        Ok(staging)
    }

    /// As [`Disk::stage`], for a file of which quarantine may have a damaged copy: cut so that the good chunks of that can
    /// be told from the bad ones, as far as the plan leaves it open.
    ///
    /// # Errors
    /// As [`Disk::stage`].
    pub fn mend(&self, plan: &FilePlan) -> Result<Staging, StoreError> {
        let table = self.inner.read_table(&self.inner.quarantined_chunks_path(&plan.sha256))?;
        self.stage(&mending(plan, table))
    }

    /// The whole of a file was compared and was wrong: if chunks of a damaged copy were taken only because some publisher
    /// said what they are, his word is not asked again. Whether there was such a word.
    pub fn disbelieve(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.inner.quarantined_chunks_path(digest);
        match self.inner.read_table(&path)? {
            Some(table) if !table.whole => self.inner.remove_file(&path),
            _ => Ok(false),
        }
    }
}

/// Whose word counts about the chunks of a file of which there is a damaged copy with this table.
fn mending(plan: &FilePlan, table: Option<Table>) -> FilePlan {
    let Some(table) = table.filter(|table| table.chunks.size() == plan.size) else { return plan.clone() };
    // Of a file whose digest was right once the table is, too. Otherwise it is some publisher's word, who may be another
    // one than this plan's.
    let is_proven = table.whole;
    let chunks = match plan.chunks.has_digests() {
        _ if is_proven => table.chunks,
        true => plan.chunks.clone(),
        // Nobody else's: for what it is worth, until the whole is compared.
        false => table.chunks.without_digests(),
    };
    FilePlan { chunks, ..plan.clone() }
}
