//! Chunks on their way from the network to the landing: a queue between the threads that read and those that hash and
//! write. It needs no bound of its own: there is only a fixed number of buffers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::Message;
use super::pool::Pool;
use crate::{Landing, StoreError};

#[derive(Default)]
struct State {
    chunks: VecDeque<(usize, Vec<u8>)>,
    closed: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn push(&self, chunk: usize, bytes: Vec<u8>) {
        self.state().chunks.push_back((chunk, bytes));
        self.changed.notify_one();
    }

    /// Ends the landing threads; what waits is dropped.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.chunks.clear();
        self.changed.notify_all();
    }

    fn pop(&self) -> Option<(usize, Vec<u8>)> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(next) = state.chunks.pop_front() {
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Puts chunks where they belong until the queue is closed.
    pub(super) fn land(&self, landing: &dyn Landing, pool: &Pool, tell: &Sender<Message>) {
        while let Some((chunk, bytes)) = self.pop() {
            let length = landing.plan().chunks.range(chunk).1;
            let put = catch_unwind(AssertUnwindSafe(|| landing.put(chunk, &bytes[..length as usize])));
            let result = put.unwrap_or_else(|_| Err(StoreError::Internal("the landing panicked".to_owned())));
            pool.give(bytes);
            let _ = tell.send(Message::Put { chunk, length, result });
        }
    }
}
