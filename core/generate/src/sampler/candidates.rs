//! The tokens that are still in the race, and the selections that all filters are made of.
//!
//! Order is total everywhere: larger logit first, then lower id. A vocabulary is never sorted as a whole; the best
//! few are selected and only they are sorted. The buffer is kept from token to token.

use std::cmp::Ordering;

use crate::GenerateError;
use crate::math::exp;

/// Logits that are compared with the bar together: nearly all blocks of a vocabulary hold nothing above it.
const BLOCK: usize = 64;

/// Whether no value of a block is above `bar`; one that is no number counts as above. Without a branch inside, so that
/// the compiler makes vector instructions of it.
fn none_above(values: &[f32], bar: f32) -> bool {
    values.iter().fold(true, |none, &value| none & (value <= bar))
}

/// One token in the race.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: u32,
    pub(crate) logit: f32,
    /// exp((logit − largest logit) / temperature), set by [`Candidates::weigh`].
    pub(crate) weight: f64,
}

/// Larger logit first, then lower id.
pub(crate) fn better_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// All tokens in the race; never empty after a successful fill.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) items: Vec<Candidate>,
    /// The largest logit.
    pub(crate) max: f32,
}

impl Candidates {
    /// All tokens that are not banned (logit −∞), in the order of their ids.
    pub(crate) fn fill_all(&mut self, logits: &[f32]) -> Result<(), GenerateError> {
        self.items.clear();
        self.max = f32::NEG_INFINITY;
        for (id, &logit) in logits.iter().enumerate() {
            if let Some(candidate) = candidate(id, logit)? {
                self.max = self.max.max(candidate.logit);
                self.items.push(candidate);
            }
        }
        self.check_not_empty()
    }

    /// The `k` best tokens (at least 1), best first.
    pub(crate) fn fill_top(&mut self, logits: &[f32], k: usize) -> Result<(), GenerateError> {
        let k = k.clamp(1, logits.len().max(1));
        // Twice as many as needed are collected before the worse half is thrown out, so most of a vocabulary costs one
        // comparison a token, a block of tokens at a time. Ids ascend, so of equal logits those met earlier are the better ones.
        let full = (2 * k).max(64);
        let mut bar = f32::NEG_INFINITY;
        self.items.clear();
        for (block, values) in logits.chunks(BLOCK).enumerate() {
            if none_above(values, bar) {
                continue;
            }
            for (index, &logit) in values.iter().enumerate() {
                if logit <= bar {
                    continue;
                }
                if let Some(candidate) = candidate(block * BLOCK + index, logit)? {
                    self.items.push(candidate);
                }
                if self.items.len() == full {
                    let (_, worst, _) = self.items.select_nth_unstable_by(k - 1, better_first);
                    bar = worst.logit;
                    self.items.truncate(k);
                }
            }
        }
        self.items.sort_unstable_by(better_first);
        self.items.truncate(k);
        self.max = self.items.first().map_or(f32::NEG_INFINITY, |best| best.logit);
        self.check_not_empty()
    }

    fn check_not_empty(&self) -> Result<(), GenerateError> {
        if self.items.is_empty() { Err(GenerateError::EveryTokenBanned) } else { Ok(()) }
    }

    /// Sets the weights for `temperature` (> 0) and returns their sum, which is at least 1.
    pub(crate) fn weigh(&mut self, temperature: f64) -> f64 {
        let max = f64::from(self.max);
        let mut total = 0.0;
        for candidate in &mut self.items {
            candidate.weight = exp((f64::from(candidate.logit) - max) / temperature);
            total += candidate.weight;
        }
        total
    }

    /// Keeps the shortest prefix, in `order`, whose weights reach `mass`; all if they never do.
    pub(crate) fn keep_prefix(&mut self, mass: f64, order: impl Fn(&Candidate, &Candidate) -> Ordering) {
        let (mut done, mut sum, mut block) = (0, 0.0, 64);
        while done < self.items.len() {
            let rest = &mut self.items[done..];
            let count = block.min(rest.len());
            if count < rest.len() {
                rest.select_nth_unstable_by(count - 1, &order);
            }
            rest[..count].sort_unstable_by(&order);
            for (index, candidate) in rest[..count].iter().enumerate() {
                sum += candidate.weight;
                if sum >= mass {
                    self.items.truncate(done + index + 1);
                    return;
                }
            }
            done += count;
            block *= 4;
        }
    }
}

/// The id of the largest logit; the lowest of equals.
pub(crate) fn argmax(logits: &[f32]) -> Result<u32, GenerateError> {
    let mut best = None;
    let mut bar = f32::NEG_INFINITY;
    for (block, values) in logits.chunks(BLOCK).enumerate() {
        if none_above(values, bar) {
            continue;
        }
        for (index, &logit) in values.iter().enumerate() {
            if logit <= bar {
                continue;
            }
            if let Some(candidate) = candidate(block * BLOCK + index, logit)? {
                (best, bar) = (Some(candidate.id), candidate.logit);
            }
        }
    }
    best.ok_or(GenerateError::EveryTokenBanned)
}

/// `None` for a banned token. Negative zero becomes zero, so that equal logits compare equal.
fn candidate(id: usize, logit: f32) -> Result<Option<Candidate>, GenerateError> {
    if logit.is_finite() {
        Ok(Some(Candidate { id: id as u32, logit: logit + 0.0, weight: 0.0 }))
    } else if logit == f32::NEG_INFINITY {
        Ok(None)
    } else {
        Err(GenerateError::BadLogit { token: id as u32, logit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(candidates: &Candidates) -> Vec<u32> {
        candidates.items.iter().map(|c| c.id).collect()
    }

    #[test]
    fn lowest_id_wins_ties() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]).unwrap(), 1);
        assert_eq!(argmax(&[-0.0, 0.0]).unwrap(), 0);
        let mut candidates = Candidates::default();
        candidates.fill_top(&[0.0, -0.0, 1.0, 0.0], 3).unwrap();
        assert_eq!(ids(&candidates), [2, 0, 1]);
    }

    #[test]
    fn bans_are_skipped_and_nonsense_is_refused() {
        assert_eq!(argmax(&[f32::NEG_INFINITY, -3.0]).unwrap(), 1);
        assert!(matches!(argmax(&[f32::NEG_INFINITY]), Err(GenerateError::EveryTokenBanned)));
        let mut candidates = Candidates::default();
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(matches!(argmax(&[0.0, bad]), Err(GenerateError::BadLogit { token: 1, .. })));
            assert!(matches!(candidates.fill_all(&[bad]), Err(GenerateError::BadLogit { token: 0, .. })));
            assert!(matches!(candidates.fill_top(&[bad], 3), Err(GenerateError::BadLogit { token: 0, .. })));
        }
        assert!(matches!(candidates.fill_all(&[]), Err(GenerateError::EveryTokenBanned)));
    }
}
