//! Names of models in the store, which are names of files on every system at once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most characters of an id.
pub const LONGEST_ID: usize = 100;

/// The name of a model in the store: lower-case ASCII letters, digits, `.`, `_` and `-`, beginning with a letter or
/// digit. No two ids are the same file on a system that ignores case, none leads out of its folder, none is reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(String);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id:?} is no model id: {why}")]
pub struct NoModelId {
    /// What was given.
    pub id: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl ModelId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id made of the name of a file: without `.gguf`, in lower case, other characters as `-`.
    pub fn of_file(name: &str) -> Result<Self, NoModelId> {
        let lower = name.to_ascii_lowercase();
        let stem = lower.strip_suffix(".gguf").unwrap_or(&lower);
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        stem.chars().map(plain).collect::<String>().parse()
    }
}

impl FromStr for ModelId {
    type Err = NoModelId;

    fn from_str(id: &str) -> Result<Self, NoModelId> {
        let first = id.chars().next().unwrap_or(' ');
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let why = if id.is_empty() || id.len() > LONGEST_ID {
            "it must have 1 to 100 characters"
        } else if !id.chars().all(known) {
            "only lower-case letters a to z, digits, '.', '_' and '-' are allowed"
        } else if !first.is_ascii_alphanumeric() {
            "it must begin with a letter or a digit"
        } else if id.ends_with('.') || id.contains("..") {
            "it must not end with '.' nor contain '..'"
        } else if is_reserved(id) {
            "some systems reserve this name"
        } else {
            return Ok(Self(id.to_owned()));
        };
        Err(NoModelId { id: id.chars().take(LONGEST_ID).collect(), why })
    }
}

/// Whether Windows means a device by it, whatever follows the first dot.
pub(crate) fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|n| n.len() == 1 && n != "0" && n.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

impl TryFrom<String> for ModelId {
    type Error = NoModelId;

    fn try_from(id: String) -> Result<Self, NoModelId> {
        id.parse()
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_file_names_everywhere() {
        for good in ["a", "smollm2-135m-instruct.q4_1", "0", "console", "com", "com0", "com10", &"a".repeat(100)] {
            assert_eq!(good.parse::<ModelId>().unwrap().as_str(), good);
        }
        let long = "a".repeat(101);
        let bad = [
            "", "A", "../x", "a/b", "/a", "a\\b", "a\0", "ä", ".a", "-a", "a.", "a..b", "nul", "con.gguf", "com1",
            "lpt9.x", "a b", &long,
        ];
        for bad in bad {
            assert!(bad.parse::<ModelId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_name_models() {
        assert_eq!(ModelId::of_file("Qwen3 0.6B-Q4_0.GGUF").unwrap().as_str(), "qwen3-0.6b-q4_0");
        assert!(ModelId::of_file("..").is_err() && ModelId::of_file("nul.gguf").is_err());
    }
}
