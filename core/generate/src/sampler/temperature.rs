//! Temperature and the draw: `p ∝ exp(logit / temperature)` over the candidates that are left.

use super::candidates::Candidates;
use super::rng::Rng;

/// Draws one candidate. The last in the chain, as in most engines: filters see the model's own distribution.
pub(crate) fn draw(candidates: &mut Candidates, temperature: f32, rng: &mut Rng) -> u32 {
    let total = candidates.weigh(f64::from(temperature));
    let mut target = rng.unit() * total;
    let mut last = candidates.items[0].id;
    for candidate in &candidates.items {
        if candidate.weight > 0.0 {
            last = candidate.id;
            if target < candidate.weight {
                break;
            }
            target -= candidate.weight;
        }
    }
    last
}
