//! Who steers a transfer: pause, resume, cancel, and a gate that says when the network may not be used.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use inkling_base::{CancelToken, Clock};

use crate::{StoreError, WaitReason};

/// Says whether the network may be used now: `None`, or why not. Asked before and during transfers, about once a second,
/// on the thread that fetches.
pub type Gate = Arc<dyn Fn() -> Option<WaitReason> + Send + Sync>;

/// Something that is called, on the caller's thread, whenever a [`Control`] changes.
type Waker = dyn Fn() + Send + Sync;

#[derive(Default)]
struct State {
    paused: bool,
    gate: Option<Gate>,
    wakers: Vec<Weak<Waker>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    cancel: CancelToken,
    aside: AtomicBool,
}

/// Steers a transfer from any thread. Clones steer the same one.
#[derive(Clone, Default)]
pub struct Control(Arc<Shared>);

/// How long a wait goes without looking at the clock, which may be one that tests move.
const GLANCE: Duration = Duration::from_millis(20);

impl Control {
    /// Nothing is paused, nothing cancelled, and the network may be used.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a gate.
    pub fn with_gate(gate: Gate) -> Self {
        let control = Self::default();
        control.state().gate = Some(gate);
        control
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Stops the transfer until [`Control::resume`]; what has arrived stays.
    pub fn pause(&self) {
        self.state().paused = true;
        self.wake();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.state().paused = false;
        self.wake();
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Ends it; what has arrived stays. Cannot be undone.
    pub fn cancel(&self) {
        self.0.cancel.cancel();
        self.wake();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    /// `Err(Cancelled)` once it was cancelled; [`StoreError::InUse`] while it is asked to stand aside.
    pub fn check(&self) -> Result<(), StoreError> {
        self.0.cancel.check()?;
        match self.0.aside.load(Ordering::Acquire) {
            true => Err(StoreError::InUse { what: "what this download works on".to_owned() }),
            false => Ok(()),
        }
    }

    /// Asks the work to stop soon and leave its files to somebody who can go on with them now.
    pub(crate) fn stand_aside(&self) {
        self.0.aside.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether that was asked for; from here on it is not.
    pub(crate) fn stood_aside(&self) -> bool {
        self.0.aside.swap(false, Ordering::AcqRel)
    }

    /// A token that is set when this is cancelled, for work that knows no more than tokens. Whoever cancels the token
    /// itself cancels this too, but wakes nobody.
    pub fn token(&self) -> CancelToken {
        self.0.cancel.clone()
    }

    /// Wakes all who wait, so that they look at pause, cancel and gate again. For an app that learned that the network
    /// is back.
    pub fn wake(&self) {
        let wakers = {
            let mut state = self.state();
            state.wakers.retain(|waker| waker.strong_count() > 0);
            state.wakers.clone()
        };
        self.0.changed.notify_all();
        // Not under the lock: a waker may ask this control.
        wakers.iter().filter_map(Weak::upgrade).for_each(|waker| waker());
    }

    /// Calls `waker` at every change, until the returned handle is dropped.
    #[must_use]
    pub(crate) fn on_change(&self, waker: Arc<Waker>) -> Arc<Waker> {
        self.state().wakers.push(Arc::downgrade(&waker));
        waker
    }

    /// Why the network may not be used now, if so.
    pub fn blocked(&self) -> Option<WaitReason> {
        let gate = {
            let state = self.state();
            if state.paused {
                return Some(WaitReason::Paused);
            }
            state.gate.clone()
        };
        // Not under the lock: the gate is the app's code.
        gate.and_then(|gate| gate())
    }

    /// Sleeps by `clock`; `Err(Cancelled)` at once when that is asked for, `Ok` early when it is paused.
    pub fn sleep(&self, clock: &dyn Clock, time: Duration) -> Result<(), StoreError> {
        let until = clock.monotonic().saturating_add(time);
        let mut state = self.state();
        loop {
            self.check()?;
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() || state.paused {
                return Ok(());
            }
            let woken = self.0.changed.wait_timeout(state, left.min(GLANCE));
            state = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Waits until the network may be used, telling `watch` of every new reason to wait and, with `None`, of the end.
    pub fn wait_until_free(
        &self,
        clock: &dyn Clock,
        watch: &mut dyn FnMut(Option<WaitReason>),
    ) -> Result<(), StoreError> {
        let mut told = None;
        loop {
            self.check()?;
            let reason = self.blocked();
            if reason != told {
                watch(reason.clone());
                told.clone_from(&reason);
            }
            if reason.is_none() {
                return Ok(());
            }
            let state = self.state();
            // A change between the question and here is seen after a second at the latest, as the gate's are.
            let asked = clock.monotonic();
            let mut state = state;
            while !self.is_cancelled() && clock.monotonic().saturating_sub(asked) < Duration::from_secs(1) {
                let (next, timeout) =
                    self.0.changed.wait_timeout(state, GLANCE).unwrap_or_else(|poisoned| poisoned.into_inner());
                state = next;
                if !timeout.timed_out() {
                    break;
                }
            }
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("paused", &self.is_paused())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use inkling_base::{ManualClock, SystemClock};

    use super::*;

    #[test]
    fn sleepers_wake_at_once() {
        let control = Control::new();
        let other = control.clone();
        let clock = SystemClock::default();
        let start = Instant::now();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| control.sleep(&clock, Duration::from_secs(60)));
            std::thread::sleep(Duration::from_millis(10));
            other.cancel();
            assert!(matches!(sleeper.join().unwrap(), Err(StoreError::Cancelled)));
        });
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(control.token().is_cancelled() && control.check().is_err());
    }

    #[test]
    fn sleep_goes_by_the_clock() {
        let clock = ManualClock::default();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| Control::new().sleep(&clock, Duration::from_secs(3600)));
            // Nobody knows when it begins to sleep.
            while !sleeper.is_finished() {
                clock.advance(Duration::from_secs(600));
                std::thread::sleep(Duration::from_millis(1));
            }
            sleeper.join().unwrap().unwrap();
        });
    }

    #[test]
    fn reasons_to_wait_are_told() {
        let asked = Arc::new(AtomicUsize::new(0));
        let gate = {
            let asked = Arc::clone(&asked);
            Arc::new(move || (asked.fetch_add(1, Ordering::Relaxed) < 2).then_some(WaitReason::NoNetwork))
        };
        let control = Control::with_gate(gate);
        control.pause();
        let clock = SystemClock::default();
        let other = control.clone();
        let mut told = Vec::new();
        control
            .wait_until_free(&clock, &mut |reason| {
                if reason == Some(WaitReason::Paused) {
                    other.resume();
                }
                told.push(reason);
            })
            .unwrap();
        assert_eq!(told, [Some(WaitReason::Paused), Some(WaitReason::NoNetwork), None]);
    }

    #[test]
    fn wakers_end_with_their_handle() {
        let control = Control::new();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let handle = control.on_change(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        control.pause();
        drop(handle);
        control.resume();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
