//! Logit bias: a number added to chosen tokens' logits; −∞ bans a token.

use crate::GenerateError;

/// Adds each bias.
pub(crate) fn apply(logits: &mut [f32], bias: &[(u32, f32)]) {
    for &(token, amount) in bias {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit += amount;
        }
    }
}

/// Refuses tokens outside the vocabulary and amounts that are neither finite nor −∞.
pub(crate) fn validate(bias: &[(u32, f32)], vocabulary: usize) -> Result<(), GenerateError> {
    for &(token, amount) in bias {
        if token as usize >= vocabulary {
            let why = format!("token {token} is outside the vocabulary of {vocabulary}");
            return Err(GenerateError::invalid("logit_bias", why));
        }
        if !(amount.is_finite() || amount == f32::NEG_INFINITY) {
            let why = format!("{amount} for token {token}: give a finite number, or -inf to ban the token");
            return Err(GenerateError::invalid("logit_bias", why));
        }
    }
    Ok(())
}
