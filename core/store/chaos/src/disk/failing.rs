//! A disk that begins to fail: the real file system, but for some of its files.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use inkling_store::{CHUNK, SystemVfs};

use super::hooked::{Call, Hook, Hooked};

/// `EIO`, as systems for phones and desktops number it.
const EIO: i32 = 5;

/// The real file system, with failures.
pub type FailingVfs = Hooked<SystemVfs, Failures>;

/// The first chunk of one file may not be readable any more, and one sync may fail.
#[derive(Debug, Default)]
pub struct Failures {
    bad: Mutex<Option<PathBuf>>,
    loses: AtomicBool,
}

impl Failures {
    fn bad(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which file cannot be read from now on, by whoever has opened it.
    pub fn read(&self, path: Option<PathBuf>) {
        *self.bad() = path;
    }

    /// The next sync of the data of a file that is being put together fails, and says so once, as Linux does: what was
    /// to be written is gone.
    pub fn sync(&self) {
        self.loses.store(true, Ordering::Relaxed);
    }
}

impl Hook for Failures {
    fn before(&self, call: Call<'_>) -> io::Result<()> {
        let fails = match call {
            Call::Read(path, offset) => offset < CHUNK && self.bad().as_deref() == Some(path),
            Call::Sync(path) if path.ends_with("data") => self.loses.swap(false, Ordering::Relaxed),
            _ => false,
        };
        if fails { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }
}
