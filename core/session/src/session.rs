//! A conversation with a model.

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_generate::{ConversationId, GenerationOptions, Job, Thinking};
use inkling_text::template::Message;

use crate::history::History;
use crate::sink::TurnSink;
use crate::{Model, Response, SessionError, Turn};

/// How a conversation begins.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// What the app tells the model before the user speaks (the system message).
    pub instructions: Option<String>,
    /// Messages of an earlier conversation, to go on with.
    pub messages: Vec<Message>,
}

impl SessionConfig {
    /// Tell the model how to behave.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Go on with an earlier conversation.
    pub fn messages(mut self, messages: Vec<Message>) -> Self {
        self.messages = messages;
        self
    }

    fn into_messages(self) -> Vec<Message> {
        self.instructions.map(Message::system).into_iter().chain(self.messages).collect()
    }
}

/// A conversation: its messages, and what of them the model's cache holds. Clones are the same conversation.
///
/// One turn runs at a time. The next turn computes only what is new since the last one.
#[derive(Debug, Clone)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    model: Model,
    id: ConversationId,
    history: Arc<History>,
}

impl Session {
    pub(crate) fn new(model: Model, id: ConversationId, config: SessionConfig) -> Self {
        let history = Arc::new(History::new(config.into_messages()));
        Self(Arc::new(Inner { model, id, history }))
    }

    /// Asks the model and streams its answer.
    ///
    /// # Errors
    /// Everything that can be known before any work: [`SessionError::Busy`] while another turn runs, options that
    /// cannot be meant, an empty message, a conversation that does not fit into the context. The conversation is then
    /// as it was before.
    pub fn stream(&self, message: &str, options: GenerationOptions) -> Result<Turn, SessionError> {
        if message.is_empty() {
            return Err(SessionError::invalid("prompt", "it has 0 bytes: give at least one character"));
        }
        let token = CancelToken::new();
        self.stop_warming();
        let messages = self.0.history.begin(Message::user(message), token.clone())?;
        let (turn, sink) = self.0.model.new_turn(token, Some(Arc::clone(&self.0.history)));
        self.start(self.job(messages, options), turn, sink)
    }

    /// Runs what is known of the next prompt through the model, so that the next answer begins sooner: the conversation
    /// so far, and `prefix` if the message is known to begin with it. The turn tells only its end, whose stats count
    /// the tokens; nobody needs to read it, but dropping it stops the work. A message that comes meanwhile takes over
    /// and keeps what is done.
    ///
    /// # Errors
    /// As [`Session::stream`].
    pub fn prewarm(&self, prefix: &str) -> Result<Turn, SessionError> {
        let token = CancelToken::new();
        self.stop_warming();
        let messages = self.0.history.begin_warming(token.clone())?;
        let (turn, mut sink) = self.0.model.new_turn(token, Some(Arc::clone(&self.0.history)));
        sink.silent = true;
        self.start(self.warming_job(&messages, prefix), turn, sink)
    }

    fn stop_warming(&self) {
        if self.0.history.stop_warming() {
            self.0.model.nudge();
        }
    }

    fn start(&self, job: Result<Job, SessionError>, turn: Turn, sink: TurnSink) -> Result<Turn, SessionError> {
        match job {
            Ok(job) => self.0.model.submit(job, sink).map(|()| turn),
            Err(error) => {
                sink.refuse(error.clone());
                Err(error)
            }
        }
    }

    /// Where the prompts of two different messages agree is what any prompt begins with, whatever the template does.
    fn warming_job(&self, messages: &[Message], prefix: &str) -> Result<Job, SessionError> {
        let model = &self.0.model;
        let with = |end: &str| {
            let message = Message::user(format!("{prefix}{end}"));
            model.prompt_tokens(messages.iter().cloned().chain([message]).collect(), None)
        };
        let (mut tokens, other) = (with("a")?, with("0")?);
        let common = tokens.iter().zip(&other).take_while(|(token, other)| token == other).count();
        // A job needs a token; should a template begin with the message itself, one is wasted.
        tokens.truncate(common.max(1));
        let options = GenerationOptions::default().greedy().max_tokens(1);
        Ok(Job::new(model.setup(), Some(self.0.id), tokens, Thinking::default(), options, model.now())?)
    }

    fn job(&self, messages: Vec<Message>, options: GenerationOptions) -> Result<Job, SessionError> {
        let model = &self.0.model;
        // Cheap checks first: a bad option should not cost the tokenizing of a long conversation.
        options.validate(model.setup().vocabulary)?;
        let prompt = model.render(messages, options.thinking)?;
        Ok(Job::new(model.setup(), Some(self.0.id), prompt.tokens, prompt.thinking, options, model.now())?)
    }

    /// Asks the model and waits for the whole answer.
    pub fn respond(&self, message: &str, options: GenerationOptions) -> Result<Response, SessionError> {
        self.stream(message, options)?.collect()
    }

    /// All messages so far, instructions first. While a turn runs, the user's message is the last.
    pub fn transcript(&self) -> Vec<Message> {
        self.0.history.messages()
    }

    /// Replaces the conversation, for instance by a shorter one when the context is full. What both have in common at
    /// the beginning stays in the cache.
    pub fn set_transcript(&self, messages: Vec<Message>) -> Result<(), SessionError> {
        self.stop_warming();
        self.0.history.replace(messages)
    }

    /// Cancels the running turn, if there is one, and waits until it has ended: one token or one prompt chunk.
    pub fn cancel_and_wait(&self) {
        self.0.history.cancel();
        self.0.model.nudge();
        self.0.history.wait();
    }

    /// Whether an answer is on its way that was not cancelled.
    pub fn is_busy(&self) -> bool {
        self.0.history.is_busy()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.0.model
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.model.close_conversation(self.id);
    }
}
