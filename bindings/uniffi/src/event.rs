//! What an answer is made of.

use std::time::Duration;

use inkling::{Event, FinishReason, Phase, Stats};

/// Something that happened in an answer. The last one is [`FfiEvent::Finished`], unless the answer fails.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum FfiEvent {
    /// The prompt runs through the model.
    Prefilling {
        /// Tokens done.
        done: u64,
        /// Tokens to do, without those that were in the cache.
        total: u64,
    },
    /// Tokens are generated from now on.
    Generating,
    /// More of the answer; whole characters.
    Text {
        /// What is new.
        delta: String,
    },
    /// More of the thoughts; whole characters.
    Thinking {
        /// What is new.
        delta: String,
    },
    /// How likely a generated token was. Comes before its text.
    LogProbs {
        /// The token that was chosen.
        chosen: FfiLogProb,
        /// The likeliest tokens, best first.
        top: Vec<FfiLogProb>,
    },
    /// The end.
    Finished {
        /// What it took.
        stats: FfiStats,
    },
}

impl From<Event> for FfiEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::Phase(Phase::Prefilling { done, total }) => {
                Self::Prefilling { done: done as u64, total: total as u64 }
            }
            Event::Text(delta) => Self::Text { delta },
            Event::Thinking(delta) => Self::Thinking { delta },
            Event::LogProbs(probs) => Self::LogProbs {
                chosen: probs.chosen.into(),
                top: probs.top.into_iter().map(FfiLogProb::from).collect(),
            },
            Event::Finished(stats) => Self::Finished { stats: stats.into() },
            // Also for events that are newer than this list: the answer goes on.
            Event::Phase(_) | _ => Self::Generating,
        }
    }
}

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct FfiLogProb {
    /// The token.
    pub token: u32,
    /// At most 0.
    pub log_prob: f32,
}

impl From<inkling::LogProb> for FfiLogProb {
    fn from(prob: inkling::LogProb) -> Self {
        Self { token: prob.token, log_prob: prob.log_prob }
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FfiFinish {
    /// The model ended it.
    EndOfAnswer,
    /// It came to this stop string.
    StopString {
        /// The string.
        text: String,
    },
    /// As many tokens as were allowed were generated.
    MaxTokens,
    /// The reader cancelled.
    Cancelled,
    /// A raw completion filled the context.
    ContextFull {
        /// Tokens that the context holds.
        limit: u64,
    },
}

impl TryFrom<FinishReason> for FfiFinish {
    type Error = ();

    fn try_from(finish: FinishReason) -> Result<Self, ()> {
        Ok(match finish {
            FinishReason::EndOfAnswer => Self::EndOfAnswer,
            FinishReason::StopString(text) => Self::StopString { text },
            FinishReason::MaxTokens => Self::MaxTokens,
            FinishReason::Cancelled => Self::Cancelled,
            FinishReason::ContextFull { limit } => Self::ContextFull { limit: limit as u64 },
            _ => return Err(()),
        })
    }
}

/// What an answer did and how long it took.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct FfiStats {
    /// Why it ended.
    pub finish: FfiFinish,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of these, tokens that were in the cache.
    pub reused_tokens: u64,
    /// Of these, tokens that ran through the model.
    pub prefilled_tokens: u64,
    /// Tokens of thoughts and answer, without the one that ends it.
    pub generated_tokens: u64,
    /// Their ids.
    pub tokens: Vec<u32>,
    /// The seed that was used.
    pub seed: u64,
    /// From the request to the first token; zero if there was none.
    pub time_to_first_token: Duration,
    /// From the first chunk of the prompt to the first token.
    pub prefill_time: Duration,
    /// From the first token to the last.
    pub decode_time: Duration,
    /// From the request to the end.
    pub total_time: Duration,
    /// Prompt tokens a second, without those reused; 0 if nothing ran.
    pub prefill_tokens_per_second: f64,
    /// Generated tokens a second, counted from the first; 0 if there were not two.
    pub decode_tokens_per_second: f64,
}

impl From<Stats> for FfiStats {
    fn from(stats: Stats) -> Self {
        Self {
            prefill_tokens_per_second: stats.prefill_tokens_per_second(),
            decode_tokens_per_second: stats.decode_tokens_per_second(),
            // A reason that is newer than this list is an end of the answer all the same.
            finish: stats.finish.try_into().unwrap_or(FfiFinish::EndOfAnswer),
            prompt_tokens: stats.prompt_tokens as u64,
            reused_tokens: stats.reused_tokens as u64,
            prefilled_tokens: stats.prefilled_tokens as u64,
            generated_tokens: stats.generated_tokens as u64,
            tokens: stats.tokens,
            seed: stats.seed,
            time_to_first_token: stats.time_to_first_token,
            prefill_time: stats.prefill_time,
            decode_time: stats.decode_time,
            total_time: stats.total_time,
        }
    }
}
