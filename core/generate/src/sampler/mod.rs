//! From logits to the next token: a chain of small steps in the order that most engines use.
//!
//! 1. `bias`, logit bias
//! 2. `penalties`: repetition, frequency, presence
//! 3. `dry`, "don't repeat yourself"
//! 4. `top_k`
//! 5. `typical`: locally typical
//! 6. `top_p`
//! 7. `min_p`
//! 8. `temperature`: temperature and the draw; temperature 0 takes the arg-max after step 3, which no filter removes
//!
//! Filters come before temperature, so they judge the model's own distribution whatever the temperature is.
//!
//! A choice depends on the logits, the tokens so far, the options and the seed, and on nothing else: one random number
//! a token, own arithmetic (see `math`), total orders, sums in a fixed order. Nothing is allocated for a token once
//! the buffers have grown. The scheduler is the only caller.

mod bias;
pub(crate) mod candidates;
mod dry;
mod min_p;
mod options;
mod penalties;
mod rng;
mod temperature;
mod top_k;
mod top_p;
mod typical;

pub use options::{Dry, Penalties, SamplingOptions};

use crate::GenerateError;
use candidates::{Candidates, argmax};
use rng::Rng;

/// Tokens of a penalty window that room is made for at once; a longer one grows.
const LONGEST_WINDOW: usize = 1 << 14;

/// Chooses the tokens of one turn.
#[derive(Debug)]
pub struct Sampler {
    options: SamplingOptions,
    seed: u64,
    breakers: dry::TokenSet,
    rng: Rng,
    candidates: Candidates,
    window: Vec<u32>,
    dry: dry::Scratch,
}

impl Sampler {
    /// A sampler for a model of `vocabulary` tokens, whose texts `token_bytes` gives (asked for DRY only).
    pub fn new(
        options: SamplingOptions,
        vocabulary: usize,
        token_bytes: &dyn Fn(u32) -> Vec<u8>,
    ) -> Result<Self, GenerateError> {
        options.validate(vocabulary)?;
        let breakers = if options.dry.is_active() {
            dry::TokenSet::containing(vocabulary, &options.dry.sequence_breakers, token_bytes)
        } else {
            dry::TokenSet::default()
        };
        let seed = options.seed.unwrap_or_else(rng::fresh_seed);
        let penalties = &options.penalties;
        Ok(Self {
            seed,
            breakers,
            rng: Rng::new(seed),
            candidates: Candidates::default(),
            window: Vec::with_capacity(if penalties.is_active() { penalties.window.min(LONGEST_WINDOW) } else { 0 }),
            dry: dry::Scratch::default(),
            options,
        })
    }

    /// The seed in use.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether [`Sampler::sample`] is needed at all; if not, the decoder's own arg-max is the answer.
    pub fn needs_logits(&self) -> bool {
        !self.options.is_plain_greedy()
    }

    /// Chooses a token. `history` is everything before it, prompt included. `logits` are changed.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> Result<u32, GenerateError> {
        let options = &self.options;
        bias::apply(logits, &options.logit_bias);
        penalties::apply(logits, history, &options.penalties, &mut self.window);
        dry::apply(logits, history, &options.dry, &self.breakers, &mut self.dry);
        if options.temperature == 0.0 {
            return argmax(logits);
        }
        let candidates = &mut self.candidates;
        top_k::fill(candidates, logits, options.top_k)?;
        typical::apply(candidates, options.typical_p);
        top_p::apply(candidates, options.top_p);
        min_p::apply(candidates, options.min_p);
        Ok(temperature::draw(candidates, options.temperature, &mut self.rng))
    }

    /// The tokens that the last [`Sampler::sample`] could have drawn, for tests that compare with other code.
    #[doc(hidden)]
    pub fn survivors(&self) -> Vec<u32> {
        self.candidates.items.iter().map(|candidate| candidate.id).collect()
    }
}
