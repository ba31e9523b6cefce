//! Ed25519 keys as text, and rules like "two of these three".

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::names::{hex, unhex};
use crate::{Digest, StoreError};

/// The most keys of a role.
pub const MOST_KEYS: usize = 32;
const PUBLIC: &str = "inkling-public-key-1:";
const SECRET: &str = "inkling-secret-key-1:";

/// The SHA-256 of a public key.
pub type KeyId = Digest;

/// A key that signatures are checked with. Written as `inkling-public-key-1:` and 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The name of this key in signatures.
    pub fn id(&self) -> KeyId {
        Digest::of(self.0.as_bytes())
    }

    /// Whether this key signed these bytes.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let no = |why: &str| StoreError::Invalid { field: "public key", why: why.to_owned() };
        let digits = content(text).strip_prefix(PUBLIC);
        let digits = digits.ok_or_else(|| no("it begins with inkling-public-key-1:"))?;
        let bytes = unhex::<32>(digits).ok_or_else(|| no("it has 64 hexadecimal digits"))?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| no("these bytes are no Ed25519 key"))?;
        // A key of small order would verify signatures that nobody made.
        if key.is_weak() { Err(no("this key is weak")) } else { Ok(Self(key)) }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = StoreError;

    fn try_from(text: String) -> Result<Self, StoreError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A key that signs. It is forgotten when it is dropped and never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A new key, from the system's random numbers.
    pub fn generate() -> Result<Self, StoreError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| StoreError::Internal(format!("no random numbers: {error}")))?;
        Ok(Self::from_seed(&seed))
    }

    /// From the text of its file.
    pub fn from_text(text: &str) -> Result<Self, StoreError> {
        let no = |why: &str| StoreError::Invalid { field: "secret key", why: why.to_owned() };
        let digits = content(text).strip_prefix(SECRET);
        let digits = digits.ok_or_else(|| no("it begins with inkling-secret-key-1:"))?;
        let seed = Zeroizing::new(unhex::<32>(digits).ok_or_else(|| no("it has 64 hexadecimal digits"))?);
        Ok(Self::from_seed(&seed))
    }

    /// As text, for its file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex(self.0.as_bytes()));
        Zeroizing::new(format!(
            "# An Ed25519 key that signs models. Whoever has it signs in your name: keep it off servers.\n{SECRET}{}\n",
            *digits
        ))
    }

    /// Its other half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of these bytes; the same each time.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret half of {}", self.public())
    }
}

/// The first line of a key file that is no comment.
fn content(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default()
}

/// Whose signatures count for a role, and how many of them are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyring {
    /// So many different keys must sign.
    pub threshold: u32,
    /// These can.
    pub keys: Vec<PublicKey>,
}

impl Keyring {
    /// From keys and a threshold that make sense together: each key once, at least as many as must sign.
    pub fn new(keys: Vec<PublicKey>, threshold: u32) -> Result<Self, StoreError> {
        let ring = Self { threshold, keys };
        ring.check().map(|()| ring).map_err(|why| StoreError::Invalid { field: "keys", why: why.to_owned() })
    }

    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let twice = |(index, key): (usize, &PublicKey)| self.keys[..index].contains(key);
        if self.keys.len() > MOST_KEYS {
            Err("a role has at most 32 keys")
        } else if self.threshold == 0 || self.threshold as usize > self.keys.len() {
            Err("the threshold is at least 1 and at most the number of keys")
        } else if self.keys.iter().enumerate().any(twice) {
            Err("a key is named twice")
        } else {
            Ok(())
        }
    }

    /// The key of this id.
    pub fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.id() == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_text() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let again = SecretKey::from_text(&secret.to_text()).unwrap();
        assert_eq!(again.public(), secret.public());
        let public: PublicKey = format!("# mine\n\n {} \n", secret.public()).parse().unwrap();
        let signature = secret.sign(b"text");
        assert!(public.verifies(b"text", &signature) && !public.verifies(b"test", &signature));
        assert!(!format!("{secret:?}").contains(&hex(&[7; 32])));
        assert_ne!(SecretKey::generate().unwrap().public(), SecretKey::generate().unwrap().public());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let short = &secret.public().to_string()[..80];
        // Of order 1: it verifies a signature that needs no secret.
        let weak = format!("{PUBLIC}01{}", "0".repeat(62));
        let text = secret.to_text();
        for wrong in ["", "x", PUBLIC, short, &weak, &text] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong:?}");
        }
        assert!(SecretKey::from_text(&secret.public().to_string()).is_err());
    }

    #[test]
    fn keyrings_make_sense() {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        assert!(Keyring::new(vec![key(1), key(2)], 2).is_ok());
        for (keys, threshold) in [(vec![], 0), (vec![key(1)], 0), (vec![key(1)], 2), (vec![key(1), key(1)], 2)] {
            assert!(Keyring::new(keys, threshold).is_err());
        }
        assert!(Keyring::new((0..33).map(key).collect(), 1).is_err());
    }
}
