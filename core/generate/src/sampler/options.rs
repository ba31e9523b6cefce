//! How tokens are chosen, and what values make sense.

use crate::GenerateError;

/// How the next token is chosen. The default is what most engines do: temperature 0.8, top-k 40, top-p 0.95,
/// min-p 0.05, nothing else.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SamplingOptions {
    /// 0 takes the likeliest token, always; larger is more varied. Finite, at least 0.
    pub temperature: f32,
    /// Keep the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest likeliest tokens that hold this much of the mass, in (0, 1]; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this many times as likely as the likeliest, in [0, 1]; 0 keeps all.
    pub min_p: f32,
    /// Keep the locally typical tokens that hold this much of the mass, in (0, 1]; 1 keeps all.
    pub typical_p: f32,
    /// Against tokens that occurred lately.
    pub penalties: Penalties,
    /// Against sequences that occurred before.
    pub dry: Dry,
    /// Amounts added to tokens' logits; −∞ bans a token.
    pub logit_bias: Vec<(u32, f32)>,
    /// The same seed gives the same answer to the same prompt; `None` takes a fresh one and reports it in the stats.
    pub seed: Option<u64>,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            penalties: Penalties::default(),
            dry: Dry::default(),
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl SamplingOptions {
    /// Always the likeliest token, the lowest id of equals.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether an arg-max of the bare logits is all that is needed.
    pub(crate) fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0
            && !self.penalties.is_active()
            && !self.dry.is_active()
            && self.logit_bias.iter().all(|&(_, amount)| amount == 0.0)
    }

    /// Refuses values that cannot be meant, with the field and the value.
    pub fn validate(&self, vocabulary: usize) -> Result<(), GenerateError> {
        let Self { penalties, dry, .. } = self;
        let not_negative = "must be a number of at least 0";
        let above_zero = "must be above 0 and at most 1 (1 keeps all tokens)";
        let any = "must be a finite number";
        check("temperature", self.temperature, |t| t >= 0.0, not_negative)?;
        check("top_p", self.top_p, |p| p > 0.0 && p <= 1.0, above_zero)?;
        check("min_p", self.min_p, |p| (0.0..=1.0).contains(&p), "must be from 0 to 1 (0 keeps all tokens)")?;
        check("typical_p", self.typical_p, |p| p > 0.0 && p <= 1.0, above_zero)?;
        check("repetition_penalty", penalties.repetition, |r| r > 0.0, "must be a number above 0 (1 is none)")?;
        check("frequency_penalty", penalties.frequency, |_| true, any)?;
        check("presence_penalty", penalties.presence, |_| true, any)?;
        check("dry_multiplier", dry.multiplier, |m| m >= 0.0, not_negative)?;
        check("dry_base", dry.base, |b| b >= 1.0, "must be a number of at least 1")?;
        if dry.sequence_breakers.iter().any(String::is_empty) {
            return Err(GenerateError::invalid(
                "dry_sequence_breakers",
                "an empty string breaks nothing: leave it out",
            ));
        }
        super::bias::validate(&self.logit_bias, vocabulary)
    }
}

fn check(field: &'static str, value: f32, good: impl Fn(f32) -> bool, rule: &str) -> Result<(), GenerateError> {
    if value.is_finite() && good(value) {
        Ok(())
    } else {
        Err(GenerateError::invalid(field, format!("{value} {rule}")))
    }
}

/// Penalties for tokens among the last [`Penalties::window`] tokens of the context, prompt included.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Penalties {
    /// Divides positive and multiplies negative logits; 1 is none. Finite, above 0.
    pub repetition: f32,
    /// Subtracted for each occurrence; 0 is none.
    pub frequency: f32,
    /// Subtracted once for a token that occurred; 0 is none.
    pub presence: f32,
    /// How many of the last tokens count; 0 turns all three off, `usize::MAX` takes the whole context.
    pub window: usize,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { repetition: 1.0, frequency: 0.0, presence: 0.0, window: 64 }
    }
}

impl Penalties {
    pub(crate) fn is_active(&self) -> bool {
        self.window > 0 && (self.repetition != 1.0 || self.frequency != 0.0 || self.presence != 0.0)
    }
}

/// DRY: a penalty for a token that would lengthen a repetition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Dry {
    /// The penalty for a repetition of [`Dry::allowed_length`] tokens; 0 turns it off. Finite, at least 0.
    pub multiplier: f32,
    /// How much each further token multiplies it. Finite, at least 1.
    pub base: f32,
    /// The shortest repetition that is penalised (at least 1 is taken).
    pub allowed_length: usize,
    /// How many of the last tokens are searched.
    pub range: usize,
    /// A token whose text holds one of these ends a sequence.
    pub sequence_breakers: Vec<String>,
}

impl Default for Dry {
    fn default() -> Self {
        Self {
            multiplier: 0.0,
            base: 1.75,
            allowed_length: 2,
            range: usize::MAX,
            sequence_breakers: ["\n", ":", "\"", "*"].map(String::from).to_vec(),
        }
    }
}

impl Dry {
    pub(crate) fn is_active(&self) -> bool {
        self.multiplier > 0.0 && self.range > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(change: impl Fn(&mut SamplingOptions)) -> String {
        let mut options = SamplingOptions::default();
        change(&mut options);
        options.validate(10).unwrap_err().to_string()
    }

    #[test]
    fn refuses_nonsense_with_field_and_value() {
        assert!(SamplingOptions::default().validate(10).is_ok());
        assert!(SamplingOptions::greedy().validate(10).is_ok());
        assert!(why(|o| o.temperature = f32::NAN).starts_with("temperature: NaN"));
        assert!(why(|o| o.temperature = f32::INFINITY).starts_with("temperature: inf"));
        assert!(why(|o| o.temperature = -0.5).starts_with("temperature: -0.5"));
        for bad in [0.0, -1.0, 1.1, f32::NAN] {
            assert!(why(|o| o.top_p = bad).starts_with("top_p:"));
            assert!(why(|o| o.typical_p = bad).starts_with("typical_p:"));
        }
        for bad in [-0.1, 1.1, f32::NAN] {
            assert!(why(|o| o.min_p = bad).starts_with("min_p:"));
        }
        assert!(why(|o| o.penalties.repetition = 0.0).starts_with("repetition_penalty: 0"));
        assert!(why(|o| o.penalties.frequency = f32::NAN).starts_with("frequency_penalty:"));
        assert!(why(|o| o.penalties.presence = f32::INFINITY).starts_with("presence_penalty:"));
        assert!(why(|o| o.dry.multiplier = -1.0).starts_with("dry_multiplier: -1"));
        assert!(why(|o| o.dry.base = 0.5).starts_with("dry_base: 0.5"));
        assert!(why(|o| o.dry.sequence_breakers = vec![String::new()]).starts_with("dry_sequence_breakers"));
        assert!(why(|o| o.logit_bias = vec![(10, 1.0)]).contains("token 10 is outside the vocabulary of 10"));
        assert!(why(|o| o.logit_bias = vec![(1, f32::INFINITY)]).contains("inf for token 1"));
    }
}
