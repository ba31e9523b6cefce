//! A document with its signatures.
//!
//! The payload stands in the envelope as text, so what was signed is the bytes that are read, and nobody has to agree on
//! how JSON is written. What is signed is DSSE's encoding of the payload together with its type, so that a signature of a
//! rollout is never one of a catalogue.

use serde::{Deserialize, Serialize};

use super::keys::{KeyId, Keyring, MOST_KEYS, SecretKey};
use super::names::{hex, unhex};
use super::untrusted;
use crate::StoreError;

/// The types of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `root.json`.
    Root,
    /// `catalog.json`.
    Catalog,
    /// `rollout.json`.
    Rollout,
}

impl Kind {
    /// The file that holds it.
    pub fn file(self) -> &'static str {
        match self {
            Self::Root => "root.json",
            Self::Catalog => "catalog.json",
            Self::Rollout => "rollout.json",
        }
    }

    /// The type that is signed.
    pub fn payload_type(self) -> &'static str {
        match self {
            Self::Root => "application/vnd.inkling.root+json",
            Self::Catalog => "application/vnd.inkling.catalog+json",
            Self::Rollout => "application/vnd.inkling.rollout+json",
        }
    }

    /// The most bytes that a file of this type may have, with its signatures. Nobody needs to download more.
    pub fn limit(self) -> u64 {
        match self {
            Self::Root => 256 << 10,
            Self::Catalog => 8 << 20,
            Self::Rollout => 2 << 20,
        }
    }
}

/// What is signed: DSSE's pre-authentication encoding.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A document as it is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    #[serde(rename = "type")]
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    key: KeyId,
    signature: String,
}

impl Envelope {
    /// Around a payload, with nobody's signature.
    pub fn new(kind: Kind, payload: String) -> Self {
        Self { payload_type: kind.payload_type().to_owned(), payload, signatures: Vec::new() }
    }

    /// From the bytes of a file. No signature has been checked yet.
    pub fn read(kind: Kind, bytes: &[u8]) -> Result<Self, StoreError> {
        let found: Self = super::read(kind.file(), bytes, kind.limit())?;
        if found.payload_type != kind.payload_type() {
            let other: String = found.payload_type.chars().take(60).collect();
            return Err(untrusted(kind.file(), format!("it is of type {other:?}")));
        }
        if found.signatures.len() > 2 * MOST_KEYS {
            return Err(untrusted(kind.file(), format!("it has {} signatures", found.signatures.len())));
        }
        Ok(found)
    }

    /// The bytes that are signed over, as far as they are the publisher's.
    pub fn payload(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    /// Adds a signature, or replaces that of the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        let id = key.public().id();
        let signature = hex(&key.sign(&encoded(&self.payload_type, self.payload())));
        self.signatures.retain(|signed| signed.key != id);
        self.signatures.push(Signed { key: id, signature });
    }

    /// As it is served.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and lists of strings: nothing that JSON cannot say.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// How many different keys of the ring have signed.
    pub fn signers(&self, ring: &Keyring) -> u32 {
        let bytes = encoded(&self.payload_type, self.payload());
        let signed = |id: KeyId, public: &super::PublicKey| {
            let by_key = self.signatures.iter().filter(|signed| signed.key == id);
            by_key.filter_map(|signed| unhex::<64>(&signed.signature)).any(|found| public.verifies(&bytes, &found))
        };
        // By key and not by signature: a signature that stands here twice counts once.
        ring.keys.iter().filter(|public| signed(public.id(), public)).count() as u32
    }

    /// Whether enough of the ring's keys have signed.
    pub fn verify(&self, at: &str, ring: &Keyring) -> Result<(), StoreError> {
        let found = self.signers(ring);
        if found >= ring.threshold {
            return Ok(());
        }
        Err(untrusted(at, format!("{found} of the keys that may sign it have, {} must", ring.threshold)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_dsse_s() {
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            *b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn signatures_count_once_for_each_key_and_only_for_their_type() {
        let secrets: Vec<_> = (1..=3).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
        let ring = Keyring::new(secrets[..2].iter().map(SecretKey::public).collect(), 2).unwrap();
        let mut envelope = Envelope::new(Kind::Catalog, "{\"a\": 1}".to_owned());
        envelope.sign(&secrets[0]);
        envelope.sign(&secrets[2]);
        let twin = envelope.signatures[0].clone();
        envelope.signatures.push(twin);
        assert_eq!(envelope.signers(&ring), 1);
        assert!(envelope.verify("x", &ring).is_err());
        envelope.sign(&secrets[1]);
        let read = Envelope::read(Kind::Catalog, &envelope.to_bytes()).unwrap();
        assert_eq!(read, envelope);
        read.verify("x", &ring).unwrap();
        let other = Envelope { payload_type: Kind::Rollout.payload_type().to_owned(), ..read.clone() };
        assert_eq!(other.signers(&ring), 0);
        let changed = Envelope { payload: "{\"a\": 2}".to_owned(), ..read };
        assert_eq!(changed.signers(&ring), 0);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let envelope = Envelope::new(Kind::Root, "x".to_owned());
        let bytes = envelope.to_bytes();
        assert!(Envelope::read(Kind::Catalog, &bytes).is_err());
        let long = [&bytes[..], &vec![b' '; Kind::Root.limit() as usize]].concat();
        assert!(Envelope::read(Kind::Root, &long).is_err());
        for wrong in [&b""[..], b"[]", b"{}", b"\xff", &bytes[1..], &b"[".repeat(100_000)] {
            assert!(Envelope::read(Kind::Root, wrong).is_err());
        }
        let many =
            Envelope { signatures: vec![Signed { key: KeyId::of(b""), signature: String::new() }; 65], ..envelope };
        assert!(Envelope::read(Kind::Root, &many.to_bytes()).is_err());
    }
}
