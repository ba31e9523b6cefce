//! A landing in memory, which keeps nothing that was not checked if it knows the digests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use std::sync::Mutex;

use inkling_store::{CHUNK, Chunks, Digest, FilePlan, Landing, StoreError};

pub struct Memory {
    plan: FilePlan,
    state: Mutex<(Vec<u8>, Vec<bool>)>,
}

impl Memory {
    /// For these bytes, with the digests of their chunks or without.
    pub fn of(bytes: &[u8], digests: bool) -> Self {
        let size = bytes.len() as u64;
        let chunks = Chunks::plain(size);
        let parts = bytes.chunks(CHUNK as usize).map(Digest::of).collect();
        let chunks = if digests { chunks.with_digests(parts).unwrap() } else { chunks };
        let missing = vec![false; chunks.len()];
        let plan = FilePlan { sha256: Digest::of(bytes), size, chunks };
        Self { plan, state: Mutex::new((vec![0; bytes.len()], missing)) }
    }

    /// Has a chunk from before.
    pub fn have(&self, chunk: usize, bytes: &[u8]) {
        let (from, length) = self.plan.chunks.range(chunk);
        self.put(chunk, &bytes[from as usize..(from + length) as usize]).unwrap();
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().0.clone()
    }

    /// Whether all of it is there, and is what it should be.
    pub fn is_right(&self) -> bool {
        self.missing().is_empty() && Digest::of(&self.state.lock().unwrap().0) == self.plan.sha256
    }
}

impl Landing for Memory {
    fn plan(&self) -> &FilePlan {
        &self.plan
    }

    fn missing(&self) -> Vec<usize> {
        let state = self.state.lock().unwrap();
        (0..state.1.len()).filter(|&chunk| !state.1[chunk]).collect()
    }

    fn put(&self, chunk: usize, bytes: &[u8]) -> Result<(), StoreError> {
        let (from, length) = self.plan.chunks.range(chunk);
        assert_eq!(bytes.len() as u64, length);
        if self.plan.chunks.digest(chunk).is_some_and(|digest| digest != Digest::of(bytes)) {
            return Err(StoreError::Damaged { file: self.plan.sha256.to_string(), chunk: chunk as u64 });
        }
        let mut state = self.state.lock().unwrap();
        state.0[from as usize..(from + length) as usize].copy_from_slice(bytes);
        state.1[chunk] = true;
        Ok(())
    }
}

/// Bytes that look like chance.
pub fn random(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed ^ 0x5eed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 32
    };
    std::iter::repeat_with(|| next() as u8).take(count).collect()
}
