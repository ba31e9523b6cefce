//! A disk that begins to fail: the real file system, but for some of its files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inkling_store::{CHUNK, Open, Stat, SystemVfs, Vfs, VfsFile};

/// `EIO`, as systems for phones and desktops number it.
const EIO: i32 = 5;

/// The real file system, on which the first chunk of one file may not be readable any more, and of which one sync may
/// fail.
#[derive(Debug, Default)]
pub struct FailingVfs {
    real: SystemVfs,
    bad: Mutex<Option<PathBuf>>,
    loses: Arc<AtomicBool>,
}

impl FailingVfs {
    fn bad(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which file cannot be read from now on, by whoever opens it.
    pub fn fail(&self, path: Option<PathBuf>) {
        *self.bad() = path;
    }

    /// The next sync of the data of a file that is being put together fails, and says so once, as Linux does: what was
    /// to be written is gone.
    pub fn fail_to_sync(&self) {
        self.loses.store(true, Ordering::Relaxed);
    }
}

impl Vfs for FailingVfs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = self.real.open(path, how)?;
        let is_bad = self.bad().as_deref() == Some(path);
        let loses = path.file_name().is_some_and(|name| name == "data").then(|| Arc::clone(&self.loses));
        Ok(Box::new(FailingFile { file, is_bad, loses }))
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.real.stat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.real.read_dir(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.real.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.real.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.real.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.real.sync_dir(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.real.free_space(path)
    }
}

struct FailingFile {
    file: Box<dyn VfsFile>,
    is_bad: bool,
    loses: Option<Arc<AtomicBool>>,
}

impl VfsFile for FailingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_bad && offset < CHUNK {
            Err(io::Error::from_raw_os_error(EIO))
        } else {
            self.file.read_at(offset, buffer)
        }
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        if self.loses.as_ref().is_some_and(|loses| loses.swap(false, Ordering::Relaxed)) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.file.sync()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        self.file.try_lock(shared)
    }
}
