//! The cipher of sealed files: what is made of a key, and of each chunk with it. The store's module `seal` has the
//! format, docs/encryption.md says what it protects against and what not.
//!
//! It is a crate of its own because every byte of a sealed model goes through it: what apps ship is compiled small where
//! a network or a disk is waited for, as in the store, and fast here (`profile.phone` in Cargo.toml). AES-GCM is made
//! of generic code, which is compiled in the crate that uses it.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub const NONCE: usize = 12;
/// Bytes of a chunk's tag.
pub const TAG: usize = 16;
/// Bytes that tell another key from damage.
pub const CHECK: usize = 16;

/// What belongs to a sealed chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The first bytes of an HMAC of the plain chunk.
    pub nonce: [u8; NONCE],
    /// What AES-GCM says of the sealed one.
    pub tag: [u8; TAG],
}

/// The keys of a file, made of the one that has a name. Forgotten when dropped, as far as the libraries below do.
pub struct Keys {
    cipher: Aes256Gcm,
    nonces: Hmac<Sha256>,
    table: Hmac<Sha256>,
    check: [u8; CHECK],
}

impl Keys {
    /// Each is an HMAC of its purpose.
    pub fn of(key: &[u8; 32]) -> Self {
        let derived =
            |what: &str| Zeroizing::new(<[u8; 32]>::from(mac(key).chain_update(what).finalize().into_bytes()));
        let mut check = [0; CHECK];
        check.copy_from_slice(&derived("inkling seal 1: check")[..CHECK]);
        Self {
            cipher: Aes256Gcm::new(&(*derived("inkling seal 1: cipher")).into()),
            nonces: mac(&derived("inkling seal 1: nonces")),
            table: mac(&derived("inkling seal 1: table")),
            check,
        }
    }

    /// The same for the same key: tells another key from damage.
    pub fn check(&self) -> [u8; CHECK] {
        self.check
    }

    /// Encrypts a chunk where it lies; `None` if it is longer than AES-GCM can (64 GiB), and then it is as it was.
    pub fn seal(&self, chunk: &mut [u8]) -> Option<Stamp> {
        let digest = self.nonces.clone().chain_update(&*chunk).finalize().into_bytes();
        let nonce: [u8; NONCE] = std::array::from_fn(|index| digest[index]);
        let tag = self.cipher.encrypt_inout_detached(&Nonce::from(nonce), b"", chunk.into()).ok()?;
        Some(Stamp { nonce, tag: <[u8; TAG]>::from(tag) })
    }

    /// Decrypts a chunk where it lies; `false` if it is not the one of this stamp. Then nothing of it is shown.
    pub fn open(&self, stamp: &Stamp, chunk: &mut [u8]) -> bool {
        let (nonce, tag) = (Nonce::from(stamp.nonce), Tag::from(stamp.tag));
        let sound = self.cipher.decrypt_inout_detached(&nonce, b"", (&mut *chunk).into(), &tag).is_ok();
        if !sound {
            chunk.fill(0);
        }
        sound
    }

    fn authenticated(&self, parts: [&[u8]; 3]) -> Hmac<Sha256> {
        parts.iter().fold(self.table.clone(), |mac, part| mac.chain_update(part))
    }

    /// What holds the parts of a table together: one HMAC over all of them.
    pub fn authenticate(&self, parts: [&[u8]; 3]) -> [u8; 32] {
        self.authenticated(parts).finalize().into_bytes().into()
    }

    /// Whether they are those that were made with this key. Takes as long whatever differs.
    pub fn is_authentic(&self, parts: [&[u8]; 3], found: &[u8; 32]) -> bool {
        self.authenticated(parts).verify_slice(found).is_ok()
    }
}

fn mac(key: &[u8; 32]) -> Hmac<Sha256> {
    // Shorter than a block, so it is padded with zeros to one, as HMAC says.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two contents under one nonce would give both away: the whole of a chunk must decide about it.
    #[test]
    fn another_content_has_another_nonce() {
        let keys = Keys::of(&[7; 32]);
        let nonce = |mut chunk: Vec<u8>| keys.seal(&mut chunk).map(|stamp| stamp.nonce);
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

    /// What was sealed stays readable: keys are derived as RFC 2104 says, whoever computes it.
    #[test]
    fn the_keys_of_a_key() {
        let check = Keys::of(&[7; 32]).check();
        assert_eq!(check.map(|byte| format!("{byte:02x}")).concat(), "daa659c19e96cf07ab1397b1470a560b");
    }
}
