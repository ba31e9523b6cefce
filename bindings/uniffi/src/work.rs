//! Work that takes long: on a thread of its own, waited for by one caller, cancelled by any.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use inkling::CancelToken;

use crate::guard::{guard, guard_poll};
use crate::{FfiError, FfiProgress};

/// Running work. Dropping it cancels it.
pub(crate) struct Work<T> {
    cancel: CancelToken,
    state: Arc<State<T>>,
}

struct State<T>(Mutex<Step<T>>);

enum Step<T> {
    Running,
    Waited(Waker),
    Done(Result<T, FfiError>),
    Taken,
}

impl<T: Send + 'static> Work<T> {
    /// Starts it on a thread of this name. What it makes is handed out once; what it is made of is dropped first.
    pub(crate) fn start(
        name: &'static str,
        progress: Option<Arc<dyn FfiProgress>>,
        work: impl Fn(&CancelToken, &dyn Fn(f32)) -> Result<T, FfiError> + Send + 'static,
    ) -> Result<Self, FfiError> {
        let handle = Self { cancel: CancelToken::new(), state: Arc::new(State(Mutex::new(Step::Running))) };
        let (state, cancel) = (Arc::clone(&handle.state), handle.cancel.clone());
        let run = move || {
            let outcome = guard(|| {
                let tell = |fraction| {
                    if let Some(progress) = &progress {
                        progress.loaded(fraction);
                    }
                };
                let made = work(&cancel, &tell)?;
                // What was cancelled in its last moment was cancelled all the same.
                if cancel.is_cancelled() { Err(inkling::ErrorKind::Cancelled.into()) } else { Ok(made) }
            });
            // First everything that was borrowed for it, then the word that it is over.
            drop((work, progress));
            state.settle(outcome);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        thread.map_err(|error| FfiError::internal(format!("no thread to work on: {error}")))?;
        Ok(handle)
    }

    /// Waits for its end. One caller may wait at a time.
    pub(crate) async fn finish(&self) -> Result<T, FfiError> {
        poll_fn(|context| guard_poll(|| self.state.poll(context.waker()))).await
    }

    /// Asks it to stop; it ends with `Cancelled` soon. Returns at once.
    pub(crate) fn cancel(&self) -> Result<(), FfiError> {
        guard(|| {
            self.cancel.cancel();
            Ok(())
        })
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<T> State<T> {
    fn lock(&self) -> MutexGuard<'_, Step<T>> {
        // Every change under this lock is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Result<T, FfiError>) {
        let before = std::mem::replace(&mut *self.lock(), Step::Done(outcome));
        if let Step::Waited(waker) = before {
            waker.wake();
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<T, FfiError>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, Step::Taken) {
            Step::Done(outcome) => Poll::Ready(outcome),
            Step::Taken => Poll::Ready(Err(FfiError::invalid("load", "what it made was handed out before"))),
            Step::Running | Step::Waited(_) => {
                *state = Step::Waited(waker.clone());
                Poll::Pending
            }
        }
    }
}
