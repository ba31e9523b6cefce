//! One turn as the scheduler gets it: everything that can be refused has been refused before.

use std::sync::Arc;
use std::time::Duration;

use inkling_text::Tokenizer;

use crate::answer::AnswerText;
use crate::{Event, GenerateError, GenerationOptions, Sampler, Stats, ThinkingMarkers};

/// Events that one step emits for a turn, at most.
pub const EVENTS_PER_STEP: usize = 5;

/// Where a turn's events go. The scheduler never waits for it.
pub trait Sink: Send {
    /// Whether [`EVENTS_PER_STEP`] more events have room. While not, the turn rests and others go on.
    fn has_room(&self) -> bool;
    /// Whether nobody wants the answer any more.
    fn is_cancelled(&self) -> bool;
    /// Takes an event. Besides the steps, one event comes when the turn starts and up to two before [`Sink::end`].
    fn emit(&mut self, event: Event);
    /// The end, which comes once.
    fn end(self: Box<Self>, outcome: Result<Stats, GenerateError>);
}

/// Names the cached tokens of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConversationId(pub u64);

/// What the checks of [`Job::new`] need to know of the model.
#[derive(Debug, Clone)]
pub struct JobSetup {
    /// The model's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Tokens that a conversation may hold.
    pub context: usize,
    /// Rows of the model's head.
    pub vocabulary: usize,
}

/// How thoughts are told from the answer.
#[derive(Debug, Clone, Default)]
pub struct Thinking {
    /// The markers; `None` takes all text as the answer.
    pub markers: Option<ThinkingMarkers>,
    /// The prompt ends inside a span.
    pub opened: bool,
}

/// A prompt to answer.
#[derive(Debug)]
pub struct Job {
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) prompt: Vec<u32>,
    pub(crate) max_tokens: usize,
    pub(crate) log_probs: Option<usize>,
    pub(crate) stops: Vec<String>,
    pub(crate) sampler: Sampler,
    pub(crate) answer: AnswerText,
    pub(crate) submitted: Duration,
}

impl Job {
    /// Checks options and prompt. With a `conversation`, the cache is kept for its next turn, and a context that fills
    /// up is an error; without, the cache is freed at the end and a full context is an ordinary finish.
    pub fn new(
        setup: &JobSetup,
        conversation: Option<ConversationId>,
        prompt: Vec<u32>,
        thinking: Thinking,
        options: GenerationOptions,
        submitted: Duration,
    ) -> Result<Self, GenerateError> {
        options.validate(setup.vocabulary)?;
        check_prompt(&prompt, setup.context, setup.vocabulary)?;
        let token_bytes = |id| setup.tokenizer.token_bytes(id).map_or_else(Vec::new, std::borrow::Cow::into_owned);
        let answer = AnswerText::new(&setup.tokenizer, &prompt, thinking.markers, thinking.opened, &options.stop)?;
        Ok(Self {
            conversation,
            prompt,
            max_tokens: options.max_tokens.unwrap_or(usize::MAX),
            log_probs: options.log_probs,
            stops: options.stop,
            sampler: Sampler::new(options.sampling, setup.vocabulary, &token_bytes)?,
            answer,
            submitted,
        })
    }

    /// Tokens of the prompt.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt.len()
    }
}

/// Refuses a prompt that has no tokens, foreign tokens or too many.
pub(crate) fn check_prompt(prompt: &[u32], context: usize, vocabulary: usize) -> Result<(), GenerateError> {
    if prompt.is_empty() {
        return Err(GenerateError::EmptyPrompt);
    }
    if prompt.len() > context {
        return Err(GenerateError::ContextOverflow { limit: context, used: prompt.len() });
    }
    match prompt.iter().find(|&&token| token as usize >= vocabulary) {
        Some(&token) => Err(inkling_compute::ComputeError::UnknownToken { token, vocabulary }.into()),
        None => Ok(()),
    }
}
