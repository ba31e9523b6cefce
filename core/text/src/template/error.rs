//! What can go wrong with a chat template, and which kind of error an app sees for it.

use inkling_base::{Classify, ErrorKind};

/// Why a template could not be parsed or rendered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The source is not a Jinja template as transformers accepts it.
    #[error("chat template, line {line}: {what}")]
    Syntax {
        /// Line of the source, counted from 1.
        line: u32,
        /// What is wrong there.
        what: String,
    },
    /// The template itself refused the conversation with `raise_exception`.
    #[error("the model's chat template refuses these messages: {0}")]
    Raised(String),
    /// The template asked for more than a chat template needs.
    #[error("chat template: {what} exceeds the limit of {limit}")]
    Limit {
        /// What was exceeded, with its unit.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An operation that Python would refuse, such as adding a number to a string.
    #[error("chat template, line {line}: {what}")]
    Runtime {
        /// Line of the tag that was running, counted from 1.
        line: u32,
        /// What failed.
        what: String,
    },
    /// The input is no object with a list of messages.
    #[error("{field}: {why}")]
    Input {
        /// The field of the input.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl TemplateError {
    /// A runtime error whose line is filled in by the interpreter.
    pub(super) fn runtime(what: impl Into<String>) -> Self {
        Self::Runtime { line: 0, what: what.into() }
    }
}

impl Classify for TemplateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Raised(why) => ErrorKind::invalid("messages", why.clone()),
            Self::Input { field, why } => ErrorKind::invalid(*field, why.clone()),
            // A template may fail because of the messages or because it is broken; from outside both look alike,
            // and the model cannot be used with these messages either way.
            Self::Syntax { .. } | Self::Limit { .. } | Self::Runtime { .. } => {
                ErrorKind::UnsupportedModel { what: self.to_string() }
            }
        }
    }
}
