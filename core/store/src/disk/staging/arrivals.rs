//! What has arrived of a file: shared by those who write its chunks and the thread that hashes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::kept::Kept;
use crate::disk::lock;
use crate::disk::table::Sum;
use crate::{Digest, StoreError};

/// So many chunks may have come that are not hashed yet, with none missing between them, before anybody waits for that.
const LEAD: usize = 16;
/// How long a chunk waits then, at most: what an earlier process left is hashed, too, and may be much.
const PATIENCE: Duration = Duration::from_millis(20);

/// What has arrived, shared with the thread that hashes.
pub(in crate::disk) struct Arrivals {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

pub(super) struct State {
    pub(super) chunks: Vec<Chunk>,
    /// Of what has arrived, where the plan has no digests.
    pub(super) sums: Vec<Option<Sum>>,
    /// Chunks of an earlier staging that nobody has read since.
    pub(super) unread: Vec<bool>,
    /// What the last record says.
    pub(super) durable: Vec<bool>,
    /// Bytes that arrived since then.
    pub(super) fresh: u64,
    pub(super) recorded: Instant,
    /// A write of the disk was lost: nothing that is not in the record is sure.
    pub(super) broken: Option<Broken>,
    pub(super) done: bool,
    pub(super) stop: bool,
    /// Whether a thread hashes.
    pub(super) hashing: bool,
    /// The chunk that it hashes or waits for.
    pub(super) hashed: u64,
    pub(super) hash: Option<io::Result<Digest>>,
}

/// Why nothing more is taken. Several threads write, and each says it who comes too late.
pub(super) enum Broken {
    Full { what: String, need: u64, have: u64 },
    Failed,
}

impl Broken {
    pub(super) fn by(error: &StoreError) -> Self {
        match error {
            StoreError::Full { what, need, have } => Self::Full { what: what.clone(), need: *need, have: *have },
            _ => Self::Failed,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Missing,
    /// Somebody is writing it.
    Coming,
    Here,
}

impl Arrivals {
    pub(super) fn new(kept: &Kept) -> Arc<Self> {
        let here = &kept.here;
        let state = State {
            chunks: here.iter().map(|&here| if here { Chunk::Here } else { Chunk::Missing }).collect(),
            sums: kept.sums.clone(),
            unread: kept.unread.clone(),
            durable: here.to_vec(),
            fresh: 0,
            recorded: Instant::now(),
            broken: None,
            done: false,
            stop: false,
            hashing: false,
            hashed: 0,
            hash: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Waits until a chunk is there, all before it having been hashed; false if it should stop.
    pub(in crate::disk) fn wait_for(&self, index: usize) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return false;
            }
            if state.chunks[index] == Chunk::Here {
                state.hashed = index as u64;
                drop(state);
                self.changed.notify_all();
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For those who bring chunks: lets the thread that hashes keep up. Where a network is faster than SHA-256, all cores
    /// would be busy with bringing, and one alone with hashing when the others are done.
    pub(super) fn let_hash_keep_up(&self, state: MutexGuard<'_, State>) {
        let behind = |state: &mut State| state.hashing && !state.stop && state.is_far_ahead();
        drop(self.changed.wait_timeout_while(state, PATIENCE, behind));
    }

    pub(in crate::disk) fn restart_hash(&self) {
        let mut state = lock(&self.state);
        (state.stop, state.hashing, state.hashed, state.hash) = (false, true, 0, None);
    }

    pub(in crate::disk) fn stop_hash(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }

    pub(in crate::disk) fn hash_ended(&self, outcome: Option<io::Result<Digest>>) {
        let mut state = lock(&self.state);
        (state.hashing, state.hash) = (false, outcome);
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    /// Whether the hash has much to do.
    fn is_far_ahead(&self) -> bool {
        let next = self.chunks.iter().skip(self.hashed as usize);
        next.take(LEAD).filter(|chunk| **chunk == Chunk::Here).count() == LEAD
    }

    pub(super) fn usable(&self) -> Result<(), StoreError> {
        let why = match &self.broken {
            Some(Broken::Full { what, need, have }) => {
                return Err(StoreError::Full { what: what.clone(), need: *need, have: *have });
            }
            Some(Broken::Failed) => "the disk failed: begin again",
            None if self.done => "the file is finished",
            None => return Ok(()),
        };
        Err(StoreError::Invalid { field: "staging", why: why.to_owned() })
    }
}
