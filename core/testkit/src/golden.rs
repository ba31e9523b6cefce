//! Results of other implementations, to compare with.
//!
//! They are no part of the project: [`reference_dir`] and [`smollm2`] find them or say that a test is skipped, and
//! panic when the environment says that they must be there (`INKLING_REQUIRE_REFERENCE`, `INKLING_REQUIRE_MODEL`).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The reference folder: `INKLING_REFERENCE`, else `../shared/reference` from the project's root.
pub fn reference_dir() -> Option<PathBuf> {
    let given = std::env::var_os("INKLING_REFERENCE").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"));
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    let required = std::env::var_os("INKLING_REQUIRE_REFERENCE").is_some();
    assert!(!required, "INKLING_REQUIRE_REFERENCE is set and there is no reference data at {}", folder.display());
    eprintln!("reference data not found, skipped");
    None
}

/// SmolLM2-135M-Instruct where `make model` keeps it.
pub fn smollm2() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let file = cache.map(|cache| cache.join("inkling/models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if let Some(file) = file.filter(|file| file.is_file()) {
        return Some(file);
    }
    let required = std::env::var_os("INKLING_REQUIRE_MODEL").is_some();
    assert!(!required, "INKLING_REQUIRE_MODEL is set and SmolLM2 is not in the cache folder: run `make model`");
    eprintln!("SmolLM2 is not in the cache folder (`make model` fetches it), skipped");
    None
}

/// A small model and what it must answer: an entry of `models/reference.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct ModelCase {
    /// The file's name in `models/`.
    pub model: String,
    /// The input.
    pub tokens: Vec<u32>,
    /// The positions whose logits are known.
    pub at: Vec<usize>,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// How far llama.cpp is off.
    pub llama_cpp_nmse: f64,
    /// The arg-max at each position.
    pub top1: Vec<u32>,
}

impl ModelCase {
    /// All of them.
    pub fn all(reference: &Path) -> Vec<Self> {
        json(&reference.join("models/reference.json"))
    }

    /// The model's file.
    pub fn path(&self, reference: &Path) -> PathBuf {
        reference.join("models").join(&self.model)
    }

    /// The exact logits, `[at, vocab]`.
    pub fn logits(&self, reference: &Path) -> Vec<f32> {
        let name = self.model.replace(".gguf", ".logits.npy");
        let (shape, logits) = npy(&reference.join("models").join(name));
        assert_eq!(shape, [self.at.len(), self.vocab], "{}", self.model);
        logits
    }
}

/// A prompt and SmolLM2's exact answer: an entry of `smollm2/greedy.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct GreedyCase {
    /// The conversation; empty where the prompt is plain text.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// The plain text, which goes in without a template.
    pub text: Option<String>,
    /// As the template renders it.
    pub rendered: String,
    /// As the tokenizer encodes it.
    pub tokens: Vec<u32>,
    /// The exact greedy continuation.
    pub greedy: Vec<u32>,
    /// By how much each token's logit was ahead of the next.
    pub margins: Vec<f64>,
    /// The continuation as text.
    pub answer: String,
}

/// A message of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl GreedyCase {
    /// All of them.
    pub fn all(reference: &Path) -> Vec<Self> {
        json(&reference.join("smollm2/greedy.json"))
    }

    /// SmolLM2's exact logits after each prompt, `[prompt, vocabulary]`.
    pub fn logits(reference: &Path) -> Vec<Vec<f32>> {
        let (shape, logits) = npy(&reference.join("smollm2/logits.npy"));
        logits.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect()
    }
}

/// The perplexity of SmolLM2 on `smollm2/text.txt`.
#[derive(Debug, Clone, Deserialize)]
pub struct PerplexityCase {
    /// Tokens a chunk.
    pub ctx: usize,
    /// In exact arithmetic.
    pub exact: f64,
    /// By llama.cpp.
    pub llama_cpp: f64,
}

impl PerplexityCase {
    /// The case and its text.
    pub fn read(reference: &Path) -> (Self, String) {
        let text = std::fs::read_to_string(reference.join("smollm2/text.txt")).unwrap();
        (json(&reference.join("smollm2/perplexity.json")), text)
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Shape and elements of a little-endian float32 array in NumPy's format, versions 1 and 2.
pub fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse_npy(&bytes).unwrap_or_else(|| panic!("{}: no float32 array of NumPy", path.display()))
}

fn parse_npy(bytes: &[u8]) -> Option<(Vec<usize>, Vec<f32>)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (head, data) = match rest.first()? {
        1 => rest.get(4..)?.split_at_checked(u16::from_le_bytes([*rest.get(2)?, *rest.get(3)?]).into())?,
        _ => rest.get(6..)?.split_at_checked(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?) as usize)?,
    };
    let head = std::str::from_utf8(head).ok()?;
    if !head.contains("'<f4'") || !head.contains("'fortran_order': False") {
        return None;
    }
    let shape = head.split_once("'shape': (")?.1.split_once(')')?.0;
    let shape: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().ok())
        .collect::<Option<_>>()?;
    let (values, rest) = data.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (rest.is_empty() && values.len() == shape.iter().product::<usize>()).then_some((shape, values))
}

/// The normalised mean squared error of `found`: Σ(found − exact)² / Σ exact². Infinite if a number is no number.
pub fn nmse(found: &[f32], exact: &[f32]) -> f64 {
    assert_eq!(found.len(), exact.len(), "both must have the same shape");
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let error = squares(&mut found.iter().zip(exact).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let scale = squares(&mut exact.iter().copied().map(f64::from));
    let nmse = if error == 0.0 { 0.0 } else { error / scale };
    if nmse.is_nan() { f64::INFINITY } else { nmse }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nmse_is_relative_and_never_hides_a_nan() {
        assert_eq!(nmse(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(nmse(&[0.0, 4.0], &[0.0, 2.0]), 1.0);
        assert_eq!(nmse(&[f32::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(nmse(&[1.0], &[0.0]), f64::INFINITY);
    }

    #[test]
    fn npy_is_read_and_rubbish_is_not() {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n";
        bytes.extend((head.len() as u16).to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes.extend([1.0_f32, -2.0].iter().flat_map(|value| value.to_le_bytes()));
        assert_eq!(parse_npy(&bytes), Some((vec![2, 1], vec![1.0, -2.0])));
        for len in 0..bytes.len() {
            assert_eq!(parse_npy(&bytes[..len]), None, "{len} bytes");
        }
    }
}
