//! What can go wrong between a spec and its logits.

use inkling_base::{Cancelled, Classify, ErrorKind};

/// An error of a back end or of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// The back end cannot run on this machine.
    #[error("back end {backend} is unavailable: {reason}")]
    Unavailable {
        /// Its name.
        backend: &'static str,
        /// Why, in words a user can act on.
        reason: String,
    },
    /// The back end cannot run this model.
    #[error("back end {backend} cannot run this model: {what}")]
    Unsupported {
        /// Its name.
        backend: &'static str,
        /// The tensor type, size or layer that it does not know.
        what: String,
    },
    /// A spec names more of a tensor than there is.
    #[error("tensor {tensor} has {have} {unit}, the model needs {need}")]
    TensorTooSmall {
        /// Its name.
        tensor: String,
        /// `rows`, `columns` or `elements`.
        unit: &'static str,
        /// What is needed.
        need: usize,
        /// What is there.
        have: usize,
    },
    /// The caller's batch breaks the contract.
    #[error("bad batch: {why}")]
    BadBatch {
        /// Which rule.
        why: &'static str,
    },
    /// More tokens or outputs than the load plan allowed.
    #[error("a batch of {tokens} where at most {limit} were planned")]
    BatchTooLarge {
        /// Asked for.
        tokens: usize,
        /// Planned at load.
        limit: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The id.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// The cache holds no more positions.
    #[error("the cache holds {limit} positions, {used} were asked for")]
    CacheFull {
        /// Positions that it can hold.
        limit: usize,
        /// Positions that were asked for in total.
        used: usize,
    },
    /// A sequence that is not open.
    #[error("sequence {0} is not open")]
    UnknownSequence(u32),
    /// Memory ran out.
    #[error("needs {need_bytes} bytes of memory, {have_bytes} available")]
    OutOfMemory {
        /// Bytes asked for.
        need_bytes: u64,
        /// Bytes available, 0 where the system does not say.
        have_bytes: u64,
    },
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Classify for ComputeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { backend, reason } => {
                ErrorKind::BackendUnavailable { backend: (*backend).to_owned(), reason: reason.clone() }
            }
            Self::Unsupported { .. } => ErrorKind::UnsupportedModel { what: self.to_string() },
            Self::TensorTooSmall { .. } => ErrorKind::ModelCorrupt { location: self.to_string() },
            Self::UnknownToken { .. } => ErrorKind::invalid("tokens", self.to_string()),
            Self::CacheFull { limit, used } => ErrorKind::ContextOverflow { limit: *limit, used: *used },
            Self::OutOfMemory { need_bytes, have_bytes } => {
                ErrorKind::OutOfMemory { need_bytes: *need_bytes, have_bytes: *have_bytes }
            }
            Self::Cancelled(_) => ErrorKind::Cancelled,
            Self::BadBatch { .. } | Self::BatchTooLarge { .. } | Self::UnknownSequence(_) => {
                ErrorKind::Internal { report: self.to_string() }
            }
        }
    }
}
