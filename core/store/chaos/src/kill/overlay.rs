//! A file system that reads what is on the disk and keeps what is written to itself: the parent opens the store of a killed
//! child through it, and the next child finds it as the kill left it. Nothing is copied or synced, so it costs little.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use inkling_store::vfs::Stat;
use inkling_store::{Open, SystemVfs, Vfs, VfsFile};

/// The file system.
#[derive(Default)]
pub struct Overlay(Mutex<BTreeMap<PathBuf, Node>>);

/// What is known of a path, in place of what the disk has there.
#[derive(Clone)]
enum Node {
    Gone,
    Folder,
    /// A file of the disk, which has another name here.
    Disk(PathBuf),
    File(Arc<Mutex<Vec<u8>>>),
}

fn not_found<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Overlay {
    fn nodes(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, path: &Path) -> Node {
        self.nodes().get(path).cloned().unwrap_or_else(|| Node::Disk(path.to_owned()))
    }

    fn keep(&self, path: &Path, bytes: Vec<u8>) -> Box<dyn VfsFile> {
        let bytes = Arc::new(Mutex::new(bytes));
        self.nodes().insert(path.to_owned(), Node::File(Arc::clone(&bytes)));
        Box::new(Memory(bytes))
    }
}

impl Vfs for Overlay {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let is_there = self.stat(path).is_ok();
        match (self.node(path), how) {
            (_, Open::CreateNew) if is_there => Err(io::ErrorKind::AlreadyExists.into()),
            (Node::Folder, _) => Err(io::ErrorKind::IsADirectory.into()),
            (Node::File(bytes), _) => Ok(Box::new(Memory(bytes))),
            (Node::Disk(disk), Open::Read) => SystemVfs.open(&disk, Open::Read),
            (Node::Disk(disk), _) if is_there => Ok(self.keep(path, std::fs::read(disk)?)),
            (_, Open::Create | Open::CreateNew) => Ok(self.keep(path, Vec::new())),
            _ => not_found(),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let modified = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match self.node(path) {
            Node::Gone => not_found(),
            Node::Folder => Ok(Stat { len: 0, allocated: 0, is_dir: true, inode: 1, modified }),
            Node::Disk(disk) => SystemVfs.stat(&disk),
            Node::File(bytes) => {
                // No file of the disk has a number like this.
                let inode = u64::MAX - Arc::as_ptr(&bytes).addr() as u64;
                let len = lock(&bytes).len() as u64;
                Ok(Stat { len, allocated: len, is_dir: false, inode, modified })
            }
        }
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names: BTreeMap<OsString, bool> = match self.node(path) {
            Node::Disk(disk) => {
                SystemVfs.read_dir(&disk)?.into_iter().map(|name| (name.into_os_string(), true)).collect()
            }
            Node::Folder => BTreeMap::new(),
            _ => return not_found(),
        };
        for (place, node) in self.nodes().iter().filter(|(place, _)| place.parent() == Some(path)) {
            if let Some(name) = place.file_name() {
                names.insert(name.to_owned(), !matches!(node, Node::Gone));
            }
        }
        Ok(names.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name.into()).collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        for folder in path.ancestors() {
            if self.stat(folder).is_err() {
                self.nodes().insert(folder.to_owned(), Node::Folder);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.stat(from)?;
        // The store renames files only.
        let node = self.node(from);
        self.nodes().insert(to.to_owned(), node);
        self.nodes().insert(from.to_owned(), Node::Gone);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.stat(path)?;
        self.nodes().insert(path.to_owned(), Node::Gone);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.read_dir(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove_file(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        SystemVfs.free_space(path)
    }
}

/// A file that is nowhere else.
struct Memory(Arc<Mutex<Vec<u8>>>);

impl VfsFile for Memory {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = lock(&self.0);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let (start, end) = (offset as usize, offset as usize + new.len());
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(new);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.0).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        let modified = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let len = lock(&self.0).len() as u64;
        Ok(Stat { len, allocated: len, is_dir: false, inode: u64::MAX, modified })
    }

    fn try_lock(&self, _: bool) -> io::Result<bool> {
        Ok(true) // Nobody else has it.
    }
}
