//! Space: what is used, what nobody needs, what goes when the budget is spent.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::have::kept_plan;
use super::spare::{may_go, may_lose_previous};
use super::{Disk, Inner, lock, remove_folder};
use crate::{Digest, ModelId, Slot, StoreError};

/// What the store uses, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Every object.
    pub objects: Vec<ObjectUsage>,
    /// Of files that are being put together: what they will have.
    pub staging: u64,
    /// Of damaged files.
    pub quarantine: u64,
    /// All of it.
    pub total: u64,
}

/// What one object uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUsage {
    /// Which.
    pub digest: Digest,
    /// The file and its table.
    pub bytes: u64,
    /// What is derived from it.
    pub panels: u64,
    /// Whether a slot names it.
    pub is_used: bool,
}

/// How much the store may use.
#[derive(Debug, Clone)]
pub struct EvictPolicy {
    /// Bytes that the store may have in all.
    pub budget: u64,
    /// Bytes that must be free on the disk afterwards, besides `need`.
    pub keep_free: u64,
    /// Once something goes, this share of the budget is freed beyond what is needed, so that the next download does
    /// not evict again at once.
    pub hysteresis: f64,
    /// Bytes that are about to come, besides what is being put together already: that is counted as it will be.
    pub need: u64,
    /// Models that stay: the one that is asked for, those that are open.
    pub keep: Vec<ModelId>,
    /// Files that somebody is fetching or will go on with now: what has arrived of others nobody wants.
    pub coming: Vec<Digest>,
}

/// A file that is being put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Staged {
    /// Bytes that it will have.
    pub planned: u64,
    /// Bytes that it has of the disk.
    pub taken: u64,
}

impl Staged {
    /// Bytes that it will still take.
    pub fn outstanding(&self) -> u64 {
        self.planned.saturating_sub(self.taken)
    }
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Models that are not installed any more.
    pub models: Vec<ModelId>,
    /// Models that lost the release to go back to.
    pub previous: Vec<ModelId>,
    /// Bytes.
    pub freed: u64,
}

impl Disk {
    /// What is used.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let _names = lock(&self.inner.names);
        let marked = Self::marked(&self.read_slots()?.0);
        self.inner.usage(&marked)
    }

    /// Removes what nobody needs: objects that no slot names, staging that nobody has touched for `age`, quarantine.
    /// Objects finished since the store was opened wait for their slot, and others of nobody for `age` too. `now` is
    /// the time since 1970. Gives the bytes that are free again.
    ///
    /// While a slot cannot be read, no object goes: nobody knows what it needs.
    pub fn gc(&self, now: Duration, age: Duration) -> Result<u64, StoreError> {
        let _names = lock(&self.inner.names);
        let (slots, damaged) = self.read_slots()?;
        let marked = Self::marked(&slots);
        let old = |path: &Path| {
            let stat = self.inner.vfs.stat(path);
            // A time in the future is a clock that was set back.
            stat.is_ok_and(|stat| {
                stat.modified.saturating_add(age) <= now || stat.modified > now + Duration::from_secs(86_400)
            })
        };
        // While a slot cannot be read, nobody knows what is to be repaired.
        let mut freed = self.inner.clear_quarantine(|digest| marked.contains(digest) || !damaged.is_empty())?;
        if damaged.is_empty() {
            for object in self.inner.usage(&marked)?.objects {
                if !object.is_used && old(&self.inner.object_path(&object.digest)) {
                    freed += self.inner.remove_object(&object.digest)?;
                }
            }
        }
        let staging = self.inner.root.join("staging");
        for digest in self.staged()? {
            let folder = staging.join(digest.to_string());
            let data = folder.join("data");
            let touched = if self.inner.vfs.stat(&data).is_ok() { data } else { folder.clone() };
            // A damaged object's repair is not for the collector: its slot still names it.
            if !marked.contains(&digest) && old(&touched) {
                freed += self.inner.remove_staging(&digest)?.planned;
            }
        }
        self.inner.put_ballast();
        Ok(freed)
    }

    /// These files wait for no slot any more: nobody who wanted them will take them.
    pub fn let_go<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) {
        let mut held = lock(&self.inner.held);
        for digest in digests {
            held.remove(digest);
        }
    }

    /// Removes these files and what has arrived of them, as far as no slot names them and nobody uses them. Gives the bytes
    /// that are free again.
    pub fn forget(&self, digests: &[Digest]) -> Result<u64, StoreError> {
        let _names = lock(&self.inner.names);
        let (slots, damaged) = self.read_slots()?;
        let marked = Self::marked(&slots);
        let mut freed = 0;
        for digest in digests.iter().filter(|digest| !marked.contains(digest)) {
            lock(&self.inner.held).remove(digest);
            if damaged.is_empty() {
                freed += self.inner.remove_object(digest)?;
            }
            freed += self.inner.remove_staging(digest)?.planned;
        }
        Ok(freed)
    }

    /// How far a file has come that is being put together: nothing if it is not.
    pub fn staging_size(&self, digest: &Digest) -> Staged {
        self.inner.staging_size(digest)
    }

    /// Makes room: after it, the store has at most the budget with what is needed, and the disk that much space free
    /// with it, besides what files that are being put together will still take. First goes what arrived of files that
    /// nobody wants now, the longest untouched first; then other files of nobody, then releases to go back to, then
    /// whole models, the longest unused first; never one that is pinned, leased, or to be kept.
    ///
    /// # Errors
    /// [`StoreError::Full`] if there is not enough that may go. Nothing went then, unless somebody began to read some of
    /// it meanwhile.
    pub fn evict(&self, policy: &EvictPolicy) -> Result<Evicted, StoreError> {
        let _names = lock(&self.inner.names);
        let (mut slots, damaged) = self.read_slots()?;
        let mut room = Room::of(self, policy, &Self::marked(&slots))?;
        let mut evicted = Evicted::default();
        if room.is_enough() {
            return Ok(evicted);
        }
        // Tried on a copy: for what cannot fit nothing goes.
        if !room.is_enough() {
            let mut tried = room.clone();
            self.spare(damaged.is_empty().then_some(&slots[..]), policy, &mut tried)?;
            if !tried.is_enough() {
                return Err(tried.error(policy));
            }
        }
        room.add((policy.budget as f64 * policy.hysteresis.clamp(0.0, 1.0)) as u64);
        let marked = Self::marked(&slots);
        room.free(self.inner.clear_quarantine(|digest| marked.contains(digest) || !damaged.is_empty())?);
        if damaged.is_empty() {
            self.evict_staging(&slots, policy, &mut room)?;
            self.evict_unnamed(&slots, &mut room)?;
            slots.sort_by_key(|slot| (slot.last_used, slot.id.clone()));
            for at in 0..slots.len() {
                if !room.is_roomy() && may_lose_previous(self, &slots[at], policy) {
                    slots[at].previous = None;
                    self.put_slot_locked(&mut slots[at])?;
                    evicted.previous.push(slots[at].id.clone());
                    self.evict_unnamed(&slots, &mut room)?;
                }
            }
            for at in 0..slots.len() {
                let gone: Vec<Digest> = slots[at].digests().collect();
                if !room.is_roomy() && may_go(&slots[at], policy) && !gone.is_empty() && !self.any_leased(&gone) {
                    slots[at].evicted();
                    self.put_slot_locked(&mut slots[at])?;
                    let marked = Self::marked(&slots);
                    for digest in gone.iter().filter(|digest| !marked.contains(digest)) {
                        // A repair that was interrupted: nobody needs it now.
                        room.free_staged(self.inner.remove_staging(digest)?);
                    }
                    room.free(self.inner.clear_quarantine(|digest| marked.contains(digest))?);
                    evicted.models.push(slots[at].id.clone());
                    self.evict_unnamed(&slots, &mut room)?;
                }
            }
        }
        if !room.is_enough() {
            // Before somebody gets nothing: what could be taken from it is fetched instead.
            room.free(self.inner.clear_quarantine(|_| false)?);
        }
        evicted.freed = room.budget.gone;
        if room.is_enough() { Ok(evicted) } else { Err(room.error(policy)) }
    }

    fn any_leased(&self, digests: &[Digest]) -> bool {
        digests.iter().any(|digest| self.is_leased(digest))
    }

    /// Removes what arrived of files that nobody wants now, as far as room is needed.
    fn evict_staging(&self, slots: &[Slot], policy: &EvictPolicy, room: &mut Room) -> Result<(), StoreError> {
        let marked = Self::marked(slots);
        let touched = |digest: &Digest| {
            let data = self.inner.staging_path(digest).join("data");
            self.inner.vfs.stat(&data).map_or(Duration::ZERO, |stat| stat.modified)
        };
        let mut nobodys = self.staged()?;
        // A damaged object's repair is still wanted: its slot names it. So is what a background session is fetching.
        nobodys.retain(|digest| !marked.contains(digest) && self.inner.is_nobodys(digest, policy));
        nobodys.sort_by_key(|digest| (touched(digest), *digest));
        for digest in nobodys {
            if !room.is_roomy() {
                room.free_staged(self.inner.remove_staging(&digest)?);
            }
        }
        Ok(())
    }

    /// Removes objects that no slot names, as far as room is needed.
    fn evict_unnamed(&self, slots: &[Slot], room: &mut Room) -> Result<(), StoreError> {
        let marked = Self::marked(slots);
        for object in self.inner.usage(&marked)?.objects {
            if !object.is_used && !room.is_roomy() {
                room.free(self.inner.remove_object(&object.digest)?);
            }
        }
        Ok(())
    }
}

/// How much must still go: two limits, of which each is met by itself.
#[derive(Clone)]
pub(super) struct Room {
    budget: Limit,
    disk: Limit,
    /// Bytes that the disk must have free.
    floor: u64,
}

#[derive(Clone, Default)]
struct Limit {
    /// Bytes that must go, and those that should.
    must: u64,
    should: u64,
    gone: u64,
}

impl Limit {
    fn of(must: u64) -> Self {
        Self { must, should: must, gone: 0 }
    }

    /// Once something must go, so much more should.
    fn add(&mut self, more: u64) {
        if self.must > 0 {
            self.should = self.should.saturating_add(more);
        }
    }

    fn missing(&self) -> u64 {
        self.must.saturating_sub(self.gone)
    }
}

impl Room {
    fn of(disk: &Disk, policy: &EvictPolicy, marked: &BTreeSet<Digest>) -> Result<Self, StoreError> {
        let used = disk.inner.usage(marked)?.total.saturating_add(policy.need);
        let coming = policy.need.saturating_add(disk.inner.outstanding(None, &policy.coming));
        let floor = policy.keep_free.saturating_add(coming);
        let lacking = floor.saturating_sub(disk.inner.free_space()?);
        Ok(Self { budget: Limit::of(used.saturating_sub(policy.budget)), disk: Limit::of(lacking), floor })
    }

    fn add(&mut self, more: u64) {
        self.budget.add(more);
        self.disk.add(more);
    }

    pub(super) fn free(&mut self, bytes: u64) {
        self.budget.gone += bytes;
        self.disk.gone += bytes;
    }

    /// What was begun counts as whole in the budget; the disk gets back what it gave.
    pub(super) fn free_staged(&mut self, staged: Staged) {
        self.budget.gone += staged.planned.max(staged.taken);
        self.disk.gone += staged.taken;
    }

    fn is_enough(&self) -> bool {
        self.budget.missing() == 0 && self.disk.missing() == 0
    }

    fn is_roomy(&self) -> bool {
        self.budget.gone >= self.budget.should && self.disk.gone >= self.disk.should
    }

    /// Of the two limits the one that is missed by more.
    fn error(&self, policy: &EvictPolicy) -> StoreError {
        let (over, lacking) = (self.budget.missing(), self.disk.missing());
        if lacking >= over {
            return full(self.floor, self.floor.saturating_sub(lacking));
        }
        let have = policy.need.saturating_sub(over);
        StoreError::Full {
            what: "the model, within the store's budget,".to_owned(),
            need: policy.need.max(have + 1),
            have,
        }
    }
}

/// What a disk lacks for what is coming.
pub(super) fn full(need: u64, have: u64) -> StoreError {
    let what = "the download, with what others still take and what stays free,".to_owned();
    StoreError::Full { what, need, have: have.min(need.saturating_sub(1)) }
}

impl Inner {
    pub(super) fn usage(&self, marked: &BTreeSet<Digest>) -> Result<Usage, StoreError> {
        let names = |folder: &str| {
            let folder = self.root.join(folder);
            let names = self.vfs.read_dir(&folder).map_err(StoreError::io("reading the folder", &folder))?;
            Ok::<_, StoreError>(names.into_iter().filter_map(|name| name.into_os_string().into_string().ok()))
        };
        let mut usage = Usage::default();
        for digest in names("objects")?.filter_map(|name| name.parse::<Digest>().ok()) {
            let bytes = self.size_of(&self.object_path(&digest)) + self.size_of(&self.chunks_path(&digest));
            let panels = self.size_of_folder(&self.panels_path(&digest));
            let is_used = marked.contains(&digest);
            usage.objects.push(ObjectUsage { digest, bytes, panels, is_used });
            usage.total += bytes + panels;
        }
        for digest in self.staged()? {
            // As large as it was planned, also if little of it is there yet.
            usage.staging += self.size_of_folder(&self.staging_path(&digest)).max(self.planned(&digest));
        }
        for name in names("quarantine")? {
            usage.quarantine += self.size_of(&self.root.join("quarantine").join(name));
        }
        usage.total += usage.staging + usage.quarantine;
        usage.objects.sort_by_key(|object| object.digest);
        Ok(usage)
    }

    /// Digests of files of which something is there but not all.
    pub(super) fn staged(&self) -> Result<Vec<Digest>, StoreError> {
        let folder = self.root.join("staging");
        let names = self.vfs.read_dir(&folder).map_err(StoreError::io("reading the folder", &folder))?;
        Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
    }

    /// Bytes that a file will have. Its plan, which may have the digests of a hundred thousand chunks, is read once.
    fn planned(&self, digest: &Digest) -> u64 {
        let folder = self.staging_path(digest);
        let Ok(mark) = self.mark_of(&folder.join("plan")) else { return 0 };
        if let Some((_, size)) = lock(&self.planned).get(digest).filter(|(known, _)| *known == mark) {
            return *size;
        }
        let plan = kept_plan(&*self.vfs, &folder).ok().flatten();
        let size = plan.map_or(0, |plan| plan.size.min(crate::plan::LARGEST_FILE));
        let mut planned = lock(&self.planned);
        planned.retain(|digest, _| self.is_begun(digest));
        planned.insert(*digest, (mark, size));
        size
    }

    pub(super) fn staging_size(&self, digest: &Digest) -> Staged {
        let data = self.staging_path(digest).join("data");
        Staged { planned: self.planned(digest), taken: self.vfs.stat(&data).map_or(0, |stat| stat.allocated) }
    }

    /// Bytes that files will still take of the disk that are being put together now, here or by somebody else, or are
    /// among those that are `coming`, but for one of them.
    pub(super) fn outstanding(&self, but: Option<&Digest>, coming: &[Digest]) -> u64 {
        let mut digests = lock(&self.open).clone();
        digests.extend(coming);
        let begun = self.staged().unwrap_or_default();
        digests.extend(begun.into_iter().filter(|digest| self.is_awaited(digest)));
        let others = digests.iter().filter(|digest| Some(*digest) != but);
        others.fold(0, |sum: u64, digest| sum.saturating_add(self.staging_size(digest).outstanding()))
    }

    /// Fails if the disk has no room for so many bytes of this file, besides what others will take and what stays free.
    pub(super) fn check_room(&self, digest: &Digest, bytes: u64) -> Result<(), StoreError> {
        let free = self.free_space()?;
        let others = self.outstanding(Some(digest), &[]);
        let need = bytes.saturating_add(others).saturating_add(self.settings.keep_free);
        // What takes nothing always fits, also where others took what should stay free.
        if bytes > 0 && need > free { Err(full(need, free)) } else { Ok(()) }
    }

    pub(super) fn size_of(&self, path: &Path) -> u64 {
        self.vfs.stat(path).map_or(0, |stat| stat.len)
    }

    pub(super) fn size_of_folder(&self, folder: &Path) -> u64 {
        let names = self.vfs.read_dir(folder).unwrap_or_default();
        names.iter().map(|name| self.size_of(&folder.join(name))).sum()
    }

    /// Removes an object with all that belongs to it, unless somebody reads it or it waits for its slot.
    fn remove_object(&self, digest: &Digest) -> Result<u64, StoreError> {
        let (path, table, panels) = (self.object_path(digest), self.chunks_path(digest), self.panels_path(digest));
        if self.is_in_use(digest) {
            return Ok(0);
        }
        let freed = self.size_of(&path) + self.size_of(&table) + self.size_of_folder(&panels);
        self.remove_file(&path)?;
        self.remove_file(&table)?;
        remove_folder(&*self.vfs, &panels).map_err(StoreError::io("removing", &panels))?;
        self.sync_dir(&self.root.join("objects"))?;
        if lock(&self.trusted).remove(digest).is_some() {
            // What it says of a file that is gone does no harm.
            let _ = self.write_trusted(&lock(&self.trusted));
        }
        Ok(freed)
    }

    /// Removes what has arrived of a file, unless somebody is putting it together. Gives what it was counted as, and what
    /// the disk has back.
    fn remove_staging(&self, digest: &Digest) -> Result<Staged, StoreError> {
        let open = lock(&self.open);
        if open.contains(digest) {
            return Ok(Staged::default());
        }
        let folder = self.staging_path(digest);
        let staged = self.whole_staging(digest);
        remove_folder(&*self.vfs, &folder).map_err(StoreError::io("removing", &folder))?;
        Ok(staged)
    }

    /// Empties quarantine of what nobody reads and nothing is taken from any more. What is there of a file that slots
    /// name, and that is not installed, is what a repair takes from, also one that has yet to begin.
    fn clear_quarantine(&self, is_named: impl Fn(&Digest) -> bool) -> Result<u64, StoreError> {
        let is_installed = |digest: &Digest| self.vfs.stat(&self.object_path(digest)).is_ok();
        let mut freed = 0;
        for path in
            self.idle_quarantine(|digest| self.is_begun(digest) || (is_named(digest) && !is_installed(digest)))?
        {
            freed += self.size_of(&path);
            self.remove_file(&path)?;
        }
        Ok(freed)
    }
}
