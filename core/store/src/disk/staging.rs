//! A file that is being put together, until it is an object.
//!
//! Chunks are written where they belong, in any order, from several threads. Every few MiB the data is synced and only
//! then the record of what is there is written: after a crash, chunks since then are simply not there. The chunks of the
//! last such batch are verified again before they are believed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use inkling_base::CancelToken;

use super::ahead::Ahead;
use super::checked::PLAN;
use super::have::{Have, plan_bytes};
use super::objects::{Object, read_chunk};
use super::{Disk, Inner, lock, read_whole, remove_folder};
use crate::plan::LARGEST_FILE;
use crate::{Digest, FilePlan, Hasher, Landing, Open, StoreError, VfsFile};

/// A file that is being put together. Dropping it keeps what has arrived, for [`Disk::stage`] to go on from.
pub struct Staging {
    disk: Disk,
    plan: Arc<FilePlan>,
    plan_digest: Digest,
    folder: PathBuf,
    file: Arc<dyn VfsFile>,
    arrivals: Arc<Arrivals>,
    /// One record is written at a time; how often it was.
    recording: Mutex<u64>,
    ahead: Mutex<Option<Ahead>>,
    _claim: Claim,
}

/// What has arrived, shared with the thread that hashes.
pub(super) struct Arrivals {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    chunks: Vec<Chunk>,
    /// Digests on arrival, where the plan has none.
    digests: Vec<Option<Digest>>,
    /// What the last record says.
    durable: Vec<bool>,
    /// Bytes that arrived since then.
    fresh: u64,
    recorded: Instant,
    /// A write of the disk was lost: nothing that is not in the record is sure.
    broken: bool,
    done: bool,
    stop: bool,
    /// Bytes that the hash has passed.
    hashed: u64,
    hash: Option<io::Result<Digest>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Missing,
    /// Somebody is writing it.
    Coming,
    Here,
}

impl Arrivals {
    fn new(here: &[bool], digests: Vec<Option<Digest>>) -> Arc<Self> {
        let state = State {
            chunks: here.iter().map(|&here| if here { Chunk::Here } else { Chunk::Missing }).collect(),
            digests,
            durable: here.to_vec(),
            fresh: 0,
            recorded: Instant::now(),
            broken: false,
            done: false,
            stop: false,
            hashed: 0,
            hash: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Waits until a chunk is there, all before it having been hashed; false if it should stop.
    pub(super) fn wait_for(&self, index: usize) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return false;
            }
            if state.chunks[index] == Chunk::Here {
                state.hashed = index as u64;
                drop(state);
                self.changed.notify_all();
                return true;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn restart_hash(&self) {
        let mut state = lock(&self.state);
        (state.stop, state.hashed, state.hash) = (false, 0, None);
    }

    pub(super) fn stop_hash(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }

    pub(super) fn hash_ended(&self, outcome: Option<io::Result<Digest>>) {
        lock(&self.state).hash = outcome;
        self.changed.notify_all();
    }
}

/// The right to put this file together: one at a time.
struct Claim {
    inner: Arc<Inner>,
    digest: Digest,
}

impl Claim {
    fn take(inner: &Arc<Inner>, digest: Digest) -> Result<Self, StoreError> {
        if lock(&inner.open).insert(digest) {
            Ok(Self { inner: Arc::clone(inner), digest })
        } else {
            Err(StoreError::InUse { what: format!("the download of {digest}") })
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.inner.open).remove(&self.digest);
    }
}

impl Disk {
    /// Begins to put a file together, or goes on where somebody stopped.
    ///
    /// # Errors
    /// [`StoreError::Full`] if what is missing does not fit; [`StoreError::InUse`] if it is being put together already;
    /// [`StoreError::Invalid`] if it is installed or the plan is unsound.
    pub fn stage(&self, plan: &FilePlan) -> Result<Staging, StoreError> {
        if plan.chunks.size() != plan.size || plan.size > LARGEST_FILE {
            return Err(StoreError::Invalid {
                field: "plan",
                why: format!("{} bytes do not fit its chunks", plan.size),
            });
        }
        if self.object(&plan.sha256)?.is_some() {
            return Err(StoreError::Invalid { field: "plan", why: format!("{} is installed", plan.sha256) });
        }
        let inner = &self.inner;
        let claim = Claim::take(inner, plan.sha256)?;
        let plan = self.with_known_digests(plan)?;
        let folder = inner.staging_path(&plan.sha256);
        inner.vfs.create_dir_all(&folder).map_err(inner.failed("making the folder", &folder, 1 << 12))?;
        let data = folder.join("data");
        let file = inner.vfs.open(&data, Open::Create).map_err(inner.failed("opening", &data, 1 << 12))?;
        let (bytes, plan_digest) = plan_bytes(&plan);
        let kept = Kept::find(inner, &folder, &*file, &plan, plan_digest)?;
        // Chunks that are not believed are written again where they are.
        let taken = file.stat().map_or(0, |stat| stat.allocated).max(kept.bytes(&plan));
        if let Err(full) = inner.check_room(&plan.sha256, plan.size.saturating_sub(taken)) {
            if kept.bytes(&plan) == 0 {
                let _ = remove_folder(&*inner.vfs, &folder);
            }
            return Err(full);
        }
        let arrivals = Arrivals::new(&kept.here, kept.digests);
        let staging = Staging {
            disk: self.clone(),
            plan: Arc::new(plan),
            plan_digest,
            folder,
            file: Arc::from(file),
            arrivals,
            recording: Mutex::new(kept.generation),
            ahead: Mutex::new(None),
            _claim: claim,
        };
        // A record that promises more than is believed, or under another plan, would be believed after the next crash,
        // when other bytes are where it points. First the record, then the plan: the other way round, old bits would be
        // read under a new cut.
        if kept.is_stale {
            staging.write_record(&mut lock(&staging.recording), &kept.here, &vec![false; kept.here.len()])?;
        }
        let path = staging.folder.join("plan");
        let file = PLAN.encode(&bytes);
        let old = read_whole(&*inner.vfs, &path, PLAN.largest_file()).ok().flatten();
        if old.as_deref() != Some(&file[..]) {
            inner.write_whole(&path, &file)?;
        }
        inner.sync_dir(&staging.folder)?;
        inner.sync_dir(&inner.root.join("staging"))?;
        if inner.settings.hash_ahead {
            staging.start_hash();
        }
        Ok(staging)
    }

    /// The plan with the digests that the table of a quarantined object has, if it is cut the same way.
    fn with_known_digests(&self, plan: &FilePlan) -> Result<FilePlan, StoreError> {
        if plan.chunks.has_digests() {
            return Ok(plan.clone());
        }
        let table = self.inner.read_chunks(&self.inner.quarantined_chunks_path(&plan.sha256))?;
        let known = table.filter(|table| {
            let digests = (0..table.len()).filter_map(|index| table.digest(index)).collect();
            plan.chunks.with_digests(digests).as_ref() == Some(table)
        });
        Ok(FilePlan { chunks: known.unwrap_or_else(|| plan.chunks.clone()), ..plan.clone() })
    }

    /// Throws away what has arrived of a file that nobody puts together.
    pub fn discard(&self, digest: &Digest) -> Result<(), StoreError> {
        let _claim = Claim::take(&self.inner, *digest)?;
        let folder = self.inner.staging_path(digest);
        remove_folder(&*self.inner.vfs, &folder).map_err(StoreError::io("removing", &folder))?;
        self.inner.put_ballast();
        Ok(())
    }

    /// Bytes that are noted to be there of a file that is being put together.
    pub fn staged_bytes(&self, digest: &Digest) -> u64 {
        let folder = self.inner.staging_path(digest);
        let plan = read_whole(&*self.inner.vfs, &folder.join("plan"), PLAN.largest_file()).ok().flatten();
        let plan = plan.and_then(|bytes| serde_json::from_slice::<FilePlan>(PLAN.decode(&bytes).ok()?).ok());
        let Some(plan) = plan else { return 0 };
        match Have::peek(&*self.inner.vfs, &folder) {
            Some(have) if have.plan == plan_bytes(&plan).1 && have.bits.len() == plan.chunks.len() => {
                let here = have.bits.iter().enumerate().filter(|(_, here)| **here);
                here.map(|(index, _)| plan.chunks.range(index).1).sum()
            }
            _ => 0,
        }
    }

    /// Digests of files of which something is there but not all.
    pub fn staged(&self) -> Result<Vec<Digest>, StoreError> {
        let folder = self.inner.root.join("staging");
        let names = self.inner.vfs.read_dir(&folder).map_err(StoreError::io("reading the folder", &folder))?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    }
}

impl Disk {
    /// Goes on with a file of which only the digest is known: its plan is the one that was kept. `None` if nobody began
    /// it.
    ///
    /// # Errors
    /// As [`Disk::stage`].
    pub fn resume(&self, digest: &Digest) -> Result<Option<Staging>, StoreError> {
        let path = self.inner.staging_path(digest).join("plan");
        let bytes =
            read_whole(&*self.inner.vfs, &path, PLAN.largest_file()).map_err(StoreError::io("reading", &path))?;
        let plan = bytes.and_then(|bytes| serde_json::from_slice::<FilePlan>(PLAN.decode(&bytes).ok()?).ok());
        plan.filter(|plan| plan.sha256 == *digest).map(|plan| self.stage(&plan)).transpose()
    }
}

/// What an earlier staging left that can be used.
struct Kept {
    here: Vec<bool>,
    digests: Vec<Option<Digest>>,
    /// There is a record that says otherwise.
    is_stale: bool,
    /// That of the record.
    generation: u64,
}

impl Kept {
    fn bytes(&self, plan: &FilePlan) -> u64 {
        self.here.iter().enumerate().filter(|(_, here)| **here).map(|(index, _)| plan.chunks.range(index).1).sum()
    }

    fn find(
        inner: &Inner,
        folder: &Path,
        file: &dyn VfsFile,
        plan: &FilePlan,
        plan_digest: Digest,
    ) -> Result<Self, StoreError> {
        let count = plan.chunks.len();
        let nothing = |generation| Self {
            here: vec![false; count],
            digests: vec![None; count],
            is_stale: generation > 0,
            generation,
        };
        let read = |name: &str, largest| read_whole(&*inner.vfs, &folder.join(name), largest).ok().flatten();
        let Some(have) = Have::read(&*inner.vfs, folder) else { return Ok(nothing(0)) };
        let len = file.stat().map_err(StoreError::io("looking at", folder))?.len;
        if have.plan == plan_digest && have.bits.len() == count {
            return Ok(Self::same(file, len, plan, &have));
        }
        let old = read("plan", PLAN.largest_file())
            .and_then(|bytes| serde_json::from_slice::<FilePlan>(PLAN.decode(&bytes).ok()?).ok())
            .filter(|old| plan_bytes(old).1 == have.plan && old.chunks.len() == have.bits.len());
        let Some(old) = old else { return Ok(nothing(have.generation)) };
        Ok(Self::other(file, len, plan, &old, &have))
    }

    /// Under the same plan: believed, but for the last batch, which is verified.
    fn same(file: &dyn VfsFile, len: u64, plan: &FilePlan, have: &Have) -> Self {
        let generation = have.generation;
        let mut kept = Self { here: Vec::new(), digests: Vec::new(), is_stale: false, generation };
        let mut buffer = Vec::new();
        for index in 0..plan.chunks.len() {
            let (start, length) = plan.chunks.range(index);
            let recorded = have.digests.get(index).copied().flatten();
            let digest = plan.chunks.digest(index).or(recorded);
            let mut here = have.bits[index] && start + length <= len && digest.is_some();
            if here && have.last[index] {
                let read = read_chunk(file, &plan.chunks, index, &mut buffer).unwrap_or(false);
                here = read && Some(Digest::of(&buffer)) == digest;
            }
            kept.is_stale |= here != have.bits[index];
            kept.here.push(here);
            kept.digests.push(recorded.filter(|_| here));
        }
        kept
    }

    /// Under another plan for the same file: chunks of the new cut that old chunks cover are read again and kept if
    /// their digest is right: the plan's, or, without one, that of an old chunk with the same ends.
    fn other(file: &dyn VfsFile, len: u64, plan: &FilePlan, old: &FilePlan, have: &Have) -> Self {
        let generation = have.generation;
        let mut kept = Self { here: Vec::new(), digests: Vec::new(), is_stale: true, generation };
        let mut buffer = Vec::new();
        for index in 0..plan.chunks.len() {
            let (start, length) = plan.chunks.range(index);
            let covered = start + length <= len.min(old.size)
                && (old.chunks.at(start)..=old.chunks.at(start + length - 1)).all(|index| have.bits[index]);
            let same = covered.then(|| old.chunks.at(start)).filter(|&at| old.chunks.range(at) == (start, length));
            let known = same.and_then(|at| old.chunks.digest(at).or(have.digests.get(at).copied().flatten()));
            let digest = plan.chunks.digest(index).or(known).filter(|_| covered);
            let read = digest.is_some() && read_chunk(file, &plan.chunks, index, &mut buffer).unwrap_or(false);
            let here = read && Some(Digest::of(&buffer)) == digest;
            kept.here.push(here);
            kept.digests.push(digest.filter(|_| here));
        }
        kept
    }
}

impl Landing for Staging {
    fn plan(&self) -> &FilePlan {
        &self.plan
    }

    fn missing(&self) -> Vec<usize> {
        let state = lock(&self.arrivals.state);
        state.chunks.iter().enumerate().filter(|(_, chunk)| **chunk != Chunk::Here).map(|(index, _)| index).collect()
    }

    fn put(&self, chunk: usize, bytes: &[u8]) -> Result<(), StoreError> {
        if chunk >= self.plan.chunks.len() || self.plan.chunks.range(chunk).1 != bytes.len() as u64 {
            let why = format!("chunk {chunk} does not have {} bytes", bytes.len());
            return Err(StoreError::Invalid { field: "chunk", why });
        }
        let digest = Digest::of(bytes);
        if self.plan.chunks.digest(chunk).is_some_and(|want| want != digest) {
            return Err(StoreError::Damaged { file: self.plan.sha256.to_string(), chunk: chunk as u64 });
        }
        {
            let mut state = lock(&self.arrivals.state);
            state.usable()?;
            if state.chunks[chunk] != Chunk::Missing {
                return Ok(());
            }
            state.chunks[chunk] = Chunk::Coming;
        }
        let written = self.file.write_at(self.plan.chunks.range(chunk).0, bytes);
        let mut state = lock(&self.arrivals.state);
        if let Err(error) = written {
            state.chunks[chunk] = Chunk::Missing;
            drop(state);
            let data = self.folder.join("data");
            return Err(self.inner().failed("writing", &data, bytes.len() as u64)(error));
        }
        state.chunks[chunk] = Chunk::Here;
        state.digests[chunk] = Some(digest);
        state.fresh += bytes.len() as u64;
        let settings = &self.inner().settings;
        let due = state.fresh >= settings.checkpoint_bytes || state.recorded.elapsed() >= settings.checkpoint_every;
        // Whoever is this far ahead waits for the disk.
        let must = state.fresh >= 2 * settings.checkpoint_bytes;
        drop(state);
        self.arrivals.changed.notify_all();
        match self.recording.try_lock() {
            _ if !due => Ok(()),
            Ok(mut recording) => self.checkpoint_locked(&mut recording),
            Err(_) if must => self.checkpoint(),
            Err(_) => Ok(()),
        }
    }
}

impl State {
    fn usable(&self) -> Result<(), StoreError> {
        if self.done || self.broken {
            let why = if self.done { "the file is finished" } else { "the disk failed: begin again" };
            return Err(StoreError::Invalid { field: "staging", why: why.to_owned() });
        }
        Ok(())
    }
}

impl Staging {
    fn inner(&self) -> &Inner {
        &self.disk.inner
    }

    /// Bytes that are there.
    pub fn bytes_here(&self) -> u64 {
        let state = lock(&self.arrivals.state);
        let here = state.chunks.iter().enumerate().filter(|(_, chunk)| **chunk == Chunk::Here);
        here.map(|(index, _)| self.plan.chunks.range(index).1).sum()
    }

    fn start_hash(&self) {
        let mut ahead = lock(&self.ahead);
        // The one before it stops first.
        *ahead = None;
        *ahead = Ahead::start(Arc::clone(&self.plan), Arc::clone(&self.file), Arc::clone(&self.arrivals));
    }

    /// Makes durable what has arrived, and notes it.
    ///
    /// # Errors
    /// After one nothing that is not in the last record is believed any more: stage the file again.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_locked(&mut lock(&self.recording))
    }

    fn checkpoint_locked(&self, generation: &mut u64) -> Result<(), StoreError> {
        let (here, last, fresh) = {
            let state = lock(&self.arrivals.state);
            state.usable()?;
            let here: Vec<bool> = state.chunks.iter().map(|chunk| *chunk == Chunk::Here).collect();
            if here == state.durable {
                return Ok(());
            }
            let last: Vec<bool> = here.iter().zip(&state.durable).map(|(here, durable)| *here && !durable).collect();
            (here, last, state.fresh)
        };
        let result = self.sync_data().and_then(|()| self.write_record(generation, &here, &last));
        let mut state = lock(&self.arrivals.state);
        match &result {
            Ok(()) => {
                state.durable = here;
                state.fresh -= fresh;
                state.recorded = Instant::now();
            }
            // After a failed sync the system may have dropped what was not written, and says so only once.
            Err(_) => state.broken = true,
        }
        result
    }

    fn sync_data(&self) -> Result<(), StoreError> {
        let data = self.folder.join("data");
        self.file.sync().map_err(self.inner().failed("syncing", &data, 1))
    }

    fn write_record(&self, generation: &mut u64, here: &[bool], last: &[bool]) -> Result<(), StoreError> {
        let digests =
            if self.plan.chunks.has_digests() { Vec::new() } else { lock(&self.arrivals.state).digests.clone() };
        *generation += 1;
        let (bits, last) = (here.to_vec(), last.to_vec());
        let have = Have { generation: *generation, plan: self.plan_digest, bits, last, digests };
        self.inner().write_pair(&Have::pair(&self.folder), &have.to_bytes())
    }

    /// Takes from these objects (and from what quarantine has of this very file) every missing chunk whose digest is
    /// known and which one of them has. Gives the bytes that need not be fetched any more. Holds one chunk in memory,
    /// and a table of digests.
    pub fn take_from(&self, sources: &[Digest], cancel: &CancelToken) -> Result<u64, StoreError> {
        let inner = self.inner();
        let mut wanted: HashMap<Digest, Vec<usize>> = HashMap::new();
        for index in self.missing() {
            if let Some(digest) = self.plan.chunks.digest(index) {
                wanted.entry(digest).or_default().push(index);
            }
        }
        let sha = &self.plan.sha256;
        let own = (inner.quarantine_path(sha), inner.quarantined_chunks_path(sha));
        let paths = sources.iter().map(|digest| (inner.object_path(digest), inner.chunks_path(digest)));
        let (mut taken, mut buffer) = (0, Vec::new());
        for (path, table) in std::iter::once(own).chain(paths) {
            // A source that cannot be read is none: its chunks are fetched.
            let Ok(file) = inner.vfs.open(&path, Open::Read) else { continue };
            let Some(chunks) = inner.read_chunks(&table)? else { continue };
            for index in 0..chunks.len() {
                cancel.check()?;
                let Some(digest) = chunks.digest(index).filter(|digest| wanted.contains_key(digest)) else { continue };
                if !read_chunk(&*file, &chunks, index, &mut buffer).unwrap_or(false) || Digest::of(&buffer) != digest {
                    continue;
                }
                for index in wanted.remove(&digest).unwrap_or_default() {
                    if self.plan.chunks.range(index).1 == buffer.len() as u64 {
                        self.put(index, &buffer)?;
                        taken += buffer.len() as u64;
                    }
                }
            }
        }
        self.checkpoint()?;
        Ok(taken)
    }

    /// Takes the chunks that lie wholly in a file from elsewhere, whose first byte is byte `from_offset` of this one: a
    /// segment that the platform fetched, or a whole file that somebody brought. Chunks that are damaged are left out.
    /// Gives the bytes taken.
    pub fn put_file(
        &self,
        path: &Path,
        from_offset: u64,
        cancel: &CancelToken,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, StoreError> {
        let file = self.inner().vfs.open(path, Open::Read).map_err(StoreError::io("opening", path))?;
        let end = from_offset.saturating_add(file.stat().map_err(StoreError::io("looking at", path))?.len);
        let (mut taken, mut buffer) = (0, Vec::new());
        for index in self.missing() {
            cancel.check()?;
            let (start, length) = self.plan.chunks.range(index);
            if start < from_offset || start + length > end {
                continue;
            }
            buffer.resize(length as usize, 0);
            let got = file.read_at(start - from_offset, &mut buffer).map_err(StoreError::io("reading", path))?;
            if got < buffer.len() {
                continue;
            }
            match self.put(index, &buffer) {
                Ok(()) => taken += length,
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            progress(taken);
        }
        self.checkpoint()?;
        Ok(taken)
    }

    /// Verifies the whole file and makes it an object. `progress` is told bytes hashed and in all.
    ///
    /// # Errors
    /// [`StoreError::WrongDigest`]: the chunks that are at fault are missing again, if they can be told; if the digests
    /// of chunks were not published and none was damaged here, all are. None is missing if the plan contradicts itself.
    /// [`StoreError::Io`]: chunks that cannot be read are missing again.
    pub fn finish(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<Object, StoreError> {
        let missing = self.missing().len();
        if missing > 0 {
            return Err(StoreError::Invalid { field: "staging", why: format!("{missing} chunks are missing") });
        }
        let mut recording = lock(&self.recording);
        lock(&self.arrivals.state).usable()?;
        let data = self.folder.join("data");
        let got = match self.whole(cancel, progress) {
            Err(error @ StoreError::Io { .. }) => {
                // What cannot be read is fetched again, onto other places of the disk with some luck.
                self.find_fault(&mut recording, true)?;
                return Err(error);
            }
            other => other?,
        };
        if got != self.plan.sha256 {
            self.find_fault(&mut recording, false)?;
            return Err(StoreError::WrongDigest { want: self.plan.sha256, got });
        }
        let inner = self.inner();
        let installed = self.install(&data);
        let mut state = lock(&self.arrivals.state);
        match installed {
            Ok(()) => state.done = true,
            Err(error) => {
                state.broken = true;
                return Err(error);
            }
        }
        drop(state);
        // What is left is only in the way; the next open removes it too.
        let _ = remove_folder(&*inner.vfs, &self.folder);
        let _ = inner.vfs.sync_dir(&inner.root.join("staging"));
        let path = inner.object_path(&self.plan.sha256);
        Ok(Object { digest: self.plan.sha256, path, size: self.plan.size })
    }

    fn install(&self, data: &Path) -> Result<(), StoreError> {
        let inner = self.inner();
        if self.file.stat().map_err(StoreError::io("looking at", data))?.len != self.plan.size {
            self.file.set_len(self.plan.size).map_err(inner.failed("sizing", data, self.plan.size))?;
        }
        self.sync_data()?;
        let recorded: Option<Vec<Digest>> = lock(&self.arrivals.state).digests.iter().copied().collect();
        let chunks = if self.plan.chunks.has_digests() {
            Some(self.plan.chunks.clone())
        } else {
            recorded.and_then(|digests| self.plan.chunks.with_digests(digests))
        };
        let _names = lock(&inner.names);
        lock(&inner.held).insert(self.plan.sha256);
        if let Some(chunks) = chunks {
            inner.write_chunks(&inner.chunks_path(&self.plan.sha256), &chunks)?;
        }
        inner.rename(data, &inner.object_path(&self.plan.sha256))?;
        inner.sync_dir(&inner.root.join("objects"))?;
        inner.sync_dir(&self.folder)
    }

    /// The digest of the whole file: the thread's, or computed here.
    fn whole(&self, cancel: &CancelToken, progress: &mut dyn FnMut(u64, u64)) -> Result<Digest, StoreError> {
        let data = self.folder.join("data");
        let failed = StoreError::io("reading", &data);
        if lock(&self.ahead).is_some() {
            loop {
                cancel.check()?;
                let mut state = lock(&self.arrivals.state);
                if state.hash.is_none() {
                    let tick = std::time::Duration::from_millis(50);
                    state = self.arrivals.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
                }
                let at = if state.hash.is_some() { self.plan.size } else { self.hashed(&state) };
                let outcome = state.hash.take();
                drop(state);
                progress(at, self.plan.size);
                match outcome {
                    Some(Ok(digest)) => {
                        lock(&self.arrivals.state).hash = Some(Ok(digest));
                        return Ok(digest);
                    }
                    Some(Err(error)) => return Err(failed(error)),
                    None => {}
                }
            }
        }
        let (mut hasher, mut buffer) = (Hasher::new(), Vec::new());
        for index in 0..self.plan.chunks.len() {
            cancel.check()?;
            match read_chunk(&*self.file, &self.plan.chunks, index, &mut buffer) {
                Ok(true) => hasher.update(&buffer),
                Ok(false) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(failed(error)),
            }
            let (start, length) = self.plan.chunks.range(index);
            progress(start + length, self.plan.size);
        }
        Ok(hasher.finish())
    }

    fn hashed(&self, state: &State) -> u64 {
        let index = state.hashed as usize;
        if index < self.plan.chunks.len() { self.plan.chunks.range(index).0 } else { self.plan.size }
    }

    /// Compares every chunk with its digest, and makes those missing that differ, durably. `here`: the fault is known to
    /// be this disk's.
    fn find_fault(&self, generation: &mut u64, here: bool) -> Result<(), StoreError> {
        *lock(&self.ahead) = None;
        let recorded = lock(&self.arrivals.state).digests.clone();
        let mut buffer = Vec::new();
        let mut good: Vec<bool> = (0..self.plan.chunks.len())
            .map(|index| {
                let digest = self.plan.chunks.digest(index).or(recorded[index]);
                let read = read_chunk(&*self.file, &self.plan.chunks, index, &mut buffer).unwrap_or(false);
                read && Some(Digest::of(&buffer)) == digest
            })
            .collect();
        if !here && good.iter().all(|good| *good) && !self.plan.chunks.has_digests() {
            // What came is what was sent, and that was wrong.
            good.fill(false);
        }
        self.write_record(generation, &good, &vec![false; good.len()])?;
        let mut state = lock(&self.arrivals.state);
        for (chunk, good) in state.chunks.iter_mut().zip(&good) {
            *chunk = if *good { Chunk::Here } else { Chunk::Missing };
        }
        (state.durable, state.fresh) = (good, 0);
        drop(state);
        if self.inner().settings.hash_ahead {
            self.start_hash();
        }
        Ok(())
    }

    /// Stops, and throws away what has arrived.
    pub fn discard(self) -> Result<(), StoreError> {
        lock(&self.arrivals.state).done = true;
        *lock(&self.ahead) = None;
        remove_folder(&*self.inner().vfs, &self.folder).map_err(StoreError::io("removing", &self.folder))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        *lock(&self.ahead) = None;
        let usable = lock(&self.arrivals.state).usable().is_ok();
        if usable {
            // If it fails, a little more is fetched again.
            let _ = self.checkpoint();
        }
    }
}
