//! What could go if room were needed: summed before anything goes, so that nothing goes for what cannot fit anyway.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::space::{EvictPolicy, Room, Staged};
use super::{Disk, Inner, lock};
use crate::{Digest, Slot, StoreError};

/// What slots still name when all that may go is gone.
struct Left {
    /// Files whose objects stay.
    objects: BTreeSet<Digest>,
    /// Files of models that lose at most a previous release: what has arrived of them is a repair, and stays.
    repairs: BTreeSet<Digest>,
}

impl Left {
    fn of(disk: &Disk, slots: &[Slot], policy: &EvictPolicy) -> Self {
        let (mut objects, mut repairs) = (BTreeSet::new(), BTreeSet::new());
        for slot in slots {
            if may_go(slot, policy) && !slot.digests().any(|digest| disk.is_leased(&digest)) {
                continue;
            }
            repairs.extend(slot.digests());
            let mut rest = slot.clone();
            if may_lose_previous(disk, slot, policy) {
                rest.previous = None;
            }
            objects.extend(rest.digests());
        }
        Self { objects, repairs }
    }
}

/// Whether a model is one of those that may go, as far as nobody reads it.
pub(super) fn may_go(slot: &Slot, policy: &EvictPolicy) -> bool {
    !slot.pinned && !policy.keep.contains(&slot.id)
}

/// Whether a model has a release to go back to that may go.
pub(super) fn may_lose_previous(disk: &Disk, slot: &Slot, policy: &EvictPolicy) -> bool {
    let files = slot.previous.iter().flat_map(|release| &release.files);
    slot.previous.is_some() && may_go(slot, policy) && !files.into_iter().any(|file| disk.is_leased(&file.sha256))
}

impl Disk {
    /// Counts in `room` all that could go, as if it were gone. Without the `slots` nobody knows what they need, and only
    /// quarantine goes.
    pub(super) fn spare(
        &self,
        slots: Option<&[Slot]>,
        policy: &EvictPolicy,
        room: &mut Room,
    ) -> Result<(), StoreError> {
        let inner = &self.inner;
        let mut gone = BTreeSet::new();
        if let Some(slots) = slots {
            gone = self.spare_named(slots, policy, room)?;
        }
        // Also what a repair could take from: it goes last.
        for path in inner.idle_quarantine(|digest| inner.is_begun(digest) && !gone.contains(digest))? {
            room.free(inner.size_of(&path));
        }
        Ok(())
    }

    /// What could go of objects, and of what has arrived of files. Gives those of the latter.
    fn spare_named(
        &self,
        slots: &[Slot],
        policy: &EvictPolicy,
        room: &mut Room,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let inner = &self.inner;
        let (marked, left) = (Self::marked(slots), Left::of(self, slots, policy));
        for object in inner.usage(&marked)?.objects {
            if !left.objects.contains(&object.digest) && !inner.is_in_use(&object.digest) {
                room.free(object.bytes + object.panels);
            }
        }
        let mut gone = BTreeSet::new();
        for digest in self.staged()? {
            let goes = if marked.contains(&digest) {
                !left.repairs.contains(&digest)
            } else {
                inner.is_nobodys(&digest, policy)
            };
            if goes && !lock(&inner.open).contains(&digest) {
                room.free_staged(inner.whole_staging(&digest));
                gone.insert(digest);
            }
        }
        Ok(gone)
    }
}

impl Inner {
    /// Whether somebody reads an object, or it waits for its slot.
    pub(super) fn is_in_use(&self, digest: &Digest) -> bool {
        lock(&self.held).contains(digest) || self.is_leased(&self.object_path(digest))
    }

    /// Whether nobody fetches, or will go on with, a file that has begun and that no slot names.
    pub(super) fn is_nobodys(&self, digest: &Digest, policy: &EvictPolicy) -> bool {
        !policy.coming.contains(digest) && !self.is_awaited(digest)
    }

    /// What has arrived of a file, with all that belongs to it.
    pub(super) fn whole_staging(&self, digest: &Digest) -> Staged {
        let staged = self.staging_size(digest);
        Staged { planned: self.size_of_folder(&self.staging_path(digest)).max(staged.planned), ..staged }
    }

    /// Whether something has arrived of a file.
    pub(super) fn is_begun(&self, digest: &Digest) -> bool {
        self.vfs.stat(&self.staging_path(digest)).is_ok()
    }

    /// What is in quarantine that nobody reads and nobody takes from now, of files that are not `needed`.
    pub(super) fn idle_quarantine(&self, needed: impl Fn(&Digest) -> bool) -> Result<Vec<PathBuf>, StoreError> {
        let folder = self.root.join("quarantine");
        let names = self.vfs.read_dir(&folder).map_err(StoreError::io("reading the folder", &folder))?;
        let mut idle = Vec::new();
        for name in names.iter().filter_map(|name| name.to_str()) {
            let path = folder.join(name);
            let digest = name.strip_suffix(".chunks").unwrap_or(name).parse::<Digest>().ok();
            let is_needed = digest.is_some_and(|digest| lock(&self.open).contains(&digest) || needed(&digest));
            if !is_needed && !self.is_leased(&path) {
                idle.push(path);
            }
        }
        Ok(idle)
    }
}
