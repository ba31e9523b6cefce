//! A running answer, seen by its reader.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_generate::{Event, Stats};

use crate::engine::Nudge;
use crate::outbox::{Item, Outbox};
use crate::{Model, SessionError};

/// The stream of one answer.
///
/// Events come until one [`Event::Finished`] or one error; after it there is only `None`. A reader that is slow slows
/// its own answer down and loses nothing. Dropping the turn cancels it.
#[derive(Debug)]
pub struct Turn {
    outbox: Arc<Outbox>,
    canceller: Canceller,
    /// Keeps the engine alive while somebody reads.
    model: Model,
}

/// What [`Turn::try_next`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Polled {
    /// The next event.
    Event(Event),
    /// Nothing yet.
    Waiting,
    /// The turn is over.
    Ended,
}

/// Cancels a turn from any thread. Clones cancel the same turn; cancelling twice, or late, is harmless.
#[derive(Debug, Clone)]
pub struct Canceller {
    token: CancelToken,
    nudge: Nudge,
}

impl Canceller {
    /// Asks the turn to stop: it computes one more token or prompt chunk at most, delivers what it has, and finishes
    /// with [`inkling_generate::FinishReason::Cancelled`]. Returns at once.
    pub fn cancel(&self) {
        self.token.cancel();
        self.nudge.nudge();
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The answer.
    pub text: String,
    /// The thoughts before it.
    pub thinking: String,
    /// What it took.
    pub stats: Stats,
}

impl Turn {
    pub(crate) fn new(outbox: Arc<Outbox>, token: CancelToken, nudge: Nudge, model: Model) -> Self {
        Self { outbox, canceller: Canceller { token, nudge }, model }
    }

    /// Waits for the next event; `None` after the last.
    ///
    /// # Errors
    /// Why the turn failed, once.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to hide the error in its items")]
    pub fn next(&mut self) -> Result<Option<Event>, SessionError> {
        let item = self.outbox.next(None);
        self.hand_over(item).map(|polled| match polled {
            Polled::Event(event) => Some(event),
            Polled::Waiting | Polled::Ended => None,
        })
    }

    /// As [`Turn::next`], but waits for `timeout` at most.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Polled, SessionError> {
        let item = self.outbox.next(Some(timeout));
        self.hand_over(item)
    }

    /// As [`Turn::next`], but does not wait.
    pub fn try_next(&mut self) -> Result<Polled, SessionError> {
        let item = self.outbox.try_next();
        self.hand_over(item)
    }

    /// As [`Turn::next`], for tasks: pending until there is an event. The latest task to poll is woken.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, SessionError>> {
        let item = self.outbox.next_or_wake(context.waker());
        match self.hand_over(item) {
            Ok(Polled::Event(event)) => Poll::Ready(Ok(Some(event))),
            Ok(Polled::Waiting) => Poll::Pending,
            Ok(Polled::Ended) => Poll::Ready(Ok(None)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Asks the turn to stop; see [`Canceller::cancel`].
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// A handle that cancels this turn from another thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Reads to the end.
    pub fn collect(mut self) -> Result<Response, SessionError> {
        let (mut text, mut thinking) = (String::new(), String::new());
        loop {
            match self.next()? {
                Some(Event::Text(delta)) => text.push_str(&delta),
                Some(Event::Thinking(delta)) => thinking.push_str(&delta),
                Some(Event::Finished(stats)) => return Ok(Response { text, thinking, stats }),
                Some(_) => {}
                // The end comes before `None`, so this is never seen.
                None => return Err(SessionError::Closed),
            }
        }
    }

    fn hand_over(&self, item: Option<Item>) -> Result<Polled, SessionError> {
        match item {
            Some(Item::Event(event)) => {
                // There is room now, and the engine may wait for it.
                self.canceller.nudge.nudge();
                Ok(Polled::Event(event))
            }
            Some(Item::End(Ok(stats))) => {
                if let Some(owner) = self.model.owner() {
                    owner.answered(&stats);
                }
                Ok(Polled::Event(Event::Finished(stats)))
            }
            Some(Item::End(Err(error))) => Err(error),
            Some(Item::Over) => Ok(Polled::Ended),
            None => Ok(Polled::Waiting),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.cancel();
    }
}
