//! Small records in two copies: slots, the marker, states of other modules. A record is written twice under temporary
//! names, synced, and renamed, so each copy is the old or the new one; of two sound copies the later counts, and a
//! damaged one is written again from the other.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checked::{Kind, MARK, STATE, Unsound};
use super::{BALLAST, Disk, Inner, LAYOUT, lock, read_whole, temporary};
use crate::{Digest, ModelId, Slot, StoreError, Vfs, VfsFile};

/// Where the copies of a record are.
#[derive(Debug, Clone)]
pub(super) struct Pair([PathBuf; 2]);

impl Pair {
    pub(super) fn new(folder: &Path, name: &str, ending: &str) -> Self {
        Self([folder.join(format!("{name}{ending}")), folder.join(format!("{name}.copy"))])
    }
}

/// What two copies say.
pub(super) enum Found<T> {
    Missing,
    /// Neither can be read.
    Damaged,
    Sound(T),
}

/// The best copy: its record, its bytes, and which copies are another one or none.
type Best<T> = (T, Vec<u8>, [bool; 2]);

/// Reads a record, and writes a copy again that is not the latest. `decode` gives it with its generation, or why it is
/// none. Nobody else may write or remove it meanwhile.
pub(super) fn read<T>(
    vfs: &dyn Vfs,
    pair: &Pair,
    largest: u64,
    decode: impl Fn(&[u8]) -> Result<(u64, T), String>,
) -> Result<Found<T>, StoreError> {
    Ok(match best(vfs, pair, largest, decode)? {
        Found::Sound((record, bytes, stale)) => {
            if stale.contains(&true) {
                // Both: the one that is read may not be on the disk yet, if who wrote it was killed. It may fail, as on a
                // full disk.
                let _ = write_pair(vfs, pair, &bytes);
            }
            Found::Sound(record)
        }
        Found::Missing => Found::Missing,
        Found::Damaged => Found::Damaged,
    })
}

/// As [`read`], changing nothing, so that others may write it meanwhile: one copy is always whole.
pub(super) fn peek<T>(
    vfs: &dyn Vfs,
    pair: &Pair,
    largest: u64,
    decode: impl Fn(&[u8]) -> Result<(u64, T), String>,
) -> Option<T> {
    match best(vfs, pair, largest, decode) {
        Ok(Found::Sound((record, ..))) => Some(record),
        _ => None,
    }
}

fn best<T>(
    vfs: &dyn Vfs,
    pair: &Pair,
    largest: u64,
    decode: impl Fn(&[u8]) -> Result<(u64, T), String>,
) -> Result<Found<Best<T>>, StoreError> {
    let mut best: Option<(u64, T, Vec<u8>)> = None;
    let (mut damage, mut failure) = (None, None);
    let mut generations = [None; 2];
    for (path, generation) in pair.0.iter().zip(&mut generations) {
        match read_whole(vfs, path, largest) {
            Ok(None) => {}
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok((number, record)) => {
                    *generation = Some(number);
                    if best.as_ref().is_none_or(|(other, ..)| number > *other) {
                        best = Some((number, record, bytes));
                    }
                }
                Err(why) => damage = Some(why),
            },
            Err(error) => failure = Some(StoreError::io("reading", path)(error)),
        }
    }
    match (best, damage, failure) {
        (Some((number, record, bytes)), ..) => {
            let stale = generations.map(|generation| generation != Some(number));
            Ok(Found::Sound((record, bytes, stale)))
        }
        (None, _, Some(failure)) => Err(failure),
        (None, Some(_), None) => Ok(Found::Damaged),
        (None, None, None) => Ok(Found::Missing),
    }
}

impl Inner {
    /// Writes both copies; the record is durable afterwards. A full disk has what the ballast held for this.
    pub(super) fn write_pair(&self, pair: &Pair, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_small(pair, bytes, || write_pair(&*self.vfs, pair, bytes))
    }

    /// Writes both copies over what they were, the older one first, and waits for that one only: one sync instead of
    /// three. The record is durable afterwards; if the power goes in the middle, one copy has the record before.
    pub(super) fn write_turn(&self, pair: &Pair, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_small(pair, bytes, || match write_turn(&*self.vfs, pair, generation, bytes) {
            // The first time there is nothing to write over.
            Err(error) if error.kind() == io::ErrorKind::NotFound => write_pair(&*self.vfs, pair, bytes),
            other => other,
        })
    }

    fn write_small(&self, pair: &Pair, bytes: &[u8], write: impl Fn() -> io::Result<()>) -> Result<(), StoreError> {
        let is_full =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        write()
            .or_else(|error| {
                if is_full(&error) && self.vfs.remove_file(&self.root.join(BALLAST)).is_ok() {
                    return write();
                }
                Err(error)
            })
            .map_err(self.failed("writing", &pair.0[0], 2 * bytes.len() as u64))
    }
}

fn write_pair(vfs: &dyn Vfs, pair: &Pair, bytes: &[u8]) -> io::Result<()> {
    // Both are on disk before either has its name: a full disk leaves the record as it was.
    let aside = pair.0.clone().map(|path| temporary(&path));
    let write = || {
        for path in &aside {
            let _ = vfs.remove_file(path);
            let file = vfs.open(path, crate::Open::CreateNew)?;
            file.write_at(0, bytes)?;
            file.sync()?;
        }
        for (from, to) in aside.iter().zip(&pair.0) {
            vfs.rename(from, to)?;
        }
        pair.0[0].parent().map_or(Ok(()), |folder| vfs.sync_dir(folder))
    };
    write().inspect_err(|_| aside.iter().for_each(|path| drop(vfs.remove_file(path))))
}

fn write_turn(vfs: &dyn Vfs, pair: &Pair, generation: u64, bytes: &[u8]) -> io::Result<()> {
    let [first, second] = &pair.0;
    // Who is waited for changes each time: the other one may still be on its way to the disk.
    let (waited, other) = if generation.is_multiple_of(2) { (first, second) } else { (second, first) };
    let other = vfs.open(other, crate::Open::Write)?;
    let over = |file: &dyn VfsFile| {
        if file.stat()?.len != bytes.len() as u64 {
            file.set_len(bytes.len() as u64)?;
        }
        file.write_at(0, bytes)
    };
    let waited = vfs.open(waited, crate::Open::Write)?;
    over(&*waited)?;
    waited.sync()?;
    over(&*other)
}

/// What marks a folder as a store.
#[derive(Serialize, Deserialize)]
struct Mark {
    layout: String,
    install: String,
}

/// Fails if the marker, or a copy of it, is that of another version; changes nothing.
pub(super) fn refuse_foreign(vfs: &dyn Vfs, root: &Path, base: &Path) -> Result<(), StoreError> {
    for path in Pair::new(base, "STORE", "").0 {
        // A copy that cannot be read says nothing; the other one may.
        let bytes = read_whole(vfs, &path, MARK.largest_file()).ok().flatten().unwrap_or_default();
        let foreign = match MARK.decode(&bytes) {
            Err(Unsound::Foreign(version)) => version.to_string(),
            Ok(payload) => match serde_json::from_slice::<Mark>(payload) {
                Ok(mark) if mark.layout != LAYOUT => mark.layout,
                _ => continue,
            },
            Err(Unsound::Damaged) => continue,
        };
        let why = format!("its marker is that of another version ({foreign}): update this library, or choose a folder");
        return Err(StoreError::NoStore { path: root.to_owned(), why });
    }
    Ok(())
}

/// Reads or writes the marker; gives the installation's id.
pub(super) fn mark(vfs: &dyn Vfs, root: &Path, base: &Path) -> Result<[u8; 16], StoreError> {
    let pair = Pair::new(base, "STORE", "");
    let decode = |bytes: &[u8]| {
        let payload = MARK.decode(bytes).map_err(|error| error.to_string())?;
        let mark: Mark = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let id = u128::from_str_radix(&mark.install, 16).map_err(|error| error.to_string())?;
        Ok((0, id.to_be_bytes()))
    };
    if let Found::Sound(id) = read(vfs, &pair, MARK.largest_file(), decode)? {
        return Ok(id);
    }
    // A new store, or one that was made when the power went, or one whose marker is lost: it marks nothing that is
    // not also said by the folder's name.
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| StoreError::Internal(format!("no random numbers: {error}")))?;
    let mark = Mark { layout: LAYOUT.to_owned(), install: format!("{:032x}", u128::from_be_bytes(id)) };
    let payload = serde_json::to_vec(&mark).map_err(|error| StoreError::Internal(error.to_string()))?;
    write_pair(vfs, &pair, &MARK.encode(&payload)).map_err(super::unusable(root, "marking"))?;
    Ok(id)
}

fn decode_slot(id: &ModelId, bytes: &[u8]) -> Result<(u64, Slot), String> {
    let slot = Slot::from_bytes(bytes).map_err(|error| error.to_string())?;
    if &slot.id != id {
        return Err(format!("it is the slot of {}", slot.id));
    }
    Ok((slot.generation, slot))
}

/// A state: its generation, then the bytes.
fn decode_state(kind: Kind, bytes: &[u8]) -> Result<(u64, Vec<u8>), String> {
    let payload = kind.decode(bytes).map_err(|error| error.to_string())?;
    let (generation, rest) = payload.split_first_chunk::<8>().ok_or("it is too short")?;
    Ok((u64::from_le_bytes(*generation), rest.to_vec()))
}

impl Disk {
    fn slot_pair(&self, id: &ModelId) -> Pair {
        Pair::new(&self.inner.root.join("slots"), id.as_str(), ".slot")
    }

    /// Names of all slots, damaged ones included.
    pub(super) fn slot_ids(&self) -> Result<Vec<ModelId>, StoreError> {
        let folder = self.inner.root.join("slots");
        let names = self.inner.vfs.read_dir(&folder).map_err(StoreError::io("reading the folder", &folder))?;
        let id = |name: &PathBuf| {
            let name = name.to_str()?;
            name.strip_suffix(".slot").or_else(|| name.strip_suffix(".copy"))?.parse::<ModelId>().ok()
        };
        let mut ids: Vec<ModelId> = names.iter().filter_map(id).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// All slots that can be read, by id; those whose copies are both damaged are left out (see
    /// [`Disk::damaged_slots`]).
    pub fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        let _names = lock(&self.inner.names);
        Ok(self.read_slots()?.0)
    }

    /// Models whose slots cannot be read: nothing is collected while there is one, because nobody knows what it needs.
    pub fn damaged_slots(&self) -> Result<Vec<ModelId>, StoreError> {
        let _names = lock(&self.inner.names);
        Ok(self.read_slots()?.1)
    }

    /// All slots, and those that cannot be read, while nobody else changes names: a copy that is lost is written again.
    pub(super) fn read_slots(&self) -> Result<(Vec<Slot>, Vec<ModelId>), StoreError> {
        let (mut slots, mut damaged) = (Vec::new(), Vec::new());
        for id in self.slot_ids()? {
            match self.find_slot(&id) {
                Ok(Found::Sound(slot)) => slots.push(slot),
                Ok(Found::Missing) => {}
                Ok(Found::Damaged) | Err(_) => damaged.push(id),
            }
        }
        Ok((slots, damaged))
    }

    fn find_slot(&self, id: &ModelId) -> Result<Found<Slot>, StoreError> {
        read(&*self.inner.vfs, &self.slot_pair(id), super::checked::SLOT.largest_file(), |bytes| decode_slot(id, bytes))
    }

    /// The slot of a model, if it has one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if both copies are.
    pub fn slot(&self, id: &ModelId) -> Result<Option<Slot>, StoreError> {
        let _names = lock(&self.inner.names);
        self.slot_locked(id)
    }

    fn slot_locked(&self, id: &ModelId) -> Result<Option<Slot>, StoreError> {
        match self.find_slot(id)? {
            Found::Sound(slot) => Ok(Some(slot)),
            Found::Missing => Ok(None),
            Found::Damaged => Err(StoreError::Damaged { file: format!("the slot of {id}"), chunk: 0 }),
        }
    }

    /// Writes a slot; it is durable afterwards. Its generation rises.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if somebody wrote it since this one was read: read it again. See [`Disk::change_slot`].
    pub fn put_slot(&self, slot: &mut Slot) -> Result<(), StoreError> {
        let _names = lock(&self.inner.names);
        self.put_slot_locked(slot)
    }

    pub(super) fn put_slot_locked(&self, slot: &mut Slot) -> Result<(), StoreError> {
        let there = match self.find_slot(&slot.id)? {
            Found::Sound(there) => there.generation,
            Found::Missing => 0,
            // It can only get better; but a damaged one is replaced by nobody who does not know.
            Found::Damaged if slot.generation == 0 => 0,
            Found::Damaged => slot.generation,
        };
        if there != slot.generation {
            return Err(StoreError::InUse { what: format!("the slot of {}", slot.id) });
        }
        let next = Slot { generation: there + 1, ..slot.clone() };
        let bytes = next.to_bytes().map_err(|error| StoreError::Invalid { field: "slot", why: error.to_string() })?;
        self.inner.write_pair(&self.slot_pair(&slot.id), &bytes)?;
        let mut held = lock(&self.inner.held);
        for digest in next.digests() {
            held.remove(&digest);
        }
        drop(held);
        *slot = next;
        Ok(())
    }

    /// Reads the slot of `id` (or makes one), changes it, and writes it if it changed, while nobody else does. What
    /// `change` gives comes back after the slot is durable.
    pub fn change_slot<T>(
        &self,
        id: &ModelId,
        change: impl FnOnce(&mut Slot) -> Result<T, StoreError>,
    ) -> Result<(Slot, T), StoreError> {
        let _names = lock(&self.inner.names);
        let before = self.slot_locked(id)?;
        let mut slot = before.clone().unwrap_or_else(|| Slot::new(id.clone(), ""));
        let value = change(&mut slot);
        if before.as_ref() != Some(&slot) && (value.is_ok() || before.is_some()) {
            self.put_slot_locked(&mut slot)?;
        }
        Ok((slot, value?))
    }

    /// Removes the slot of a model, also a damaged one; its objects are for [`Disk::gc`].
    pub fn remove_slot(&self, id: &ModelId) -> Result<bool, StoreError> {
        let _names = lock(&self.inner.names);
        let Pair(paths) = self.slot_pair(id);
        let mut removed = false;
        for path in &paths {
            removed |= self.inner.remove_file(path)?;
        }
        self.inner.sync_dir(&self.inner.root.join("slots"))?;
        Ok(removed)
    }

    fn state_pair(&self, name: &str) -> Result<Pair, StoreError> {
        // Names as safe as those of models.
        let name: ModelId = name.parse()?;
        Ok(Pair::new(&self.inner.root.join("trust"), name.as_str(), ".state"))
    }

    /// A record that [`Disk::put_state`] kept, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if both copies are: the caller decides what it may start from.
    pub fn state(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _names = lock(&self.inner.names);
        Ok(self.find_state(name)?.map(|(_, bytes)| bytes))
    }

    fn find_state(&self, name: &str) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let decode = |bytes: &[u8]| decode_state(STATE, bytes).map(|(number, rest)| (number, (number, rest)));
        match read(&*self.inner.vfs, &self.state_pair(name)?, STATE.largest_file(), decode)? {
            Found::Sound(state) => Ok(Some(state)),
            Found::Missing => Ok(None),
            Found::Damaged => Err(StoreError::Damaged { file: format!("the record {name}"), chunk: 0 }),
        }
    }

    /// Keeps a record: it is durable afterwards, and until then the one before it is.
    pub fn put_state(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let _names = lock(&self.inner.names);
        let before = match self.find_state(name) {
            Err(StoreError::Damaged { .. }) => 0,
            other => other?.map_or(0, |(generation, _)| generation),
        };
        let payload = [&(before + 1).to_le_bytes()[..], bytes].concat();
        let file = STATE.encode(&payload);
        STATE
            .decode(&file)
            .map_err(|_| StoreError::Invalid { field: "state", why: format!("{} bytes are too many", bytes.len()) })?;
        self.inner.write_pair(&self.state_pair(name)?, &file)
    }

    /// Digests of everything that slots name.
    pub(super) fn marked(slots: &[Slot]) -> std::collections::BTreeSet<Digest> {
        slots.iter().flat_map(Slot::digests).collect()
    }
}
