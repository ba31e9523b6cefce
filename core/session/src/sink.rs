//! Where the scheduler puts a turn's events: into its outbox, and at the end into the conversation's history.

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_generate::{Event, GenerateError, Sink, Stats};

use crate::SessionError;
use crate::engine::Obituary;
use crate::history::History;
use crate::outbox::Outbox;

/// A turn seen by the engine.
pub(crate) struct TurnSink {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) cancel: CancelToken,
    pub(crate) obituary: Obituary,
    /// Only the end is told: the turn fills the cache, nobody waits for what it samples.
    pub(crate) silent: bool,
    /// `None` for a raw completion.
    pub(crate) history: Option<Arc<History>>,
    /// The answer so far.
    pub(crate) answer: String,
}

impl TurnSink {
    /// Ends a turn that never reaches the engine.
    pub(crate) fn refuse(mut self, error: SessionError) {
        self.finish(Err(error));
    }

    fn finish(&mut self, outcome: Result<Stats, SessionError>) {
        // The conversation is ready for the next message before the reader can know that this answer is complete.
        if let Some(history) = self.history.take() {
            history.settle(&outcome, std::mem::take(&mut self.answer));
        }
        self.outbox.end(outcome);
    }
}

impl Sink for TurnSink {
    fn has_room(&self) -> bool {
        self.silent || self.outbox.has_room()
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn emit(&mut self, event: Event) {
        if self.silent {
            return;
        }
        if let (Event::Text(delta), true) = (&event, self.history.is_some()) {
            self.answer.push_str(delta);
        }
        self.outbox.push(event);
    }

    fn end(mut self: Box<Self>, outcome: Result<Stats, GenerateError>) {
        let mut outcome = outcome.map_err(SessionError::from);
        if let (true, Ok(stats)) = (self.silent, &mut outcome) {
            (stats.generated_tokens, stats.tokens) = (0, Vec::new());
        }
        self.finish(outcome);
    }
}

impl Drop for TurnSink {
    /// A turn whose engine went away ends with the reason; after [`Sink::end`] this changes nothing.
    fn drop(&mut self) {
        let reason = self.obituary.reason();
        self.finish(Err(reason));
    }
}
