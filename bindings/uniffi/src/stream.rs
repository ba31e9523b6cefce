//! A running answer, pulled by its reader.
//!
//! Nothing is pushed into the app: it asks for the next batch when it has room for one, and an answer that nobody reads
//! waits (after 64 events) and holds nobody else up.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use inkling::{Canceller, Polled, Turn};

use crate::guard::{guard, guard_poll};
use crate::{FfiError, FfiEvent};

/// A running answer. Dropping it cancels the answer.
#[derive(Debug, uniffi::Object)]
pub struct FfiStream {
    canceller: Canceller,
    reader: Mutex<Reader>,
    reading: AtomicBool,
}

#[derive(Debug)]
struct Reader {
    turn: Turn,
    /// An error that came behind events: they are delivered first.
    failure: Option<FfiError>,
}

#[uniffi::export]
impl FfiStream {
    /// Waits for events and returns all that are there, at least one; `None` after the last.
    ///
    /// Fails with why the answer failed, once; with `Busy` while another call waits. A call may be abandoned while it
    /// waits: nothing is lost then.
    pub async fn next(&self) -> Result<Option<Vec<FfiEvent>>, FfiError> {
        let _reading = Reading::begin(&self.reading)?;
        poll_fn(|context| guard_poll(|| self.poll(context))).await
    }

    /// As [`FfiStream::next`], but blocks its thread: one call into Rust and none back, where a future takes seven. For
    /// languages in which a call costs more than a thread.
    pub fn wait(&self) -> Result<Option<Vec<FfiEvent>>, FfiError> {
        guard(|| {
            let _reading = Reading::begin(&self.reading)?;
            block_on(|context| self.poll(context))
        })
    }

    /// Asks the answer to stop: one more token or chunk of the prompt is computed at most, then it finishes as
    /// cancelled. Returns at once; may be called at any time, from anywhere, and twice.
    pub fn cancel(&self) -> Result<(), FfiError> {
        guard(|| {
            self.canceller.cancel();
            Ok(())
        })
    }
}

impl FfiStream {
    pub(crate) fn new(turn: Turn) -> Arc<Self> {
        let canceller = turn.canceller();
        let reader = Mutex::new(Reader { turn, failure: None });
        Arc::new(Self { canceller, reader, reading: AtomicBool::new(false) })
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<FfiEvent>>, FfiError>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = reader.failure.take() {
            return Poll::Ready(Err(failure));
        }
        let first = match reader.turn.poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(event))) => event,
            Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
        };
        let mut batch = vec![first.into()];
        loop {
            match reader.turn.try_next() {
                Ok(Polled::Event(event)) => batch.push(event.into()),
                Ok(Polled::Waiting | Polled::Ended) => return Poll::Ready(Ok(Some(batch))),
                Err(error) => {
                    reader.failure = Some(error.into());
                    return Poll::Ready(Ok(Some(batch)));
                }
            }
        }
    }
}

/// Polls until it is ready; the thread sleeps meanwhile.
pub(crate) fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// While it lives, one call waits for events. Only the latest waker is kept, so a second one would make the first wait for
/// ever.
pub(crate) struct Reading<'a>(&'a AtomicBool);

impl<'a> Reading<'a> {
    pub(crate) fn begin(reading: &'a AtomicBool) -> Result<Self, FfiError> {
        if reading.swap(true, Ordering::Acquire) {
            return Err(inkling::ErrorKind::answering().into());
        }
        Ok(Self(reading))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
