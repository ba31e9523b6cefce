//! A number that threads wait on: a bounded spin, then sleep.
//!
//! A spin pays where the others come within the time that a wake-up takes. Where something else wants their cores it
//! only burns our own share: on a core that is shared with a busy process, a worker that spins has spent its time slice
//! when the next phase begins, and all the others wait for it. [`Patience`] tells the two apart.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Looks between two looks at the clock.
const LOOKS: usize = 16;
/// Looks of a spin, whatever the clock says. A look takes more than 10 ns everywhere, so time is up before.
const MOST_LOOKS: usize = 1 << 13;

/// How long the workers of a pool spin: shortly for a while after a wait that shows that they do not run undisturbed.
#[derive(Debug)]
pub(super) struct Patience {
    start: Instant,
    /// Nanoseconds after `start` until which spins are short.
    short_until: AtomicU64,
}

impl Patience {
    /// About what a sleeping thread needs to wake up: spinning longer cannot pay.
    const USUAL: Duration = Duration::from_micros(50);
    /// Enough for two workers that end a phase at the same time.
    const SHORT: Duration = Duration::from_micros(3);
    /// Workers that have cores of their own end a phase of decoding closer together than that. (In a long prompt's
    /// phases they may not; spins are as nothing there.)
    const LONG: Duration = Duration::from_micros(200);
    /// How long a wait is remembered: some of the system's time slices, which are 3 to 10 ms.
    const MEMORY: Duration = Duration::from_millis(100);

    pub(super) fn new() -> Self {
        Self { start: Instant::now(), short_until: AtomicU64::new(0) }
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.duration_since(self.start).as_nanos() as u64
    }

    /// How long to spin now.
    fn spin(&self, now: Instant) -> Duration {
        if self.since_start(now) < self.short_until.load(Ordering::Relaxed) { Self::SHORT } else { Self::USUAL }
    }

    /// A wait for other workers ends now; it began at `start`.
    fn learn(&self, start: Instant, now: Instant) {
        if now.duration_since(start) >= Self::LONG {
            self.short_until.store(self.since_start(now + Self::MEMORY), Ordering::Relaxed);
        }
    }
}

/// What is waited for at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Workers who are at work on the same job: a long wait is a sign.
    Workers,
    /// A job, which may come now or tomorrow.
    Work,
}

/// A number that threads wait on. Padded, so that waiting for one gate does not slow another down.
#[repr(align(128))]
pub(super) struct Gate {
    value: AtomicU64,
    sleepers: AtomicUsize,
    spinning: AtomicBool,
    patience: Arc<Patience>,
    waits_for: For,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new(patience: &Arc<Patience>, waits_for: For) -> Self {
        Self {
            value: AtomicU64::new(0),
            sleepers: AtomicUsize::new(0),
            spinning: AtomicBool::new(true),
            patience: Arc::clone(patience),
            waits_for,
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
        // A swap, not a store, so that the load in `wake` cannot pass it under an emulator whose barriers leave that gap:
        // one run under QEMU on x86 hung with all threads asleep. Once a job it costs nothing that shows.
        self.value.swap(value, Ordering::SeqCst);
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
        let start = Instant::now();
        if self.spinning.load(Ordering::Relaxed)
            && let Some(value) = self.spin(&done, start)
        {
            return value;
        }
        let value = self.sleep(&done);
        if self.waits_for == For::Workers {
            self.patience.learn(start, Instant::now());
        }
        value
    }

    /// The number, if it is as wanted before patience is at an end.
    fn spin(&self, done: &impl Fn(u64) -> bool, start: Instant) -> Option<u64> {
        let patience = self.patience.spin(start);
        for look in 1..=MOST_LOOKS {
            let value = self.get();
            if done(value) {
                return Some(value);
            }
            if look % LOOKS == 0 && start.elapsed() >= patience {
                return None;
            }
            std::hint::spin_loop();
        }
        None
    }

    fn sleep(&self, done: &impl Fn(u64) -> bool) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spins_are_short_for_a_while_after_a_long_wait() {
        let patience = Patience::new();
        let at = |after: Duration| patience.start + after;
        assert_eq!(patience.spin(at(Duration::ZERO)), Patience::USUAL);
        patience.learn(at(Duration::ZERO), at(Patience::LONG / 2));
        assert_eq!(patience.spin(at(Patience::LONG)), Patience::USUAL);
        let end = at(3 * Patience::LONG);
        patience.learn(at(Patience::LONG), end);
        assert_eq!(patience.spin(end), Patience::SHORT);
        assert_eq!(patience.spin(end + Patience::MEMORY / 2), Patience::SHORT);
        assert_eq!(patience.spin(end + Patience::MEMORY), Patience::USUAL);
    }

    /// Whatever the clock does: so many looks, then sleep.
    #[test]
    fn nobody_spins_for_ever() {
        for waits_for in [For::Workers, For::Work] {
            for spinning in [true, false] {
                let gate = Gate::new(&Arc::new(Patience::new()), waits_for);
                gate.allow_spinning(spinning);
                let looks = AtomicUsize::new(0);
                std::thread::scope(|scope| {
                    let waiter = scope.spawn(|| {
                        gate.wait_until(|value| {
                            looks.fetch_add(1, Ordering::Relaxed);
                            value == 7
                        })
                    });
                    while gate.sleepers.load(Ordering::SeqCst) == 0 {
                        std::thread::yield_now();
                    }
                    // It is asleep or about to be: the lock is free only then.
                    drop(gate.lock.lock().unwrap());
                    let most = if spinning { MOST_LOOKS } else { 0 };
                    assert!((2..=most + 2).contains(&looks.load(Ordering::Relaxed)), "{looks:?} looks");
                    gate.set(3);
                    gate.set(7);
                    assert_eq!(waiter.join().unwrap(), 7);
                });
            }
        }
    }

    #[test]
    fn only_workers_are_learnt_from() {
        for waits_for in [For::Workers, For::Work] {
            let patience = Arc::new(Patience::new());
            let gate = Gate::new(&patience, waits_for);
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| gate.wait_until(|value| value == 1));
                while gate.sleepers.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                std::thread::sleep(Patience::LONG);
                gate.set(1);
                waiter.join().unwrap();
            });
            let learnt = patience.short_until.load(Ordering::Relaxed) > 0;
            assert_eq!(learnt, waits_for == For::Workers);
        }
    }
}
