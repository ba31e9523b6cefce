//! What can go wrong between a prompt and its answer.

use std::sync::Arc;

use inkling_base::{Cancelled, Classify, ErrorKind};
use inkling_compute::ComputeError;
use inkling_text::TextError;

/// An error of generation. Cheap to clone, because one failed pass may end several turns.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// An option that cannot be meant.
    #[error("{field}: {why}")]
    InvalidOption {
        /// Its name.
        field: &'static str,
        /// Its value, what is wrong with it and what would be right.
        why: String,
    },
    /// A prompt without a token: there is nothing to continue.
    #[error("the prompt has no tokens: give at least one character or token")]
    EmptyPrompt,
    /// The prompt, or the prompt and its answer, do not fit into the context.
    #[error("the context holds {limit} tokens, {used} are needed")]
    ContextOverflow {
        /// Tokens that the context holds.
        limit: usize,
        /// Tokens that were asked for in total.
        used: usize,
    },
    /// Logit bias has banned every token.
    #[error("logit_bias bans every token of the vocabulary")]
    EveryTokenBanned,
    /// The decoder's numbers are no numbers.
    #[error("the model gave {logit} as the logit of token {token}: its weights or this engine are broken")]
    BadLogit {
        /// The token.
        token: u32,
        /// Its logit.
        logit: f32,
    },
    /// A turn runs on this conversation already.
    #[error("the conversation is already answering")]
    Busy,
    /// The model chose a token that its tokenizer does not know.
    #[error(transparent)]
    Text(Arc<TextError>),
    /// The back end failed.
    #[error(transparent)]
    Compute(Arc<ComputeError>),
}

impl GenerateError {
    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidOption { field, why: why.into() }
    }
}

impl From<ComputeError> for GenerateError {
    fn from(error: ComputeError) -> Self {
        Self::Compute(Arc::new(error))
    }
}

impl From<TextError> for GenerateError {
    fn from(error: TextError) -> Self {
        Self::Text(Arc::new(error))
    }
}

impl From<Cancelled> for GenerateError {
    fn from(cancelled: Cancelled) -> Self {
        ComputeError::from(cancelled).into()
    }
}

impl Classify for GenerateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidOption { field, why } => ErrorKind::invalid(*field, why.clone()),
            Self::EmptyPrompt => ErrorKind::invalid("prompt", self.to_string()),
            Self::ContextOverflow { limit, used } => ErrorKind::ContextOverflow { limit: *limit, used: *used },
            Self::EveryTokenBanned => ErrorKind::invalid("logit_bias", self.to_string()),
            Self::BadLogit { .. } => ErrorKind::Internal { report: self.to_string() },
            Self::Busy => ErrorKind::answering(),
            Self::Text(error) => ErrorKind::ModelCorrupt { location: error.to_string() },
            Self::Compute(error) => error.kind(),
        }
    }
}
