//! One download from its beginning to its end, on a thread of its own. Everything that it did stays done when it stops
//! in the middle: the next one goes on there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Inner;
use super::jobs::Job;
use super::wanted::{From, Wanted, WantedFile};
use crate::disk::{BadChunk, Held, Staging};
use crate::download::{DownloadEvent, Transfer, WaitReason};
use crate::net::meter::Meter;
use crate::slot::{Offered, Slot, Why};
use crate::{Digest, FilePlan, Landing, ModelId, Release, Source, StoreError};

/// How often what is missing is fetched, when others remove it at the same time.
const ROUNDS: usize = 3;
/// How often somebody who waits for another download looks whether it has ended, at first and later.
const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_millis(50);

impl Inner {
    /// Installs what the job wants, and tells its watchers.
    pub(crate) fn install(&self, job: &Job) -> Result<ModelId, StoreError> {
        let outcome = self.bring(job);
        if outcome.is_err() {
            self.let_go(job);
        }
        outcome
    }

    /// What has arrived whole waits for its slot no longer: it goes when room is needed.
    pub(super) fn let_go(&self, job: &Job) {
        let others: Vec<Digest> = self.jobs.others(job).iter().flat_map(|other| other.wanted()).collect();
        let mine = job.wanted();
        self.disk.let_go(mine.iter().filter(|digest| !others.contains(digest)));
    }

    fn bring(&self, job: &Job) -> Result<ModelId, StoreError> {
        self.wait_behind(job)?;
        job.board.tell(DownloadEvent::Resolving);
        // Somebody may want an update while it is looked at.
        if !job.options().update && self.is_complete(job)? && !job.begin().update {
            return Ok(job.id.clone());
        }
        if !matches!(job.source, Source::File(_)) {
            if !job.options().update && self.install_what_came(job)? && !job.begin().update {
                return Ok(job.id.clone());
            }
            self.wait_until_free(job)?;
        }
        job.begin();
        let wanted = match (self.resolve(job), &job.source) {
            // A catalogue that offers this device nothing takes nothing away from it.
            (Err(StoreError::NotFound { .. }), Source::Catalog { .. }) if self.is_complete(job)? => {
                return Ok(job.id.clone());
            }
            (outcome, _) => outcome?,
        };
        self.check_wanted(job, &wanted.release)?;
        job.set_wanted(wanted.digests());
        let mut rounds = 0;
        while rounds < ROUNDS {
            match self.round(job, &wanted) {
                Ok(true) => return Ok(job.id.clone()),
                // A file that another model had too went with that model meanwhile.
                Ok(false) => rounds += 1,
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                // Somebody who wants the same file goes on with it. It is there when this one may go on, or on its way.
                Err(_) if job.control.stood_aside() => self.wait_until_free(job)?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::InUse { what: format!("what {} shares with other models", job.id) })
    }

    /// Fetches what is missing and puts it in its place; `false` if something went meanwhile.
    fn round(&self, job: &Job, wanted: &Wanted) -> Result<bool, StoreError> {
        if !self.has_all(job, wanted)? {
            let _held = job.hold();
            let staged = self.stage(job, wanted)?;
            for staging in staged.iter().flatten() {
                // This download goes on with what a background session was to fetch. If it cannot be said, it only
                // stays longer than it need.
                let _ = self.disk.await_no_parts(&staging.plan().sha256);
            }
            self.fill(job, wanted, &staged).map_err(|error| self.with_numbers(error, &staged))?;
            if !self.finish(job, wanted, staged)? {
                return Ok(false);
            }
        }
        self.activate(job, &wanted.release)
    }

    /// Waits until the job may use the network.
    fn wait_until_free(&self, job: &Job) -> Result<(), StoreError> {
        loop {
            let waited = job.control.wait_until_free(&*self.config.clock, &mut |reason| {
                job.board.tell(reason.map_or(DownloadEvent::Resolving, DownloadEvent::Waiting));
            });
            match waited {
                // It holds nothing that anybody could want.
                Err(StoreError::InUse { .. }) if job.control.stood_aside() => {}
                other => return other,
            }
        }
    }

    /// One that was cancelled may still be at work on the same files for a moment, and one that was asked for less than
    /// this ends first.
    fn wait_behind(&self, job: &Job) -> Result<(), StoreError> {
        let mut pause = SHORT;
        while self.jobs.is_behind(job) {
            job.control.check()?;
            std::thread::sleep(pause);
            if pause >= LONG {
                job.board.tell(DownloadEvent::Waiting(WaitReason::Queued));
            }
            pause = (pause * 2).min(LONG);
        }
        Ok(())
    }

    /// Whether the model is there and whole, so that nobody needs to be asked. Files that were not verified since they
    /// last changed are.
    pub(super) fn is_complete(&self, job: &Job) -> Result<bool, StoreError> {
        let Some(slot) = self.slot(&job.id)? else { return Ok(false) };
        self.same_source(job, &slot)?;
        let Some(release) = slot.chosen() else { return Ok(false) };
        for file in release.files.iter().filter(|file| file.required) {
            if self.disk.object(&file.sha256)?.is_none() || self.is_suspect(&file.sha256) {
                return Ok(false);
            }
            if self.disk.trusts(&file.sha256) {
                continue;
            }
            match self.bad_chunks(job, &file.sha256) {
                Ok(bad) if bad.is_empty() => {}
                Ok(_) => {
                    self.suspect(&file.sha256);
                    return Ok(false);
                }
                // Its publisher contradicts himself: perhaps not any more.
                Err(StoreError::WrongDigest { .. }) => {
                    self.fallback(&job.id, release, Why::Other)?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn bad_chunks(&self, job: &Job, digest: &Digest) -> Result<Vec<BadChunk>, StoreError> {
        self.disk.verify(digest, &job.control.token(), &mut |done, total| {
            job.board.tell(DownloadEvent::Verifying { done, total });
        })
    }

    /// An id stands for one source: another model must not take its place by accident.
    fn same_source(&self, job: &Job, slot: &Slot) -> Result<(), StoreError> {
        let source = job.source.text();
        if slot.source == source || slot.chosen().is_none() {
            return Ok(());
        }
        let why = format!("{} comes from {}: remove it, or give this one another id", job.id, slot.source);
        Err(StoreError::Invalid { field: "id", why })
    }

    /// What can be refused before a byte is fetched.
    pub(super) fn check_wanted(&self, job: &Job, release: &Release) -> Result<(), StoreError> {
        if let Some(slot) = &self.slot(&job.id)? {
            self.same_source(job, slot)?;
            // Tried on a copy: nothing is on trial before it is there.
            slot.clone().offer(release.clone(), insists(job, slot, release))?;
        }
        Ok(())
    }

    fn has_all(&self, job: &Job, wanted: &Wanted) -> Result<bool, StoreError> {
        for file in &wanted.files {
            if !self.is_whole(job, &file.plan)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes room, and a place for every file that is not there yet.
    pub(super) fn stage(&self, job: &Job, wanted: &Wanted) -> Result<Vec<Option<Staging>>, StoreError> {
        let mut lacking = BTreeMap::new();
        for file in &wanted.files {
            if !self.is_whole(job, &file.plan)? {
                lacking.insert(file.plan.sha256, file.plan.size);
            }
        }
        let turn = self.make_room(job, lacking)?;
        // Others see on the list what was promised. One that is not on it has begun before they look.
        let _turn = job.is_loose().then_some(turn);
        // All take them in one order, so that no two wait for each other. What is needed twice is fetched once.
        let mut order: Vec<usize> = (0..wanted.files.len()).collect();
        order.sort_by_key(|&at| (wanted.files[at].plan.sha256, !wanted.files[at].file.required));
        order.dedup_by_key(|at| wanted.files[*at].plan.sha256);
        let mut staged: Vec<Option<Staging>> = wanted.files.iter().map(|_| None).collect();
        for at in order {
            staged[at] = self.place(job, &wanted.files[at])?;
        }
        Ok(staged)
    }

    /// A place for a file; `None` if it is there. One that another download puts together is waited for: when that has
    /// ended, well or not, it is there or this one goes on with what has arrived.
    fn place(&self, job: &Job, file: &WantedFile) -> Result<Option<Staging>, StoreError> {
        let digest = &file.plan.sha256;
        let mut pause = SHORT;
        loop {
            job.control.check()?;
            // Looked at again: making room may have taken what another model shared with this one.
            if self.is_whole(job, &file.plan)? {
                return Ok(None);
            }
            let was_there = self.disk.object(digest)?.is_some();
            let placed = match was_there {
                true if self.is_suspect(digest) => self.stage_repair(file, job).map(Some),
                true => return Ok(None),
                false => self.disk.mend(&file.plan).map(Some),
            };
            let is_taken = match &placed {
                Err(StoreError::InUse { .. }) => !job.is_loose(),
                // It came or went in between.
                Err(_) => self.disk.object(digest)?.is_some() != was_there,
                Ok(_) => false,
            };
            if !is_taken {
                return placed;
            }
            if pause >= LONG {
                job.board.tell(DownloadEvent::Waiting(WaitReason::Queued));
                self.jobs.take_over(job, digest);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONG);
        }
    }

    pub(super) fn is_whole(&self, job: &Job, plan: &FilePlan) -> Result<bool, StoreError> {
        let held = self.disk.holds(plan, &job.control.token())?;
        if held == Held::Damaged {
            self.suspect(&plan.sha256);
        }
        Ok(held == Held::Installed && !self.is_suspect(&plan.sha256))
    }

    /// A place for a file that is there but damaged: its good chunks stay.
    fn stage_repair(&self, file: &WantedFile, job: &Job) -> Result<Staging, StoreError> {
        let bad = self.bad_chunks(job, &file.plan.sha256)?;
        let staging = self.disk.begin_repair(&file.plan, &bad, &job.control.token())?;
        // The damaged file is gone; what is missing now is missing for all to see.
        self.clear_suspicion(&file.plan.sha256);
        Ok(staging)
    }

    /// Fetches what is missing.
    fn fill(&self, job: &Job, wanted: &Wanted, staged: &[Option<Staging>]) -> Result<(), StoreError> {
        for staging in staged.iter().flatten() {
            staging.hash_ahead();
            self.take_known(job, staging)?;
        }
        let total = wanted.bytes();
        let left: u64 = staged.iter().flatten().map(missing_bytes).sum();
        let there = AtomicU64::new(total.saturating_sub(left));
        for (file, staging) in wanted.files.iter().zip(staged.iter()) {
            let Some(staging) = staging else { continue };
            let outcome = match &file.from {
                From::Local(path) => self.copy_in(job, path, staging, &there, total),
                From::Net(address) => self.fetch(job, address, staging, &there, total),
            };
            match outcome {
                Err(error) if !file.file.required && !matches!(error, StoreError::Cancelled) => {
                    tracing::warn!(file = %file.file.name, %error, "an optional file is left out");
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// A disk that filled up while something was written: what the rest of the download needs, instead of that write.
    fn with_numbers(&self, error: StoreError, staged: &[Option<Staging>]) -> StoreError {
        let StoreError::Full { what, .. } = error else { return error };
        let mine: Vec<Digest> = staged.iter().flatten().map(|staging| staging.plan().sha256).collect();
        let mut need: u64 = staged.iter().flatten().map(missing_bytes).sum();
        for other in self.coming().iter().filter(|other| !mine.contains(other)) {
            need = need.saturating_add(self.disk.staging_size(other).outstanding());
        }
        let need = need.saturating_add(self.config.keep_free).max(1);
        let have = self.config.vfs.free_space(self.disk.folder()).unwrap_or(0).min(need - 1);
        StoreError::Full { what, need, have }
    }

    /// Takes what an older release has too, or a damaged copy, which then need not be fetched.
    pub(super) fn take_known(&self, job: &Job, staging: &Staging) -> Result<(), StoreError> {
        let known: Vec<_> = self.slot(&job.id)?.iter().flat_map(Slot::digests).collect();
        staging.take_from(&known, &job.control.token())?;
        Ok(())
    }

    fn fetch(
        &self,
        job: &Job,
        address: &crate::net::open::Address,
        staging: &Staging,
        there: &AtomicU64,
        total: u64,
    ) -> Result<(), StoreError> {
        let (meter, shown) = (RefCell::new(Meter::new()), Cell::new(0));
        self.net.fetch(address, staging, &job.control, &|traffic| {
            let landed = there.fetch_add(traffic.landed_new, Ordering::Relaxed) + traffic.landed_new;
            // What is lost on the way is not taken back before people's eyes: it comes again.
            let bytes = landed.saturating_add(traffic.under_way).clamp(shown.get(), total.max(shown.get()));
            shown.set(bytes);
            let (now, mut meter) = (self.config.clock.monotonic(), meter.borrow_mut());
            match &traffic.wait {
                Some(reason) => {
                    meter.restart();
                    job.board.tell(DownloadEvent::Waiting(reason.clone()));
                }
                None => {
                    meter.add(now, traffic.bytes_new);
                    let remaining = meter.eta(now, total.saturating_sub(bytes));
                    let rate = meter.rate(now).unwrap_or(0.0);
                    let transfer = Transfer { bytes, total, rate, remaining };
                    job.board.tell(DownloadEvent::Downloading(transfer));
                }
            }
        })
    }

    /// Copies from a file on this machine; its chunks are checked on the way.
    fn copy_in(
        &self,
        job: &Job,
        path: &Path,
        staging: &Staging,
        there: &AtomicU64,
        total: u64,
    ) -> Result<(), StoreError> {
        let before = there.load(Ordering::Relaxed);
        let (mut meter, token) = (Meter::new(), job.control.token());
        let taken = staging.put_file(path, 0, &token, &mut |taken| {
            let now = self.config.clock.monotonic();
            meter.add(now, taken.saturating_sub(meter.total()));
            let bytes = (before + taken).min(total);
            let (rate, remaining) = (meter.rate(now).unwrap_or(0.0), meter.eta(now, total - bytes));
            job.board.tell(DownloadEvent::Downloading(Transfer { bytes, total, rate, remaining }));
        })?;
        there.fetch_add(taken, Ordering::Relaxed);
        match staging.missing().first() {
            None => Ok(()),
            Some(_) => {
                let why = format!("{} changed while it was read: ask again", path.display());
                Err(StoreError::Invalid { field: "source", why })
            }
        }
    }

    /// The files are whole: their digests are compared, and they get their places. `false` if one is to be fetched again
    /// because what was taken from a damaged copy was not what somebody else had said it is.
    fn finish(&self, job: &Job, wanted: &Wanted, staged: Vec<Option<Staging>>) -> Result<bool, StoreError> {
        let token = job.control.token();
        for (file, staging) in wanted.files.iter().zip(staged) {
            let Some(staging) = staging else { continue };
            if !file.file.required && !staging.missing().is_empty() {
                continue;
            }
            job.board.tell(DownloadEvent::Verifying { done: 0, total: file.plan.size });
            let finished = staging.finish(&token, &mut |done, total| {
                job.board.tell(DownloadEvent::Verifying { done, total });
            });
            match finished {
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                Err(StoreError::WrongDigest { .. }) if self.disk.disbelieve(&file.plan.sha256)? => return Ok(false),
                Err(error) if !file.file.required => {
                    tracing::warn!(file = %file.file.name, %error, "an optional file is left out");
                    continue;
                }
                other => other.map(|_| ())?,
            }
            self.clear_suspicion(&file.plan.sha256);
        }
        Ok(true)
    }

    /// Whether the weights are a model that this engine can use. What is encrypted is seen when it is loaded.
    fn check_usable(&self, release: &Release) -> Result<(), StoreError> {
        let Some(file) = release.weights().filter(|file| file.sealed.is_none()) else { return Ok(()) };
        let Some(object) = self.disk.object(&file.sha256)? else {
            return Err(StoreError::NotFound { what: file.name.clone() });
        };
        (self.config.inspector)(&object.path, release).or_else(|error| {
            match self.disk.object(&object.digest)? {
                Some(_) => Err(error),
                // Somebody removed it while it was looked at.
                None => Err(StoreError::NotFound { what: file.name.clone() }),
            }
        })
    }

    /// The release takes its place in the slot. `false` if a file that it needs is not there any more.
    pub(super) fn activate(&self, job: &Job, release: &Release) -> Result<bool, StoreError> {
        job.control.check()?;
        job.board.tell(DownloadEvent::Activating);
        match self.check_usable(release) {
            Err(StoreError::NotFound { .. }) => return Ok(false),
            other => other?,
        }
        let (now, mut whole) = (self.now(), true);
        let outcome = self.change(&job.id, |slot| {
            // Nobody removes or evicts anything from here on until the slot names it.
            job.control.check()?;
            for file in release.files.iter().filter(|file| file.required) {
                whole &= self.disk.object(&file.sha256)?.is_some();
            }
            if !whole {
                return Err(StoreError::NotFound { what: job.id.to_string() });
            }
            let mut slot = slot.unwrap_or_else(|| Slot::new(job.id.clone(), ""));
            slot.source = job.source.text();
            slot.last_used = slot.last_used.max(now);
            let insist = insists(job, &slot, release);
            let offered = slot.offer(release.clone(), insist)?;
            tracing::info!(model = %job.id, new = offered == Offered::Pending, "a release is installed");
            Ok(slot)
        });
        if whole { outcome.map(|()| true) } else { Ok(false) }
    }
}

/// Whether a release is taken though it was given up here: because somebody asks for it, or because only this disk's
/// copy of it was bad.
fn insists(job: &Job, slot: &Slot, release: &Release) -> bool {
    match slot.refusal(release) {
        Some(Why::WrongHash | Why::FailingStorage) => true,
        // Nothing else is left, and somebody asks for it: better one more trial than no model.
        Some(Why::CrashAtLoad) if slot.chosen().is_none() => true,
        _ => job.options().insist,
    }
}

fn missing_bytes(staging: &Staging) -> u64 {
    staging.missing().iter().map(|&chunk| staging.plan().chunks.range(chunk).1).sum()
}
