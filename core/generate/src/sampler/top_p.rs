//! Nucleus sampling (Holtzman et al., 2019, arXiv:1904.09751): the fewest best tokens that hold `p` of the mass.

use super::candidates::{Candidates, better_first};

/// Keeps the nucleus; 1 keeps all.
pub(crate) fn apply(candidates: &mut Candidates, p: f32) {
    if p < 1.0 {
        let total = candidates.weigh(1.0);
        // All tokens below this weight together hold less than 1 − p, so none of them is in the nucleus. Half of it
        // leaves room for rounding.
        let floor = 0.5 * (1.0 - f64::from(p)) * total / candidates.items.len() as f64;
        candidates.items.retain(|candidate| candidate.weight >= floor);
        candidates.keep_prefix(f64::from(p) * total, better_first);
    }
}
