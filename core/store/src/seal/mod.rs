//! Files that are encrypted at rest, chunk by chunk.

use zeroize::Zeroizing;

use crate::StoreError;

/// Where keys come from: the Keychain, the Keystore, a server of the app. Asked once for each file that is opened.
pub trait KeyProvider: Send + Sync {
    /// The 32 bytes of the key with this name.
    ///
    /// # Errors
    /// [`StoreError::Key`] if there is no such key, or if it must not be used now.
    fn key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>, StoreError>;
}
