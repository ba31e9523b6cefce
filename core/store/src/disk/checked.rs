//! Small files that know whether they are whole: every record that the store keeps about itself.
//!
//! ```text
//! "inkling\n"   8 bytes
//! kind          8 bytes: what it is, as "slot    "
//! version       u32, little-endian
//! length        u64, of the payload
//! SHA-256       of all that is not this digest
//! payload
//! ```
//!
//! The digest is there against damage; it keeps nobody from writing a file of his own. So a payload is still parsed as
//! bytes from strangers.

use crate::Hasher;

const MAGIC: &[u8; 8] = b"inkling\n";
const HEADER: usize = 8 + 8 + 4 + 8 + 32;

/// What a file of the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    name: &'static [u8; 8],
    version: u32,
    /// The largest payload that is believed.
    largest: usize,
}

/// The marker of a store, with its id.
pub(crate) const MARK: Kind = Kind { name: b"store   ", version: 1, largest: 1 << 12 };
/// A slot.
pub(crate) const SLOT: Kind = Kind { name: b"slot    ", version: 1, largest: 1 << 22 };
/// An opaque record for other modules.
pub(crate) const STATE: Kind = Kind { name: b"state   ", version: 1, largest: 1 << 26 };
/// Chunks of an object.
pub(crate) const CHUNKS: Kind = Kind { name: b"chunks  ", version: 2, largest: 1 << 27 };
/// What is being put together.
pub(crate) const PLAN: Kind = Kind { name: b"plan    ", version: 1, largest: 1 << 27 };
/// Which chunks of it are there.
pub(crate) const HAVE: Kind = Kind { name: b"have    ", version: 2, largest: 1 << 27 };
/// What a file is for that somebody else fetches.
pub(crate) const AWAITED: Kind = Kind { name: b"awaited ", version: 1, largest: 1 << 24 };
/// Objects that were verified once and have not changed since.
pub(crate) const TRUSTED: Kind = Kind { name: b"trusted ", version: 1, largest: 1 << 22 };

/// Why a file is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsound {
    #[error("it is damaged")]
    Damaged,
    #[error("it was written by another version of this library (format {0})")]
    Foreign(u32),
}

impl Kind {
    /// The most bytes that such a file has.
    pub(crate) fn largest_file(self) -> u64 {
        (self.largest + HEADER) as u64
    }

    /// A file of this kind.
    pub(crate) fn encode(self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(self.name);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        let digest = digest(&bytes, payload);
        bytes.extend_from_slice(&digest);
        bytes.extend_from_slice(payload);
        bytes
    }

    /// What is in a file of this kind.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<&[u8], Unsound> {
        let (header, payload) = bytes.split_at_checked(HEADER).ok_or(Unsound::Damaged)?;
        let (told, sum) = header.split_at(HEADER - 32);
        if &told[..8] != MAGIC || &told[8..16] != self.name || sum != digest(told, payload) {
            return Err(Unsound::Damaged);
        }
        let version = u32::from_le_bytes([told[16], told[17], told[18], told[19]]);
        if version != self.version {
            return Err(Unsound::Foreign(version));
        }
        if told[20..] != (payload.len() as u64).to_le_bytes() || payload.len() > self.largest {
            return Err(Unsound::Damaged);
        }
        Ok(payload)
    }
}

fn digest(told: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.update(told);
    hasher.update(payload);
    hasher.finish().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let bytes = SLOT.encode(b"payload");
        assert_eq!(SLOT.decode(&bytes), Ok(&b"payload"[..]));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SLOT.decode(&bytes), Err(Unsound::Damaged), "{bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(SLOT.decode(&bytes[..length]), Err(Unsound::Damaged), "{length}");
        }
        assert_eq!(SLOT.decode(&[&bytes[..], b"x"].concat()), Err(Unsound::Damaged));
        assert_eq!(PLAN.decode(&bytes), Err(Unsound::Damaged));
        let later = Kind { version: 2, ..SLOT };
        assert_eq!(SLOT.decode(&later.encode(b"payload")), Err(Unsound::Foreign(2)));
    }
}
