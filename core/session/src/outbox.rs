//! The bounded queue between the engine thread and the reader of a turn.
//!
//! The engine never waits: it asks [`Outbox::has_room`] before it computes for this turn, so a slow reader slows its
//! own turn down and nothing is lost. The end has a place of its own behind the queue, so it arrives also when nobody
//! reads; it is set once and taken once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use inkling_generate::{EVENTS_PER_STEP, Event, Stats};

use crate::SessionError;

/// Events that wait for their reader before the turn rests.
const CAPACITY: usize = 64;

/// What a reader gets.
#[derive(Debug)]
pub(crate) enum Item {
    Event(Event),
    End(Result<Stats, SessionError>),
    /// The end was taken before.
    Over,
}

#[derive(Debug)]
struct State {
    /// Made as large as it may become, once.
    events: VecDeque<Event>,
    end: Option<Result<Stats, SessionError>>,
    ended: bool,
    waker: Option<Waker>,
}

impl Default for State {
    fn default() -> Self {
        Self { events: VecDeque::with_capacity(CAPACITY), end: None, ended: false, waker: None }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under this lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.lock().events.len() + EVENTS_PER_STEP <= CAPACITY
    }

    pub(crate) fn push(&self, event: Event) {
        let mut state = self.lock();
        state.events.push_back(event);
        self.tell(state);
    }

    /// Sets the end, if it is not set yet.
    pub(crate) fn end(&self, outcome: Result<Stats, SessionError>) {
        let mut state = self.lock();
        if !state.ended {
            (state.ended, state.end) = (true, Some(outcome));
            self.tell(state);
        }
    }

    fn take(state: &mut State) -> Option<Item> {
        match (state.events.pop_front(), state.ended) {
            (Some(event), _) => Some(Item::Event(event)),
            (None, true) => Some(state.end.take().map_or(Item::Over, Item::End)),
            (None, false) => None,
        }
    }

    pub(crate) fn try_next(&self) -> Option<Item> {
        Self::take(&mut self.lock())
    }

    /// As [`Outbox::try_next`]; on `None`, `waker` is woken when there is something.
    pub(crate) fn next_or_wake(&self, waker: &Waker) -> Option<Item> {
        let mut state = self.lock();
        let item = Self::take(&mut state);
        if item.is_none() {
            state.waker = Some(waker.clone());
        }
        item
    }

    /// Waits for the next item, at most for `timeout`.
    pub(crate) fn next(&self, timeout: Option<Duration>) -> Option<Item> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(item) = Self::take(&mut state) {
                return Some(item);
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_last_and_once() {
        let outbox = Outbox::default();
        assert!(outbox.try_next().is_none());
        outbox.push(Event::Text("a".into()));
        outbox.end(Err(SessionError::Closed));
        outbox.end(Err(SessionError::Busy));
        assert!(matches!(outbox.next(None), Some(Item::Event(_))));
        assert!(matches!(outbox.next(None), Some(Item::End(Err(SessionError::Closed)))));
        assert!(matches!(outbox.next(None), Some(Item::Over)));
        assert!(matches!(outbox.try_next(), Some(Item::Over)));
    }

    #[test]
    fn room_runs_out_and_comes_back() {
        let outbox = Outbox::default();
        let mut pushed = 0;
        while outbox.has_room() {
            outbox.push(Event::Text(String::new()));
            pushed += 1;
        }
        assert_eq!(pushed, CAPACITY - EVENTS_PER_STEP + 1);
        assert!(matches!(outbox.next(Some(Duration::ZERO)), Some(Item::Event(_))));
        assert!(outbox.has_room());
    }
}
