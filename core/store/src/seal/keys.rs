//! The keys of a file, made of the one that has a name.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeyProvider;
use super::format::{CHECK, Entry, FIELDS, NONCE, TAG};
use crate::StoreError;

/// The keys of a file. Forgotten when dropped, as far as the libraries below do.
pub(super) struct Keys {
    cipher: Aes256Gcm,
    nonces: Hmac<Sha256>,
    table: Hmac<Sha256>,
    check: [u8; CHECK],
}

impl Keys {
    pub(super) fn of(id: &str, provider: &dyn KeyProvider) -> Result<Self, StoreError> {
        let key = provider.key(id)?;
        let derived = |what: &str| -> Result<Zeroizing<[u8; 32]>, StoreError> {
            Ok(Zeroizing::new(mac(&*key)?.chain_update(what).finalize().into_bytes().into()))
        };
        let cipher = derived("inkling seal 1: cipher")?;
        let mut check = [0; CHECK];
        check.copy_from_slice(&derived("inkling seal 1: check")?[..CHECK]);
        Ok(Self {
            cipher: Aes256Gcm::new_from_slice(&*cipher).map_err(|_| length())?,
            nonces: mac(&*derived("inkling seal 1: nonces")?)?,
            table: mac(&*derived("inkling seal 1: table")?)?,
            check,
        })
    }

    /// The same for the same key: tells another key from damage.
    pub(super) fn check(&self) -> [u8; CHECK] {
        self.check
    }

    /// Encrypts a chunk where it lies.
    pub(super) fn seal(&self, chunk: &mut [u8]) -> Result<Entry, StoreError> {
        let digest = self.nonces.clone().chain_update(&*chunk).finalize().into_bytes();
        let nonce: [u8; NONCE] = std::array::from_fn(|index| digest[index]);
        // No chunk is longer than a MiB.
        let length = chunk.len() as u32;
        let tag = self.cipher.encrypt_inout_detached(&Nonce::from(nonce), b"", chunk.into());
        let tag = tag.map_err(|_| StoreError::Internal("a chunk is too long for its cipher".to_owned()))?;
        Ok(Entry { length, nonce, tag: <[u8; TAG]>::from(tag) })
    }

    /// Decrypts a chunk where it lies; `false` if it is not the one of this entry. Then nothing of it is shown.
    pub(super) fn open(&self, entry: &Entry, chunk: &mut [u8]) -> bool {
        let (nonce, tag) = (Nonce::from(entry.nonce), Tag::from(entry.tag));
        let sound = self.cipher.decrypt_inout_detached(&nonce, b"", (&mut *chunk).into(), &tag).is_ok();
        if !sound {
            chunk.fill(0);
        }
        sound
    }

    fn authenticated(&self, table: &[u8], name: &[u8], fields: &[u8; FIELDS]) -> Hmac<Sha256> {
        self.table.clone().chain_update(table).chain_update(name).chain_update(fields)
    }

    /// What holds table and footer together.
    pub(super) fn authenticate(&self, table: &[u8], name: &[u8], fields: &[u8; FIELDS]) -> [u8; 32] {
        self.authenticated(table, name, fields).finalize().into_bytes().into()
    }

    /// Whether table and footer are those that were made with this key.
    pub(super) fn is_authentic(&self, table: &[u8], name: &[u8], fields: &[u8; FIELDS], found: &[u8; 32]) -> bool {
        self.authenticated(table, name, fields).verify_slice(found).is_ok()
    }
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>, StoreError> {
    // HMAC takes keys of any length.
    <Hmac<Sha256> as Mac>::new_from_slice(key).map_err(|_| length())
}

fn length() -> StoreError {
    StoreError::Internal("a key has a wrong length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneKey;

    impl KeyProvider for OneKey {
        fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
            Ok(Zeroizing::new([7; 32]))
        }
    }

    /// Two contents under one nonce would give both away: the whole of a chunk must decide about it.
    #[test]
    fn another_content_has_another_nonce() {
        let keys = Keys::of("k", &OneKey).unwrap();
        let nonce = |mut chunk: Vec<u8>| keys.seal(&mut chunk).unwrap().nonce;
        let chunk: Vec<u8> = (0..2000_u32).map(|at| at as u8).collect();
        assert_eq!(nonce(chunk.clone()), nonce(chunk.clone()));
        let mut seen = vec![nonce(chunk.clone()), nonce(chunk[..1999].to_vec()), nonce([&chunk[..], &[0]].concat())];
        for at in 0..chunk.len() {
            let mut other = chunk.clone();
            other[at] ^= 1 << (at % 8);
            seen.push(nonce(other));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
