//! Conversations.

use std::sync::Arc;

use inkling::{Message, Session};

use crate::guard::guard;
use crate::{FfiError, FfiGenerationOptions, FfiStream};

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl From<Message> for FfiMessage {
    fn from(message: Message) -> Self {
        Self { role: message.role, content: message.content }
    }
}

impl From<FfiMessage> for Message {
    fn from(message: FfiMessage) -> Self {
        Self::new(message.role, message.content)
    }
}

pub(crate) fn messages(messages: Vec<FfiMessage>) -> Vec<Message> {
    messages.into_iter().map(Message::from).collect()
}

/// A conversation. Dropping the last handle frees what of it is in the cache.
#[derive(Debug, uniffi::Object)]
pub struct FfiSession(Session);

impl FfiSession {
    pub(crate) fn new(session: Session) -> Arc<Self> {
        Arc::new(Self(session))
    }
}

#[uniffi::export]
impl FfiSession {
    /// Asks the model. `Busy` while another answer is on its way; one that was cancelled and has not ended yet is waited
    /// for: one token, or one chunk of a prompt.
    pub fn stream(&self, prompt: String, options: FfiGenerationOptions) -> Result<Arc<FfiStream>, FfiError> {
        guard(|| Ok(FfiStream::new(self.0.stream(&prompt, options.into())?)))
    }

    /// Runs the conversation so far, and the known beginning of the next message, through the model, so that the next
    /// answer begins sooner. The stream tells only its end; dropping it stops the work, and so does the next message,
    /// which keeps what is done.
    pub fn prewarm(&self, prefix: String) -> Result<Arc<FfiStream>, FfiError> {
        guard(|| Ok(FfiStream::new(self.0.prewarm(&prefix)?)))
    }

    /// All messages so far, instructions first.
    pub fn transcript(&self) -> Result<Vec<FfiMessage>, FfiError> {
        guard(|| Ok(self.0.transcript().into_iter().map(FfiMessage::from).collect()))
    }

    /// Replaces the conversation. What both have in common at the beginning stays in the cache.
    pub fn set_transcript(&self, transcript: Vec<FfiMessage>) -> Result<(), FfiError> {
        guard(|| Ok(self.0.set_transcript(messages(transcript))?))
    }

    /// Whether an answer is on its way that was not cancelled.
    pub fn is_responding(&self) -> Result<bool, FfiError> {
        guard(|| Ok(self.0.is_busy()))
    }

    /// Cancels the answer that is on its way, if there is one, and waits until it has ended: one token, or one chunk of
    /// a prompt. It blocks its thread meanwhile.
    pub fn cancel_and_wait(&self) -> Result<(), FfiError> {
        guard(|| {
            self.0.cancel_and_wait();
            Ok(())
        })
    }
}
