//! The stable kinds of errors: what an app can react to, the same in Rust, Swift and Kotlin.
//!
//! Each crate has its own detailed error enum; [`Classify`] maps it to one of these kinds. The facade keeps
//! both, so an app matches on the kind and a log shows the whole chain of causes.

use std::fmt;

/// What went wrong, in the terms of an app. Stable: variants and fields are part of the public interface.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No model at this place.
    ModelNotFound {
        /// The path or name that was asked for.
        what: String,
    },
    /// The file is damaged or is no model file at all.
    ModelCorrupt {
        /// The file, key or tensor where the damage shows, and what is wrong there.
        location: String,
    },
    /// A sound file of a kind that this engine cannot run.
    UnsupportedModel {
        /// The architecture, tensor type, tokenizer or feature that is missing.
        what: String,
    },
    /// The work needs more memory than there is.
    OutOfMemory {
        /// Bytes that the work needs.
        need_bytes: u64,
        /// Bytes that were available.
        have_bytes: u64,
    },
    /// The conversation or prompt does not fit into the context.
    ContextOverflow {
        /// Tokens that the context holds.
        limit: usize,
        /// Tokens that were asked for in total.
        used: usize,
    },
    /// The back end cannot run here.
    BackendUnavailable {
        /// Its name.
        backend: String,
        /// Why, in words a user can act on.
        reason: String,
    },
    /// The caller cancelled.
    Cancelled,
    /// What is asked for is in use: a session that answers, a store that is open elsewhere, a model that is loaded.
    Busy {
        /// What is in use, and what to do.
        why: String,
    },
    /// The disk is full.
    StorageFull {
        /// Bytes that the work needs.
        need_bytes: u64,
        /// Bytes that were free.
        have_bytes: u64,
    },
    /// The network failed.
    Network {
        /// Whether trying again may help.
        retryable: bool,
        /// What happened.
        why: String,
    },
    /// Stored bytes are not the bytes that were published.
    Integrity {
        /// The file.
        file: String,
        /// The chunk in it, counted from 0, if it is known.
        chunk: Option<u64>,
    },
    /// A value that the caller passed cannot be used.
    InvalidInput {
        /// The name of the option or argument.
        field: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A defect of the engine.
    Internal {
        /// What to send with a bug report.
        report: String,
    },
}

impl ErrorKind {
    /// An [`ErrorKind::InvalidInput`] for `field`.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::InvalidInput { field: field.into(), why: why.into() }
    }

    /// An [`ErrorKind::Busy`] for a session.
    pub fn answering() -> Self {
        let why = "the session is already answering: wait for it, cancel it, or open another session";
        Self::Busy { why: why.to_owned() }
    }

    /// The kind's name as api.md spells it, for logs and `--json` output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ModelNotFound { .. } => "ModelNotFound",
            Self::ModelCorrupt { .. } => "ModelCorrupt",
            Self::UnsupportedModel { .. } => "UnsupportedModel",
            Self::OutOfMemory { .. } => "OutOfMemory",
            Self::ContextOverflow { .. } => "ContextOverflow",
            Self::BackendUnavailable { .. } => "BackendUnavailable",
            Self::Cancelled => "Cancelled",
            Self::Busy { .. } => "Busy",
            Self::StorageFull { .. } => "StorageFull",
            Self::Network { .. } => "Network",
            Self::Integrity { .. } => "Integrity",
            Self::InvalidInput { .. } => "InvalidInput",
            Self::Internal { .. } => "Internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelNotFound { what } => write!(f, "no model at {what}: check the path, or fetch one first"),
            Self::ModelCorrupt { location } => write!(f, "the model file is damaged ({location}): fetch it again"),
            Self::UnsupportedModel { what } => write!(f, "this model is not supported: {what}"),
            Self::OutOfMemory { need_bytes, have_bytes } => write!(
                f,
                "needs {}, {} free: choose a smaller quantisation, a smaller model or a shorter context",
                Bytes(*need_bytes),
                Bytes(*have_bytes)
            ),
            Self::ContextOverflow { limit, used } => write!(
                f,
                "the context holds {limit} tokens and {used} were asked for: shorten the input, or load the model with a larger context"
            ),
            Self::BackendUnavailable { backend, reason } => write!(f, "back end {backend} is unavailable: {reason}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Busy { why } => f.write_str(why),
            Self::StorageFull { need_bytes, have_bytes } => {
                write!(
                    f,
                    "needs {} of storage, {} free: free some space and try again",
                    Bytes(*need_bytes),
                    Bytes(*have_bytes)
                )
            }
            Self::Network { retryable: true, why } => write!(f, "the network failed ({why}): try again"),
            Self::Network { retryable: false, why } => {
                write!(f, "the download cannot go on ({why}): trying again will not help")
            }
            Self::Integrity { file, chunk: Some(chunk) } => {
                write!(f, "{file} is damaged at chunk {chunk}: fetch it again")
            }
            Self::Integrity { file, chunk: None } => {
                write!(f, "{file} is not what was announced: check the digest that was given, or fetch it again")
            }
            Self::InvalidInput { field, why } => write!(f, "{field}: {why}"),
            Self::Internal { report } => write!(f, "internal error, please report it: {report}"),
        }
    }
}

/// Maps a crate's own error to the stable kind.
pub trait Classify: std::error::Error + Send + Sync + 'static {
    /// The kind that an app sees.
    fn kind(&self) -> ErrorKind;
}

impl std::error::Error for ErrorKind {}

/// A kind without further causes: what the facade itself finds wrong.
impl Classify for ErrorKind {
    fn kind(&self) -> ErrorKind {
        self.clone()
    }
}

/// A byte count as people read it: decimal units, as phones show them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} bytes", self.0),
            1_000..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.0} MB", bytes / 1e6),
            _ => write!(f, "{:.1} GB", bytes / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_carry_the_numbers() {
        let error = ErrorKind::OutOfMemory { need_bytes: 1_900_000_000, have_bytes: 1_200_000_000 };
        assert!(error.to_string().starts_with("needs 1.9 GB, 1.2 GB free"));
        let error = ErrorKind::ContextOverflow { limit: 4096, used: 5000 };
        assert!(error.to_string().contains("4096") && error.to_string().contains("5000"));
    }
}
