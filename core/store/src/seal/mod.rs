//! Files that are encrypted at rest, chunk by chunk. docs/encryption.md says what this protects against and what not.
//!
//! ```text
//! sealed file = chunks, each as long as it was ‖ table ‖ key's name ‖ footer
//! table       = for each chunk: length (4 bytes) ‖ nonce (12) ‖ tag (16)
//! footer      = "inkling-sealed-1" ‖ plain size (8) ‖ chunks (8) ‖ length of the key's name (8) ‖ key check (16)
//!               ‖ SHA-256 of table, name and footer up to here (32) ‖ HMAC-SHA-256 of the same (32)
//! ```
//!
//! Numbers are little-endian. A chunk is AES-256-GCM of the plain chunk. Its nonce is not random but the first 12 bytes of
//! an HMAC of the plain chunk: so a chunk that did not change looks the same in the next release, wherever it stands, and
//! only what has changed is downloaded. Different chunks have different nonces, but for a chance of 2^-96 for every
//! two: 2^-49 that it ever happens among 16 TiB under one key.
//!
//! Nothing in a chunk says where it belongs; the table does, and the HMAC over table and footer holds it together. A
//! chunk that stands elsewhere, comes from another file, or is missing does not fit the nonce and tag at its place, and a
//! table that was put together by somebody else has no HMAC that fits.
//!
//! The four keys (cipher, nonces, table, key check) are HMACs of the key from the [`KeyProvider`].

mod format;
mod read;
mod write;

use std::io;

use zeroize::Zeroizing;

pub use read::Sealed;
pub use write::{seal, seal_file, sealed_chunks};

use crate::{StoreError, VfsFile};

/// Where keys come from: the Keychain, the Keystore, a server of the app. Asked once for each file that is opened.
pub trait KeyProvider: Send + Sync {
    /// The 32 bytes of the key with this name.
    ///
    /// # Errors
    /// [`StoreError::Key`] if there is no such key, or if it must not be used now.
    fn key(&self, id: &str) -> Result<Zeroizing<[u8; 32]>, StoreError>;
}

/// Whether this can be the name of a key: 1 to 100 letters, digits, `.`, `_`, `-` and `:`, without `..`. A provider may take
/// it for part of a file's name, and it may come from a stranger's file.
pub fn is_key_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    (1..=format::LONGEST_KEY).contains(&(id.len() as u64)) && id.chars().all(plain) && !id.contains("..")
}

/// Bytes that are read at any place, by several threads at once.
pub trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> io::Result<u64>;
    /// Fills the buffer with those from `offset` on; fewer only at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for Box<dyn VfsFile> {
    fn size(&self) -> io::Result<u64> {
        self.stat().map(|stat| stat.len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        VfsFile::read_at(&**self, offset, buffer)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let bytes = &self[from..];
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl ReadAt for std::fs::File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            #[cfg(unix)]
            let found = std::os::unix::fs::FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64);
            #[cfg(windows)]
            let found = std::os::windows::fs::FileExt::seek_read(self, &mut buffer[filled..], offset + filled as u64);
            match found {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
