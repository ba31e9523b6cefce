//! Files that somebody else fetches: on iOS a background session goes on while the app sleeps or is gone, and hands over
//! finished files. What to ask it for is said here; what it brings is checked like anything else.

use std::path::Path;

use inkling_base::CancelToken;

use super::jobs::{Job, Jobs};
use super::wanted::{From, Wanted};
use super::{EnsureOptions, Inner, Store};
use crate::disk::{Awaited, Staging};
use crate::net::segment::{Segment, plan_segments, segment_request};
use crate::{Digest, DownloadEvent, FilePlan, Landing, ModelId, Request, Source, StoreError};

/// What is missing of a model, cut into parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// The model.
    pub id: ModelId,
    /// Each can be fetched by itself, in any order. None if all is there: [`Store::ensure`] then only activates it, if that is
    /// not done.
    pub parts: Vec<Part>,
}

/// One part of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub file: Digest,
    /// Its first byte in the file.
    pub from: u64,
    /// Its bytes.
    pub length: u64,
    /// How to ask for it: where the bytes come from, with nothing secret for anybody but that host. The answer must be a
    /// 206 with exactly this range; any other means that the address does not hold any more: ask for segments again.
    pub request: Request,
}

/// What became of a part that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// Bytes of it that were new and right.
    pub bytes: u64,
    /// Models of which this was the last that they lacked: they are installed now.
    pub installed: Vec<ModelId>,
}

impl Store {
    /// What a model still needs, in parts of about `bytes` each. The place for them is made now, and it is noted what they
    /// are for, so that [`Store::hand_over`] needs no network, and can be called while this asks its own.
    ///
    /// # Errors
    /// As [`Store::ensure`] and its download; [`StoreError::InUse`] while a download of the model runs.
    pub fn segments(&self, source: Source, options: &EnsureOptions, bytes: u64) -> Result<Segments, StoreError> {
        let inner = &self.inner;
        inner.check_source(&source)?;
        let id = options.id.clone().map_or_else(|| source.model_id(), Ok)?;
        if inner.jobs.of(&id).is_some() {
            return Err(StoreError::InUse { what: format!("the download of {id}") });
        }
        let job = Jobs::loose(id.clone(), source, options.clone());
        // As a download: what is there is asked for again by those who want an update.
        if !options.update && (inner.is_complete(&job)? || inner.install_what_came(&job)?) {
            return Ok(Segments { id, parts: Vec::new() });
        }
        let wanted = inner.resolve(&job)?;
        inner.check_wanted(&job, &wanted.release)?;
        job.set_wanted(wanted.digests());
        // Parts that somebody was told of before may still be on their way.
        let were_told = !inner.disk.awaited_for(&id)?.is_empty();
        let parts = inner.lay_out(&job, &wanted, bytes).and_then(|missing| inner.parts_of(&job, &wanted, missing));
        if parts.is_err() && !were_told {
            self.call_off(&id)?;
        }
        Ok(Segments { id, parts: parts? })
    }

    /// Nobody fetches parts of this model any more, as if [`Store::segments`] had not been asked: what has come stays for
    /// the next download like that of any other that was broken off, but its room is given to who needs it, and what
    /// comes all the same does not install it. Harmless if nobody did.
    pub fn call_off(&self, id: &ModelId) -> Result<(), StoreError> {
        let _parts = self.inner.parts();
        self.inner.disk.await_none_for(id).map(drop)
    }

    /// Takes a part that was fetched: the file at `path` holds the bytes of `file` from `from` on; the caller removes it.
    /// Needs no network, so it can be called in the few seconds that a system gives an app that it woke.
    ///
    /// With the last part of all that a model lacked the model is installed: its files are compared with their digests,
    /// for which each byte is read once more (about a second for each gigabyte), and take their places. If that fails, or
    /// the process ends meanwhile, nothing is lost, and [`Store::ensure`] sees to it. It is the release that the source had
    /// when it was asked for segments.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if nobody waits for that file; [`StoreError::InUse`] while a download of it runs.
    pub fn hand_over(&self, file: &Digest, from: u64, path: &Path) -> Result<HandedOver, StoreError> {
        let _parts = self.inner.parts();
        let staging = self.inner.disk.resume(file)?;
        let staging = staging.ok_or_else(|| StoreError::NotFound { what: format!("a download of {file}") })?;
        let bytes = staging.put_file(path, from, &CancelToken::new(), &mut |_| {})?;
        let is_whole = staging.missing().is_empty();
        drop(staging);
        let installed = if is_whole { self.inner.install_awaited(file) } else { Vec::new() };
        Ok(HandedOver { bytes, installed })
    }
}

impl Inner {
    /// How to ask for what is missing of each file.
    fn parts_of(&self, job: &Job, wanted: &Wanted, missing: Vec<Vec<Segment>>) -> Result<Vec<Part>, StoreError> {
        let mut parts = Vec::new();
        for (file, segments) in wanted.files.iter().zip(missing) {
            let From::Net(address) = &file.from else { continue };
            if segments.is_empty() {
                continue;
            }
            let place = self.net.place_of(address, &job.control)?;
            for segment in segments {
                let request = segment_request(&place, &segment)?;
                parts.push(Part { file: file.plan.sha256, from: segment.from, length: segment.length, request });
            }
        }
        Ok(parts)
    }

    /// Makes the places of a model's files, takes what this device has of them, and notes what they are for. Gives what
    /// somebody must fetch of each. Nothing is held afterwards: what is noted keeps the room.
    fn lay_out(&self, job: &Job, wanted: &Wanted, bytes: u64) -> Result<Vec<Vec<Segment>>, StoreError> {
        let by = Awaited {
            id: job.id.clone(),
            source: job.source.text(),
            insist: job.options().insist,
            release: wanted.release.clone(),
        };
        let _parts = self.parts();
        let staged = self.stage(job, wanted)?;
        let mut missing = Vec::new();
        for (file, staging) in wanted.files.iter().zip(&staged) {
            match staging {
                Some(staging) if matches!(file.from, From::Net(_)) => {
                    self.take_known(job, staging)?;
                    staging.await_parts(&by)?;
                    missing.push(plan_segments(staging.plan(), &staging.missing(), bytes));
                }
                _ => missing.push(Vec::new()),
            }
        }
        Ok(missing)
    }

    /// Installs the models for which this file was awaited and that lack nothing now. Why one cannot be installed, its
    /// download says.
    fn install_awaited(&self, file: &Digest) -> Vec<ModelId> {
        let mut installed = Vec::new();
        for by in self.disk.awaited_by(file) {
            let arrived = by.source.as_str().parse().and_then(|source: Source| {
                // The app may have become stricter since then.
                self.check_source(&source)?;
                let options = EnsureOptions { insist: by.insist, ..EnsureOptions::default() };
                self.install_arrived(&Jobs::loose(by.id.clone(), source, options), &by)
            });
            match arrived {
                Ok(true) => installed.push(by.id),
                Ok(false) => {}
                Err(error) => tracing::warn!(model = %by.id, %error, "what has arrived is not installed"),
            }
        }
        installed
    }

    /// Installs what a background session has brought whole to a process that ended before it could: nobody needs to be
    /// asked for it. If it cannot be installed, the download sees to it.
    pub(super) fn install_what_came(&self, job: &Job) -> Result<bool, StoreError> {
        let (_parts, source) = (self.parts(), job.source.text());
        for by in self.disk.awaited_for(&job.id)?.iter().filter(|by| by.source == source) {
            match self.install_arrived(job, by) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                Err(error) => tracing::warn!(model = %by.id, %error, "what has arrived is not installed"),
            }
        }
        Ok(false)
    }

    /// Installs a release whose files have arrived; `false` if one of them has not.
    fn install_arrived(&self, job: &Job, by: &Awaited) -> Result<bool, StoreError> {
        self.check_wanted(job, &by.release)?;
        let chosen = self.slot(&job.id)?.and_then(|slot| slot.chosen().map(|release| release.number));
        if chosen.is_some_and(|number| number > by.release.number) {
            return Ok(false);
        }
        let mut files: Vec<_> = by.release.files.iter().map(|file| FilePlan::plain(file.sha256, file.size)).collect();
        files.sort_by_key(|plan| plan.sha256);
        files.dedup_by_key(|plan| plan.sha256);
        let mut arrived = Vec::new();
        for plan in files {
            // One that another publisher's chunks stand for is compared with its own digest first.
            if self.is_whole(job, &plan)? {
                continue;
            }
            match self.disk.resume(&plan.sha256)? {
                Some(staging) if staging.missing().is_empty() && staging.is_awaited_by(by) => arrived.push(staging),
                _ => return Ok(false),
            }
        }
        job.set_wanted(arrived.iter().map(|staging| staging.plan().sha256).collect());
        let outcome = self.put_in_place(job, by, &arrived);
        if !matches!(outcome, Ok(true)) {
            self.let_go(job);
        }
        outcome
    }

    fn put_in_place(&self, job: &Job, by: &Awaited, arrived: &[Staging]) -> Result<bool, StoreError> {
        for staging in arrived {
            staging.finish(&job.control.token(), &mut |done, total| {
                job.board.tell(DownloadEvent::Verifying { done, total });
            })?;
            self.clear_suspicion(&staging.plan().sha256);
        }
        self.activate(job, &by.release)
    }
}
