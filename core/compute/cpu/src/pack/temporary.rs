//! A file that appears under its name when it is whole.
//!
//! It is written beside its place under a name of its own, and locked as long as its writer lives: the system lets go
//! of the lock of a process that was killed, so whoever comes next can tell an abandoned file from one in the making.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where files cannot be locked, one that nobody has written to for so long is abandoned.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Names that are tried, should somebody take ours for abandoned before it is locked.
const ATTEMPTS: usize = 8;
const SUFFIX: &str = ".part";

/// A file in the making; removed when dropped before [`Temporary::publish`].
pub(super) struct Temporary {
    file: Option<File>,
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    /// A new file that is to become `target`, whose folder is made if need be. Abandoned ones are removed.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bad = || io::Error::from(io::ErrorKind::InvalidFilename);
        let (folder, name) = (target.parent().ok_or_else(bad)?, target.file_name().ok_or_else(bad)?);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::create_dir_all(folder)?;
        let prefix = format!(".{}.", name.to_string_lossy());
        remove_abandoned(folder, &prefix);
        for _ in 0..ATTEMPTS {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{prefix}{}-{count}{SUFFIX}", std::process::id()));
            let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => continue,
                // No locks here: `ABANDONED` holds.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if fs::exists(&path)? {
                return Ok(Self { file: Some(file), path, target: target.to_owned() });
            }
        }
        Err(io::Error::other("others remove each new file in the folder"))
    }

    /// The file, to write to and to read.
    pub(super) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Brings the file to the disk and then under its name, in place of what is there.
    pub(super) fn publish(mut self) -> io::Result<File> {
        self.file()?.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        let file = self.file.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            // Without it a crash may bring back the old name; then the file is made again.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        let _ = file.unlock();
        Ok(file)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whoever comes next tries again.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what killed processes left. Whatever goes wrong here is no reason not to write.
fn remove_abandoned(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with(prefix) && name.ends_with(SUFFIX);
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // Locked until it is gone: its writer may have made it a moment ago and be about to lock it.
            let Some(_locked) = abandoned(&entry.path()) else { continue };
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file that nobody writes any more, locked where that can be.
fn abandoned(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let is_abandoned = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|found| found.modified());
            modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED))
        }
    };
    is_abandoned.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn appears_when_whole_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("made/panels");
        let first = Temporary::create(&target).unwrap();
        first.file().unwrap().write_all(b"first").unwrap();
        assert!(!target.exists());
        // A second writer neither disturbs the first nor takes it for abandoned.
        let second = Temporary::create(&target).unwrap();
        second.file().unwrap().write_all(b"second").unwrap();
        assert_eq!(files(target.parent().unwrap()).len(), 2);
        drop(second);
        assert_eq!(files(target.parent().unwrap()).len(), 1);
        first.publish().unwrap();
        assert_eq!(files(target.parent().unwrap()), ["panels"]);
        assert_eq!(fs::read(&target).unwrap(), b"first");
    }

    #[test]
    fn abandoned_files_go_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".panels.1-0.part", ".panels.1-1.part", ".other.1-0.part", ".panels.txt", "panels"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        drop(Temporary::create(&folder.path().join("panels")).unwrap());
        assert_eq!(files(folder.path()), [".other.1-0.part", ".panels.txt", "panels"]);
    }
}
