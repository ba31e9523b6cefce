//! What a download writes and its watchers read. Progress that nobody read in time is replaced by newer progress;
//! steps and the end are never lost, and a watcher that comes late hears all steps so far.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::DownloadEvent;
use crate::{ModelId, StoreError};

/// Steps that are kept for late watchers. A download that waits and goes on for days has more.
const MOST_STEPS: usize = 256;

#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Each with the number that it got when it was last written.
    steps: Vec<(u64, DownloadEvent)>,
    written: u64,
    end: Option<Result<ModelId, Arc<StoreError>>>,
    wakers: Vec<Waker>,
}

/// Where a watcher stands: the number of the last event that it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    event: u64,
    end: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: DownloadEvent) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.written += 1;
        let number = state.written;
        match state.steps.last_mut() {
            Some(last) if std::mem::discriminant(&last.1) == std::mem::discriminant(&event) => *last = (number, event),
            _ => state.steps.push((number, event)),
        }
        if state.steps.len() > MOST_STEPS {
            state.steps.remove(0);
        }
        self.wake(state);
    }

    /// Ends it, once.
    pub(crate) fn end(&self, outcome: Result<ModelId, StoreError>) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(outcome.map_err(Arc::new));
            self.wake(state);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The next event that a watcher has not seen; `None` inside if there is none after the last.
    fn take(state: &State, seen: &mut Seen) -> Option<Result<Option<DownloadEvent>, StoreError>> {
        if let Some((number, event)) = state.steps.iter().find(|(number, _)| *number > seen.event) {
            seen.event = *number;
            return Some(Ok(Some(event.clone())));
        }
        match &state.end {
            None => None,
            Some(_) if seen.end => Some(Ok(None)),
            Some(end) => {
                seen.end = true;
                Some(match end {
                    Ok(id) => Ok(Some(DownloadEvent::Ready(id.clone()))),
                    Err(error) => Err(StoreError::Shared(Arc::clone(error))),
                })
            }
        }
    }

    /// Waits for the next event; `None` after the end. With a timeout, the outer `None` says that it has passed.
    pub(crate) fn next(
        &self,
        seen: &mut Seen,
        timeout: Option<Duration>,
    ) -> Option<Result<Option<DownloadEvent>, StoreError>> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        loop {
            if let Some(found) = Self::take(&state, seen) {
                return Some(found);
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(rest) => self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(crate) fn poll(
        &self,
        seen: &mut Seen,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<DownloadEvent>, StoreError>> {
        let mut state = self.lock();
        match Self::take(&state, seen) {
            Some(found) => Poll::Ready(found),
            None => {
                if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::Transfer;
    use crate::download::WaitReason;

    fn progress(bytes: u64) -> DownloadEvent {
        DownloadEvent::Downloading(Transfer { bytes, total: 10, rate: 0.0, remaining: None })
    }

    #[test]
    fn steps_are_kept_and_progress_is_replaced() {
        let (board, mut early, mut late) = (Board::default(), Seen::default(), Seen::default());
        let now = Some(Duration::ZERO);
        assert!(board.next(&mut early, now).is_none());
        board.tell(DownloadEvent::Resolving);
        assert_eq!(board.next(&mut early, None).unwrap().unwrap(), Some(DownloadEvent::Resolving));
        board.tell(progress(1));
        assert_eq!(board.next(&mut early, None).unwrap().unwrap(), Some(progress(1)));
        board.tell(progress(2));
        board.tell(progress(3));
        board.tell(DownloadEvent::Waiting(WaitReason::Paused));
        board.tell(progress(4));
        let id: ModelId = "a".parse().unwrap();
        board.end(Ok(id.clone()));
        board.end(Err(StoreError::Cancelled));
        board.tell(DownloadEvent::Resolving);
        let read = |seen: &mut Seen| {
            std::iter::from_fn(|| board.next(seen, None).unwrap().unwrap()).collect::<Vec<DownloadEvent>>()
        };
        let rest =
            [progress(3), DownloadEvent::Waiting(WaitReason::Paused), progress(4), DownloadEvent::Ready(id.clone())];
        assert_eq!(read(&mut early), rest);
        assert_eq!(read(&mut late)[1..], rest);
        assert_eq!(board.next(&mut early, None).unwrap().unwrap(), None);
    }

    #[test]
    fn every_watcher_hears_the_failure_once() {
        let board = Board::default();
        board.end(Err(StoreError::Cancelled));
        for mut seen in [Seen::default(), Seen::default()] {
            let error = board.next(&mut seen, None).unwrap().unwrap_err();
            assert_eq!(error.to_string(), "cancelled");
            assert!(board.next(&mut seen, None).unwrap().unwrap().is_none());
        }
    }
}
