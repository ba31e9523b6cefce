//! Where the workers of a job meet.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::gate::{For, Gate, Patience};

/// The payload with which the others unwind when one worker panicked.
pub(super) struct Poisoned;

/// Set in the gate when a worker panicked.
const POISON: u64 = 1 << 63;

/// A barrier that can be used again at once: its gate counts the meetings.
pub(super) struct Barrier {
    gate: Gate,
    arrived: AtomicUsize,
}

impl Barrier {
    pub(super) fn new(patience: &Arc<Patience>) -> Self {
        Self { gate: Gate::new(patience, For::Workers), arrived: AtomicUsize::new(0) }
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// For the next job, while no worker is inside.
    pub(super) fn reset(&self) {
        self.arrived.store(0, Ordering::Relaxed);
        self.gate.set(0);
    }

    /// Makes everyone who waits here, now or later in this job, unwind.
    pub(super) fn poison(&self) {
        self.gate.mark(POISON);
    }

    /// Waits for `count` workers.
    pub(super) fn wait(&self, count: usize) {
        let meeting = self.gate.get();
        if meeting & POISON == 0 {
            if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == count {
                self.arrived.store(0, Ordering::Relaxed);
                // Not `set`: the poison of a worker that panics just now must stay.
                self.gate.add(1);
                return;
            }
            if self.gate.wait_until(|now| now != meeting) & POISON == 0 {
                return;
            }
        }
        // Not a panic of its own: no message.
        resume_unwind(Box::new(Poisoned));
    }
}
