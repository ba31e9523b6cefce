//! Locally typical sampling (Meister et al., 2022, arXiv:2202.00666): the fewest tokens, those whose surprise is
//! nearest to the expected one first, that hold `p` of the mass.

use super::candidates::{Candidate, Candidates, better_first};
use crate::math::ln;

/// Keeps the typical set; 1 keeps all.
pub(crate) fn apply(candidates: &mut Candidates, p: f32) {
    if p >= 1.0 {
        return;
    }
    let total = candidates.weigh(1.0);
    let (max, log_total) = (f64::from(candidates.max), ln(total));
    let surprise = |candidate: &Candidate| log_total - (f64::from(candidate.logit) - max);
    let entropy = candidates.items.iter().map(|c| c.weight / total * surprise(c)).sum::<f64>();
    let distance = |candidate: &Candidate| (surprise(candidate) - entropy).abs();
    candidates
        .keep_prefix(f64::from(p) * total, |a, b| distance(a).total_cmp(&distance(b)).then_with(|| better_first(a, b)));
    candidates.max = candidates.items.iter().fold(f32::NEG_INFINITY, |max, c| max.max(c.logit));
}
