//! Random work on a store until the power goes, and a checker that looks at what is there afterwards.
//!
//! The checker knows what was confirmed: calls that came back. It reads the folder with code of its own first, then
//! opens the store and asks it. What must hold after every loss of power:
//!
//! * every object has the bytes of its name;
//! * every slot and state is the one that was last confirmed, or the one that was being written;
//! * what slots name is there; what a finished call installed is there, unless a collection may have taken it;
//! * chunks that were recorded are there, and every chunk that is said to be there has the right bytes;
//! * no temporary is left, and the installation is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::StoreError;
use inkling_store::disk::{EvictPolicy, Lease, Settings};
use inkling_store::slot::Why;
use inkling_store::{Chunks, Digest, Disk, FilePlan, Landing, ModelId, Release, ReleaseFile, Role, Slot, Staging};

use super::{Random, SimVfs, record};

/// What was done and looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Losses of power.
    pub losses: u64,
    /// Calls of the store.
    pub calls: u64,
    /// Objects whose bytes were compared.
    pub objects: u64,
    /// Slots that were compared.
    pub slots: u64,
    /// Chunks of unfinished files that were compared.
    pub chunks: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.losses += other.losses;
        self.calls += other.calls;
        self.objects += other.objects;
        self.slots += other.slots;
        self.chunks += other.chunks;
    }
}

/// Works on one disk until the power has gone `losses` times. `lying`: syncs do nothing, which no store survives.
///
/// # Errors
/// The promise that was broken.
pub fn run(seed: u64, losses: u64, lying: bool) -> Result<Tally, String> {
    let mut world = World::new(seed);
    for loss in 0..losses {
        let steps = world.random.below(260);
        world.vfs.lie(lying);
        world.vfs.power_off_after(steps);
        let ended = world.work().map_err(|why| format!("seed {seed}, before loss {loss}: {why}"))?;
        debug_assert!(ended);
        world.vfs.crash(seed.wrapping_mul(1_000_003).wrapping_add(loss));
        world.check().map_err(|why| format!("seed {seed}, after loss {loss}: {why}"))?;
        world.tally.losses += 1;
    }
    Ok(world.tally)
}

/// What may be found.
#[derive(Debug, Clone)]
enum Allowed {
    /// One of these.
    OneOf(Vec<Option<Slot>>),
    /// This one, or with fewer releases.
    Fewer(Box<Slot>),
}

struct World {
    random: Random,
    vfs: SimVfs,
    root: PathBuf,
    files: Vec<(Vec<u8>, FilePlan)>,
    ids: Vec<ModelId>,
    tally: Tally,
    install: Option<[u8; 16]>,
    slots: BTreeMap<ModelId, Allowed>,
    state: Vec<Option<Vec<u8>>>,
    /// Files that must be installed.
    installed: BTreeSet<usize>,
    /// Files that were damaged on purpose, and may be under repair.
    damaged: BTreeSet<usize>,
    /// Chunks that were recorded.
    recorded: BTreeMap<usize, BTreeSet<usize>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut files = Vec::new();
        let chunk = 400 + random.index(1200);
        let mut bytes = random.bytes(3000);
        for _ in 0..8 {
            // Each is much like the one before it.
            let count = 2 + random.index(8);
            let more = random.bytes(count * chunk);
            bytes.extend_from_slice(&more);
            bytes.truncate(count * chunk - random.index(chunk));
            let at = random.index(bytes.len());
            bytes[at] ^= 1;
            files.push((bytes.clone(), plan(&bytes, chunk, random.chance(60))));
        }
        Self {
            random,
            vfs: SimVfs::new(),
            root: PathBuf::from("/models"),
            files,
            ids: ["a", "b.c", "d-1"].iter().filter_map(|id| id.parse().ok()).collect(),
            tally: Tally::default(),
            install: None,
            slots: BTreeMap::new(),
            state: vec![None],
            installed: BTreeSet::new(),
            damaged: BTreeSet::new(),
            recorded: BTreeMap::new(),
        }
    }

    fn open(&mut self) -> Result<Disk, StoreError> {
        let settings = Settings {
            checkpoint_bytes: 1 + self.random.below(6000),
            checkpoint_every: Duration::from_secs(3600),
            keep_free: 0,
            hash_ahead: self.random.chance(20),
        };
        Disk::open_with(Arc::new(self.vfs.clone()), &self.root, settings)
    }

    /// Until the power goes. True if it did.
    fn work(&mut self) -> Result<bool, String> {
        let disk = match self.open() {
            Ok(disk) => disk,
            Err(_) if self.vfs.is_off() => return Ok(true),
            Err(error) => return Err(format!("opening: {error}")),
        };
        if self.vfs.is_off() {
            return Ok(true);
        }
        self.install = Some(disk.install_id());
        let mut bench = Bench { stagings: Vec::new(), leases: Vec::new(), readers: Vec::new() };
        for _ in 0..2000 {
            self.tally.calls += 1;
            let outcome = self.call(&disk, &mut bench);
            if self.vfs.is_off() {
                return Ok(true);
            }
            outcome?;
        }
        Ok(false)
    }

    fn call(&mut self, disk: &Disk, bench: &mut Bench) -> Result<(), String> {
        match self.random.below(100) {
            0..12 => self.stage(disk, bench),
            12..42 => self.put(bench),
            42..50 => self.finish(bench),
            50..53 => {
                // Kept as far as it came.
                if !bench.stagings.is_empty() {
                    let at = self.random.index(bench.stagings.len());
                    let (file, staging) = bench.stagings.swap_remove(at);
                    let here = here(&staging);
                    drop(staging);
                    if !self.vfs.is_off() {
                        self.recorded.insert(file, here);
                    }
                }
                Ok(())
            }
            53..60 => self.checkpoint(bench),
            60..82 => self.change_slot(disk),
            82..86 => self.put_state(disk),
            86..89 => self.collect(disk, bench),
            89..92 => self.evict(disk, bench),
            92..94 => self.lease(disk, bench),
            94..97 => self.verify(disk),
            _ => self.damage(disk, bench),
        }
    }

    fn stage(&mut self, disk: &Disk, bench: &mut Bench) -> Result<(), String> {
        let file = self.random.index(self.files.len());
        let plan = self.files[file].1.clone();
        if bench.stagings.len() >= 3 || bench.has(file) || object(disk, &plan)? {
            return Ok(());
        }
        let staging = disk.stage(&plan).map_err(|error| format!("staging: {error}"))?;
        staging.hash_ahead();
        self.look_at_chunks(file, &staging)?;
        if self.random.chance(40) {
            let sources: Vec<Digest> = self.files.iter().map(|(_, plan)| plan.sha256).collect();
            staging.take_from(&sources, &CancelToken::new()).map_err(|error| format!("taking: {error}"))?;
            self.recorded.insert(file, here(&staging));
        }
        bench.stagings.push((file, staging));
        Ok(())
    }

    /// Chunks that were recorded are there, and what is there is right.
    fn look_at_chunks(&mut self, file: usize, staging: &Staging) -> Result<(), String> {
        let (bytes, plan) = &self.files[file];
        let missing: BTreeSet<usize> = staging.missing().into_iter().collect();
        if let Some(lost) = self.recorded.get(&file).into_iter().flatten().find(|chunk| missing.contains(chunk)) {
            return Err(format!("file {file} lost chunk {lost}, which was recorded"));
        }
        let path = self.root.join("v1/staging").join(plan.sha256.to_string()).join("data");
        let data = self.vfs.files().into_iter().find(|(name, _)| *name == path).map(|(_, data)| data);
        for chunk in (0..plan.chunks.len()).filter(|chunk| !missing.contains(chunk)) {
            let (start, length) = plan.chunks.range(chunk);
            let range = start as usize..(start + length) as usize;
            if data.as_ref().and_then(|data| data.get(range.clone())) != bytes.get(range) {
                return Err(format!("file {file} believes in chunk {chunk}, which is wrong"));
            }
            self.tally.chunks += 1;
        }
        Ok(())
    }

    fn put(&mut self, bench: &mut Bench) -> Result<(), String> {
        let Some((file, staging)) = bench.any(&mut self.random) else { return Ok(()) };
        let bytes = &self.files[*file].0;
        for _ in 0..1 + self.random.below(3) {
            let missing = staging.missing();
            if missing.is_empty() {
                break;
            }
            let chunk = missing[self.random.index(missing.len())];
            let (start, length) = staging.plan().chunks.range(chunk);
            let bytes = &bytes[start as usize..(start + length) as usize];
            staging.put(chunk, bytes).map_err(|error| format!("putting: {error}"))?;
        }
        Ok(())
    }

    fn checkpoint(&mut self, bench: &mut Bench) -> Result<(), String> {
        let Some((file, staging)) = bench.any(&mut self.random) else { return Ok(()) };
        staging.checkpoint().map_err(|error| format!("recording: {error}"))?;
        self.recorded.insert(*file, here(staging));
        Ok(())
    }

    fn finish(&mut self, bench: &mut Bench) -> Result<(), String> {
        let ready = bench.stagings.iter().position(|(_, staging)| staging.missing().is_empty());
        let Some(at) = ready else { return Ok(()) };
        let (file, staging) = bench.stagings.swap_remove(at);
        // It goes from one place to the other meanwhile.
        let recorded = self.recorded.remove(&file);
        let before = self.damaged.contains(&file);
        let object =
            staging.finish(&CancelToken::new(), &mut |_, _| {}).map_err(|error| format!("finishing: {error}"))?;
        if object.size != self.files[file].1.size {
            return Err(format!("file {file} has the wrong size"));
        }
        drop((recorded, before));
        self.damaged.remove(&file);
        self.installed.insert(file);
        Ok(())
    }

    fn current(&self, id: &ModelId) -> Option<Slot> {
        match self.slots.get(id) {
            Some(Allowed::OneOf(slots)) => slots.last().cloned().flatten(),
            Some(Allowed::Fewer(slot)) => Some((**slot).clone()),
            None => None,
        }
    }

    fn change_slot(&mut self, disk: &Disk) -> Result<(), String> {
        let id = self.ids[self.random.index(self.ids.len())].clone();
        let before = self.current(&id);
        let what = self.random.below(10);
        let file = self.random.index(self.files.len());
        let number = 1 + self.random.below(40);
        let installed = self.installed.contains(&file) && object(disk, &self.files[file].1)?;
        if what < 3 && !installed {
            return Ok(());
        }
        let release = release(number, self.random.below(number), &self.files[file].1);
        let now = self.tally.calls;
        let change = |slot: &mut Slot| {
            let chosen = slot.chosen().map_or(0, |release| release.number);
            match what {
                0..3 => drop(slot.offer(release.clone(), now.is_multiple_of(2))),
                3 | 4 => drop(slot.begin(now)),
                5..8 => {
                    let _ = (0..5).any(|_| slot.good(chosen, now));
                }
                8 => drop(slot.rollback()),
                _ => drop(slot.bad(chosen, Why::WrongGolden)),
            }
        };
        let mut after = before.clone().unwrap_or_else(|| Slot::new(id.clone(), ""));
        change(&mut after);
        let is_new = before.as_ref() != Some(&after);
        if is_new {
            after.generation += 1;
            self.slots.insert(id.clone(), Allowed::OneOf(vec![before, Some(after.clone())]));
        }
        let made = disk.change_slot(&id, |slot| {
            change(slot);
            Ok(())
        });
        let (slot, ()) = made.map_err(|error| format!("changing a slot: {error}"))?;
        if slot != after {
            return Err(format!("the slot {id} became {slot:?} instead of {after:?}"));
        }
        self.slots.insert(id, Allowed::OneOf(vec![Some(slot)]));
        Ok(())
    }

    fn put_state(&mut self, disk: &Disk) -> Result<(), String> {
        let length = self.random.index(3000);
        let bytes = self.random.bytes(length);
        self.state.push(Some(bytes.clone()));
        disk.put_state("root", &bytes).map_err(|error| format!("putting a state: {error}"))?;
        self.state = vec![Some(bytes)];
        Ok(())
    }

    /// Files that any slot may name, whatever is found.
    fn named(&self) -> BTreeSet<usize> {
        let slots = self.slots.values().flat_map(|allowed| match allowed {
            Allowed::OneOf(slots) => slots.iter().flatten().cloned().collect(),
            Allowed::Fewer(slot) => vec![(**slot).clone()],
        });
        let digests: BTreeSet<Digest> = slots.flat_map(|slot| slot.digests().collect::<Vec<_>>()).collect();
        (0..self.files.len()).filter(|file| digests.contains(&self.files[*file].1.sha256)).collect()
    }

    fn collect(&mut self, disk: &Disk, bench: &Bench) -> Result<(), String> {
        let named = self.named();
        let kept = |file: &usize| named.contains(file) || bench.has(*file);
        self.installed.retain(|file| named.contains(file));
        self.recorded.retain(|file, _| kept(file));
        disk.gc(Duration::from_secs(1 << 40), Duration::ZERO).map_err(|error| format!("collecting: {error}"))?;
        let is_there = |file: &usize| object(disk, &self.files[*file].1).unwrap_or(true);
        let gone: Vec<usize> = self.damaged.iter().copied().filter(|file| !kept(file) && !is_there(file)).collect();
        for file in gone {
            self.damaged.remove(&file);
        }
        self.see_leases(disk, bench)
    }

    fn evict(&mut self, disk: &Disk, bench: &Bench) -> Result<(), String> {
        let sizes: u64 = self.files.iter().map(|(_, plan)| plan.size).sum();
        let policy = EvictPolicy {
            budget: sizes / 8 + self.random.below(sizes),
            keep_free: 0,
            hysteresis: 0.1,
            need: self.random.below(sizes / 8),
            keep: vec![self.ids[self.random.index(self.ids.len())].clone()],
            coming: Vec::new(),
        };
        let usage = disk.usage().map_err(|error| format!("counting: {error}"))?.total;
        if usage + policy.need <= policy.budget {
            return Ok(());
        }
        for id in self.ids.clone() {
            if let Some(slot) = self.current(&id).filter(|_| !policy.keep.contains(&id)) {
                self.slots.insert(id, Allowed::Fewer(Box::new(slot)));
            }
        }
        self.installed.clear();
        self.recorded.retain(|file, _| bench.has(*file));
        match disk.evict(&policy) {
            Ok(_) => {
                let usage = disk.usage().map_err(|error| format!("counting: {error}"))?.total;
                if usage + policy.need > policy.budget {
                    return Err(format!("{usage} and {} are more than {}", policy.need, policy.budget));
                }
            }
            Err(StoreError::Full { .. }) => {}
            Err(error) => return Err(format!("evicting: {error}")),
        }
        self.adopt(disk)?;
        self.see_leases(disk, bench)
    }

    /// What is there now is what was confirmed.
    fn adopt(&mut self, disk: &Disk) -> Result<(), String> {
        let slots = disk.slots().map_err(|error| format!("reading slots: {error}"))?;
        for slot in slots {
            self.slots.insert(slot.id.clone(), Allowed::OneOf(vec![Some(slot)]));
        }
        for file in 0..self.files.len() {
            if object(disk, &self.files[file].1)? {
                self.installed.insert(file);
            }
        }
        Ok(())
    }

    fn lease(&mut self, disk: &Disk, bench: &mut Bench) -> Result<(), String> {
        if self.random.chance(50) {
            bench.leases.pop();
            return Ok(());
        }
        let file = self.random.index(self.files.len());
        if object(disk, &self.files[file].1)? {
            bench.leases.push(disk.lease(&self.files[file].1.sha256).map_err(|error| format!("leasing: {error}"))?);
        }
        Ok(())
    }

    /// What is leased stays.
    fn see_leases(&self, disk: &Disk, bench: &Bench) -> Result<(), String> {
        for lease in &bench.leases {
            let digest = lease.object().digest;
            let there = disk.object(&digest).map_err(|error| format!("looking: {error}"))?.is_some();
            if !there {
                return Err(format!("{digest} went although it was leased"));
            }
        }
        Ok(())
    }

    fn verify(&mut self, disk: &Disk) -> Result<(), String> {
        let file = self.random.index(self.files.len());
        let digest = self.files[file].1.sha256;
        if object(disk, &self.files[file].1)? {
            let bad = disk.verify(&digest, &CancelToken::new(), &mut |_, _| {});
            let bad = bad.map_err(|error| format!("verifying: {error}"))?;
            if bad.is_empty() == self.damaged.contains(&file) {
                return Err(format!("file {file} verified wrongly: {bad:?}"));
            }
        }
        Ok(())
    }

    fn damage(&mut self, disk: &Disk, bench: &mut Bench) -> Result<(), String> {
        let file = self.random.index(self.files.len());
        let (bytes, plan) = &self.files[file];
        let digest = plan.sha256;
        if !object(disk, plan)? || bench.has(file) || bench.stagings.len() >= 3 {
            return Ok(());
        }
        if self.damaged.insert(file) {
            let at = self.random.index(bytes.len());
            self.vfs.damage(&self.root.join("v1/objects").join(digest.to_string()), |bytes| bytes[at] ^= 4);
        }
        let bad = disk.verify(&digest, &CancelToken::new(), &mut |_, _| {});
        let bad = bad.map_err(|error| format!("verifying: {error}"))?;
        // Its table may have been lost with the power, and with it what tells the chunks apart.
        let is_told = disk.chunks(&digest).is_ok() || plan.chunks.has_digests();
        let staging = disk.begin_repair(plan, &bad, &CancelToken::new());
        let staging = staging.map_err(|error| format!("repairing: {error}"))?;
        let missing = staging.missing();
        if is_told && missing.len() != bad.len() {
            return Err(format!("file {file} lacks {missing:?} where {bad:?} are bad"));
        }
        let (moved, rest) = std::mem::take(&mut bench.leases).into_iter().partition(|l| l.object().digest == digest);
        bench.leases = rest;
        bench.readers.extend::<Vec<Lease>>(moved);
        self.installed.remove(&file);
        self.recorded.insert(file, here(&staging));
        bench.stagings.push((file, staging));
        Ok(())
    }

    /// After the power came back.
    fn check(&mut self) -> Result<(), String> {
        self.check_folder()?;
        let disk = self.open().map_err(|error| format!("opening: {error}"))?;
        if self.install.is_some_and(|id| id != disk.install_id()) {
            return Err("it is another installation".to_owned());
        }
        self.install = Some(disk.install_id());
        if let Some((path, _)) = self.vfs.files().iter().find(|(path, _)| path.to_string_lossy().ends_with(".tmp")) {
            return Err(format!("{} was left", path.display()));
        }
        let damaged = disk.damaged_slots().map_err(|error| format!("reading slots: {error}"))?;
        if !damaged.is_empty() {
            return Err(format!("slots are damaged: {damaged:?}"));
        }
        let found: BTreeMap<ModelId, Slot> =
            disk.slots().map_err(|error| error.to_string())?.into_iter().map(|slot| (slot.id.clone(), slot)).collect();
        for id in self.ids.clone() {
            let slot = found.get(&id);
            self.tally.slots += 1;
            if !self.is_allowed(&id, slot) {
                return Err(format!("the slot {id} is {slot:?}, allowed: {:?}", self.slots.get(&id)));
            }
            self.slots.insert(id, Allowed::OneOf(vec![slot.cloned()]));
        }
        let state = disk.state("root").map_err(|error| format!("reading a state: {error}"))?;
        if !self.state.contains(&state) {
            return Err("the state is neither the old nor the new".to_owned());
        }
        self.state = vec![state];
        // Before anything else is done with it: what was confirmed, and what slots name.
        for file in self.named().union(&self.installed.clone()) {
            if !object(&disk, &self.files[*file].1)? && !self.damaged.contains(file) {
                return Err(format!("file {file} is not installed"));
            }
        }
        for file in 0..self.files.len() {
            let plan = self.files[file].1.clone();
            if object(&disk, &plan)? {
                self.recorded.remove(&file);
                continue;
            }
            let was_begun = disk.staged().map_err(|error| error.to_string())?.contains(&plan.sha256);
            if was_begun || self.recorded.contains_key(&file) {
                let staging = disk.stage(&plan).map_err(|error| format!("staging: {error}"))?;
                self.look_at_chunks(file, &staging)?;
                self.recorded.insert(file, here(&staging));
            }
        }
        self.adopt(&disk)
    }

    fn is_allowed(&self, id: &ModelId, found: Option<&Slot>) -> bool {
        match self.slots.get(id) {
            None => found.is_none(),
            Some(Allowed::OneOf(slots)) => slots.iter().any(|slot| slot.as_ref() == found),
            Some(Allowed::Fewer(slot)) => found.is_some_and(|found| {
                let gone = |new: &Option<Release>, old: &Option<Release>| new.is_none() || new == old;
                gone(&found.active, &slot.active)
                    && gone(&found.previous, &slot.previous)
                    && gone(&found.pending, &slot.pending)
                    && (&found.refused, found.floor) == (&slot.refused, slot.floor)
            }),
        }
    }

    /// The folder as it is, before the store sees it.
    fn check_folder(&mut self) -> Result<(), String> {
        let base = self.root.join("v1");
        let files: BTreeMap<PathBuf, Vec<u8>> = self.vfs.files().into_iter().collect();
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let objects = base.join("objects");
        for (path, bytes) in files.iter().filter(|(path, _)| path.parent() == Some(&objects)) {
            let Ok(digest) = name(path).parse::<Digest>() else { continue };
            let known = (0..self.files.len()).find(|file| self.files[*file].1.sha256 == digest);
            self.tally.objects += 1;
            if let Some(file) = known.filter(|_| Digest::of(bytes) == digest) {
                // Its repair was done but for the answer.
                self.damaged.remove(&file);
            }
            if Digest::of(bytes) != digest && !known.is_some_and(|file| self.damaged.contains(&file)) {
                return Err(format!("the object {digest} has other bytes"));
            }
        }
        for id in &self.ids {
            let copies = ["slot", "copy"].map(|ending| files.get(&base.join(format!("slots/{id}.{ending}"))));
            let best = copies.iter().flatten().filter_map(|bytes| record::slot(bytes)).max_by_key(|slot| slot.0);
            if best.is_none() && !self.is_allowed(id, None) {
                return Err(format!("the slot {id} is lost"));
            }
            for digest in best.iter().flat_map(|(_, slot)| record::named(slot)) {
                let is_repaired = self.damaged.iter().any(|file| self.files[*file].1.sha256.to_string() == digest);
                if !files.contains_key(&objects.join(&digest)) && !is_repaired {
                    return Err(format!("the slot {id} names {digest}, which is not there"));
                }
            }
        }
        Ok(())
    }
}

/// What is held while working.
struct Bench {
    stagings: Vec<(usize, Staging)>,
    leases: Vec<Lease>,
    /// Leases of objects that a repair took from their places: readers keep the old file.
    readers: Vec<Lease>,
}

impl Bench {
    fn has(&self, file: usize) -> bool {
        self.stagings.iter().any(|(other, _)| *other == file)
    }

    fn any(&self, random: &mut Random) -> Option<&(usize, Staging)> {
        (!self.stagings.is_empty()).then(|| &self.stagings[random.index(self.stagings.len())])
    }
}

fn here(staging: &Staging) -> BTreeSet<usize> {
    let missing = staging.missing();
    (0..staging.plan().chunks.len()).filter(|chunk| !missing.contains(chunk)).collect()
}

fn object(disk: &Disk, plan: &FilePlan) -> Result<bool, String> {
    Ok(disk.object(&plan.sha256).map_err(|error| format!("looking: {error}"))?.is_some())
}

fn plan(bytes: &[u8], chunk: usize, known: bool) -> FilePlan {
    let ends = (1..=bytes.len().div_ceil(chunk)).map(|index| (index * chunk).min(bytes.len()) as u64).collect();
    let digests = if known { bytes.chunks(chunk).map(Digest::of).collect() } else { Vec::new() };
    let size = bytes.len() as u64;
    let chunks = Chunks::new(size, ends, digests).unwrap_or_else(|| Chunks::plain(size));
    FilePlan { sha256: Digest::of(bytes), size, chunks }
}

fn release(number: u64, floor: u64, plan: &FilePlan) -> Release {
    let file = ReleaseFile {
        role: Role::Weights,
        name: "weights".to_owned(),
        required: true,
        size: plan.size,
        sha256: plan.sha256,
        sealed: None,
    };
    Release {
        number,
        floor,
        architecture: String::new(),
        ram_min: 0,
        sdk_min: String::new(),
        files: vec![file],
        golden: Vec::new(),
        least_speed: 0.0,
    }
}
