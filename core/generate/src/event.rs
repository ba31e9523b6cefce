//! What a turn tells its reader, and how it ends.

use std::time::Duration;

use crate::TokenLogProbs;

/// Something that happened in a turn. A turn ends with one [`Event::Finished`] or with an error, never with both.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// What the engine does now: waiting without a word is what people complain about.
    Phase(Phase),
    /// More of the answer; whole characters.
    Text(String),
    /// More of the thoughts; whole characters.
    Thinking(String),
    /// The log-probabilities of a generated token, if they were asked for. Comes before the text of the token.
    LogProbs(TokenLogProbs),
    /// The end.
    Finished(Stats),
}

/// What the engine does for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The prompt runs through the model. Counts only tokens that were not in the cache.
    Prefilling {
        /// Tokens done.
        done: usize,
        /// Tokens to do.
        total: usize,
    },
    /// Tokens are generated.
    Generating,
}

/// Why a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model ended its answer.
    EndOfAnswer,
    /// The answer came to this stop string.
    StopString(String),
    /// [`crate::GenerationOptions::max_tokens`] were generated.
    MaxTokens,
    /// The reader cancelled or went away.
    Cancelled,
    /// A raw completion filled the context. (A conversation's turn fails with
    /// [`crate::GenerateError::ContextOverflow`] instead, because it can be asked again.)
    ContextFull {
        /// Tokens that the context holds, all of them in use.
        limit: usize,
    },
}

impl FinishReason {
    /// A stable name for logs and `--json`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EndOfAnswer => "end_of_answer",
            Self::StopString(_) => "stop_string",
            Self::MaxTokens => "max_tokens",
            Self::Cancelled => "cancelled",
            Self::ContextFull { .. } => "context_full",
        }
    }
}

/// What a turn did and how long it took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens of the prompt; `reused_tokens + prefilled_tokens` unless it was cancelled on the way.
    pub prompt_tokens: usize,
    /// Of these, tokens that were in the cache from earlier turns.
    pub reused_tokens: usize,
    /// Of these, tokens that ran through the model.
    pub prefilled_tokens: usize,
    /// Tokens of thoughts and answer, without the one that ends the answer.
    pub generated_tokens: usize,
    /// Their ids.
    pub tokens: Vec<u32>,
    /// The seed that the sampler used; asking again with it gives the same answer.
    pub seed: u64,
    /// From the request to the first token; zero if there was none.
    pub time_to_first_token: Duration,
    /// From the first chunk of the prompt to the first token.
    pub prefill_time: Duration,
    /// From the first token to the last.
    pub decode_time: Duration,
    /// From the request to the end.
    pub total_time: Duration,
}

impl Stats {
    /// Prompt tokens a second, without those reused; 0 if nothing ran.
    pub fn prefill_tokens_per_second(&self) -> f64 {
        rate(self.prefilled_tokens, self.prefill_time)
    }

    /// Generated tokens a second, counted from the first; 0 if there were not two.
    pub fn decode_tokens_per_second(&self) -> f64 {
        rate(self.generated_tokens.saturating_sub(1), self.decode_time)
    }
}

fn rate(tokens: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { tokens as f64 / time.as_secs_f64() }
}
