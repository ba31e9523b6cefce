//! Objects: files that are complete, verified and never changed. Finding, verifying, trusting and leasing them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use inkling_base::CancelToken;
use serde::{Deserialize, Serialize};

use super::checked::{CHUNKS, TRUSTED};
use super::table::{Sum, Table};
use super::{Disk, Inner, lock, read_whole};
use crate::{Chunks, Digest, FilePlan, Hasher, Open, StoreError, Vfs, VfsFile};

/// A file that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its digest.
    pub digest: Digest,
    /// Where it is. Use it under a [`Lease`].
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// A chunk that is not what was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk {
    /// Which, counted from 0.
    pub index: usize,
    /// The disk could not read it at all.
    pub failing_storage: bool,
}

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is not.
    Not,
    /// It is, as far as is known.
    Installed,
    /// It is, and was looked at just now: some of it is to be repaired.
    Damaged,
}

/// What tells whether a file is still the one that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

/// A hold on an object: while it lives, nothing evicts, collects or replaces the file. It is a shared lock on the file,
/// so it holds against other processes too, and ends with this one however that ends.
pub struct Lease {
    object: Object,
    _file: Box<dyn VfsFile>,
}

impl Lease {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.object.path
    }

    /// The file.
    pub fn object(&self) -> &Object {
        &self.object
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.object.digest).finish()
    }
}

pub(super) fn read_trusted(vfs: &dyn Vfs, base: &Path) -> BTreeMap<Digest, Mark> {
    // If it is lost, objects are verified once more.
    let bytes = read_whole(vfs, &base.join("trusted"), TRUSTED.largest_file()).ok().flatten().unwrap_or_default();
    TRUSTED.decode(&bytes).ok().and_then(|payload| serde_json::from_slice(payload).ok()).unwrap_or_default()
}

impl Disk {
    /// The object with this digest, if it is installed.
    pub fn object(&self, digest: &Digest) -> Result<Option<Object>, StoreError> {
        let path = self.inner.object_path(digest);
        match self.inner.vfs.stat(&path) {
            Ok(stat) if !stat.is_dir => Ok(Some(Object { digest: *digest, path, size: stat.len })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("looking for", &path)(error)),
        }
    }

    pub(super) fn need(&self, digest: &Digest) -> Result<Object, StoreError> {
        self.object(digest)?.ok_or_else(|| StoreError::NotFound { what: format!("the file {digest}") })
    }

    /// How an object is cut. A table that is lost or damaged is made again, plainly cut, after the whole file was verified,
    /// which takes as long as that takes.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`] if the table is lost and the file is damaged.
    pub fn chunks(&self, digest: &Digest) -> Result<Chunks, StoreError> {
        let object = self.need(digest)?;
        let table = self.inner.read_table(&self.inner.chunks_path(digest))?;
        let table = table.map_or_else(|| self.rebuild_table(&object, &CancelToken::new(), &mut |_, _| {}), Ok)?;
        Ok(table.chunks)
    }

    fn rebuild_table(
        &self,
        object: &Object,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Table, StoreError> {
        let plain = Chunks::plain(object.size);
        let mut sums = Vec::new();
        self.compare_whole(object, &plain, cancel, &mut |bytes, done| {
            sums.push(Sum::of(bytes));
            progress(done, object.size);
        })?;
        let table = Table::own(plain, sums).ok_or_else(|| StoreError::Internal("a chunk has no sum".to_owned()))?;
        self.replace_table(object, &table)?;
        Ok(table)
    }

    /// Writes the table of an object, if that is there still.
    fn replace_table(&self, object: &Object, table: &Table) -> Result<(), StoreError> {
        let _names = lock(&self.inner.names);
        self.need(&object.digest)?;
        self.inner.write_table(&self.inner.chunks_path(&object.digest), table)
    }

    /// Reads all of an object, hears each chunk, and compares the digest of the whole.
    fn compare_whole(
        &self,
        object: &Object,
        chunks: &Chunks,
        cancel: &CancelToken,
        hear: &mut dyn FnMut(&[u8], u64),
    ) -> Result<(), StoreError> {
        let file = self.inner.open_object(&object.path)?;
        let (mut whole, mut buffer) = (Hasher::new(), Vec::new());
        for index in 0..chunks.len() {
            cancel.check()?;
            if !read_chunk(&*file, chunks, index, &mut buffer).map_err(StoreError::io("reading", &object.path))? {
                break;
            }
            whole.update(&buffer);
            let (start, length) = chunks.range(index);
            hear(&buffer, start + length);
        }
        let got = whole.finish();
        let is_right = got == object.digest && chunks.size() == object.size;
        if is_right { Ok(()) } else { Err(StoreError::WrongDigest { want: object.digest, got }) }
    }

    /// Reads every chunk and compares. Gives those that are not what was installed; after none, the object is trusted.
    /// `progress` is told bytes done and in all.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`] if every chunk is what a publisher said, and the whole is not: he contradicts himself,
    /// and fetching it again would not help.
    pub fn verify(
        &self,
        digest: &Digest,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<BadChunk>, StoreError> {
        let object = self.need(digest)?;
        let mark = self.inner.mark_of(&object.path)?;
        let Some(mut table) = self.inner.read_table(&self.inner.chunks_path(digest))? else {
            return match self.rebuild_table(&object, cancel, progress) {
                Ok(_) => self.remember(digest, mark).map(|()| Vec::new()),
                Err(StoreError::Cancelled) => Err(StoreError::Cancelled),
                // Nothing tells good chunks from bad ones.
                Err(error) => {
                    let all = 0..Chunks::plain(object.size).len();
                    let failing_storage = error.is_failing_storage();
                    Ok(all.map(|index| BadChunk { index, failing_storage }).collect())
                }
            };
        };
        // The digest of the whole says more than those of all chunks, for the same work.
        let mut failure = None;
        if !table.whole {
            match self.compare_whole(&object, &table.chunks, cancel, &mut |_, done| progress(done, object.size)) {
                Ok(()) => {
                    table.whole = true;
                    // If it cannot be written, it is compared once more.
                    let _ = self.replace_table(&object, &table);
                    return self.remember(digest, mark).map(|()| Vec::new());
                }
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                Err(error) => failure = Some(error),
            }
        }
        let bad = self.bad_chunks(&object, &table, cancel, progress)?;
        match failure {
            // Also a disk that could read it all the second time: the whole was never compared.
            Some(error) if bad.is_empty() => Err(error),
            _ if bad.is_empty() => self.remember(digest, mark).map(|()| bad),
            _ => self.distrust(digest).map(|()| bad),
        }
    }

    fn bad_chunks(
        &self,
        object: &Object,
        table: &Table,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<BadChunk>, StoreError> {
        let file = self.inner.open_object(&object.path)?;
        let (chunks, mut bad, mut buffer) = (&table.chunks, Vec::new(), Vec::new());
        for index in 0..chunks.len() {
            cancel.check()?;
            match read_chunk(&*file, chunks, index, &mut buffer) {
                Ok(true) if table.is_right(index, &buffer) => {}
                Ok(_) => bad.push(BadChunk { index, failing_storage: false }),
                Err(_) => bad.push(BadChunk { index, failing_storage: true }),
            }
            let (start, length) = chunks.range(index);
            progress(start + length, object.size);
        }
        if object.size != chunks.size() && bad.is_empty() {
            // Longer than it was: the last chunk is where it differs.
            bad.push(BadChunk { index: chunks.len().saturating_sub(1), failing_storage: false });
        }
        Ok(bad)
    }

    /// Whether the file of this plan is installed. Under the name of its digest may be a file of which only the chunks
    /// were compared, with what some other publisher said they are: before this plan relies on it, the whole is compared,
    /// and what is not what its name says goes into quarantine.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn holds(&self, plan: &FilePlan, cancel: &CancelToken) -> Result<Held, StoreError> {
        let Some(object) = self.object(&plan.sha256)? else { return Ok(Held::Not) };
        let table = self.inner.read_table(&self.inner.chunks_path(&plan.sha256))?;
        if table.is_none_or(|table| table.whole || table.chunks == plan.chunks) {
            return Ok(Held::Installed);
        }
        match self.verify(&plan.sha256, cancel, &mut |_, _| {}) {
            Ok(bad) => Ok(if bad.is_empty() { Held::Installed } else { Held::Damaged }),
            Err(StoreError::WrongDigest { .. }) => self.expel(&object).map(|()| Held::Not),
            Err(StoreError::NotFound { .. }) => Ok(Held::Not),
            Err(error) => Err(error),
        }
    }

    /// Takes away the name of an object that it does not deserve. Who has it open keeps it.
    fn expel(&self, object: &Object) -> Result<(), StoreError> {
        let inner = &self.inner;
        let _names = lock(&inner.names);
        inner.rename(&object.path, &inner.quarantine_path(&object.digest))?;
        inner.remove_file(&inner.chunks_path(&object.digest))?;
        inner.sync_dir(&inner.root.join("quarantine"))?;
        inner.sync_dir(&inner.root.join("objects"))
    }

    /// Whether the object was verified and its file has not changed since: a matter of one `stat`.
    pub fn trusts(&self, digest: &Digest) -> bool {
        let known = lock(&self.inner.trusted).get(digest).copied();
        known.is_some_and(|known| self.inner.mark_of(&self.inner.object_path(digest)).is_ok_and(|mark| mark == known))
    }

    /// Remembers that somebody verified the object as it is now (while it was mapped, say).
    pub fn trust(&self, digest: &Digest) -> Result<(), StoreError> {
        let mark = self.inner.mark_of(&self.inner.object_path(digest))?;
        self.remember(digest, mark)
    }

    /// Forgets that the object was verified.
    pub fn distrust(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut trusted = lock(&self.inner.trusted);
        if trusted.remove(digest).is_none() {
            return Ok(());
        }
        // If it cannot be written, it must not be there.
        self.inner
            .write_trusted(&trusted)
            .or_else(|_| self.inner.remove_file(&self.inner.root.join("trusted")).map(drop))
    }

    fn remember(&self, digest: &Digest, mark: Mark) -> Result<(), StoreError> {
        let mut trusted = lock(&self.inner.trusted);
        if trusted.get(digest) == Some(&mark) {
            return Ok(());
        }
        trusted.insert(*digest, mark);
        trusted.retain(|digest, _| self.inner.vfs.stat(&self.inner.object_path(digest)).is_ok());
        // If it cannot be written, as on a full disk, it holds until the store is closed.
        let _ = self.inner.write_trusted(&trusted);
        Ok(())
    }

    /// Takes a hold on an object for as long as somebody reads it.
    pub fn lease(&self, digest: &Digest) -> Result<Lease, StoreError> {
        let _names = lock(&self.inner.names);
        let object = self.need(digest)?;
        let file = self.inner.open_object(&object.path)?;
        if file.try_lock(true).map_err(StoreError::io("locking", &object.path))? {
            Ok(Lease { object, _file: file })
        } else {
            Err(StoreError::InUse { what: format!("the file {digest}") })
        }
    }

    /// Whether somebody holds a lease on it, here or in another process.
    pub fn is_leased(&self, digest: &Digest) -> bool {
        self.inner.is_leased(&self.inner.object_path(digest))
    }

    /// The folder for what is derived from an object; it is counted with the object and goes with it.
    pub fn panels(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        self.need(digest)?;
        let path = self.inner.panels_path(digest);
        self.inner.vfs.create_dir_all(&path).map_err(self.inner.failed("making the folder", &path, 1 << 12))?;
        Ok(path)
    }
}

impl Inner {
    pub(super) fn open_object(&self, path: &Path) -> Result<Box<dyn VfsFile>, StoreError> {
        self.vfs.open(path, Open::Read).map_err(gone("opening", path))
    }

    /// The table of chunks; `None` if it is lost or damaged. A file of another size than the table's keeps it: that is how
    /// it is found out.
    pub(super) fn read_table(&self, path: &Path) -> Result<Option<Table>, StoreError> {
        // What cannot be read is lost.
        let bytes = read_whole(&*self.vfs, path, CHUNKS.largest_file()).ok().flatten().unwrap_or_default();
        let table = CHUNKS.decode(&bytes).ok().and_then(|payload| serde_json::from_slice::<Table>(payload).ok());
        Ok(table.filter(Table::is_sound))
    }

    pub(super) fn write_table(&self, path: &Path, table: &Table) -> Result<(), StoreError> {
        let payload = serde_json::to_vec(table).map_err(|error| StoreError::Internal(error.to_string()))?;
        self.write_whole(path, &CHUNKS.encode(&payload))
    }

    pub(super) fn mark_of(&self, path: &Path) -> Result<Mark, StoreError> {
        let stat = self.vfs.stat(path).map_err(gone("looking at", path))?;
        // Nanoseconds fit until the year 2554.
        Ok(Mark { inode: stat.inode, size: stat.len, modified: stat.modified.as_nanos() as u64 })
    }

    pub(super) fn write_trusted(&self, trusted: &BTreeMap<Digest, Mark>) -> Result<(), StoreError> {
        let payload = serde_json::to_vec(trusted).map_err(|error| StoreError::Internal(error.to_string()))?;
        self.write_whole(&self.root.join("trusted"), &TRUSTED.encode(&payload))
    }

    pub(super) fn is_leased(&self, path: &Path) -> bool {
        match self.vfs.open(path, Open::Read) {
            // If nobody knows, it is.
            Ok(file) => !file.try_lock(false).unwrap_or(false),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// For `map_err`: an object that somebody removed a moment ago is not there.
fn gone(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { what: path.display().to_string() },
        _ => StoreError::io(doing, &path)(error),
    }
}

/// Reads a chunk. `false` if the file ends before it does.
pub(super) fn read_chunk(file: &dyn VfsFile, chunks: &Chunks, index: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let (start, length) = chunks.range(index);
    // At most 1 MiB.
    buffer.resize(length as usize, 0);
    Ok(file.read_at(start, buffer)? == buffer.len())
}
