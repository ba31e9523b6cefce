//! A file that is being put together, until it is an object.
//!
//! Chunks are written where they belong, in any order, from several threads. Every few MiB the data is synced and only
//! then the record of what is there is written: after a crash, chunks since then are simply not there. The chunks of the
//! last such batch are verified again before they are believed.
//!
//! Each byte goes through SHA-256 once. Where the digests of chunks were published, each chunk is compared as it lands,
//! and the digest of the whole is left to the first verification, which reads everything anyway. Where they were not, a
//! thread hashes the whole while it comes, and chunks get sums of the store's own (see [`super::table`]).
//!
//! | file | what |
//! |---|---|
//! | `begin`, `kept` | beginning, and going on with what an earlier one left |
//! | `arrivals` | what is there, shared with the thread that hashes |
//! | `take` | chunks that this device has already |
//! | `finish` | verifying and installing; finding what is at fault |

mod arrivals;
mod begin;
mod finish;
mod kept;
mod take;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::ahead::Ahead;
use super::have::Have;
use super::table::Sum;
use super::{Disk, Inner, lock, remove_folder};
use crate::{Digest, FilePlan, Landing, StoreError, VfsFile};
use begin::Claim;

pub(super) use arrivals::Arrivals;
use arrivals::{Broken, Chunk};

/// A file that is being put together. Dropping it keeps what has arrived, for [`Disk::stage`] to go on from.
pub struct Staging {
    disk: Disk,
    plan: Arc<FilePlan>,
    plan_digest: Digest,
    /// What the store itself knows of chunks: of a file of which it has a damaged copy.
    expected: Option<Vec<Sum>>,
    folder: PathBuf,
    file: Arc<dyn VfsFile>,
    /// File systems let one write to a file at a time, and who waits there burns a core.
    writing: Mutex<()>,
    arrivals: Arc<Arrivals>,
    /// One record is written at a time; how often it was.
    recording: Mutex<u64>,
    ahead: Mutex<Option<Ahead>>,
    _claim: Claim,
}

impl Landing for Staging {
    fn plan(&self) -> &FilePlan {
        &self.plan
    }

    fn missing(&self) -> Vec<usize> {
        let state = lock(&self.arrivals.state);
        state.chunks.iter().enumerate().filter(|(_, chunk)| **chunk != Chunk::Here).map(|(index, _)| index).collect()
    }

    fn put(&self, chunk: usize, bytes: &[u8]) -> Result<(), StoreError> {
        if chunk >= self.plan.chunks.len() || self.plan.chunks.range(chunk).1 != bytes.len() as u64 {
            let why = format!("chunk {chunk} does not have {} bytes", bytes.len());
            return Err(StoreError::Invalid { field: "chunk", why });
        }
        let (sum, is_right) = match self.plan.chunks.digest(chunk) {
            Some(want) => (None, Digest::of(bytes) == want),
            None => {
                let sum = Sum::of(bytes);
                (Some(sum), self.expected.as_ref().is_none_or(|expected| expected.get(chunk) == Some(&sum)))
            }
        };
        if !is_right {
            return Err(StoreError::Damaged { file: self.plan.sha256.to_string(), chunk: chunk as u64 });
        }
        {
            let mut state = lock(&self.arrivals.state);
            state.usable()?;
            if state.chunks[chunk] != Chunk::Missing {
                return Ok(());
            }
            state.chunks[chunk] = Chunk::Coming;
        }
        let turn = lock(&self.writing);
        let written = self.file.write_at(self.plan.chunks.range(chunk).0, bytes);
        drop(turn);
        let mut state = lock(&self.arrivals.state);
        if let Err(error) = written {
            state.chunks[chunk] = Chunk::Missing;
            drop(state);
            let data = self.folder.join("data");
            return Err(self.inner().failed("writing", &data, bytes.len() as u64)(error));
        }
        state.chunks[chunk] = Chunk::Here;
        state.sums[chunk] = sum;
        state.fresh += bytes.len() as u64;
        let settings = &self.inner().settings;
        let due = state.fresh >= settings.checkpoint_bytes || state.recorded.elapsed() >= settings.checkpoint_every;
        // Whoever is this far ahead waits for the disk.
        let must = state.fresh >= 2 * settings.checkpoint_bytes;
        self.arrivals.changed.notify_all();
        self.arrivals.let_hash_keep_up(state);
        match self.recording.try_lock() {
            _ if !due => Ok(()),
            Ok(mut recording) => self.checkpoint_locked(&mut recording),
            Err(_) if must => self.checkpoint(),
            Err(_) => Ok(()),
        }
    }
}

impl Staging {
    pub(super) fn inner(&self) -> &Inner {
        &self.disk.inner
    }

    pub(super) fn plan_digest(&self) -> Digest {
        self.plan_digest
    }

    /// Bytes that are there.
    pub fn bytes_here(&self) -> u64 {
        let state = lock(&self.arrivals.state);
        let here = state.chunks.iter().enumerate().filter(|(_, chunk)| **chunk == Chunk::Here);
        here.map(|(index, _)| self.plan.chunks.range(index).1).sum()
    }

    /// Whether a wrong chunk is told as it lands.
    pub(crate) fn knows_chunks(&self) -> bool {
        self.plan.chunks.has_digests() || self.expected.is_some()
    }

    /// Hashes the whole while it comes, from the first byte on, if its chunks do not do. For who stays until the file is
    /// complete; for the others, [`Staging::finish`] hashes.
    pub fn hash_ahead(&self) {
        if self.plan.chunks.has_digests() || !self.inner().settings.hash_ahead {
            return;
        }
        let mut ahead = lock(&self.ahead);
        // The one before it stops first.
        *ahead = None;
        *ahead = Ahead::start(Arc::clone(&self.plan), Arc::clone(&self.file), Arc::clone(&self.arrivals));
    }

    /// Makes durable what has arrived, and notes it.
    ///
    /// # Errors
    /// After one nothing that is not in the last record is believed any more: stage the file again.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_locked(&mut lock(&self.recording))
    }

    fn checkpoint_locked(&self, generation: &mut u64) -> Result<(), StoreError> {
        let (here, last, fresh) = {
            let state = lock(&self.arrivals.state);
            state.usable()?;
            let here: Vec<bool> = state.chunks.iter().map(|chunk| *chunk == Chunk::Here).collect();
            if here == state.durable {
                return Ok(());
            }
            let last: Vec<bool> = here.iter().zip(&state.durable).map(|(here, durable)| *here && !durable).collect();
            (here, last, state.fresh)
        };
        let result = self.sync_data().and_then(|()| {
            let record = self.next_record(generation, &here, &last);
            self.inner().write_turn(&Have::pair(&self.folder), *generation, &record)
        });
        let mut state = lock(&self.arrivals.state);
        match &result {
            Ok(()) => {
                state.durable = here;
                state.fresh -= fresh;
                state.recorded = Instant::now();
            }
            // After a failed sync the system may have dropped what was not written, and says so only once.
            Err(error) => state.broken = Some(Broken::by(error)),
        }
        result
    }

    fn sync_data(&self) -> Result<(), StoreError> {
        let data = self.folder.join("data");
        self.file.sync().map_err(self.inner().failed("syncing", &data, 1))
    }

    fn next_record(&self, generation: &mut u64, here: &[bool], last: &[bool]) -> Vec<u8> {
        let sums = if self.plan.chunks.has_digests() { Vec::new() } else { lock(&self.arrivals.state).sums.clone() };
        *generation += 1;
        let (bits, last) = (here.to_vec(), last.to_vec());
        Have { generation: *generation, plan: self.plan_digest, bits, last, sums }.to_bytes()
    }

    /// A record that takes something back: the one before it must not be believed again, so it goes into both copies.
    fn write_record(&self, generation: &mut u64, here: &[bool]) -> Result<(), StoreError> {
        let record = self.next_record(generation, here, &vec![false; here.len()]);
        self.inner().write_pair(&Have::pair(&self.folder), &record)
    }

    /// Stops, and throws away what has arrived.
    pub fn discard(self) -> Result<(), StoreError> {
        lock(&self.arrivals.state).done = true;
        *lock(&self.ahead) = None;
        remove_folder(&*self.inner().vfs, &self.folder).map_err(StoreError::io("removing", &self.folder))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        *lock(&self.ahead) = None;
        let usable = lock(&self.arrivals.state).usable().is_ok();
        if usable {
            // If it fails, a little more is fetched again.
            let _ = self.checkpoint();
        }
    }
}
