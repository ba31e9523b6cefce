//! Slots as they are changed: read, changed and written under one lock, by the store that has its folder open, or, when
//! that was closed while a model was still lent, by whoever opens it for the moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Inner, StoreConfig};
use crate::disk::Disk;
use crate::slot::Slot;
use crate::{ModelId, StoreError, Vfs};

/// Stores that this process has open, by their folders.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Inner>>> = Mutex::new(BTreeMap::new());
/// How often somebody who has the folder open for a moment is waited for.
const TRIES: u32 = 40;
/// How long each time.
const PAUSE: Duration = Duration::from_millis(25);

pub(super) fn opened(inner: &Arc<Inner>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|_, store| store.strong_count() > 0);
    open.insert(inner.config.folder.clone(), Arc::downgrade(inner));
}

fn open_store(folder: &Path) -> Option<Arc<Inner>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).get(folder)?.upgrade()
}

/// A way to a model's slot that does not keep its store open.
pub(super) struct SlotRef {
    id: ModelId,
    folder: PathBuf,
    vfs: Arc<dyn Vfs>,
}

impl SlotRef {
    pub(super) fn new(id: &ModelId, config: &StoreConfig) -> Self {
        Self { id: id.clone(), folder: config.folder.clone(), vfs: Arc::clone(&config.vfs) }
    }

    /// Changes the slot, if the model is still there.
    pub(super) fn change(&self, change: impl Fn(&mut Slot)) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            if let Some(inner) = open_store(&self.folder) {
                return inner.change_if_there(&self.id, &change);
            }
            match Disk::open(Arc::clone(&self.vfs), &self.folder) {
                Ok(disk) => return change_slot(&disk, &self.id, &change),
                Err(StoreError::Locked { .. }) if tries < TRIES => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }
}

pub(super) fn change_slot(disk: &Disk, id: &ModelId, change: impl FnOnce(&mut Slot)) -> Result<(), StoreError> {
    let Some(before) = disk.slot(id)? else { return Ok(()) };
    let mut slot = before.clone();
    change(&mut slot);
    if slot == before { Ok(()) } else { disk.put_slot(&mut slot) }
}
