//! A look at a source before anything is fetched: how large it is, and how its first bytes are.

use std::path::Path;

use super::jobs::{Job, Jobs};
use super::wanted::{From, WantedFile};
use super::{EnsureOptions, Store, invalid};
use crate::{Digest, Open, Role, Source, StoreError};

/// What a source has.
pub struct Look<'a> {
    store: &'a Store,
    job: Job,
    what: What,
}

enum What {
    /// A file on this machine, which is not read for it.
    Local(std::path::PathBuf, u64),
    /// The weights of a release, all its files' bytes, and what it says of itself.
    Offered { weights: Box<WantedFile>, bytes: u64, to_fetch: u64, ram_min: u64, files: Vec<Digest> },
}

impl Store {
    /// Asks a source what it has. Nothing is changed.
    pub fn look(&self, source: &Source) -> Result<Look<'_>, StoreError> {
        self.inner.check_source(source)?;
        let job = Jobs::loose(source.model_id()?, source.clone(), EnsureOptions::default());
        let what = match source {
            Source::File(path) => What::Local(path.clone(), self.inner.length(path)?),
            _ => {
                let wanted = self.inner.resolve(&job)?;
                let (bytes, ram_min) = (wanted.bytes(), wanted.release.ram_min);
                let mut to_fetch = 0_u64;
                for file in &wanted.files {
                    if self.inner.disk.object(&file.plan.sha256)?.is_none() {
                        let here = self.inner.disk.staged_bytes(&file.plan.sha256);
                        to_fetch = to_fetch.saturating_add(file.plan.size.saturating_sub(here));
                    }
                }
                let files = wanted.digests();
                let weights = wanted.files.into_iter().find(|file| file.file.role == Role::Weights);
                let weights = weights.ok_or_else(|| invalid("source", format!("{source} has no weights")))?;
                What::Offered { weights: Box::new(weights), bytes, to_fetch, ram_min, files }
            }
        };
        Ok(Look { store: self, job, what })
    }
}

impl super::Inner {
    fn length(&self, path: &Path) -> Result<u64, StoreError> {
        let stat = self.config.vfs.stat(path);
        match stat {
            Ok(stat) if !stat.is_dir => Ok(stat.len),
            Ok(_) => Err(invalid("source", format!("{} is a folder: give a GGUF file", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::NotFound { what: path.display().to_string() })
            }
            Err(error) => Err(StoreError::io("looking at", path)(error)),
        }
    }
}

impl Look<'_> {
    /// Bytes of the weights.
    pub fn size(&self) -> u64 {
        match &self.what {
            What::Local(_, size) => *size,
            What::Offered { weights, .. } => weights.plan.size,
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        match &self.what {
            What::Local(_, size) => *size,
            What::Offered { bytes, .. } => *bytes,
        }
    }

    /// Bytes that have yet to come: what has arrived earlier and is noted is not fetched again.
    pub fn to_fetch(&self) -> u64 {
        match &self.what {
            What::Local(_, size) => *size,
            What::Offered { to_fetch, .. } => *to_fetch,
        }
    }

    /// Bytes that may still come for it: what the disk and the budget leave, with all that could go for it.
    pub fn room(&self) -> Result<u64, StoreError> {
        match &self.what {
            What::Local(..) => self.store.inner.room_for(&[]),
            What::Offered { files, .. } => self.store.inner.room_for(files),
        }
    }

    /// Bytes of memory that its publisher says it needs; 0 if nobody said.
    pub fn ram_min(&self) -> u64 {
        match &self.what {
            What::Local(..) => 0,
            What::Offered { ram_min, .. } => *ram_min,
        }
    }

    /// Whether its beginning can be read: not if it is encrypted.
    pub fn is_readable(&self) -> bool {
        match &self.what {
            What::Local(..) => true,
            What::Offered { weights, .. } => weights.file.sealed.is_none(),
        }
    }

    /// The first bytes of the weights, as many as there are up to this.
    pub fn head(&self, upto: u64) -> Result<Vec<u8>, StoreError> {
        let vfs = &self.store.inner.config.vfs;
        let path = match &self.what {
            What::Local(path, _) => path.clone(),
            What::Offered { weights, .. } => match (self.store.inner.disk.object(&weights.plan.sha256)?, &weights.from)
            {
                (Some(object), _) => object.path,
                (None, From::Local(path)) => path.clone(),
                (None, From::Net(address)) => return self.store.inner.net.head_of(address, upto, &self.job.control),
            },
        };
        let file = vfs.open(&path, Open::Read).map_err(StoreError::io("opening", &path))?;
        let mut bytes = vec![0; upto.min(self.size()) as usize];
        let read = file.read_at(0, &mut bytes).map_err(StoreError::io("reading", &path))?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
