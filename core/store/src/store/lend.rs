//! Lending models to readers: which release, whether its bytes can be believed, what happens when they cannot.
//!
//! A lent file is under a shared lock: nothing evicts, removes or replaces it while somebody reads it, here or in another
//! process, also when the store was closed meanwhile. Whoever borrows one says how it went; one that never says, because it crashed, has said so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inkling_base::{CancelToken, Clock};

use super::slots::SlotRef;
use super::{Inner, Store};
use crate::disk::Lease;
use crate::slot::{Choice, FellBack, Slot, SlotError, Which, Why};
use crate::{Digest, ModelId, Release, ReleaseFile, Role, StoreError};

/// A model that somebody reads.
pub struct Lent {
    /// The model.
    pub id: ModelId,
    /// The release.
    pub release: Release,
    /// Which of the slot's releases it is; one that is [`Which::Pending`] has yet to prove itself.
    pub which: Which,
    /// What was given up to come here, or earlier without the app having been told. The slot has it until somebody says
    /// that the load came back.
    pub fell_back: Vec<FellBack>,
    files: Vec<(ReleaseFile, Lease)>,
    panels: PathBuf,
    slot: SlotRef,
    clock: Arc<dyn Clock>,
    word: Mutex<Word>,
}

/// What the borrower has said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Nothing yet.
    None,
    /// The load came back.
    CameBack,
    /// All that there is to say.
    Done,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent")
            .field("id", &self.id)
            .field("release", &self.release.number)
            .field("which", &self.which)
            .finish_non_exhaustive()
    }
}

impl Lent {
    /// The file with this role, if the release has one.
    pub fn file(&self, role: Role) -> Option<(&ReleaseFile, &Path)> {
        self.files.iter().find(|(file, _)| file.role == role).map(|(file, lease)| (file, lease.path()))
    }

    /// The folder for what an engine prepares from the model; it goes when the model goes.
    pub fn panels(&self) -> &Path {
        &self.panels
    }

    fn word(&self) -> MutexGuard<'_, Word> {
        // Every change under this lock is one assignment.
        self.word.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model is loaded, and the app is told what was given up. What ends the process from now on is not counted against
    /// the release.
    pub fn came_back(&self) -> Result<(), StoreError> {
        let mut word = self.word();
        if *word != Word::None {
            return Ok(());
        }
        *word = Word::CameBack;
        self.slot.change(|slot| {
            slot.came_back(self.release.number);
            slot.told(&self.fell_back);
        })
    }

    /// An answer ended well. Five make a release on trial the active one.
    pub fn good(&self) -> Result<(), StoreError> {
        let mut word = self.word();
        if *word != Word::None && self.which != Which::Pending {
            return Ok(()); // It has said so, and there is nothing left to prove.
        }
        *word = Word::CameBack;
        let now = self.clock.unix().as_secs();
        self.slot.change(|slot| {
            slot.good(self.release.number, now);
            slot.told(&self.fell_back);
        })
    }

    /// The release is no good: it is not used again, and the one before it takes its place.
    pub fn bad(&self, why: Why) -> Result<(), StoreError> {
        *self.word() = Word::Done;
        tracing::warn!(model = %self.id, release = self.release.number, ?why, "a release is given up");
        self.slot.change(|slot| {
            slot.bad(self.release.number, why);
        })
    }

    /// It ended in order: the load, which says nothing about the release when it was cancelled or there was no memory; or
    /// the use of the model.
    pub fn withdraw(&self) -> Result<(), StoreError> {
        match std::mem::replace(&mut *self.word(), Word::Done) {
            Word::None => self.slot.change(Slot::withdraw),
            Word::CameBack => self.slot.change(Slot::closed),
            Word::Done => Ok(()),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Err(error) = self.withdraw() {
            tracing::warn!(model = %self.id, %error, "a load could not be taken back");
        }
    }
}

impl Store {
    /// Lends a model: the release on trial, else the proven one. Its bytes are verified the first time, after a load that
    /// did not come back, and whenever the file is not the one that was verified; a release whose bytes cannot be
    /// believed is given up for the one before it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if no release can be used; [`StoreError::Damaged`] if the last one is damaged:
    /// [`Store::ensure`] repairs it.
    pub fn lend(&self, id: &ModelId, cancel: &CancelToken, progress: &dyn Fn(u64, u64)) -> Result<Lent, StoreError> {
        let inner = &self.inner;
        loop {
            // On a copy: what is verified now is verified before the load is counted, because somebody may lose patience.
            let mut slot = inner.slot(id)?.ok_or_else(|| StoreError::NotFound { what: id.to_string() })?;
            inner.check_signed(&slot)?;
            let Ok(planned) = slot.begin(inner.now()) else {
                let failure = inner.begin(id)?.err();
                return Err(failure.map_or_else(|| StoreError::NotFound { what: id.to_string() }, StoreError::from));
            };
            let files = match inner.borrow(id, &planned, cancel, progress) {
                Ok(files) => files,
                Err(Refusal::Release(error, why)) => match inner.fallback(id, &planned.release, why)? {
                    true => continue,
                    false => return Err(error),
                },
                Err(Refusal::Other(error)) => return Err(error),
            };
            let weights = planned.release.weights();
            let weights = weights.ok_or_else(|| StoreError::NotFound { what: format!("the weights of {id}") })?;
            let panels = inner.disk.panels(&weights.sha256)?;
            let (choice, fell_back) = inner.begin(id)??;
            let lent = Lent {
                id: id.clone(),
                which: choice.which,
                fell_back,
                files,
                panels,
                slot: SlotRef::new(id, &inner.config),
                clock: Arc::clone(&inner.config.clock),
                word: Mutex::new(Word::None),
                release: choice.release,
            };
            if lent.release == planned.release {
                return Ok(lent);
            }
            // The slot changed meanwhile: letting go of it takes the load back.
        }
    }

    /// The app was told that these were given up, of a model that it asked for and that another took the place of.
    pub fn told(&self, id: &ModelId, these: &[FellBack]) -> Result<(), StoreError> {
        self.inner.change_if_there(id, |slot| slot.told(these))
    }
}

/// Why a release was not lent.
enum Refusal {
    /// Its bytes are not to be had.
    Release(StoreError, Why),
    /// Something that says nothing about it.
    Other(StoreError),
}

/// A disk that fails is the copy's fault, everything else nobody's.
fn judge(error: StoreError) -> Refusal {
    if matches!(error, StoreError::WrongDigest { .. }) {
        // Its publisher contradicts himself: fetching it again would not help.
        return Refusal::Release(error, Why::Other);
    }
    if error.is_failing_storage() { Refusal::Release(error, Why::FailingStorage) } else { Refusal::Other(error) }
}

impl Inner {
    /// Counts a load, on the disk, before it begins; or says why there is nothing to load, what became of the releases
    /// being kept. Gives also what the app has to be told.
    fn begin(&self, id: &ModelId) -> Result<Result<(Choice, Vec<FellBack>), SlotError>, StoreError> {
        let (now, mut outcome) = (self.now(), Err(SlotError::NothingUsable(Vec::new())));
        self.change(id, |slot| {
            let mut slot = slot.ok_or_else(|| StoreError::NotFound { what: id.to_string() })?;
            outcome = slot.begin(now).map(|choice| (choice, slot.untold.clone()));
            Ok(slot)
        })?;
        Ok(outcome)
    }

    /// Whether the store may still use what it has: it may have become stricter since.
    fn check_signed(&self, slot: &Slot) -> Result<(), StoreError> {
        if self.config.only_signed && !slot.source.as_str().starts_with("catalog:") {
            let why = format!("{} comes from {}, and this store uses signed models only", slot.id, slot.source);
            return Err(StoreError::Invalid { field: "id", why });
        }
        Ok(())
    }

    /// Leases of all files of the release that are there, verified where need be.
    fn borrow(
        &self,
        id: &ModelId,
        choice: &Choice,
        cancel: &CancelToken,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Vec<(ReleaseFile, Lease)>, Refusal> {
        let mut files = Vec::new();
        for file in &choice.release.files {
            match self.borrow_file(id, file, choice.suspicious, cancel, progress) {
                Ok(lease) => files.push((file.clone(), lease)),
                Err(Refusal::Release(error, _)) if !file.required => {
                    tracing::warn!(model = %id, file = %file.name, %error, "an optional file is left out");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(files)
    }

    fn borrow_file(
        &self,
        id: &ModelId,
        file: &ReleaseFile,
        suspicious: bool,
        cancel: &CancelToken,
        progress: &dyn Fn(u64, u64),
    ) -> Result<Lease, Refusal> {
        let digest = &file.sha256;
        if self.disk.object(digest).map_err(judge)?.is_none() || self.is_suspect(digest) {
            let error = StoreError::Damaged { file: format!("{id}: {}", file.name), chunk: 0 };
            return Err(Refusal::Release(error, Why::WrongHash));
        }
        // Before it is verified, so that what was verified is what is read.
        let lease = self.disk.lease(digest).map_err(judge)?;
        if suspicious || !self.disk.trusts(digest) {
            self.verify_file(id, file, cancel, progress)?;
        }
        Ok(lease)
    }

    /// Reads all of a file, and believes it from then on.
    fn verify_file(
        &self,
        id: &ModelId,
        file: &ReleaseFile,
        cancel: &CancelToken,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(), Refusal> {
        let digest = &file.sha256;
        let bad = self.disk.verify(digest, cancel, &mut |done, total| progress(done, total)).map_err(judge)?;
        // Verified, it is trusted from now on.
        let Some(first) = bad.first() else { return Ok(()) };
        self.suspect(digest);
        let why = if bad.iter().any(|chunk| chunk.failing_storage) { Why::FailingStorage } else { Why::WrongHash };
        let name = format!("{id}: {}", file.name);
        tracing::warn!(model = %id, file = %file.name, chunks = bad.len(), ?why, "damaged bytes");
        Err(Refusal::Release(StoreError::Damaged { file: name, chunk: first.index as u64 }, why))
    }

    /// Gives a release up if there is another; leaves it where it is, to be repaired, if there is none. Whether it did.
    pub(super) fn fallback(&self, id: &ModelId, release: &Release, why: Why) -> Result<bool, StoreError> {
        let mut given_up = false;
        self.change_if_there(id, |slot| {
            let is_another = |other: &&Release| other.number != release.number;
            let is_another = [&slot.active, &slot.previous].into_iter().flatten().any(|other| is_another(&other));
            // What cannot be repaired goes anyway, so that somebody asks for a better one.
            if is_another || why == Why::Other {
                given_up = slot.bad(release.number, why).is_some();
            }
        })?;
        Ok(given_up)
    }

    pub(crate) fn is_suspect(&self, digest: &Digest) -> bool {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    pub(crate) fn suspect(&self, digest: &Digest) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        if let Err(error) = self.disk.distrust(digest) {
            tracing::warn!(file = %digest, %error, "a file could not be marked as damaged");
        }
    }

    pub(crate) fn clear_suspicion(&self, digest: &Digest) {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}
