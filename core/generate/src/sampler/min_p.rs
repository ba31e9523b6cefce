//! Min-p (Nguyen et al., 2024, arXiv:2407.01082): tokens at least `p` times as likely as the likeliest.

use super::candidates::Candidates;
use crate::math::ln;

/// Keeps tokens with `probability ≥ p · largest probability`; 0 keeps all.
pub(crate) fn apply(candidates: &mut Candidates, p: f32) {
    if p > 0.0 {
        // In logits the rule is a fixed distance from the best, so no exponential is needed.
        let bar = f64::from(candidates.max) + ln(f64::from(p));
        candidates.items.retain(|candidate| f64::from(candidate.logit) >= bar);
    }
}
