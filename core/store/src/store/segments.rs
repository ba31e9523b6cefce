//! Files that somebody else fetches: on iOS a background session goes on while the app sleeps or is gone, and hands over
//! finished files. What to ask it for is said here; what it brings is checked like anything else.

use std::path::Path;

use super::jobs::Jobs;
use super::wanted::From;
use super::{EnsureOptions, Store};
use crate::net::segment::{plan_segments, segment_request};
use crate::{Digest, Landing, ModelId, Request, Source, StoreError};

/// What is missing of a model, cut into parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// The model.
    pub id: ModelId,
    /// Each can be fetched by itself, in any order. None if all is there: [`Store::ensure`] then only activates it.
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

impl Store {
    /// What a model still needs, in parts of about `bytes` each. The place for them is made now, so that
    /// [`Store::hand_over`] needs no network.
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
        let wanted = inner.resolve(&job)?;
        inner.check_wanted(&job, &wanted)?;
        job.set_wanted(wanted.digests());
        let staged = inner.stage(&job, &wanted)?;
        let mut parts = Vec::new();
        for (file, staging) in wanted.files.iter().zip(&staged) {
            let (Some(staging), From::Net(address)) = (staging, &file.from) else { continue };
            inner.take_known(&job, staging)?;
            inner.disk.await_parts(&file.plan.sha256, true)?;
            let segments = plan_segments(staging.plan(), &staging.missing(), bytes);
            if segments.is_empty() {
                continue;
            }
            let place = inner.net.place_of(address, &job.control)?;
            for segment in segments {
                let request = segment_request(&place, &segment)?;
                parts.push(Part { file: file.plan.sha256, from: segment.from, length: segment.length, request });
            }
        }
        Ok(Segments { id, parts })
    }

    /// Takes a part that was fetched: the file at `path` holds the bytes of `file` from `from` on. Gives the bytes that
    /// were new and right; the caller removes the file. Needs no network, so it can be called in the few seconds that a
    /// system gives an app that it woke.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if nobody waits for that file; [`StoreError::InUse`] while a download of it runs.
    pub fn hand_over(&self, file: &Digest, from: u64, path: &Path) -> Result<u64, StoreError> {
        let staging = self.inner.disk.resume(file)?;
        let staging = staging.ok_or_else(|| StoreError::NotFound { what: format!("a download of {file}") })?;
        staging.put_file(path, from, &inkling_base::CancelToken::new(), &mut |_| {})
    }
}
