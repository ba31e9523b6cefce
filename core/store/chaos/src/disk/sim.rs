//! A file system in memory. What is not synced may be lost when the power goes: each 512-byte sector of each write on
//! its own, each change of a name on its own, in any order.
//!
//! What it grants, because every file system that phones use does: a rename within a folder happens or does not; one
//! across folders never loses the file, though both names may be there afterwards; what was synced stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inkling_store::{Open, Stat, Vfs, VfsFile};

use super::Random;

const SECTOR: usize = 512;

/// The file system. Clones share it.
#[derive(Clone, Default)]
pub struct SimVfs(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    files: HashMap<u64, File>,
    /// Names as the running system sees them, and as they would be after a loss of power.
    names: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    changes: Vec<Change>,
    locks: HashMap<u64, Vec<(u64, bool)>>,
    next_file: u64,
    next_handle: u64,
    time: u64,
    /// How often the power came back: handles from before are dead.
    boots: u64,
    is_off: bool,
    faults: Faults,
    /// Changes made since the beginning.
    steps: u64,
}

/// What goes wrong.
#[derive(Default)]
struct Faults {
    off_at: Option<u64>,
    /// Syncs say that they did and do not.
    lying: bool,
    read_only: bool,
    capacity: Option<u64>,
    /// What it says is free, whatever is.
    claimed: Option<u64>,
    /// Ranges of files that cannot be read.
    bad: HashMap<u64, Vec<Range<u64>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(u64),
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
    modified: u64,
}

enum Write {
    At(u64, Vec<u8>),
    Len(u64),
}

/// A change of names that is not durable yet.
struct Change {
    /// Folders whose sync makes it durable.
    folder: String,
    /// Names that appear.
    add: Option<(String, Node)>,
    /// Names that go.
    remove: Option<String>,
    /// It is only kept if the change before it is.
    follows: bool,
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

fn key(path: &Path) -> String {
    path.to_string_lossy().trim_end_matches('/').to_owned()
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl SimVfs {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns the power off after so many more changes.
    pub fn power_off_after(&self, steps: u64) {
        let mut disk = self.disk();
        disk.faults.off_at = Some(disk.steps + steps);
    }

    /// Whether the power is off: every call fails.
    pub fn is_off(&self) -> bool {
        self.disk().is_off
    }

    /// Changes made so far.
    pub fn steps(&self) -> u64 {
        self.disk().steps
    }

    /// Makes syncs do nothing, as cheap drives do.
    pub fn lie(&self, lying: bool) {
        self.disk().faults.lying = lying;
    }

    /// Refuses every change.
    pub fn read_only(&self, read_only: bool) {
        self.disk().faults.read_only = read_only;
    }

    /// How many bytes fit, and what it says is free whatever is.
    pub fn limit(&self, capacity: Option<u64>, claimed: Option<u64>) {
        let mut disk = self.disk();
        (disk.faults.capacity, disk.faults.claimed) = (capacity, claimed);
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// Another disk with the same files, all of them durable, and no faults.
    pub fn fork(&self) -> Self {
        let disk = self.disk();
        let file = |file: &File| File {
            bytes: file.bytes.clone(),
            durable: file.bytes.clone(),
            pending: Vec::new(),
            modified: file.modified,
        };
        Self(Arc::new(Mutex::new(Disk {
            files: disk.files.iter().map(|(number, data)| (*number, file(data))).collect(),
            names: disk.names.clone(),
            durable: disk.names.clone(),
            next_file: disk.next_file,
            time: disk.time,
            ..Disk::default()
        })))
    }

    /// Makes a range of a file unreadable.
    pub fn fail_reads(&self, path: &Path, range: Range<u64>) {
        let mut disk = self.disk();
        if let Some(Node::File(file)) = disk.names.get(&key(path)).copied() {
            disk.faults.bad.entry(file).or_default().push(range);
        }
    }

    /// All files, with their bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let disk = self.disk();
        let file = |(name, node): (&String, &Node)| match node {
            Node::File(file) => Some((PathBuf::from(name), disk.files.get(file)?.bytes.clone())),
            Node::Folder => None,
        };
        disk.names.iter().filter_map(file).collect()
    }

    /// Changes a file behind everybody's back, durably; its times stay.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        if let Some(Node::File(file)) = disk.names.get(&key(path)).copied()
            && let Some(file) = disk.files.get_mut(&file)
        {
            change(&mut file.bytes);
            file.durable = file.bytes.clone();
            file.pending.clear();
        }
    }

    /// The power goes, if it was on, and comes back. What was not synced is there, or not, or in part, as `seed` has
    /// it. Open files and locks are gone; other faults are too, but for what is limited.
    pub fn crash(&self, seed: u64) {
        let mut disk = self.disk();
        let mut random = Random::new(seed);
        // How much survives differs from crash to crash: often nothing or all, as real disks do.
        let share = [0, 50, 100, random.below(101)][random.index(4)];
        let mut was_kept = true;
        for change in std::mem::take(&mut disk.changes) {
            let kept = random.chance(share) && (was_kept || !change.follows);
            was_kept = kept;
            if kept {
                disk.settle(&change);
            }
        }
        // What is in a folder that was lost is lost.
        let Disk { names, durable, files, .. } = &mut *disk;
        durable.retain(|_, node| !matches!(node, Node::File(file) if !files.contains_key(file)));
        let folders: BTreeSet<String> =
            durable.iter().filter(|(_, node)| **node == Node::Folder).map(|(name, _)| name.clone()).collect();
        durable.retain(|name, _| ancestors(name).all(|above| folders.contains(above)));
        *names = durable.clone();
        let live: BTreeSet<u64> = names.values().filter_map(|node| Some(*node).and_then(Node::file)).collect();
        files.retain(|file, _| live.contains(file));
        // In the order of their numbers, so that a seed means the same each time.
        for file in &live {
            if let Some(file) = files.get_mut(file) {
                file.lose(&mut random, share);
            }
        }
        disk.locks.clear();
        disk.boots += 1;
        disk.is_off = false;
        let Faults { capacity, claimed, .. } = disk.faults;
        disk.faults = Faults { capacity, claimed, ..Faults::default() };
    }
}

impl Node {
    fn file(self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder => None,
        }
    }
}

/// Folders above a name, but for the root.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(parent(name)), |above| Some(parent(above))).take_while(|above| !above.is_empty())
}

impl File {
    /// Keeps some of what was not synced.
    fn lose(&mut self, random: &mut Random, share: u64) {
        for write in std::mem::take(&mut self.pending) {
            match write {
                Write::Len(len) => {
                    if random.chance(share) {
                        self.durable.resize(len as usize, 0);
                    }
                }
                Write::At(offset, bytes) => {
                    let end = offset as usize + bytes.len();
                    // The length may have grown without the bytes: they are zeros then.
                    if self.durable.len() < end && random.chance(share / 2) {
                        self.durable.resize(end, 0);
                    }
                    let mut at = offset as usize;
                    while at < end {
                        let stop = (at / SECTOR + 1) * SECTOR;
                        let stop = stop.min(end);
                        if random.chance(share) {
                            if self.durable.len() < stop {
                                self.durable.resize(stop, 0);
                            }
                            self.durable[at..stop]
                                .copy_from_slice(&bytes[at - offset as usize..stop - offset as usize]);
                        }
                        at = stop;
                    }
                }
            }
        }
        self.bytes = self.durable.clone();
    }
}

impl Disk {
    fn alive(&self) -> io::Result<()> {
        if self.is_off { Err(off()) } else { Ok(()) }
    }

    /// Before a change: whether it may happen, and whether the power goes first.
    fn step(&mut self) -> io::Result<()> {
        self.alive()?;
        if self.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.steps += 1;
        self.time += 1;
        if self.faults.off_at.is_some_and(|at| self.steps >= at) {
            self.is_off = true;
            return Err(off());
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| node.file()).collect::<BTreeSet<_>>();
        files.iter().filter_map(|file| self.files.get(file)).map(|file| file.bytes.len() as u64).sum()
    }

    fn node(&self, name: &str) -> io::Result<Node> {
        if let Some(node) = self.names.get(name) {
            return Ok(*node);
        }
        let in_the_way = ancestors(name).any(|above| matches!(self.names.get(above), Some(Node::File(_))));
        Err(if in_the_way { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound }.into())
    }

    fn folder(&self, name: &str) -> io::Result<()> {
        match self.node(name) {
            _ if name.is_empty() => Ok(()),
            Ok(Node::Folder) => Ok(()),
            Ok(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            Err(error) => Err(error),
        }
    }

    fn change(&mut self, add: Option<(String, Node)>, remove: Option<String>, follows: bool) {
        let name = add.as_ref().map(|(name, _)| name).or(remove.as_ref());
        let folder = name.map(|name| parent(name).to_owned()).unwrap_or_default();
        if let Some(name) = &remove {
            self.names.remove(name);
        }
        if let Some((name, node)) = &add {
            self.names.insert(name.clone(), *node);
        }
        self.changes.push(Change { folder, add, remove, follows });
    }

    fn settle(&mut self, change: &Change) {
        if let Some(name) = &change.remove {
            self.durable.remove(name);
        }
        if let Some((name, node)) = &change.add {
            self.durable.insert(name.clone(), *node);
        }
    }
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn VfsFile>> {
        let mut disk = self.disk();
        disk.alive()?;
        let name = key(path);
        let file = match (disk.node(&name), how) {
            (Ok(Node::Folder), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Ok(Node::File(_)), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(Node::File(_)), _) if how != Open::Read && disk.faults.read_only => {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            (Ok(Node::File(file)), _) => file,
            (Err(error), Open::Read | Open::Write) => return Err(error),
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            (Err(_), _) => {
                disk.folder(parent(&name))?;
                disk.step()?;
                let file = disk.next_file;
                disk.next_file += 1;
                let modified = disk.time;
                disk.files.insert(file, File { modified, ..File::default() });
                disk.change(Some((name, Node::File(file))), None, false);
                file
            }
        };
        let handle = disk.next_handle;
        disk.next_handle += 1;
        Ok(Box::new(SimFile { disk: self.clone(), file, handle, boot: disk.boots }))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let disk = self.disk();
        disk.alive()?;
        match disk.node(&key(path))? {
            Node::Folder => Ok(Stat { len: 0, allocated: 0, is_dir: true, inode: 0, modified: Duration::ZERO }),
            Node::File(file) => disk.stat(file),
        }
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let disk = self.disk();
        disk.alive()?;
        let folder = key(path);
        disk.folder(&folder)?;
        let start = format!("{folder}/");
        let inside = disk.names.range(start.clone()..).map_while(|(name, _)| name.strip_prefix(&start));
        Ok(inside.filter(|rest| !rest.contains('/')).map(PathBuf::from).collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.alive()?;
        let name = key(path);
        let mut above: Vec<&str> = ancestors(&name).collect();
        above.reverse();
        for folder in above.into_iter().chain([name.as_str()]) {
            match disk.node(folder) {
                Ok(Node::Folder) => {}
                Ok(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(_) => {
                    disk.step()?;
                    disk.change(Some((folder.to_owned(), Node::Folder)), None, false);
                }
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let (from, to) = (key(from), key(to));
        let node = disk.node(&from)?;
        disk.folder(parent(&to))?;
        if node == Node::Folder || matches!(disk.names.get(&to), Some(Node::Folder)) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        disk.step()?;
        if parent(&from) == parent(&to) {
            disk.change(Some((to, node)), Some(from), false);
        } else {
            disk.change(Some((to, node)), None, false);
            disk.change(None, Some(from), true);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.alive()?;
        let name = key(path);
        match disk.node(&name)? {
            Node::Folder => Err(io::ErrorKind::IsADirectory.into()),
            Node::File(_) => {
                disk.step()?;
                disk.change(None, Some(name), false);
                Ok(())
            }
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.alive()?;
        let name = key(path);
        disk.folder(&name)?;
        let inside = format!("{name}/");
        if disk.names.range(inside.clone()..).next().is_some_and(|(name, _)| name.starts_with(&inside)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        disk.step()?;
        disk.change(None, Some(name), false);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.step()?;
        let name = key(path);
        disk.folder(&name)?;
        if disk.faults.lying {
            return Ok(());
        }
        // A removal that waits for its new name in another folder takes that along.
        let changes = std::mem::take(&mut disk.changes);
        let mut needed: Vec<bool> = changes.iter().map(|change| change.folder == name).collect();
        for at in (1..changes.len()).rev() {
            if needed[at] && changes[at].follows {
                needed[at - 1] = true;
            }
        }
        for (change, needed) in changes.into_iter().zip(needed) {
            if needed {
                disk.settle(&change);
            } else {
                disk.changes.push(change);
            }
        }
        Ok(())
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        let disk = self.disk();
        disk.alive()?;
        let free = disk.faults.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(disk.used()));
        Ok(disk.faults.claimed.unwrap_or(free))
    }
}

impl Disk {
    fn stat(&self, file: u64) -> io::Result<Stat> {
        let data = self.files.get(&file).ok_or_else(off)?;
        let modified = Duration::from_secs(1_000_000 + data.modified);
        let len = data.bytes.len() as u64;
        // Holes take space here.
        Ok(Stat { len, allocated: len, is_dir: false, inode: file + 1, modified })
    }
}

/// An open file.
struct SimFile {
    disk: SimVfs,
    file: u64,
    handle: u64,
    boot: u64,
}

impl SimFile {
    fn open(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.disk();
        if disk.boots == self.boot { disk.alive().map(|()| disk) } else { Err(off()) }
    }

    fn grow(&self, disk: &mut Disk, end: u64) -> io::Result<()> {
        let len = disk.files.get(&self.file).ok_or_else(off)?.bytes.len() as u64;
        let more = end.saturating_sub(len);
        let full = disk.faults.capacity.is_some_and(|capacity| disk.used() + more > capacity);
        if more > 0 && full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.open()?;
        let end = offset.saturating_add(buffer.len() as u64);
        let bad = disk.faults.bad.get(&self.file).into_iter().flatten();
        if bad.into_iter().any(|bad| bad.start < end && offset < bad.end) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let bytes = &disk.files.get(&self.file).ok_or_else(off)?.bytes;
        let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.open()?;
        disk.step()?;
        self.grow(&mut disk, offset + bytes.len() as u64)?;
        let modified = disk.time;
        let file = disk.files.get_mut(&self.file).ok_or_else(off)?;
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[start..end].copy_from_slice(bytes);
        file.pending.push(Write::At(offset, bytes.to_vec()));
        file.modified = modified;
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.open()?;
        disk.step()?;
        self.grow(&mut disk, len)?;
        let modified = disk.time;
        let file = disk.files.get_mut(&self.file).ok_or_else(off)?;
        file.bytes.resize(len as usize, 0);
        file.pending.push(Write::Len(len));
        file.modified = modified;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.open()?;
        disk.step()?;
        if !disk.faults.lying {
            let file = disk.files.get_mut(&self.file).ok_or_else(off)?;
            file.durable = file.bytes.clone();
            file.pending.clear();
        }
        Ok(())
    }

    fn stat(&self) -> io::Result<Stat> {
        self.open()?.stat(self.file)
    }

    fn try_lock(&self, shared: bool) -> io::Result<bool> {
        let mut disk = self.open()?;
        let locks = disk.locks.entry(self.file).or_default();
        let free = locks.iter().all(|(handle, other)| *handle == self.handle || (shared && *other));
        if free {
            locks.retain(|(handle, _)| *handle != self.handle);
            locks.push((self.handle, shared));
        }
        Ok(free)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut disk = self.disk.disk();
        if disk.boots == self.boot
            && let Some(locks) = disk.locks.get_mut(&self.file)
        {
            locks.retain(|(handle, _)| *handle != self.handle);
        }
    }
}
