//! Buffers of one chunk each, of which there is a fixed number: who reads from the network waits for one while those who
//! hash and write are behind. That bounds the memory of a transfer.

use std::sync::{Condvar, Mutex, MutexGuard};

struct State {
    free: Vec<Vec<u8>>,
    /// How many more may be made.
    left: usize,
    closed: bool,
}

pub(super) struct Pool {
    state: Mutex<State>,
    freed: Condvar,
    bytes: usize,
}

impl Pool {
    /// At most `count` buffers of `bytes`.
    pub(super) fn new(count: usize, bytes: usize) -> Self {
        let state = State { free: Vec::new(), left: count, closed: false };
        Self { state: Mutex::new(state), freed: Condvar::new(), bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for a buffer; `None` when the transfer is over, or when `stop` says so.
    pub(super) fn take(&self, stop: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let mut state = self.state();
        loop {
            if state.closed || stop() {
                return None;
            }
            if let Some(buffer) = state.free.pop() {
                return Some(buffer);
            }
            if state.left > 0 {
                state.left -= 1;
                return Some(vec![0; self.bytes]);
            }
            state = self.freed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        self.state().free.push(buffer);
        self.freed.notify_one();
    }

    /// Lets those who wait look at their `stop` again.
    pub(super) fn wake(&self) {
        drop(self.state());
        self.freed.notify_all();
    }

    /// Ends all waiting.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.freed.notify_all();
    }
}
