//! A number that threads wait on: a bounded spin, then sleep.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// About what a sleeping thread needs to wake up: spinning longer cannot pay.
const SPIN: Duration = Duration::from_micros(50);
/// Looks between two looks at the clock.
const LOOKS: u32 = 64;

/// A number that threads wait on. Padded, so that waiting for one gate does not slow another down.
#[repr(align(128))]
pub(super) struct Gate {
    value: AtomicU64,
    sleepers: AtomicUsize,
    spinning: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            value: AtomicU64::new(0),
            sleepers: AtomicUsize::new(0),
            spinning: AtomicBool::new(true),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Whether waiting may begin with a spin: not where threads outnumber cores.
    pub(super) fn allow_spinning(&self, allowed: bool) {
        self.spinning.store(allowed, Ordering::Relaxed);
    }

    /// The number.
    pub(super) fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    // Changes are sequentially consistent, as in `wait_until`: either the one who changes sees the sleeper, or the
    // sleeper sees the new value before it sleeps.

    /// Changes the number and wakes whoever waits.
    pub(super) fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
        self.wake();
    }

    /// Adds to the number and wakes whoever waits.
    pub(super) fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::SeqCst);
        self.wake();
    }

    /// Sets bits of the number and wakes whoever waits.
    pub(super) fn mark(&self, bits: u64) {
        self.value.fetch_or(bits, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // The lock makes sure that a sleeper that has looked already is really asleep.
            drop(self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
            self.changed.notify_all();
        }
    }

    /// Waits until `done(number)` and returns that number.
    pub(super) fn wait_until(&self, done: impl Fn(u64) -> bool) -> u64 {
        let value = self.get();
        if done(value) {
            return value;
        }
        if self.spinning.load(Ordering::Relaxed) {
            let start = Instant::now();
            loop {
                for _ in 0..LOOKS {
                    let value = self.get();
                    if done(value) {
                        return value;
                    }
                    std::hint::spin_loop();
                }
                if start.elapsed() >= SPIN {
                    break;
                }
            }
        }
        let mut guard = self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let value = loop {
            let value = self.value.load(Ordering::SeqCst);
            if done(value) {
                break value;
            }
            guard = self.changed.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner());
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
        value
    }
}
