//! Rope frequencies as final numbers.
//!
//! Without scaling, pair `i` of `n` turns by `base^(-i/n)` a position. On top of that a file may ask for
//!
//! * *linear* scaling: all frequencies divided by one factor;
//! * *frequency factors* (Llama 3.1 and later): a tensor by which the frequencies are divided, one value a pair;
//! * *longrope* (Phi): two such tensors, for contexts up to the original length and beyond it, and a magnitude;
//! * *yarn* (<https://arxiv.org/abs/2309.00071>): fast pairs keep their frequency, slow ones are divided by the factor,
//!   a ramp lies between, and queries and keys grow by `0.1 · ln(factor) + 1`.
//!
//! Everything is computed in f64 and rounded once. Keys and their defaults are those that llama.cpp's converter writes
//! and its loader assumes.

use std::f64::consts::TAU;

use inkling_compute::{Rope, RopeStyle};

use crate::error::ModelError;
use crate::hyper::{Hyper, bad, optional, positive};
use crate::reader::Reader;

/// Base of files that name none.
const DEFAULT_BASE: f64 = 10_000.0;
/// Turns within the original context above which yarn leaves a pair alone, and below which it scales it fully.
const YARN_BETA_FAST: f64 = 32.0;
const YARN_BETA_SLOW: f64 = 1.0;
const MAX_CONTEXT: usize = 1 << 30;

/// How frequencies change with the context.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scaling {
    /// All divided by the factor, which is 1 for no scaling.
    Linear,
    Yarn(Yarn),
    /// By the factors tensors alone.
    Longrope,
}

/// The constants of yarn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Yarn {
    /// How much of the unscaled frequency fast pairs get: 1 is all of it.
    extrapolation: f64,
    beta_fast: f64,
    beta_slow: f64,
    /// Given by the file in place of `0.1 · ln(factor) + 1`.
    magnitude: Option<f64>,
}

/// The rope keys of a file.
#[derive(Debug, Clone)]
pub(crate) struct RopeKeys {
    style: RopeStyle,
    rotated: usize,
    base: f64,
    factor: f64,
    scaling: Scaling,
    original_context: usize,
    /// Factor on queries and keys that the file names.
    attention_factor: f64,
}

impl RopeKeys {
    pub(crate) fn read(r: &mut Reader<'_>, hyper: &Hyper, style: RopeStyle) -> Result<Self, ModelError> {
        let base = positive(r, "rope.freq_base")?.map_or(DEFAULT_BASE, f64::from);
        let factor = match positive(r, "rope.scaling.factor")? {
            Some(factor) => factor,
            None => positive(r, "rope.scale_linear")?.unwrap_or(1.0),
        };
        let original_context =
            optional(r, "rope.scaling.original_context_length", MAX_CONTEXT)?.unwrap_or(hyper.context);
        let attention_factor = positive(r, "rope.scaling.attn_factor")?.map_or(1.0, f64::from);
        let kind = r.metadata().str(&r.key("rope.scaling.type"))?.unwrap_or("linear");
        let (scaling, factor) = match kind {
            "none" => (Scaling::Linear, 1.0),
            "linear" => (Scaling::Linear, f64::from(factor)),
            "longrope" => (Scaling::Longrope, f64::from(factor)),
            "yarn" => (Scaling::Yarn(Yarn::read(r, base)?), f64::from(factor)),
            other => {
                r.unsupported("rope.scaling.type", other, "none, linear, yarn and longrope are");
                (Scaling::Linear, 1.0)
            }
        };
        Ok(Self { style, rotated: hyper.rotated, base, factor, scaling, original_context, attention_factor })
    }

    /// Whether the file says that it has two sets of factors.
    pub(crate) fn is_longrope(&self) -> bool {
        self.scaling == Scaling::Longrope
    }

    /// The same rope on another base and without a linear factor: that of local layers.
    pub(crate) fn local(&self, base: f64) -> Self {
        Self { base, factor: 1.0, ..self.clone() }
    }

    /// The final numbers. `factors` divide the frequencies, one a pair.
    pub(crate) fn rope(&self, r: &Reader<'_>, factors: Option<&[f32]>) -> Result<Rope, ModelError> {
        let pairs = self.rotated / 2;
        let frequency = |pair: usize| {
            let plain = self.base.powf(-(pair as f64) / pairs as f64);
            let plain = plain / factors.map_or(1.0, |factors| f64::from(factors[pair]));
            let scaled = plain / self.factor;
            match self.scaling {
                Scaling::Yarn(yarn) => {
                    let kept = yarn.kept(pair, self.rotated, self.original_context, self.base);
                    (scaled * (1.0 - kept) + plain * kept) as f32
                }
                Scaling::Linear | Scaling::Longrope => scaled as f32,
            }
        };
        let frequencies: Vec<f32> = (0..pairs).map(frequency).collect();
        let magnitude = self.magnitude() as f32;
        // Bases, factors and magnitudes are bounded by their product alone: each may be odd if the others undo it.
        if let Some(pair) = frequencies.iter().position(|frequency| !frequency.is_finite()) {
            let why =
                format!("with the scaling that the file asks for, pair {pair} would turn by {}", frequencies[pair]);
            return Err(bad(r, "rope.freq_base", self.base, &why));
        }
        if !magnitude.is_finite() {
            return Err(bad(
                r,
                "rope.scaling.attn_factor",
                self.attention_factor,
                "queries and keys would be infinite",
            ));
        }
        Ok(Rope { style: self.style, frequencies, magnitude })
    }

    fn magnitude(&self) -> f64 {
        let own = match self.scaling {
            Scaling::Yarn(Yarn { extrapolation: 0.0, .. }) | Scaling::Linear | Scaling::Longrope => 1.0,
            Scaling::Yarn(Yarn { magnitude: Some(given), .. }) => given,
            Scaling::Yarn(_) => 1.0 + 0.1 * self.factor.max(1.0).ln(),
        };
        own * self.attention_factor
    }
}

impl Yarn {
    fn read(r: &Reader<'_>, base: f64) -> Result<Self, ModelError> {
        if base <= 1.0 {
            return Err(bad(r, "rope.freq_base", base, "yarn needs a base above 1"));
        }
        // Older converters write a negative number for "not set".
        let extrapolation = r.metadata().f64(&r.key("rope.scaling.yarn_ext_factor"))?.unwrap_or(1.0);
        if extrapolation > 1.0 || extrapolation.is_nan() {
            return Err(bad(r, "rope.scaling.yarn_ext_factor", extrapolation, "it must be at most 1"));
        }
        Ok(Self {
            extrapolation: if extrapolation < 0.0 { 1.0 } else { extrapolation },
            beta_fast: positive(r, "rope.scaling.yarn_beta_fast")?.map_or(YARN_BETA_FAST, f64::from),
            beta_slow: positive(r, "rope.scaling.yarn_beta_slow")?.map_or(YARN_BETA_SLOW, f64::from),
            magnitude: positive(r, "rope.scaling.yarn_attn_factor")?.map(f64::from),
        })
    }

    /// The part of a pair's plain frequency that stays: 1 for fast pairs, 0 for slow ones.
    fn kept(&self, pair: usize, rotated: usize, original_context: usize, base: f64) -> f64 {
        // The pair, as a real number, that turns `turns` times within the original context.
        let pair_of = |turns: f64| rotated as f64 * (original_context as f64 / (turns * TAU)).ln() / (2.0 * base.ln());
        let low = pair_of(self.beta_fast).floor().max(0.0);
        let high = pair_of(self.beta_slow).ceil().min(rotated as f64 - 1.0);
        let ramp = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
        (1.0 - ramp) * self.extrapolation
    }
}

/// The factors tensor of Llama 3.1 and later.
pub(crate) fn frequency_factors(r: &mut Reader<'_>, hyper: &Hyper) -> Option<Vec<f32>> {
    r.positive_numbers("rope_freqs.weight", "rope frequency factors", hyper.rotated / 2)
}

/// The factors for a context of this length, and how far they reach, where the file has two sets of them.
pub(crate) fn longrope_factors(
    r: &mut Reader<'_>,
    hyper: &Hyper,
    keys: &RopeKeys,
    context: Option<usize>,
) -> (Option<Vec<f32>>, usize) {
    let pairs = hyper.rotated / 2;
    let long = r.positive_numbers("rope_factors_long.weight", "rope factors of long contexts", pairs);
    let short = r.positive_numbers("rope_factors_short.weight", "rope factors of short contexts", pairs);
    if long.is_none() && short.is_none() {
        return (None, hyper.context);
    }
    if context.is_some_and(|context| context > keys.original_context) {
        (long, hyper.context)
    } else {
        (short, keys.original_context.min(hyper.context))
    }
}
