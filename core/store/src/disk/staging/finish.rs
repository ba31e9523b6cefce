//! The end of putting a file together: is it what it should be, and if not, which chunks are at fault.

use std::io;
use std::path::Path;
use std::sync::PoisonError;

use inkling_base::CancelToken;

use super::Staging;
use super::arrivals::{Broken, Chunk, State};
use super::kept::Known;
use crate::disk::objects::{Object, read_chunk};
use crate::disk::table::{Sum, Table};
use crate::disk::{lock, remove_folder};
use crate::{Digest, Hasher, Landing, StoreError};

impl Staging {
    /// Makes the file an object, after all of it was compared with what was published: with the digest of the whole, or
    /// chunk by chunk. `progress` is told bytes hashed and in all.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`], [`StoreError::Damaged`]: the chunks that are at fault are missing again, if they can
    /// be told; if the digests of chunks were not published and none was damaged here, all are. [`StoreError::Io`]:
    /// chunks that cannot be read are missing again.
    pub fn finish(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<Object, StoreError> {
        let missing = self.missing().len();
        if missing > 0 {
            return Err(StoreError::Invalid { field: "staging", why: format!("{missing} chunks are missing") });
        }
        let mut recording = lock(&self.recording);
        lock(&self.arrivals.state).usable()?;
        let data = self.folder.join("data");
        let compared = if self.plan.chunks.has_digests() {
            self.compare_unread(cancel, progress)
        } else {
            self.compare_whole(cancel, progress)
        };
        match compared {
            Ok(()) => {}
            Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
            Err(error) => {
                // What cannot be read is fetched again, onto other places of the disk with some luck.
                self.find_fault(&mut recording, !matches!(error, StoreError::WrongDigest { .. }))?;
                return Err(error);
            }
        }
        let inner = self.inner();
        let installed = self.install(&data);
        let mut state = lock(&self.arrivals.state);
        match installed {
            Ok(()) => state.done = true,
            Err(error) => {
                state.broken = Some(Broken::by(&error));
                return Err(error);
            }
        }
        drop(state);
        // What is left is only in the way; the next open removes it too.
        let _ = remove_folder(&*inner.vfs, &self.folder);
        let _ = inner.vfs.sync_dir(&inner.root.join("staging"));
        let path = inner.object_path(&self.plan.sha256);
        Ok(Object { digest: self.plan.sha256, path, size: self.plan.size })
    }

    fn install(&self, data: &Path) -> Result<(), StoreError> {
        let inner = self.inner();
        if self.file.stat().map_err(StoreError::io("looking at", data))?.len != self.plan.size {
            self.file.set_len(self.plan.size).map_err(inner.failed("sizing", data, self.plan.size))?;
        }
        self.sync_data()?;
        let table = if self.plan.chunks.has_digests() {
            Some(Table::published(self.plan.chunks.clone()))
        } else {
            let sums: Option<Vec<Sum>> = lock(&self.arrivals.state).sums.iter().copied().collect();
            sums.and_then(|sums| Table::own(self.plan.chunks.clone(), sums))
        };
        let _names = lock(&inner.names);
        lock(&inner.held).insert(self.plan.sha256);
        if let Some(table) = table {
            inner.write_table(&inner.chunks_path(&self.plan.sha256), &table)?;
        }
        inner.rename(data, &inner.object_path(&self.plan.sha256))?;
        inner.sync_dir(&inner.root.join("objects"))?;
        inner.sync_dir(&self.folder)
    }

    /// Chunks were compared as they landed, but for those that an earlier staging left.
    fn compare_unread(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        let data = self.folder.join("data");
        let unread = lock(&self.arrivals.state).unread.clone();
        let mut buffer = Vec::new();
        for index in (0..unread.len()).filter(|&index| unread[index]) {
            cancel.check()?;
            let read = read_chunk(&*self.file, &self.plan.chunks, index, &mut buffer);
            let whole = read.map_err(StoreError::io("reading", &data))?;
            if !whole || Some(Digest::of(&buffer)) != self.plan.chunks.digest(index) {
                return Err(StoreError::Damaged { file: self.plan.sha256.to_string(), chunk: index as u64 });
            }
            let (start, length) = self.plan.chunks.range(index);
            progress(start + length, self.plan.size);
        }
        progress(self.plan.size, self.plan.size);
        Ok(())
    }

    fn compare_whole(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        let (want, got) = (self.plan.sha256, self.whole(cancel, progress)?);
        if got == want { Ok(()) } else { Err(StoreError::WrongDigest { want, got }) }
    }

    /// The digest of the whole file: the thread's, or computed here.
    fn whole(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<Digest, StoreError> {
        let data = self.folder.join("data");
        let failed = StoreError::io("reading", &data);
        if lock(&self.ahead).is_some() {
            loop {
                cancel.check()?;
                let mut state = lock(&self.arrivals.state);
                if state.hash.is_none() {
                    let tick = std::time::Duration::from_millis(50);
                    state = self.arrivals.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
                }
                let at = if state.hash.is_some() { self.plan.size } else { self.hashed(&state) };
                let outcome = state.hash.take();
                drop(state);
                progress(at, self.plan.size);
                match outcome {
                    Some(Ok(digest)) => {
                        lock(&self.arrivals.state).hash = Some(Ok(digest));
                        return Ok(digest);
                    }
                    Some(Err(error)) => return Err(failed(error)),
                    None => {}
                }
            }
        }
        let (mut hasher, mut buffer) = (Hasher::new(), Vec::new());
        for index in 0..self.plan.chunks.len() {
            cancel.check()?;
            match read_chunk(&*self.file, &self.plan.chunks, index, &mut buffer) {
                Ok(true) => hasher.update(&buffer),
                Ok(false) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(failed(error)),
            }
            let (start, length) = self.plan.chunks.range(index);
            progress(start + length, self.plan.size);
        }
        Ok(hasher.finish())
    }

    fn hashed(&self, state: &State) -> u64 {
        let index = state.hashed as usize;
        if index < self.plan.chunks.len() { self.plan.chunks.range(index).0 } else { self.plan.size }
    }

    /// Compares every chunk with its digest, and makes those missing that differ, durably. `here`: the fault is known to
    /// be this disk's.
    fn find_fault(&self, generation: &mut u64, here: bool) -> Result<(), StoreError> {
        let hashed_ahead = lock(&self.ahead).take().is_some();
        let recorded = lock(&self.arrivals.state).sums.clone();
        let mut buffer = Vec::new();
        let mut good: Vec<bool> = (0..self.plan.chunks.len())
            .map(|index| {
                Known::of(&self.plan, index, recorded[index])
                    .is_some_and(|known| known.holds(&*self.file, &self.plan, index, &mut buffer))
            })
            .collect();
        if !here && good.iter().all(|good| *good) && !self.plan.chunks.has_digests() {
            // What came is what was sent, and that was wrong.
            good.fill(false);
        }
        self.write_record(generation, &good)?;
        let mut state = lock(&self.arrivals.state);
        for (chunk, good) in state.chunks.iter_mut().zip(&good) {
            *chunk = if *good { Chunk::Here } else { Chunk::Missing };
        }
        // All were read just now.
        state.unread.fill(false);
        (state.durable, state.fresh) = (good, 0);
        drop(state);
        if hashed_ahead {
            self.hash_ahead();
        }
        Ok(())
    }
}
