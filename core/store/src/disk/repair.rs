//! Repair: the damaged object leaves its place, what is good of it is kept, the rest is fetched again.

use inkling_base::CancelToken;

use super::objects::{BadChunk, read_chunk};
use super::staging::Staging;
use super::{Disk, lock};
use crate::{Chunks, Digest, FilePlan, Landing, StoreError};

impl Disk {
    /// Moves a damaged object into quarantine and begins a new file that lacks only its bad chunks. Whoever has the old
    /// file open or mapped keeps it. Slots still name the object; until it is finished there is none.
    ///
    /// # Errors
    /// [`StoreError::Full`] if a second copy does not fit: nothing was moved then.
    pub fn begin_repair(&self, digest: &Digest, bad: &[BadChunk], cancel: &CancelToken) -> Result<Staging, StoreError> {
        let inner = &self.inner;
        let object = self.need(digest)?;
        let table = inner.read_table(&inner.chunks_path(digest))?;
        let is_known = table.is_some();
        let chunks = table.map_or_else(|| Chunks::plain(object.size), |table| table.chunks);
        let plan = FilePlan { sha256: *digest, size: chunks.size(), chunks };
        inner.check_room(digest, plan.size)?;
        {
            let _names = lock(&inner.names);
            // The table first: without the object it is nothing, without the table the object is nothing to take from.
            if is_known {
                inner.rename(&inner.chunks_path(digest), &inner.quarantined_chunks_path(digest))?;
            }
            inner.rename(&object.path, &inner.quarantine_path(digest))?;
            inner.sync_dir(&inner.root.join("quarantine"))?;
            inner.sync_dir(&inner.root.join("objects"))?;
            lock(&inner.held).insert(*digest);
        }
        self.distrust(digest)?;
        let staging = self.stage(&plan)?;
        if !is_known {
            return Ok(staging);
        }
        let path = inner.quarantine_path(digest);
        let file = inner.open_object(&path)?;
        let mut buffer = Vec::new();
        for index in staging.missing() {
            cancel.check()?;
            if bad.iter().any(|bad| bad.index == index) {
                continue;
            }
            // Checked as it lands; what has gone bad since is fetched like the rest.
            if read_chunk(&*file, &plan.chunks, index, &mut buffer).unwrap_or(false) {
                match staging.put(index, &buffer) {
                    Ok(()) | Err(StoreError::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        staging.checkpoint()?;
        Ok(staging)
    }
}
