//! One error for everything the facade does: a stable kind for the app, the whole chain of causes for the log.

use std::fmt;

use inkling_base::{Classify, ErrorKind};

/// What went wrong: [`Error::kind`] is stable and carries the numbers, [`std::error::Error::source`] has the details.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Error {
    /// The kind, as every binding shows it.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl<E: Classify> From<E> for Error {
    fn from(source: E) -> Self {
        Self { kind: source.kind(), source: Box::new(source) }
    }
}
