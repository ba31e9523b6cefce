//! What can go wrong between a message and its answer.

use std::sync::Arc;

use inkling_base::{Classify, ErrorKind};
use inkling_compute::ComputeError;
use inkling_generate::GenerateError;
use inkling_gguf::GgufError;
use inkling_models::ModelError;
use inkling_text::TextError;
use inkling_text::template::TemplateError;

/// An error of a model, a session or a turn. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A value that the caller passed cannot be used.
    #[error("{field}: {why}")]
    InvalidInput {
        /// Its name.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// The session is answering.
    #[error("the session is already answering")]
    Busy,
    /// The model was closed.
    #[error("the model was closed")]
    Closed,
    /// The engine thread met a defect; the model must be loaded again.
    #[error("the engine stopped: {report}")]
    EngineFailed {
        /// What the panic said.
        report: String,
    },
    /// The file has no chat template, so there is no right way to write a conversation for it.
    #[error("the model has no chat template: use it for raw completion")]
    NoTemplate,
    /// The system gave no thread to run on.
    #[error("no engine thread could be started: {0}")]
    NoThread(String),
    /// Generation failed.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The chat template refused the conversation, or is broken.
    #[error(transparent)]
    Template(Arc<TemplateError>),
    /// The tokenizer failed.
    #[error(transparent)]
    Text(Arc<TextError>),
    /// The file could not be read.
    #[error(transparent)]
    Gguf(Arc<GgufError>),
    /// The file holds no model that can be run.
    #[error(transparent)]
    Model(Arc<ModelError>),
    /// The back end failed.
    #[error(transparent)]
    Compute(Arc<ComputeError>),
}

impl SessionError {
    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidInput { field, why: why.into() }
    }
}

macro_rules! from_shared {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for SessionError {
            fn from(error: $error) -> Self {
                Self::$variant(Arc::new(error))
            }
        }
    )*};
}

from_shared!(
    TemplateError => Template,
    TextError => Text,
    GgufError => Gguf,
    ModelError => Model,
    ComputeError => Compute
);

impl Classify for SessionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidInput { field, why } => ErrorKind::invalid(*field, why.clone()),
            Self::Busy => ErrorKind::answering(),
            Self::Closed => ErrorKind::Cancelled,
            Self::EngineFailed { .. } | Self::NoThread(_) => ErrorKind::Internal { report: self.to_string() },
            Self::NoTemplate => ErrorKind::UnsupportedModel { what: self.to_string() },
            Self::Generate(error) => error.kind(),
            Self::Template(error) => error.kind(),
            Self::Text(error) => error.kind(),
            Self::Gguf(error) => error.kind(),
            Self::Model(error) => error.kind(),
            Self::Compute(error) => error.kind(),
        }
    }
}
