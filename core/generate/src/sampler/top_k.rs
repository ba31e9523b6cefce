//! Top-k (Fan et al., 2018, arXiv:1805.04833): the `k` likeliest tokens.

use super::candidates::Candidates;
use crate::GenerateError;

/// Fills the race with the best `k` of `logits`; 0 takes all. As the first filter it looks at the bare logits, so most
/// of a vocabulary is never copied.
pub(crate) fn fill(candidates: &mut Candidates, logits: &[f32], k: usize) -> Result<(), GenerateError> {
    if k == 0 { candidates.fill_all(logits) } else { candidates.fill_top(logits, k) }
}
