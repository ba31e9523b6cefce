//! A disk that begins to fail: the real file system, but for one file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use inkling_store::{CHUNK, Open, Stat, SystemVfs, Vfs, VfsFile};

/// `EIO`, as systems for phones and desktops number it.
const EIO: i32 = 5;

/// The real file system, on which the first chunk of one file may not be readable any more.
#[derive(Debug, Default)]
pub struct FailingVfs {
    real: SystemVfs,
    bad: Mutex<Option<PathBuf>>,
}

impl FailingVfs {
    fn bad(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which file cannot be read from now on, by whoever opens it.
    pub fn fail(&self, path: Option<PathBuf>) {
        *self.bad() = path;
    }
}

impl Vfs for FailingVfs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let file = self.real.open(path, how)?;
        let is_bad = self.bad().as_deref() == Some(path);
        Ok(if is_bad { Box::new(FailingFile(file)) } else { file })
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

struct FailingFile(Box<dyn VfsFile>);

impl VfsFile for FailingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset < CHUNK { Err(io::Error::from_raw_os_error(EIO)) } else { self.0.read_at(offset, buffer) }
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }
    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        self.0.try_lock(shared)
    }
}
