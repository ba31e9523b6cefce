//! Ctrl-C: the first one stops the answer, a second one the program.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use inkling::{Canceller, Error, ErrorKind};

/// Exit code of a program that was interrupted, by the shell's convention: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// What the next Ctrl-C stops.
static ANSWER: Mutex<Option<Canceller>> = Mutex::new(None);
/// Whether a Ctrl-C has come since the answer began.
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Takes Ctrl-C over from the system; called once by commands that answer.
pub(crate) fn install() -> Result<(), Error> {
    let pressed = || {
        let answer = ANSWER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &*answer {
            Some(cancel) if !PRESSED.swap(true, Ordering::Relaxed) => cancel.cancel(),
            _ => std::process::exit(INTERRUPTED),
        }
    };
    ctrlc::set_handler(pressed)
        .map_err(|error| ErrorKind::Internal { report: format!("Ctrl-C cannot be handled: {error}") }.into())
}

/// While it lives, the first Ctrl-C stops this answer.
pub(crate) struct Stoppable;

impl Stoppable {
    pub(crate) fn new(cancel: Canceller) -> Self {
        PRESSED.store(false, Ordering::Relaxed);
        *ANSWER.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(cancel);
        Self
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        *ANSWER.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }
}
