//! Looking after what is installed: list, verify, pin, remove, undo, make room.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use inkling_base::CancelToken;

use super::jobs::Job;
use super::{Inner, PATIENCE, Store, invalid};
use crate::disk::{EvictPolicy, Usage};
use crate::slot::Slot;
use crate::source::shown;
use crate::{Digest, ModelId, Release, SourceText, StoreError};

/// Share of the budget that is freed beyond what is needed, so that not every download has to evict.
const HYSTERESIS: f64 = 0.1;
/// Time after which files and downloads of nobody are collected.
pub const COLLECT_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A model as a list shows it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Installed {
    /// Its id.
    pub id: ModelId,
    /// Where it comes from: its text is one of a [`crate::Source`].
    pub source: SourceText,
    /// The release that the next load takes.
    pub release: u64,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// The release that a rollback would bring back.
    pub previous: Option<u64>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether it is kept whatever happens.
    pub pinned: bool,
    /// When it was last lent, in seconds since 1970; 0 if never.
    pub last_used: u64,
    /// Whether all files that it needs are there, as far as is known without reading them.
    pub complete: bool,
}

/// What became of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Bytes read.
    pub bytes: u64,
    /// What is damaged: the file's name and its chunks.
    pub damaged: Vec<(String, Vec<u64>)>,
}

impl Store {
    /// All models that have a release.
    pub fn list(&self) -> Result<Vec<Installed>, StoreError> {
        let mut list = Vec::new();
        for slot in self.inner.disk.slots()? {
            if let Some(release) = slot.chosen() {
                list.push(self.inner.describe(&slot, release)?);
            }
        }
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(list)
    }

    /// Reads every byte of a model's files, of all its releases, and compares them with their digests.
    pub fn verify(
        &self,
        id: &ModelId,
        cancel: &CancelToken,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Verified, StoreError> {
        let inner = &self.inner;
        let slot = inner.slot(id)?.ok_or_else(|| not_found(id))?;
        let releases = [&slot.active, &slot.previous, &slot.pending].into_iter().flatten();
        let mut files: Vec<_> = releases.flat_map(|release| &release.files).collect();
        files.sort_by_key(|file| file.sha256);
        files.dedup_by_key(|file| file.sha256);
        let total = files.iter().map(|file| file.size).sum();
        let mut verified = Verified { bytes: 0, damaged: Vec::new() };
        for file in files {
            let before = verified.bytes;
            let bad = match inner.disk.verify(&file.sha256, cancel, &mut |done, _| progress(before + done, total)) {
                // It is lost, or somebody removed it because nobody needs it any more.
                Err(StoreError::NotFound { .. }) => {
                    if inner.still_names(id, &file.sha256)? {
                        verified.damaged.push((file.name.clone(), Vec::new()));
                    }
                    continue;
                }
                // Its publisher contradicts himself: none of it is what its name says.
                Err(StoreError::WrongDigest { .. }) => {
                    verified.damaged.push((file.name.clone(), Vec::new()));
                    continue;
                }
                other => other?,
            };
            verified.bytes += file.size;
            if bad.is_empty() {
                inner.clear_suspicion(&file.sha256);
            } else {
                inner.suspect(&file.sha256);
                verified.damaged.push((file.name.clone(), bad.iter().map(|chunk| chunk.index as u64).collect()));
            }
        }
        Ok(verified)
    }

    /// Keeps a model whatever happens, or no longer.
    pub fn pin(&self, id: &ModelId, pinned: bool) -> Result<(), StoreError> {
        self.inner.change(id, |slot| {
            let mut slot = slot.ok_or_else(|| not_found(id))?;
            slot.pinned = pinned;
            Ok(slot)
        })
    }

    /// Removes a model, all its releases, and what was downloaded of the next, also by a background session. What was
    /// learned about releases that failed goes with it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while somebody reads it: nothing has changed then.
    pub fn remove(&self, id: &ModelId) -> Result<(), StoreError> {
        let inner = &self.inner;
        // Nobody brings the last part of it meanwhile.
        let _parts = inner.parts();
        let turn = inner.turn();
        let slot = inner.slot(id)?;
        if slot.as_ref().is_some_and(|slot| inner.is_lent(slot)) {
            return Err(StoreError::InUse { what: id.to_string() });
        }
        let jobs: Vec<_> = inner.jobs.all().into_iter().filter(|job| job.id == *id).collect();
        jobs.iter().for_each(|job| job.control.cancel());
        let removed = inner.disk.remove_slot(id)?;
        let awaited = inner.disk.await_none_for(id)?;
        drop(turn);
        // What they have open cannot be removed; they end soon.
        let until = Instant::now() + PATIENCE;
        while jobs.iter().any(|job| !job.board.has_ended()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut digests: Vec<Digest> = slot.iter().flat_map(Slot::digests).collect();
        for job in &jobs {
            digests.extend(job.wanted());
        }
        digests.extend(&awaited);
        inner.disk.forget(&digests)?;
        if removed || !jobs.is_empty() || !awaited.is_empty() { Ok(()) } else { Err(not_found(id)) }
    }

    /// Goes back to the release before, at the next load. Gives its number.
    pub fn rollback(&self, id: &ModelId) -> Result<u64, StoreError> {
        let mut number = 0;
        self.inner.change(id, |slot| {
            let mut slot = slot.ok_or_else(|| not_found(id))?;
            number = slot.rollback()?;
            Ok(slot)
        })?;
        Ok(number)
    }

    /// Removes what nobody needs: files of no release, downloads that nobody went on with for this time, what was
    /// quarantined and no repair needs. Gives the bytes that are free again.
    pub fn gc(&self, age: Duration) -> Result<u64, StoreError> {
        let _turn = self.inner.turn();
        self.inner.disk.gc(self.inner.config.clock.unix(), age)
    }

    /// What takes how much.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        self.inner.disk.usage()
    }

    /// Whether there is a release that can be lent.
    pub fn has_release(&self, id: &ModelId) -> Result<bool, StoreError> {
        Ok(self.inner.disk.slot(id)?.is_some_and(|slot| slot.chosen().is_some()))
    }

    /// The store's folder.
    pub fn folder(&self) -> &Path {
        &self.inner.config.folder
    }
}

fn not_found(id: &ModelId) -> StoreError {
    StoreError::NotFound { what: id.to_string() }
}

impl Inner {
    /// Whether a model still needs a file: another release may have come while somebody looked for it.
    fn still_names(&self, id: &ModelId, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.slot(id)?.is_some_and(|slot| slot.digests().any(|named| named == *digest)))
    }

    fn describe(&self, slot: &Slot, release: &Release) -> Result<Installed, StoreError> {
        let mut complete = true;
        for file in release.files.iter().filter(|file| file.required) {
            complete &= self.disk.object(&file.sha256)?.is_some() && !self.is_suspect(&file.sha256);
        }
        let before = if slot.pending.is_some() { &slot.active } else { &slot.previous };
        Ok(Installed {
            id: slot.id.clone(),
            source: slot.source.clone(),
            release: release.number,
            on_trial: slot.pending.is_some(),
            previous: before.as_ref().map(|release| release.number),
            bytes: release.size(),
            pinned: slot.pinned,
            last_used: slot.last_used,
            complete,
        })
    }

    fn is_lent(&self, slot: &Slot) -> bool {
        slot.digests().any(|digest| self.disk.is_leased(&digest))
    }

    /// Files that downloads want which are on their way.
    pub(super) fn coming(&self) -> Vec<Digest> {
        self.jobs.all().iter().flat_map(|job| job.wanted()).collect()
    }

    /// Bytes of these files that are neither there nor begun: what is begun is counted as it will be, wherever what is
    /// used is counted. A folder in which there is no plan yet is not.
    fn unbegun<'a>(&self, files: impl IntoIterator<Item = (&'a Digest, &'a u64)>) -> Result<u64, StoreError> {
        let mut bytes = 0_u64;
        for (digest, &size) in files {
            let is_there = self.disk.object(digest)?.is_some() && !self.is_suspect(digest);
            if !is_there && self.disk.staging_size(digest).planned != size {
                bytes = bytes.saturating_add(size);
            }
        }
        Ok(bytes)
    }

    /// Bytes that downloads have yet to begin of files that room was made for, but for these files.
    fn promised(&self, but: impl Fn(&Digest) -> bool) -> Result<u64, StoreError> {
        let mut files: BTreeMap<Digest, u64> = self.jobs.all().iter().flat_map(|job| job.promised()).collect();
        files.retain(|digest, _| !but(digest));
        self.unbegun(&files)
    }

    /// Evicts, oldest first, until these files may come for the job, besides what it and others have begun and what
    /// others were promised. From then on the room is the job's. Nobody else is promised any while what is returned
    /// lives.
    pub(crate) fn make_room(&self, job: &Job, files: BTreeMap<Digest, u64>) -> Result<MutexGuard<'_, ()>, StoreError> {
        let turn = self.turn();
        job.promise(BTreeMap::new());
        let (need, others) = (self.unbegun(&files)?, self.promised(|digest| files.contains_key(digest))?);
        // What somebody is asking for does not go for another one.
        let mut keep: Vec<ModelId> = self.jobs.all().iter().map(|job| job.id.clone()).collect();
        keep.push(job.id.clone());
        let mut coming = self.coming();
        coming.extend(job.wanted());
        self.disk.evict(&EvictPolicy {
            budget: self.config.budget.map_or(u64::MAX, |budget| budget.saturating_sub(others)),
            keep_free: self.config.keep_free.saturating_add(others),
            // Without a budget there is nothing to take a share of.
            hysteresis: self.config.budget.map_or(0.0, |_| HYSTERESIS),
            need,
            keep,
            coming,
        })?;
        job.promise(files);
        Ok(turn)
    }

    /// Bytes that may still come for files of which these are the digests, with all that could go for them: an estimate,
    /// which eviction has the last word on.
    pub(super) fn room_for(&self, files: &[Digest]) -> Result<u64, StoreError> {
        let usage = self.disk.usage()?;
        let coming = self.coming();
        // What stays, in the budget; what goes, and what others will take, on the disk.
        let (mut stays, mut goes, mut others) = (0_u64, usage.total.saturating_sub(usage.staging), 0_u64);
        for slot in self.disk.slots()? {
            if slot.pinned || self.is_lent(&slot) || self.jobs.of(&slot.id).is_some() {
                let bytes = slot.chosen().map_or(0, Release::size);
                stays = stays.saturating_add(bytes);
                goes = goes.saturating_sub(bytes);
            }
        }
        for digest in self.disk.staged()? {
            let staged = self.disk.staging_size(&digest);
            if files.contains(&digest) {
                stays = stays.saturating_add(staged.taken);
            } else if coming.contains(&digest) || self.disk.is_awaited(&digest) {
                stays = stays.saturating_add(staged.planned);
                others = others.saturating_add(staged.outstanding());
            } else {
                goes = goes.saturating_add(staged.taken);
            }
        }
        let promised = self.promised(|digest| files.contains(digest))?;
        (stays, others) = (stays.saturating_add(promised), others.saturating_add(promised));
        let on_disk = self.disk.free()?.saturating_add(goes).saturating_sub(others);
        Ok(self.config.budget.map_or(on_disk, |budget| on_disk.min(budget.saturating_sub(stays))))
    }

    /// Whether a source may be used at all.
    pub(crate) fn check_source(&self, source: &crate::Source) -> Result<(), StoreError> {
        match source {
            crate::Source::Catalog { url, .. } if self.catalog(url).is_none() => Err(invalid(
                "source",
                format!("no root is known for the catalogue {}: the store trusts none", shown(url)),
            )),
            crate::Source::Catalog { .. } => Ok(()),
            _ if self.config.only_signed => {
                Err(invalid("source", "this store takes models from its signed catalogues only".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
