//! Where fetched chunks land. The network side knows no files, the disk side no network; this is what they share.

use crate::{FilePlan, StoreError};

/// A file that is being put together. Called from several threads at once.
pub trait Landing: Send + Sync {
    /// The file.
    fn plan(&self) -> &FilePlan;

    /// Chunks that are not there yet, ascending.
    fn missing(&self) -> Vec<usize>;

    /// Takes a chunk: exactly its bytes. If its digest is known it is checked first.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the bytes are not those of the chunk: nothing was kept, and fetching it again may
    /// help. Anything else is for the caller to give up on.
    fn put(&self, chunk: usize, bytes: &[u8]) -> Result<(), StoreError>;
}
