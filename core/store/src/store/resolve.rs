//! What a source has: asked of the hub, of the catalogue, of the file itself.

use std::path::Path;

use super::Inner;
use super::config::TrustedCatalog;
use super::jobs::Job;
use super::wanted::{From, Wanted, WantedFile};
use crate::download::DownloadEvent;
use crate::net::open::Address;
use crate::slot::Slot;
use crate::{Chunks, Digest, FilePlan, Hasher, ModelId, Open, Release, ReleaseFile, Role, Source, StoreError};

impl Inner {
    /// What the job's source has for it.
    pub(crate) fn resolve(&self, job: &Job) -> Result<Wanted, StoreError> {
        match &job.source {
            Source::Hub(file) => {
                let found = self.net.resolve(file, &job.control)?;
                let plan = FilePlan::plain(found.sha256, found.size);
                self.single(job, name_of(file.file()), plan, From::Net(found.address))
            }
            Source::Url { url, sha256, size } => {
                let plan = FilePlan::plain(*sha256, *size);
                self.single(job, name_of(url), plan, From::Net(Address::new(url.clone())))
            }
            Source::File(path) => {
                let plan = self.plan_of(path, job)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.single(job, name, plan, From::Local(path.clone()))
            }
            Source::Catalog { url, model } => self.offered(job, url, model),
        }
    }

    /// A release that is one file, of which nobody says more than its bytes.
    fn single(&self, job: &Job, name: String, plan: FilePlan, from: From) -> Result<Wanted, StoreError> {
        let file = ReleaseFile {
            role: Role::Weights,
            name,
            required: true,
            size: plan.size,
            sha256: plan.sha256,
            sealed: None,
        };
        let release = Release {
            number: self.number_for(&job.id, plan.sha256)?,
            floor: 0,
            architecture: String::new(),
            ram_min: 0,
            sdk_min: String::new(),
            files: vec![file.clone()],
            golden: Vec::new(),
            least_speed: 0.0,
        };
        Ok(Wanted { release, files: vec![WantedFile { file, plan, from }] })
    }

    /// Sources that number nothing get the next number with each change of the bytes.
    fn number_for(&self, id: &ModelId, weights: Digest) -> Result<u64, StoreError> {
        let Some(slot) = self.slot(id)? else { return Ok(1) };
        let Slot { active, previous, pending, refused, .. } = &slot;
        let releases = [active, previous, pending].into_iter().flatten();
        let known = releases.map(|release| (release.number, release.weights().map(|file| file.sha256)));
        let known: Vec<_> = known.chain(refused.iter().map(|refused| (refused.number, refused.weights))).collect();
        let same = known.iter().find(|(_, digest)| *digest == Some(weights)).map(|(number, _)| *number);
        let next = known.iter().map(|(number, _)| *number).max().unwrap_or(0).max(slot.floor).saturating_add(1);
        Ok(same.unwrap_or(next))
    }

    /// The plan of a file on this machine, whose chunks become known while it is read.
    fn plan_of(&self, path: &Path, job: &Job) -> Result<FilePlan, StoreError> {
        let not_found = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::NotFound { what: path.display().to_string() },
            _ => StoreError::io("opening", path)(error),
        };
        let file = self.config.vfs.open(path, Open::Read).map_err(not_found)?;
        let stat = file.stat().map_err(StoreError::io("reading", path))?;
        if stat.is_dir || stat.len == 0 {
            let why = format!("{} is a folder or empty: give a GGUF file", path.display());
            return Err(StoreError::Invalid { field: "source", why });
        }
        let chunks = Chunks::plain(stat.len);
        let mut whole = Hasher::new();
        let mut digests = Vec::with_capacity(chunks.len());
        let mut buffer = Vec::new();
        for index in 0..chunks.len() {
            job.control.check()?;
            let (start, length) = chunks.range(index);
            // A chunk has a MiB at most.
            buffer.resize(length as usize, 0);
            let read = file.read_at(start, &mut buffer).map_err(StoreError::io("reading", path))?;
            if read < buffer.len() {
                let why = format!("{} became shorter while it was read", path.display());
                return Err(StoreError::Invalid { field: "source", why });
            }
            whole.update(&buffer);
            digests.push(Digest::of(&buffer));
            job.board.tell(DownloadEvent::Verifying { done: start + length, total: stat.len });
        }
        let chunks = chunks.with_digests(digests).unwrap_or_else(|| Chunks::plain(stat.len));
        Ok(FilePlan { sha256: whole.finish(), size: stat.len, chunks })
    }

    pub(crate) fn catalog(&self, url: &str) -> Option<&TrustedCatalog> {
        self.config.catalogs.iter().find(|catalog| catalog.url == url)
    }
}

/// The last step of a path or address.
fn name_of(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
