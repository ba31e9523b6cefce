//! DRY, "don't repeat yourself" (p-e-w, 2024, oobabooga/text-generation-webui pull request 5677): a token that would
//! lengthen a sequence which the text already holds is penalised, exponentially in the length of the repetition.
//!
//! If the last `n ≥ allowed_length` tokens occurred before and were followed by token `t`, then `t` loses
//! `multiplier · base^(n − allowed_length)`. A sequence never reaches across a breaker, and a breaker is never
//! penalised. All earlier occurrences are found in one linear pass (Z function of the reversed text).

use super::options::Dry;

/// A set of token ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenSet(Vec<u64>);

impl TokenSet {
    /// The tokens of a vocabulary whose bytes hold one of `needles`.
    pub(crate) fn containing(vocabulary: usize, needles: &[String], bytes: &dyn Fn(u32) -> Vec<u8>) -> Self {
        let mut words = vec![0; vocabulary.div_ceil(64)];
        for id in 0..vocabulary {
            let bytes = bytes(id as u32);
            let holds = |needle: &String| bytes.windows(needle.len().max(1)).any(|part| part == needle.as_bytes());
            if needles.iter().any(holds) {
                words[id / 64] |= 1 << (id % 64);
            }
        }
        Self(words)
    }

    fn holds(&self, id: u32) -> bool {
        self.0.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

/// Buffers kept from token to token.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    reversed: Vec<u32>,
    z: Vec<usize>,
    longest: Vec<(u32, usize)>,
}

/// Applies the penalty.
pub(crate) fn apply(logits: &mut [f32], history: &[u32], dry: &Dry, breakers: &TokenSet, scratch: &mut Scratch) {
    if !dry.is_active() {
        return;
    }
    let Scratch { reversed, z, longest } = scratch;
    reversed.clear();
    reversed.extend(history[history.len().saturating_sub(dry.range)..].iter().rev());
    // A repetition is at most as long as the text since the last breaker.
    let limit = reversed.iter().position(|&token| breakers.holds(token)).unwrap_or(reversed.len());
    if limit < dry.allowed_length.max(1) {
        return;
    }
    z_function(reversed, z);
    longest.clear();
    for start in 1..reversed.len() {
        let (next, length) = (reversed[start - 1], z[start].min(limit));
        if length >= dry.allowed_length.max(1) && !breakers.holds(next) {
            longest.push((next, length));
        }
    }
    longest.sort_unstable();
    for same in longest.chunk_by(|a, b| a.0 == b.0) {
        let (token, length) = same[same.len() - 1];
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit -= penalty(dry, length);
        }
    }
}

/// `multiplier · base^(length − allowed_length)`, by repeated multiplication, and at most 10³⁰: beyond any logit, and
/// still finite.
fn penalty(dry: &Dry, length: usize) -> f32 {
    const LARGEST: f64 = 1e30;
    let mut penalty = f64::from(dry.multiplier);
    if dry.base > 1.0 {
        for _ in dry.allowed_length..length {
            penalty *= f64::from(dry.base);
            if penalty > LARGEST {
                break;
            }
        }
    }
    penalty.min(LARGEST) as f32
}

/// `z[i]` is the length of the longest common prefix of `text` and `text[i..]`.
fn z_function(text: &[u32], z: &mut Vec<usize>) {
    z.clear();
    z.resize(text.len(), 0);
    let (mut left, mut right) = (0, 0);
    for i in 1..text.len() {
        let mut length = if i < right { z[i - left].min(right - i) } else { 0 };
        while i + length < text.len() && text[length] == text[i + length] {
            length += 1;
        }
        if i + length > right {
            (left, right) = (i, i + length);
        }
        z[i] = length;
    }
}
