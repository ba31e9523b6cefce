//! Chunks that come from this device: from older files, from quarantine, from files that somebody brought.

use std::collections::HashMap;
use std::path::Path;

use inkling_base::CancelToken;

use super::Staging;
use crate::disk::objects::read_chunk;
use crate::disk::table::Table;
use crate::{Digest, Landing, Open, StoreError};

impl Staging {
    /// Takes from these objects (and from what quarantine has of this very file) every missing chunk whose digest is
    /// known and which one of them has. Gives the bytes that need not be fetched any more. Holds one chunk in memory,
    /// and a table of digests.
    pub fn take_from(&self, sources: &[Digest], cancel: &CancelToken) -> Result<u64, StoreError> {
        let mut taken = self.take_from_quarantine(&[], cancel)?;
        let inner = self.inner();
        let mut wanted: HashMap<Digest, Vec<usize>> = HashMap::new();
        for index in self.missing() {
            if let Some(digest) = self.plan.chunks.digest(index) {
                wanted.entry(digest).or_default().push(index);
            }
        }
        let mut buffer = Vec::new();
        for source in sources {
            if wanted.is_empty() {
                break;
            }
            // A source that cannot be read is none: its chunks are fetched.
            let Ok(file) = inner.vfs.open(&inner.object_path(source), Open::Read) else { continue };
            let Some(Table { chunks, .. }) = inner.read_table(&inner.chunks_path(source))? else { continue };
            for index in 0..chunks.len() {
                cancel.check()?;
                let Some(digest) = chunks.digest(index).filter(|digest| wanted.contains_key(digest)) else { continue };
                if !read_chunk(&*file, &chunks, index, &mut buffer).unwrap_or(false) || Digest::of(&buffer) != digest {
                    continue;
                }
                for index in wanted.remove(&digest).unwrap_or_default() {
                    if self.plan.chunks.range(index).1 == buffer.len() as u64 {
                        self.put(index, &buffer)?;
                        taken += buffer.len() as u64;
                    }
                }
            }
        }
        self.checkpoint()?;
        Ok(taken)
    }

    /// Takes what a damaged copy of this very file has of it, but for chunks that cannot be read. What tells whether a
    /// chunk is good: what is known of it here, or else what the copy's table says, if that is cut the same way.
    pub(in crate::disk) fn take_from_quarantine(
        &self,
        unreadable: &[usize],
        cancel: &CancelToken,
    ) -> Result<u64, StoreError> {
        let (inner, sha) = (self.inner(), &self.plan.sha256);
        let Ok(file) = inner.vfs.open(&inner.quarantine_path(sha), Open::Read) else { return Ok(0) };
        let table = inner.read_table(&inner.quarantined_chunks_path(sha))?;
        let table = table.filter(|table| table.is_cut_as(&self.plan.chunks));
        if table.is_none() && !self.knows_chunks() {
            return Ok(0);
        }
        let is_unreadable = |index: &usize| table.is_some() && unreadable.contains(index);
        let (mut taken, mut buffer) = (0, Vec::new());
        for index in self.missing().into_iter().filter(|index| !is_unreadable(index)) {
            cancel.check()?;
            let read = read_chunk(&*file, &self.plan.chunks, index, &mut buffer).unwrap_or(false);
            let is_right = || table.as_ref().is_some_and(|table| table.is_right(index, &buffer));
            // What is known here is compared as it lands.
            if !read || !(self.knows_chunks() || is_right()) {
                continue;
            }
            match self.put(index, &buffer) {
                Ok(()) => taken += buffer.len() as u64,
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Takes the chunks that lie wholly in a file from elsewhere, whose first byte is byte `from_offset` of this one: a
    /// segment that the platform fetched, or a whole file that somebody brought. Chunks that are damaged are left out.
    /// Gives the bytes taken.
    pub fn put_file(
        &self,
        path: &Path,
        from_offset: u64,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, StoreError> {
        let file = self.inner().vfs.open(path, Open::Read).map_err(StoreError::io("opening", path))?;
        let end = from_offset.saturating_add(file.stat().map_err(StoreError::io("looking at", path))?.len);
        let (mut taken, mut buffer) = (0, Vec::new());
        for index in self.missing() {
            cancel.check()?;
            let (start, length) = self.plan.chunks.range(index);
            if start < from_offset || start + length > end {
                continue;
            }
            buffer.resize(length as usize, 0);
            let got = file.read_at(start - from_offset, &mut buffer).map_err(StoreError::io("reading", path))?;
            if got < buffer.len() {
                continue;
            }
            match self.put(index, &buffer) {
                Ok(()) => taken += length,
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            progress(taken);
        }
        self.checkpoint()?;
        Ok(taken)
    }
}
