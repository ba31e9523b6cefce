//! What can go wrong in the store, with the numbers and the place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_base::{Classify, ErrorKind};

use crate::{Digest, FetchError, NoModelId, SystemVfs, TransportError, Vfs};

/// Why the store could not do what it was asked. Nothing is lost by any of these: what was installed stays installed,
/// what was downloaded stays downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system failed.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as "reading" or "making the folder".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is not enough space, or the budget is spent.
    #[error("{what} needs {need} bytes, {have} can be had")]
    Full {
        /// What needs them.
        what: String,
        /// Bytes needed.
        need: u64,
        /// Bytes that can be had.
        have: u64,
    },
    /// Another process, or another handle in this one, has the store.
    #[error("the store at {} is open elsewhere ({by}): close it there first, or choose another folder", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who has it, as far as it said so.
        by: String,
    },
    /// Something that is no store, or one that this version does not know.
    #[error("{} cannot be used as a store: {why}", path.display())]
    NoStore {
        /// The folder that was given.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A server's answer that cannot be used, or no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A download that failed for good, after `attempts`.
    #[error("{url}: {source} (after {attempts} attempts)")]
    Download {
        /// What was fetched, without what is secret in it.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: FetchError,
    },
    /// A URL or redirect that must not be followed.
    #[error("{url}: {why}")]
    Address {
        /// The address, without what is secret in it.
        url: String,
        /// Why not.
        why: String,
    },
    /// Bytes that are not those that were published.
    #[error("{file}: chunk {chunk} is damaged")]
    Damaged {
        /// The model, or the digest, of the file.
        file: String,
        /// The chunk, counted from 0.
        chunk: u64,
    },
    /// A file whose chunks arrived but whose whole is not what was announced.
    #[error("what was downloaded has the digest {got}, not {want} as announced")]
    WrongDigest {
        /// Announced.
        want: Digest,
        /// Found.
        got: Digest,
    },
    /// A catalogue or manifest that is not acceptable: damaged, expired, old, not signed by those who may.
    #[error("the catalogue {at} cannot be accepted: {why}")]
    Untrusted {
        /// Where it came from.
        at: String,
        /// Which rule it breaks.
        why: String,
    },
    /// A key that an encrypted file needs is missing, locked or another one.
    #[error("the key {id:?}: {why}")]
    Key {
        /// Its name.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such model, release or file.
    #[error("{what} is not in the store")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A text that is no model id.
    #[error(transparent)]
    Id(#[from] NoModelId),
    /// A value that cannot be used.
    #[error("{field}: {why}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A model that somebody uses cannot be removed or replaced.
    #[error("{what} is in use")]
    InUse {
        /// The model.
        what: String,
    },
    /// A file that arrived whole but is no model that can be used.
    #[error("{file} is not usable: {why}")]
    Unusable {
        /// The model.
        file: String,
        /// What its reader said.
        why: String,
    },
    /// A sound model that this engine cannot run.
    #[error("this engine cannot run it: {what}")]
    Unsupported {
        /// What it lacks.
        what: String,
    },
    /// What another one who waits for the same was told, too.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A defect.
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    /// For `map_err`: what the file system said while `doing` something to `path`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Whether the disk gave an error of its own, as failing storage does.
    pub fn is_failing_storage(&self) -> bool {
        // EIO is 5 on every Unix.
        matches!(self, Self::Io { source, .. } if source.raw_os_error() == Some(5))
    }

    /// Whether trying again later may help without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Network { retryable: true, .. })
    }
}

/// The least that a disk gives.
const BLOCK: u64 = 4096;

/// What is free where this file was to be.
fn free_near(path: &Path) -> u64 {
    path.ancestors().find_map(|place| SystemVfs.free_space(place).ok()).unwrap_or(0)
}

impl From<TransportError> for StoreError {
    fn from(error: TransportError) -> Self {
        Self::Fetch(error.into())
    }
}

impl Classify for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { doing, source, path } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    let have_bytes = free_near(path);
                    // How much was to be written is not known here, but that it was more than there is.
                    ErrorKind::StorageFull { need_bytes: have_bytes.saturating_add(BLOCK), have_bytes }
                }
                // A folder that cannot be made is no model.
                io::ErrorKind::NotFound if !doing.contains("folder") => {
                    ErrorKind::ModelNotFound { what: self.to_string() }
                }
                _ => ErrorKind::invalid("store", self.to_string()),
            },
            Self::Full { need, have, .. } => ErrorKind::StorageFull { need_bytes: *need, have_bytes: *have },
            Self::Locked { .. } => ErrorKind::Busy { why: self.to_string() },
            Self::InUse { what } => {
                ErrorKind::Busy { why: format!("{what} is in use: wait for it, or close what uses it, and try again") }
            }
            Self::NoStore { .. } => ErrorKind::invalid("store", self.to_string()),
            Self::Fetch(error) => error.kind(),
            Self::Download { url, source: FetchError::Status { status: 404 | 410 }, .. } => {
                ErrorKind::ModelNotFound { what: url.clone() }
            }
            Self::Download { source, .. } => match source.kind() {
                ErrorKind::Network { retryable, .. } => ErrorKind::Network { retryable, why: self.to_string() },
                other => other,
            },
            Self::Address { .. } | Self::Untrusted { .. } => {
                ErrorKind::Network { retryable: false, why: self.to_string() }
            }
            Self::Damaged { file, chunk } => ErrorKind::Integrity { file: file.clone(), chunk: Some(*chunk) },
            Self::WrongDigest { want, .. } => ErrorKind::Integrity { file: format!("the file {want}"), chunk: None },
            Self::Key { .. } => ErrorKind::invalid("key", self.to_string()),
            Self::NotFound { what } => ErrorKind::ModelNotFound { what: what.clone() },
            Self::Id(error) => ErrorKind::invalid("id", error.to_string()),
            Self::Invalid { field, why } => ErrorKind::invalid(*field, why.clone()),
            Self::Unusable { .. } => ErrorKind::ModelCorrupt { location: self.to_string() },
            Self::Unsupported { what } => ErrorKind::UnsupportedModel { what: what.clone() },
            Self::Shared(error) => error.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Internal(report) => ErrorKind::Internal { report: report.clone() },
        }
    }
}

impl From<inkling_base::Cancelled> for StoreError {
    fn from(_: inkling_base::Cancelled) -> Self {
        Self::Cancelled
    }
}
