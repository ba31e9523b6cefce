//! A file system with somebody who hears of each call before it is made, and may hold it up or refuse it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_store::{Open, Stat, Vfs, VfsFile};

/// A call that changes something, or reads a file. Files have the paths under which they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call<'a> {
    /// A file is opened.
    Open(&'a Path, Open),
    /// A folder is made.
    CreateDir(&'a Path),
    /// A file or folder gets another name.
    Rename(&'a Path, &'a Path),
    /// A file is removed.
    Remove(&'a Path),
    /// Bytes are read from this offset on.
    Read(&'a Path, u64),
    /// Bytes are written.
    Write(&'a Path),
    /// A file is made durable.
    Sync(&'a Path),
}

/// Who hears of calls.
pub trait Hook: Send + Sync + 'static {
    /// On the thread of the call, which waits for it. An error takes the place of the call.
    fn before(&self, call: Call<'_>) -> io::Result<()>;
}

/// The file system.
#[derive(Debug, Default)]
pub struct Hooked<V, H> {
    vfs: V,
    hook: Arc<H>,
}

impl<V, H> Hooked<V, H> {
    /// `hook` hears of each call to `vfs`.
    pub fn new(vfs: V, hook: Arc<H>) -> Self {
        Self { vfs, hook }
    }

    /// Who hears.
    pub fn hook(&self) -> &H {
        &self.hook
    }
}

impl<V: Vfs, H: Hook> Vfs for Hooked<V, H> {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        self.hook.before(Call::Open(path, how))?;
        let (file, hook) = (self.vfs.open(path, how)?, Arc::clone(&self.hook));
        Ok(Box::new(HookedFile { file, path: path.to_owned(), hook }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.vfs.stat(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.vfs.read_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::CreateDir(path))?;
        self.vfs.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hook.before(Call::Rename(from, to))?;
        self.vfs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.hook.before(Call::Remove(path))?;
        self.vfs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.vfs.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.vfs.sync_dir(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.vfs.free_space(path)
    }
}

struct HookedFile<H> {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    hook: Arc<H>,
}

impl<H: Hook> VfsFile for HookedFile<H> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.hook.before(Call::Read(&self.path, offset))?;
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.hook.before(Call::Write(&self.path))?;
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.hook.before(Call::Sync(&self.path))?;
        self.file.sync()
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        self.file.try_lock(shared)
    }
}
