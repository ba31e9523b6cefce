//! The file system of the machine.
//!
//! std does most of it. `sync_data` is `F_FULLFSYNC` on Apple's systems, where plain `fsync` leaves bytes in the drive's
//! cache; elsewhere it leaves out times, on which nothing relies. Locks are `flock`: they belong to the open file, so they also keep out a second handle of the same process,
//! and end with the process however it ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock, statvfs};
use rustix::io::Errno;

use super::{Open, Stat, Vfs, VfsFile};

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemVfs;

impl From<fs::Metadata> for Stat {
    fn from(meta: fs::Metadata) -> Self {
        let is_dir = meta.is_dir();
        let seconds = u64::try_from(meta.mtime()).unwrap_or(0);
        let nanos = u32::try_from(meta.mtime_nsec()).unwrap_or(0).min(999_999_999);
        let len = if is_dir { 0 } else { meta.len() };
        // Blocks have 512 bytes here, whatever the disk's have.
        let allocated = meta.blocks().saturating_mul(512);
        Self { len, allocated, is_dir, inode: meta.ino(), modified: Duration::new(seconds, nanos) }
    }
}

impl Vfs for SystemVfs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Write => drop(options.write(true)),
            Open::Create => drop(options.write(true).create(true).truncate(false)),
            Open::CreateNew => drop(options.write(true).create_new(true)),
        }
        if how != Open::Read {
            // Nothing is written through a link that leads out of the store. The flags of every system fit.
            options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
        }
        let file = options.open(path)?;
        // A folder opens for reading and fails later; say it now.
        if how == Open::Read && file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(file))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::symlink_metadata(path).map(Stat::from)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect()
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some file systems (FUSE, as Android's shared storage) cannot sync a folder and say so.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
            other => other,
        }
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl VfsFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // For a large write Linux takes large pages. Where memory must be asked for first, as in many virtual machines, they
        // are the ones that are not there: pieces took half the time (docs/store.md).
        const PIECE: usize = 64 << 10;
        bytes.chunks(PIECE).zip((offset..).step_by(PIECE)).try_for_each(|(piece, at)| self.write_all_at(piece, at))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(Stat::from)
    }

    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        let operation =
            if shared { FlockOperation::NonBlockingLockShared } else { FlockOperation::NonBlockingLockExclusive };
        match flock(self, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_written_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(SystemVfs.open(&path, Open::Write).err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
        let file = SystemVfs.open(&path, Open::CreateNew).unwrap();
        assert!(SystemVfs.open(&path, Open::CreateNew).is_err());
        file.write_at(3, b"abc").unwrap();
        let mut buffer = [9; 8];
        assert_eq!((file.read_at(1, &mut buffer).unwrap(), &buffer[..5]), (5, &b"\0\0abc"[..]));
        assert_eq!(file.stat().unwrap(), SystemVfs.stat(&path).unwrap());
        let other = SystemVfs.open(&path, Open::Read).unwrap();
        assert!(file.try_lock(true).unwrap() && other.try_lock(true).unwrap());
        assert!(!file.try_lock(false).unwrap());
        drop(other);
        assert!(file.try_lock(false).unwrap());
        assert!(!SystemVfs.open(&path, Open::Read).unwrap().try_lock(true).unwrap());
        assert!(SystemVfs.open(folder.path(), Open::Read).is_err());
        SystemVfs.sync_dir(folder.path()).unwrap();
        assert!(SystemVfs.free_space(folder.path()).unwrap() > 0);
        assert_eq!(SystemVfs.read_dir(folder.path()).unwrap(), [PathBuf::from("file")]);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, b"mine").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(SystemVfs.open(&link, Open::Read).is_ok());
        assert!(SystemVfs.open(&link, Open::Create).is_err() && SystemVfs.open(&link, Open::Write).is_err());
    }
}
