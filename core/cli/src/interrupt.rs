//! Ctrl-C: the first one stops the answer or the download, a second one the program.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use inkling::{Canceller, Error, ErrorKind};

/// Exit code of a program that was interrupted, by the shell's convention: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// What the next Ctrl-C stops.
static WORK: Mutex<Option<Box<dyn Fn() + Send>>> = Mutex::new(None);
/// Whether a Ctrl-C has come since the work began.
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Takes Ctrl-C over from the system; called once by commands that answer.
pub(crate) fn install() -> Result<(), Error> {
    let pressed = || {
        let work = WORK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &*work {
            Some(cancel) if !PRESSED.swap(true, Ordering::Relaxed) => cancel(),
            _ => std::process::exit(INTERRUPTED),
        }
    };
    ctrlc::set_handler(pressed)
        .map_err(|error| ErrorKind::Internal { report: format!("Ctrl-C cannot be handled: {error}") }.into())
}

/// Takes Ctrl-C over for a command that does one thing: the first one calls `cancel`.
pub(crate) fn on_press(cancel: impl Fn() + Send + 'static) -> Result<(), Error> {
    begin(cancel);
    install()
}

fn begin(cancel: impl Fn() + Send + 'static) {
    PRESSED.store(false, Ordering::Relaxed);
    *WORK.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(Box::new(cancel));
}

/// While it lives, the first Ctrl-C stops this answer.
pub(crate) struct Stoppable;

impl Stoppable {
    pub(crate) fn new(cancel: Canceller) -> Self {
        begin(move || cancel.cancel());
        Self
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        *WORK.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }
}
