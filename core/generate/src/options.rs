//! What an app may ask of one turn.

use crate::{GenerateError, SamplingOptions};

/// Options of one turn. Values are checked before any work is done.
///
/// ```
/// let options = inkling_generate::GenerationOptions::default().temperature(0.2).max_tokens(64).stop("\n\n");
/// assert!(options.validate(32_000).is_ok());
/// assert!(options.temperature(f32::NAN).validate(32_000).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct GenerationOptions {
    /// Tokens to generate at most, thoughts included, at least 1; `None` ends only with the answer or the context.
    pub max_tokens: Option<usize>,
    /// Strings that end the answer when it comes to hold one of them; the string itself is not delivered. Thoughts are
    /// not searched.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: SamplingOptions,
    /// Report the log-probability of each token and of this many alternatives.
    pub log_probs: Option<usize>,
    /// Whether the model should think before it answers; `None` leaves it to the model's chat template.
    pub thinking: Option<bool>,
}

impl GenerationOptions {
    /// Generate at most this many tokens.
    pub fn max_tokens(mut self, tokens: usize) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// End the answer before this string; may be called several times.
    pub fn stop(mut self, stop: impl Into<String>) -> Self {
        self.stop.push(stop.into());
        self
    }

    /// Always take the likeliest token.
    pub fn greedy(mut self) -> Self {
        self.sampling.temperature = 0.0;
        self
    }

    /// See [`SamplingOptions::temperature`].
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.sampling.temperature = temperature;
        self
    }

    /// See [`SamplingOptions::top_k`].
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.sampling.top_k = top_k;
        self
    }

    /// See [`SamplingOptions::top_p`].
    pub fn top_p(mut self, top_p: f32) -> Self {
        self.sampling.top_p = top_p;
        self
    }

    /// See [`SamplingOptions::min_p`].
    pub fn min_p(mut self, min_p: f32) -> Self {
        self.sampling.min_p = min_p;
        self
    }

    /// See [`SamplingOptions::seed`].
    pub fn seed(mut self, seed: u64) -> Self {
        self.sampling.seed = Some(seed);
        self
    }

    /// See [`GenerationOptions::log_probs`].
    pub fn log_probs(mut self, alternatives: usize) -> Self {
        self.log_probs = Some(alternatives);
        self
    }

    /// See [`GenerationOptions::thinking`].
    pub fn thinking(mut self, thinking: bool) -> Self {
        self.thinking = Some(thinking);
        self
    }

    /// Refuses values that cannot be meant for a model of `vocabulary` tokens, with the field and the value.
    pub fn validate(&self, vocabulary: usize) -> Result<(), GenerateError> {
        self.sampling.validate(vocabulary)?;
        if self.max_tokens == Some(0) {
            return Err(GenerateError::invalid("max_tokens", "0 tokens are nothing to wait for: give at least 1"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(GenerateError::invalid("stop", "a stop string has 0 bytes: leave it out, or give at least 1"));
        }
        match self.log_probs {
            Some(alternatives) if alternatives > vocabulary => {
                let why = format!("{alternatives} alternatives of a vocabulary of {vocabulary} tokens");
                Err(GenerateError::invalid("log_probs", why))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_nonsense_with_field_and_value() {
        let why = |options: GenerationOptions| options.validate(10).unwrap_err().to_string();
        let options = GenerationOptions::default;
        assert!(options().validate(10).is_ok());
        assert!(why(options().max_tokens(0)).starts_with("max_tokens: 0"));
        assert!(why(options().stop("a").stop("")).starts_with("stop: "));
        assert!(why(options().log_probs(11)).starts_with("log_probs: 11"));
        assert!(why(options().temperature(-1.0)).starts_with("temperature: -1"));
    }
}
