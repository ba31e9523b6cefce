//! Encrypted models: decrypted into memory when they are loaded, never onto the disk.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use inkling_gguf::{Gguf, GgufError};
use inkling_store::StoreError;
use inkling_store::seal::{KeyProvider, Sealed};
use inkling_store::slot::Why;

use crate::{CancelToken, Engine, Error, ErrorKind};

/// Threads that decrypt: hardware does a few GB a second on each.
const THREADS: usize = 4;

/// Why a release was not loaded.
pub(super) enum Failure {
    /// Because of itself.
    Release(Error, Why),
    /// Because of something that says nothing about it.
    Other(Error),
}

/// The plain model. It takes as much memory as it has bytes, which the system cannot take back.
pub(super) fn open(
    engine: &Engine,
    path: &Path,
    keys: &dyn KeyProvider,
    cancel: &CancelToken,
) -> Result<Arc<Gguf>, Failure> {
    let file = File::open(path).map_err(|error| judge(StoreError::io("opening", path)(error)))?;
    let sealed = Sealed::open(file, path, None, keys).map_err(judge)?;
    let need_bytes = sealed.plain_size();
    let out_of_memory = |have_bytes| Failure::Other(ErrorKind::OutOfMemory { need_bytes, have_bytes }.into());
    if let Some(have) = engine.conditions().free_memory.filter(|have| *have < need_bytes) {
        return Err(out_of_memory(have));
    }
    let size = usize::try_from(need_bytes).map_err(|_| out_of_memory(0))?;
    if cancel.is_cancelled() {
        return Err(Failure::Other(ErrorKind::Cancelled.into()));
    }
    let filled = Gguf::filled(size, |buffer| sealed.read_into(buffer, THREADS).map_err(Wrong::Store));
    match filled {
        None => Err(out_of_memory(0)),
        Some(Ok(file)) => Ok(Arc::new(file)),
        Some(Err(Wrong::Store(error))) => Err(judge(error)),
        Some(Err(Wrong::Gguf(error))) => Err(Failure::Release(error.into(), Why::Other)),
    }
}

enum Wrong {
    Store(StoreError),
    Gguf(GgufError),
}

impl From<GgufError> for Wrong {
    fn from(error: GgufError) -> Self {
        Self::Gguf(error)
    }
}

/// Damage is the file's, everything else is not.
fn judge(error: StoreError) -> Failure {
    match &error {
        StoreError::Damaged { .. } => Failure::Release(error.into(), Why::WrongHash),
        _ if error.is_failing_storage() => Failure::Release(error.into(), Why::FailingStorage),
        _ => Failure::Other(error.into()),
    }
}
