//! A running turn: its tokens, its sampler, its text, its times.
//!
//! Invariant: the cache holds a prefix of `tokens` that is at least one token shorter, so there is always something to
//! compute. A turn that still prefills and one that decodes differ only in how much.

use std::time::Duration;

use inkling_compute::Output;

use crate::answer::{AnswerText, Piece};
use crate::logprobs::LogProbs;
use crate::{Event, FinishReason, GenerateError, Job, Phase, Sampler, Sink, Stats};

/// How a turn goes on or ends.
#[derive(Debug)]
pub(crate) enum Choice {
    /// The model chose this token.
    Token(u32),
    /// The context is full.
    Full {
        limit: usize,
    },
    Finished(FinishReason),
    Cancelled,
    Failed(GenerateError),
}

pub(crate) struct Task {
    /// Its sequence in the scheduler's conversations.
    pub(crate) place: usize,
    /// Prompt and answer so far.
    pub(crate) tokens: Vec<u32>,
    pub(crate) sink: Box<dyn Sink>,
    /// It gave its pages back and waits until another turn has ended.
    pub(crate) waits_for_room: bool,
    /// Set when the turn is over.
    pub(crate) ended: Option<Choice>,
    in_conversation: bool,
    prompt: usize,
    reused: usize,
    /// The most that was ever computed of the prompt.
    computed: usize,
    max_tokens: usize,
    log_probs: Option<usize>,
    stops: Vec<String>,
    sampler: Sampler,
    answer: AnswerText,
    submitted: Duration,
    started: Option<Duration>,
    first_token: Option<Duration>,
    last_token: Duration,
}

impl Task {
    /// A turn for a sequence that may grow to `context` tokens.
    pub(crate) fn new(mut job: Job, mut sink: Box<dyn Sink>, place: usize, reused: usize, context: usize) -> Self {
        // Room for the whole answer at once: nothing grows on the way.
        job.prompt.reserve_exact(job.max_tokens.min(context.saturating_sub(job.prompt.len())) + 1);
        sink.emit(Event::Phase(Phase::Prefilling { done: 0, total: job.prompt.len() - reused }));
        Self {
            place,
            sink,
            waits_for_room: false,
            ended: None,
            in_conversation: job.conversation.is_some(),
            prompt: job.prompt.len(),
            reused,
            computed: reused,
            tokens: job.prompt,
            max_tokens: job.max_tokens,
            log_probs: job.log_probs,
            stops: job.stops,
            sampler: job.sampler,
            answer: job.answer,
            submitted: job.submitted,
            started: None,
            first_token: None,
            last_token: job.submitted,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.sink.is_cancelled()
    }

    pub(crate) fn is_runnable(&self) -> bool {
        !self.waits_for_room && self.sink.has_room()
    }

    pub(crate) fn needs_logits(&self) -> bool {
        self.log_probs.is_some() || self.sampler.needs_logits()
    }

    /// A pass that began at `started` has brought the cache to `cached` tokens.
    pub(crate) fn ran(&mut self, started: Duration, cached: usize) {
        self.started.get_or_insert(started);
        let reached = cached.min(self.prompt);
        if reached > self.computed {
            self.computed = reached;
            let (done, total) = (reached - self.reused, self.prompt - self.reused);
            self.sink.emit(Event::Phase(Phase::Prefilling { done, total }));
        }
    }

    /// A token is about to be chosen.
    pub(crate) fn generating(&mut self, now: Duration) {
        if self.first_token.is_none() {
            self.first_token = Some(now);
            self.sink.emit(Event::Phase(Phase::Generating));
        }
    }

    /// Samples from a row of output.
    pub(crate) fn choose(&mut self, output: &mut Output, row: usize, logits: bool, probs: &mut LogProbs) -> Choice {
        let chosen = if logits { self.sample(output.logits_mut(row), probs) } else { Ok(output.argmax()[row]) };
        chosen.map_or_else(Choice::Failed, Choice::Token)
    }

    fn sample(&mut self, logits: &mut [f32], probs: &mut LogProbs) -> Result<u32, GenerateError> {
        if let Some(top) = self.log_probs {
            probs.observe(logits, top)?;
        }
        let token = self.sampler.sample(logits, &self.tokens)?;
        if self.log_probs.is_some() && !self.answer.is_end(token) {
            self.sink.emit(Event::LogProbs(probs.chosen(token)));
        }
        Ok(token)
    }

    /// Takes the model's choice and sets [`Task::ended`] if it was the last.
    pub(crate) fn accept(&mut self, choice: Choice, context: usize, now: Duration) {
        let Choice::Token(token) = choice else {
            self.ended = Some(choice);
            return;
        };
        if self.answer.is_end(token) {
            self.ended = Some(Choice::Finished(FinishReason::EndOfAnswer));
            return;
        }
        self.last_token = now;
        self.tokens.push(token);
        match self.answer.push(token) {
            Ok(piece) => self.deliver(piece),
            Err(error) => self.ended = Some(Choice::Failed(error.into())),
        }
        if self.ended.is_none() && self.tokens.len() - self.prompt >= self.max_tokens {
            self.ended = Some(Choice::Finished(FinishReason::MaxTokens));
        }
        // The newest token has yet to be computed at its own position.
        if self.ended.is_none() && self.tokens.len() > context {
            self.ended = Some(Choice::Full { limit: context });
        }
    }

    fn deliver(&mut self, piece: Piece) {
        if !piece.thinking.is_empty() {
            self.sink.emit(Event::Thinking(piece.thinking));
        }
        if !piece.answer.is_empty() {
            self.sink.emit(Event::Text(piece.answer));
        }
        if let Some(stop) = piece.stop {
            self.ended = Some(Choice::Finished(FinishReason::StopString(self.stops[stop].clone())));
        }
    }

    /// The outcome of a turn that is over. What was held back is delivered, also to a reader that cancelled.
    pub(crate) fn outcome(&mut self, choice: Choice, now: Duration) -> Result<Stats, GenerateError> {
        if !matches!(choice, Choice::Finished(FinishReason::StopString(_))) {
            let rest = self.answer.finish();
            self.deliver(rest);
        }
        // The last bytes may themselves complete a stop string.
        let choice = match (choice, self.ended.take()) {
            (Choice::Failed(error), _) => return Err(error),
            (_, Some(stop)) => stop,
            (choice, None) => choice,
        };
        match choice {
            Choice::Failed(error) => Err(error),
            Choice::Full { limit } if self.in_conversation => {
                Err(GenerateError::ContextOverflow { limit, used: self.tokens.len() })
            }
            Choice::Full { limit } => Ok(self.stats(FinishReason::ContextFull { limit }, now)),
            Choice::Finished(finish) => Ok(self.stats(finish, now)),
            Choice::Cancelled | Choice::Token(_) => Ok(self.stats(FinishReason::Cancelled, now)),
        }
    }

    fn stats(&self, finish: FinishReason, now: Duration) -> Stats {
        let first = self.first_token;
        Stats {
            finish,
            prompt_tokens: self.prompt,
            reused_tokens: self.reused,
            prefilled_tokens: self.computed - self.reused,
            generated_tokens: self.tokens.len() - self.prompt,
            tokens: self.tokens[self.prompt..].to_vec(),
            seed: self.sampler.seed(),
            time_to_first_token: first.map_or(Duration::ZERO, |first| first.saturating_sub(self.submitted)),
            prefill_time: first.zip(self.started).map_or(Duration::ZERO, |(first, start)| first.saturating_sub(start)),
            decode_time: first.map_or(Duration::ZERO, |first| self.last_token.saturating_sub(first)),
            total_time: now.saturating_sub(self.submitted),
        }
    }

    /// The stats of a turn that was cancelled before it began.
    pub(crate) fn never_ran(job: &Job, now: Duration) -> Stats {
        Stats {
            finish: FinishReason::Cancelled,
            prompt_tokens: job.prompt.len(),
            reused_tokens: 0,
            prefilled_tokens: 0,
            generated_tokens: 0,
            tokens: Vec::new(),
            seed: job.sampler.seed(),
            time_to_first_token: Duration::ZERO,
            prefill_time: Duration::ZERO,
            decode_time: Duration::ZERO,
            total_time: now.saturating_sub(job.submitted),
        }
    }
}
