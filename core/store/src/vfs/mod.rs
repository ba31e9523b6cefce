//! The file system as the store uses it, so that a simulator can take its place and lose what was not synced.
//!
//! The rules that every caller keeps: bytes are durable after [`VfsFile::sync`], names after [`Vfs::sync_dir`] of their
//! folder. Until then a crash may keep any part of them, in any order.

mod system;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use system::SystemVfs;

/// What is known of a file or folder without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes; 0 for a folder.
    pub len: u64,
    /// Bytes that the disk has given it: fewer than `len` while it has holes.
    pub allocated: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Its number on this file system; another file of the same name has another one.
    pub inode: u64,
    /// When its bytes last changed, since 1970.
    pub modified: Duration,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// To be read; it must be there.
    Read,
    /// To be read and written; it must be there.
    Write,
    /// To be read and written; made if it is not there, kept as it is if it is.
    Create,
    /// To be written; it must not be there.
    CreateNew,
}

/// A file system. Paths are absolute.
pub trait Vfs: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>>;
    /// What is there; symbolic links are not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Names in a folder, in no order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes a folder, and those above it that are missing.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Moves a file over another, or a folder to a place where nothing is: at once, for all who look.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Those who have it open or mapped keep it.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that can still be written to the file system that holds `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Several threads may use it at once.
pub trait VfsFile: Send + Sync {
    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes at an offset, growing the file where needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or grows (with zeros).
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes its bytes and its length durable.
    fn sync(&self) -> io::Result<()>;
    /// What it is.
    fn stat(&self) -> io::Result<Stat>;
    /// Takes a lock that other openers respect and that ends with this file or its process: shared with other shared
    /// ones, or alone. `false` if others hold it.
    fn try_lock(&self, shared: bool) -> io::Result<bool>;
}
