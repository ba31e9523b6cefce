//! How to load and how to generate. What is left out is as the engine thinks best; values are checked there.

use inkling::{GenerationOptions, LoadOptions, parse_kv_type};

use crate::FfiError;

/// How to load a model.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct FfiLoadOptions {
    /// Tokens that one conversation may hold; at most what the model was made for.
    #[uniffi(default = None)]
    pub context: Option<u32>,
    /// Tokens that all conversations together may hold in the cache.
    #[uniffi(default = None)]
    pub cache_positions: Option<u32>,
    /// How the cache is stored: `f32`, `f16`, `q8_0` or `q4_0`.
    #[uniffi(default = None)]
    pub kv: Option<String>,
    /// Worker threads, 1 to 512.
    #[uniffi(default = None)]
    pub threads: Option<u32>,
    /// Tokens of a prompt that run through the model at a time.
    #[uniffi(default = None)]
    pub batch: Option<u32>,
}

impl FfiLoadOptions {
    pub(crate) fn into_options(self) -> Result<LoadOptions, FfiError> {
        let size = |number: Option<u32>| number.map(|number| number as usize);
        let mut options = LoadOptions::default();
        options.context = size(self.context);
        options.cache_positions = size(self.cache_positions);
        options.threads = size(self.threads);
        options.batch = size(self.batch).unwrap_or(options.batch);
        if let Some(kv) = self.kv {
            options.kv = parse_kv_type(&kv)?;
        }
        Ok(options)
    }
}

/// An amount that is added to a token's logit.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct FfiLogitBias {
    /// The token.
    pub token: u32,
    /// The amount; −∞ bans the token.
    pub amount: f32,
}

/// How one answer is generated.
#[derive(Debug, Clone, Default, PartialEq, uniffi::Record)]
pub struct FfiGenerationOptions {
    /// Tokens at most, thoughts included.
    #[uniffi(default = None)]
    pub max_tokens: Option<u32>,
    /// Strings that end the answer; they are not delivered.
    #[uniffi(default = [])]
    pub stop: Vec<String>,
    /// 0 takes the likeliest token, always; larger is more varied.
    #[uniffi(default = None)]
    pub temperature: Option<f32>,
    /// Keep the likeliest tokens; 0 keeps all.
    #[uniffi(default = None)]
    pub top_k: Option<u32>,
    /// Keep the fewest likeliest tokens that hold this much of the mass.
    #[uniffi(default = None)]
    pub top_p: Option<f32>,
    /// Keep tokens at least this many times as likely as the likeliest.
    #[uniffi(default = None)]
    pub min_p: Option<f32>,
    /// Keep the locally typical tokens that hold this much of the mass.
    #[uniffi(default = None)]
    pub typical_p: Option<f32>,
    /// Divides the logits of tokens that occurred lately; 1 is none.
    #[uniffi(default = None)]
    pub repetition_penalty: Option<f32>,
    /// Subtracted for each time that a token occurred lately.
    #[uniffi(default = None)]
    pub frequency_penalty: Option<f32>,
    /// Subtracted once for a token that occurred lately.
    #[uniffi(default = None)]
    pub presence_penalty: Option<f32>,
    /// How many of the last tokens the three penalties look at.
    #[uniffi(default = None)]
    pub penalty_window: Option<u32>,
    /// Against repeated sequences (DRY): the penalty of the shortest; 0 is none.
    #[uniffi(default = None)]
    pub dry_multiplier: Option<f32>,
    /// Added to logits.
    #[uniffi(default = [])]
    pub logit_bias: Vec<FfiLogitBias>,
    /// The same seed gives the same answer to the same prompt.
    #[uniffi(default = None)]
    pub seed: Option<u64>,
    /// Report the log-probability of each token and of this many alternatives.
    #[uniffi(default = None)]
    pub log_probs: Option<u32>,
    /// Whether the model should think before it answers.
    #[uniffi(default = None)]
    pub thinking: Option<bool>,
}

impl From<FfiGenerationOptions> for GenerationOptions {
    fn from(given: FfiGenerationOptions) -> Self {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        let size = |number: Option<u32>| number.map(|number| number as usize);
        let mut options = Self::default();
        options.max_tokens = size(given.max_tokens);
        options.stop = given.stop;
        options.log_probs = size(given.log_probs);
        options.thinking = given.thinking;
        let sampling = &mut options.sampling;
        set(&mut sampling.temperature, given.temperature);
        set(&mut sampling.top_k, size(given.top_k));
        set(&mut sampling.top_p, given.top_p);
        set(&mut sampling.min_p, given.min_p);
        set(&mut sampling.typical_p, given.typical_p);
        set(&mut sampling.penalties.repetition, given.repetition_penalty);
        set(&mut sampling.penalties.frequency, given.frequency_penalty);
        set(&mut sampling.penalties.presence, given.presence_penalty);
        set(&mut sampling.penalties.window, size(given.penalty_window));
        set(&mut sampling.dry.multiplier, given.dry_multiplier);
        sampling.logit_bias = given.logit_bias.into_iter().map(|bias| (bias.token, bias.amount)).collect();
        sampling.seed = given.seed;
        options
    }
}
