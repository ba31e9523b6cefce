//! Standard output and the end of the program: results, errors, exit codes.
//!
//! Results go to standard output, everything else to standard error. A reader that goes away (`inkling … | head`) is
//! no error.

use std::io::{self, Write};
use std::process::ExitCode;

use inkling::{Error, ErrorKind};
use serde::Serialize;

/// The program did not do what it was asked to.
pub(crate) const FAILED: u8 = 1;
/// The program was asked for something that makes no sense.
pub(crate) const BAD_USAGE: u8 = 2;

/// What ends a command early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine's error.
    Engine(Error),
    /// The reader of standard output went away.
    OutputClosed,
    /// What was looked for, and is not good: a damaged file. It has been printed.
    Found,
    /// Standard output took no more, for another reason: a full disk.
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// A file that cannot be read or written.
pub(crate) fn file_error(field: &str, path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::Engine(ErrorKind::invalid(field, format!("{}: {error}", path.display())).into())
}

/// Writes text to standard output as it is, at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output as they are, at once.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Output(error),
    })
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        Failure::Engine(ErrorKind::Internal { report: format!("a result cannot be written as JSON: {error}") }.into())
    })?;
    print(&text)?;
    print("\n")
}

/// Says what went wrong, with the causes, and gives the exit code.
pub(crate) fn finish(result: Result<(), Failure>) -> ExitCode {
    let error = match result {
        Ok(()) | Err(Failure::OutputClosed) => return ExitCode::SUCCESS,
        Err(Failure::Found) => {
            eprintln!("error: not everything is as it should be");
            return ExitCode::from(FAILED);
        }
        Err(Failure::Output(error)) => {
            eprintln!("error: standard output cannot be written: {error}");
            return ExitCode::from(FAILED);
        }
        Err(Failure::Engine(error)) => error,
    };
    let mut shown = error.to_string();
    eprintln!("error: {shown}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !shown.contains(&text) {
            eprintln!("  because: {text}");
            shown = text;
        }
        source = cause.source();
    }
    ExitCode::from(if matches!(error.kind(), ErrorKind::InvalidInput { .. }) { BAD_USAGE } else { FAILED })
}
