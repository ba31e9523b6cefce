//! A conversation and its turns, as apps see them: those of `inkling-session` with the facade's error.

use std::task::{Context, Poll};
use std::time::Duration;

use inkling_session as inner;

use crate::{Canceller, Error, Event, GenerationOptions, Message, Model, Polled, Response};

/// A conversation: its messages, and what of them the model's cache holds. Clones are the same conversation.
///
/// One turn runs at a time. The next turn computes only what is new since the last one.
#[derive(Debug, Clone)]
pub struct Session(pub(crate) inner::Session);

impl Session {
    /// Asks the model and streams its answer.
    ///
    /// # Errors
    /// Everything that can be known before any work: [`crate::ErrorKind::Busy`] while another turn runs, options that
    /// cannot be meant, an empty message, a conversation that does not fit into the context. The conversation is then
    /// as it was before.
    pub fn stream(&self, message: &str, options: GenerationOptions) -> Result<Turn, Error> {
        Ok(Turn::new(self.0.stream(message, options)?))
    }

    /// Asks the model and waits for the whole answer.
    pub fn respond(&self, message: &str, options: GenerationOptions) -> Result<Response, Error> {
        self.stream(message, options)?.collect()
    }

    /// Runs what is known of the next prompt through the model, so that the next answer begins sooner: the conversation
    /// so far, and `prefix` if the message is known to begin with it. The turn tells only its end, whose stats count
    /// the tokens; nobody needs to read it, but dropping it stops the work. A message that comes meanwhile takes over
    /// and keeps what is done.
    ///
    /// # Errors
    /// As [`Session::stream`].
    pub fn prewarm(&self, prefix: &str) -> Result<Turn, Error> {
        Ok(Turn::new(self.0.prewarm(prefix)?))
    }

    /// All messages so far, instructions first. While a turn runs, the user's message is the last.
    pub fn transcript(&self) -> Vec<Message> {
        self.0.transcript()
    }

    /// Replaces the conversation, for instance by a shorter one when the context is full. What both have in common at
    /// the beginning stays in the cache.
    pub fn set_transcript(&self, messages: Vec<Message>) -> Result<(), Error> {
        Ok(self.0.set_transcript(messages)?)
    }

    /// Cancels the running turn, if there is one, and waits until it has ended: one token or one prompt chunk.
    pub fn cancel_and_wait(&self) {
        self.0.cancel_and_wait();
    }

    /// Whether an answer is on its way that was not cancelled.
    pub fn is_busy(&self) -> bool {
        self.0.is_busy()
    }

    /// The model.
    pub fn model(&self) -> Model {
        Model(self.0.model().clone())
    }
}

/// The stream of one answer.
///
/// Events come until one [`Event::Finished`] or one error; after it there is only `None`. A reader that is slow slows
/// its own answer down and loses nothing. Dropping the turn cancels it.
#[derive(Debug)]
pub struct Turn(inner::Turn);

impl Turn {
    pub(crate) fn new(turn: inner::Turn) -> Self {
        Self(turn)
    }

    /// Waits for the next event; `None` after the last.
    ///
    /// # Errors
    /// Why the turn failed, once.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to hide the error in its items")]
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        Ok(self.0.next()?)
    }

    /// As [`Turn::next`], but waits for `timeout` at most.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Polled, Error> {
        Ok(self.0.next_timeout(timeout)?)
    }

    /// As [`Turn::next`], but does not wait.
    pub fn try_next(&mut self) -> Result<Polled, Error> {
        Ok(self.0.try_next()?)
    }

    /// As [`Turn::next`], for tasks: pending until there is an event. The latest task to poll is woken.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        self.0.poll_next(context).map_err(Error::from)
    }

    /// Asks the turn to stop; see [`Canceller::cancel`].
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// A handle that cancels this turn from another thread.
    pub fn canceller(&self) -> Canceller {
        self.0.canceller()
    }

    /// Reads to the end.
    pub fn collect(self) -> Result<Response, Error> {
        Ok(self.0.collect()?)
    }
}
