//! The store's folder. What is in it is the truth about what is installed; there is no database beside it.
//!
//! ```text
//! v1/
//!   LOCK                    locked while a process has the store; holds its number, for the message
//!   STORE  STORE.copy       marks the folder as a store; this installation's id
//!   slots/<id>.slot .copy   which release of a model is used: the truth
//!   objects/<sha256>        complete and verified; never changed; presence means that
//!   objects/<sha256>.chunks where its chunks end and what their digests or sums are
//!   panels/<sha256>/        what the engine derived from it
//!   staging/<sha256>/       data, plan, have, have.copy: being put together; awaited: somebody else fetches it, and for what
//!   quarantine/             damaged objects, until somebody collects them
//!   trust/<name>.state .copy   records of other modules
//!   ballast                 gives way to slots when the disk is full
//!   trusted                 objects that were verified once and have not changed since
//! ```
//!
//! Three rules make it survive a crash at any instant. A file appears under its name by a rename after its bytes were
//! synced. A name is relied on only after its folder was synced. What says that something is there is written after it.
//!
//! | file | what |
//! |---|---|
//! | `checked` | records that know whether they are whole |
//! | `records` | records in two copies; slots, states |
//! | `objects`, `table` | finding, verifying, trusting, leasing; what tells a right chunk from a wrong one |
//! | `staging`, `have`, `ahead` | putting a file together; which chunks are there; its digest while it comes |
//! | `awaited` | files that somebody else fetches, and for which release |
//! | `repair` | fetching only what is damaged |
//! | `space`, `spare` | usage, collection, eviction; what could go |

mod ahead;
mod awaited;
pub(crate) mod checked;
mod have;
mod objects;
mod records;
mod repair;
mod space;
mod spare;
mod staging;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Digest, Open, StoreError, Vfs, VfsFile};

pub use awaited::Awaited;
pub use objects::{BadChunk, Held, Lease, Object};
pub use space::{EvictPolicy, Evicted, ObjectUsage, Staged, Usage};
pub use staging::Staging;

/// The layout that this version reads and writes.
const LAYOUT: &str = "v1";

/// A file that is in the way on purpose: when the disk is full it goes, and there is room for a slot.
const BALLAST: &str = "ballast";
/// Its bytes: a slot is some kilobytes, and written twice.
const BALLAST_BYTES: usize = 64 << 10;

/// How a store treats its disk.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Arrived bytes after which they are synced and noted: what a crash may cost. At most twice as many are ever
    /// unsynced.
    pub checkpoint_bytes: u64,
    /// Time after which a slower download is noted all the same.
    pub checkpoint_every: Duration,
    /// Bytes that stay free for everybody else.
    pub keep_free: u64,
    /// Whether the digest of a file is computed on a thread of its own while the file arrives.
    pub hash_ahead: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            checkpoint_bytes: 16 << 20,
            checkpoint_every: Duration::from_secs(5),
            keep_free: 64 << 20,
            hash_ahead: true,
        }
    }
}

/// An open store. Clones share it; the last one that goes unlocks it.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

struct Inner {
    vfs: Arc<dyn Vfs>,
    /// The folder of the layout.
    root: PathBuf,
    settings: Settings,
    install_id: [u8; 16],
    /// Held while names of slots and objects change.
    names: Mutex<()>,
    /// Files that are being put together.
    open: Mutex<BTreeSet<Digest>>,
    /// Objects that were finished and that no slot names yet.
    held: Mutex<BTreeSet<Digest>>,
    trusted: Mutex<BTreeMap<Digest, objects::Mark>>,
    /// Bytes that files will have that are being put together, as the plans say that have these marks.
    planned: Mutex<BTreeMap<Digest, (objects::Mark, u64)>>,
    /// Unlocks when it goes.
    _lock: Box<dyn VfsFile>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Disk").field(&self.inner.root).finish()
    }
}

/// The guard, also if a thread panicked with it: nothing that is guarded here is ever left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Opens the store at `root`, or makes one there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if somebody has it open; [`StoreError::NoStore`] if `root` is a file, cannot be written,
    /// or belongs to another version.
    pub fn open(vfs: Arc<dyn Vfs>, root: &Path) -> Result<Self, StoreError> {
        Self::open_with(vfs, root, Settings::default())
    }

    /// [`Disk::open`] with other settings.
    pub fn open_with(vfs: Arc<dyn Vfs>, root: &Path, settings: Settings) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(StoreError::io("finding the folder", root))?;
        refuse_others(&*vfs, &root)?;
        let base = root.join(LAYOUT);
        for folder in ["slots", "objects", "panels", "staging", "quarantine", "trust"] {
            vfs.create_dir_all(&base.join(folder)).map_err(unusable(&root, "making the folder"))?;
        }
        let lock = take_lock(&*vfs, &root, &base)?;
        // Before anything is put in order: what looks like a leftover may be another version's.
        records::refuse_foreign(&*vfs, &root, &base)?;
        recover(&*vfs, &base)?;
        let install_id = records::mark(&*vfs, &root, &base)?;
        // The names of the folders themselves; always, because whoever made them may have been killed before this.
        for folder in [&base, &root] {
            vfs.sync_dir(folder).map_err(StoreError::io("syncing", folder))?;
        }
        if let Some(above) = root.parent() {
            // It need not be ours to open.
            let _ = vfs.sync_dir(above);
        }
        put_ballast(&*vfs, &base, settings.keep_free);
        let trusted = objects::read_trusted(&*vfs, &base);
        let inner = Inner {
            vfs,
            root: base,
            settings,
            install_id,
            names: Mutex::new(()),
            open: Mutex::default(),
            held: Mutex::default(),
            trusted: Mutex::new(trusted),
            planned: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folder of the layout, below the root.
    pub fn folder(&self) -> &Path {
        &self.inner.root
    }

    /// What tells this installation from others: random, made once, sent nowhere.
    pub fn install_id(&self) -> [u8; 16] {
        self.inner.install_id
    }

    /// Bytes that can still be written, without those that stay free.
    pub fn free(&self) -> Result<u64, StoreError> {
        Ok(self.inner.free_space()?.saturating_sub(self.inner.settings.keep_free))
    }

    /// The file system that it is on.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.inner.vfs
    }
}

impl Inner {
    fn object_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("objects").join(digest.to_string())
    }

    fn chunks_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("objects").join(format!("{digest}.chunks"))
    }

    fn quarantine_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("quarantine").join(digest.to_string())
    }

    fn quarantined_chunks_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("quarantine").join(format!("{digest}.chunks"))
    }

    fn staging_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("staging").join(digest.to_string())
    }

    fn panels_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("panels").join(digest.to_string())
    }

    /// There may be room for it again.
    fn put_ballast(&self) {
        put_ballast(&*self.vfs, &self.root, self.settings.keep_free);
    }

    fn free_space(&self) -> Result<u64, StoreError> {
        self.vfs.free_space(&self.root).map_err(StoreError::io("asking for the free space at", &self.root))
    }

    /// For `map_err`: a full disk is said with its numbers, anything else as it is.
    fn failed<'a>(&'a self, doing: &'static str, path: &'a Path, need: u64) -> impl FnOnce(io::Error) -> StoreError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let have = self.vfs.free_space(&self.root).unwrap_or(0).min(need.saturating_sub(1));
                StoreError::Full { what: format!("{doing} {}", path.display()), need, have }
            }
            _ => StoreError::Io { doing, path: path.to_owned(), source },
        }
    }

    /// Writes a file so that it is there whole or not at all. Its folder is for the caller to sync.
    fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        write_whole(&*self.vfs, path, bytes).map_err(self.failed("writing", path, bytes.len() as u64))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), StoreError> {
        self.vfs.sync_dir(path).map_err(self.failed("syncing", path, 1))
    }

    fn remove_file(&self, path: &Path) -> Result<bool, StoreError> {
        match self.vfs.remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("removing", path)(error)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.vfs.rename(from, to).map_err(self.failed("moving", from, 1))
    }
}

/// Names end with this while their file is written.
const TEMPORARY: &str = ".tmp";

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

fn write_whole(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = temporary(path);
    let write = || {
        let file = match vfs.open(&aside, Open::CreateNew) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                vfs.remove_file(&aside)?;
                vfs.open(&aside, Open::CreateNew)?
            }
            other => other?,
        };
        file.write_at(0, bytes)?;
        file.sync()?;
        drop(file);
        vfs.rename(&aside, path)
    };
    write().inspect_err(|_| drop(vfs.remove_file(&aside)))
}

/// The bytes of a small file; `None` if it is not there. One that is larger than it may be comes back empty, which no
/// record is.
fn read_whole(vfs: &dyn Vfs, path: &Path, largest: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match vfs.open(path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let len = file.stat()?.len;
    let mut bytes = vec![0; if len > largest { 0 } else { len as usize }];
    let got = file.read_at(0, &mut bytes)?;
    bytes.truncate(got);
    Ok(Some(bytes))
}

/// For `map_err` while a store is opened: what cannot be written is no store.
fn unusable(root: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = root.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::NoStore {
            path,
            why: format!("it cannot be written ({source}): choose a folder of the app's own"),
        },
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            StoreError::NoStore { path, why: format!("a file is in its way ({source}): choose a folder") }
        }
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
            StoreError::NoStore { path, why: format!("it cannot be made ({source}): choose another folder") }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { what: format!("the store at {}", path.display()), need: 1 << 12, have: 0 }
        }
        _ => StoreError::Io { doing, path, source },
    }
}

/// Refuses what is no folder, and folders in which another version keeps its store.
fn refuse_others(vfs: &dyn Vfs, root: &Path) -> Result<(), StoreError> {
    let names = match vfs.read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(unusable(root, "reading the folder"))?,
    };
    for name in names.iter().filter_map(|name| name.to_str()) {
        let version = name.strip_prefix('v').filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()));
        if version.is_some() && name != LAYOUT {
            let why =
                format!("it holds {name}, the layout of another version: update this library, or choose a folder");
            return Err(StoreError::NoStore { path: root.to_owned(), why });
        }
    }
    Ok(())
}

fn take_lock(vfs: &dyn Vfs, root: &Path, base: &Path) -> Result<Box<dyn VfsFile>, StoreError> {
    let path = base.join("LOCK");
    let file = vfs.open(&path, Open::Create).map_err(unusable(root, "opening the lock of"))?;
    if !file.try_lock(false).map_err(StoreError::io("locking", &path))? {
        let mut text = [0; 64];
        let got = file.read_at(0, &mut text).unwrap_or(0);
        let by = String::from_utf8_lossy(&text[..got]).trim().to_owned();
        let by = if by.is_empty() { "another process".to_owned() } else { by };
        return Err(StoreError::Locked { path: root.to_owned(), by });
    }
    // Only for the message, so it may fail, as on a full disk.
    let _ = file.set_len(0);
    let _ = file.write_at(0, format!("process {}\n", std::process::id()).as_bytes());
    Ok(file)
}

fn put_ballast(vfs: &dyn Vfs, base: &Path, keep_free: u64) {
    let path = base.join(BALLAST);
    let is_there = vfs.stat(&path).is_ok_and(|stat| stat.len == BALLAST_BYTES as u64);
    let free = vfs.free_space(base).unwrap_or(0);
    if !is_there && free > keep_free + 2 * BALLAST_BYTES as u64 {
        // Without it a full disk is only less comfortable. Not zeros: they may take no space.
        let bytes: Vec<u8> = (0..BALLAST_BYTES).map(|at| (at % 251) as u8).collect();
        let _ = write_whole(vfs, &path, &bytes);
    }
}

/// Removes what a crash left that nobody can use: temporaries, tables without their objects, staging of what is there.
fn recover(vfs: &dyn Vfs, base: &Path) -> Result<(), StoreError> {
    let names = |folder: &Path| vfs.read_dir(folder).map_err(StoreError::io("reading the folder", folder));
    let sweep = |folder: &Path| -> Result<Vec<String>, StoreError> {
        let names = names(folder)?.into_iter().filter_map(|name| name.into_os_string().into_string().ok());
        let (aside, rest) = names.partition::<Vec<_>, _>(|name| name.ends_with(TEMPORARY));
        for name in aside {
            let path = folder.join(name);
            // A full or failing disk must not keep anybody from what is installed.
            let _ = vfs.remove_file(&path);
        }
        Ok(rest)
    };
    for folder in ["slots", "trust", "quarantine"] {
        sweep(&base.join(folder))?;
    }
    sweep(base)?;
    let objects = base.join("objects");
    let present: BTreeSet<String> = sweep(&objects)?.into_iter().collect();
    for name in &present {
        if name.strip_suffix(".chunks").is_some_and(|digest| !present.contains(digest)) {
            let _ = vfs.remove_file(&objects.join(name));
        }
    }
    let staging = base.join("staging");
    for name in sweep(&staging)? {
        let folder = staging.join(&name);
        if present.contains(&name) {
            // Its bytes may be the object's own, if the disk kept both names.
            let _ = remove_folder(vfs, &folder);
        } else if vfs.stat(&folder).is_ok_and(|stat| stat.is_dir) {
            sweep(&folder)?;
        }
    }
    let panels = base.join("panels");
    for name in sweep(&panels)? {
        let quarantined = vfs.stat(&base.join("quarantine").join(&name)).is_ok();
        if !present.contains(&name) && !quarantined && vfs.stat(&staging.join(&name)).is_err() {
            let _ = remove_folder(vfs, &panels.join(&name));
        }
    }
    Ok(())
}

/// Removes a folder of files; folders in it are left, and the folder with them.
fn remove_folder(vfs: &dyn Vfs, folder: &Path) -> io::Result<()> {
    let names = match vfs.read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // What says that the rest is there goes first.
    let mut names = names;
    names.sort_by_key(|name| name.to_str().is_none_or(|name| !name.starts_with("have")));
    for name in names {
        let path = folder.join(name);
        if !vfs.stat(&path)?.is_dir {
            vfs.remove_file(&path)?;
        }
    }
    vfs.remove_dir(folder)
}
