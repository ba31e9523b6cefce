//! The messages of a conversation, and who may add to them.
//!
//! Invariant: while a turn runs, the last message is the user's; when it has ended, its answer follows or the message
//! is gone again. A cancelled turn keeps what was said so far: the user has seen it, and the model's cache holds it.
//! A turn that failed, or that was cancelled before it said a word, is rolled back as if it had not been asked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use inkling_base::CancelToken;
use inkling_generate::{FinishReason, Stats};
use inkling_text::template::Message;

use crate::SessionError;

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    /// The running turn.
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    token: CancelToken,
    /// It only fills the cache: it says nothing, and gives way to a message.
    warming: bool,
}

/// A conversation's history.
#[derive(Debug, Default)]
pub(crate) struct History {
    state: Mutex<State>,
    settled: Condvar,
}

impl History {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self { state: Mutex::new(State { messages, active: None }), settled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is one assignment or push.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a turn with the user's message and returns all messages. A turn that was cancelled and has not ended
    /// yet is waited for (one token or one chunk); any other is [`SessionError::Busy`].
    pub(crate) fn begin(&self, message: Message, token: CancelToken) -> Result<Vec<Message>, SessionError> {
        let mut state = self.idle()?;
        state.active = Some(Active { token, warming: false });
        state.messages.push(message);
        Ok(state.messages.clone())
    }

    /// Begins to fill the cache for the next message and returns all messages; waits and refuses as
    /// [`History::begin`].
    pub(crate) fn begin_warming(&self, token: CancelToken) -> Result<Vec<Message>, SessionError> {
        let mut state = self.idle()?;
        state.active = Some(Active { token, warming: true });
        Ok(state.messages.clone())
    }

    /// Cancels a turn that only fills the cache; whether there was one.
    pub(crate) fn stop_warming(&self) -> bool {
        let state = self.lock();
        let warming = state.active.as_ref().filter(|active| active.warming);
        warming.inspect(|active| active.token.cancel()).is_some()
    }

    /// Ends the running turn.
    pub(crate) fn settle(&self, outcome: &Result<Stats, SessionError>, answer: String) {
        let keep = match outcome {
            Ok(stats) => stats.finish != FinishReason::Cancelled || !answer.is_empty(),
            Err(_) => false,
        };
        let mut state = self.lock();
        if state.active.take().is_some_and(|active| active.warming) {
            // Nothing was asked.
        } else if keep {
            state.messages.push(Message::assistant(answer));
        } else {
            state.messages.pop();
        }
        drop(state);
        self.settled.notify_all();
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.lock().active.as_ref().is_some_and(|active| !active.warming && !active.token.is_cancelled())
    }

    /// Replaces all messages; only while no turn runs.
    pub(crate) fn replace(&self, messages: Vec<Message>) -> Result<(), SessionError> {
        self.idle()?.messages = messages;
        Ok(())
    }

    /// The state when no turn runs: a cancelled one is waited for, any other is [`SessionError::Busy`].
    fn idle(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let mut state = self.lock();
        while let Some(active) = &state.active {
            if !active.token.is_cancelled() {
                return Err(SessionError::Busy);
            }
            state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state)
    }

    /// Cancels the running turn, if there is one.
    pub(crate) fn cancel(&self) {
        if let Some(active) = &self.lock().active {
            active.token.cancel();
        }
    }

    /// Waits until no turn runs.
    pub(crate) fn wait(&self) {
        let settled = self.settled.wait_while(self.lock(), |state| state.active.is_some());
        drop(settled.unwrap_or_else(PoisonError::into_inner));
    }
}
