//! What a publisher offers and what a slot holds: a release of a model, which is a set of files with roles.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The model itself. Every release has exactly one.
    Weights,
    /// Sees or hears for the model.
    Projector,
    /// Changes the weights.
    Adapter,
    /// A small model that guesses ahead.
    Draft,
    /// A vocabulary in place of the one in the weights.
    Tokenizer,
    /// A chat template in place of the one in the weights.
    Template,
}

/// A file of a release. What it is cut into is known to its manifest while it is fetched, and to the store's chunk table
/// once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFile {
    /// What it is for.
    pub role: Role,
    /// Its name at the publisher's; never a path in the store.
    pub name: String,
    /// Whether the model works without it.
    pub required: bool,
    /// Bytes.
    pub size: u64,
    /// Digest of the whole file, and its name in the store.
    pub sha256: Digest,
    /// Whether it is encrypted, and by which key if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// A prompt whose continuation is known: what a healthy model says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// The text, tokenised as it is, with the tokens that the model always begins with.
    pub prompt: String,
    /// The tokens that follow, each the most likely one.
    pub tokens: Vec<u32>,
}

/// One release of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its number; later ones are greater.
    pub number: u64,
    /// Once this release is proven, none with a smaller number is ever taken again.
    #[serde(default)]
    pub floor: u64,
    /// `general.architecture` of the weights; empty if nobody said.
    #[serde(default)]
    pub architecture: String,
    /// Bytes of memory below which it is not worth trying; 0 if nobody said.
    #[serde(default)]
    pub ram_min: u64,
    /// The oldest version of this engine that can run it, as "0.1.0"; empty for any.
    #[serde(default)]
    pub sdk_min: String,
    /// Its files.
    pub files: Vec<ReleaseFile>,
    /// What it must say before it is trusted.
    #[serde(default)]
    pub golden: Vec<Golden>,
    /// Tokens per second below which it is too slow to be taken; 0 for any.
    #[serde(default)]
    pub least_speed: f64,
}

impl Release {
    /// The weights.
    pub fn weights(&self) -> Option<&ReleaseFile> {
        self.files.iter().find(|file| file.role == Role::Weights)
    }

    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}
