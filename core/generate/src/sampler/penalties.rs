//! Penalties for tokens that the last `window` tokens already hold: repetition (Keskar et al., 2019,
//! arXiv:1909.05858) divides positive and multiplies negative logits; frequency and presence (OpenAI's API) subtract
//! an amount for each occurrence and for occurring at all.

use super::options::Penalties;

/// Applies the penalties. `scratch` is kept between calls and holds the window, sorted.
pub(crate) fn apply(logits: &mut [f32], history: &[u32], penalties: &Penalties, scratch: &mut Vec<u32>) {
    if !penalties.is_active() {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(&history[history.len().saturating_sub(penalties.window)..]);
    scratch.sort_unstable();
    for same in scratch.chunk_by(|a, b| a == b) {
        let Some(logit) = logits.get_mut(same[0] as usize) else { continue };
        *logit = if *logit > 0.0 { *logit / penalties.repetition } else { *logit * penalties.repetition };
        *logit -= same.len() as f32 * penalties.frequency + penalties.presence;
    }
}
