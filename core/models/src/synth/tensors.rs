//! The tensors of a shape, in the order of the file, and what their elements are like.
//!
//! A matrix has a standard deviation of `gain / √columns`, so that it keeps the size of what it multiplies. What is
//! added to the residual stream is made smaller by `√(2 · layers)`, so that the stream's variance stays near 1
//! at any depth. The last norm is 3, which gives logits a standard deviation of about 3.

use inkling_gguf::TensorType;

use super::quant::{Place, Quant, Role, tensor_type};
use super::shapes::{Family, ModelShape, Special};

/// What the elements of a tensor are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// Noise with mean 0.
    Noise {
        /// Standard deviation.
        deviation: f64,
    },
    /// Noise around a value, for norms.
    Around {
        /// The mean.
        mean: f64,
        /// Standard deviation.
        deviation: f64,
    },
    /// These numbers.
    Numbers(Vec<f32>),
}

/// A tensor to be written.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) kind: TensorType,
    /// The fastest first.
    pub(super) dimensions: Vec<u64>,
    pub(super) content: Content,
}

impl Planned {
    pub(super) fn elements(&self) -> u64 {
        self.dimensions.iter().product()
    }
}

/// All tensors of a shape.
pub(super) fn plan(shape: &ModelShape, quant: Quant, vocabulary: usize) -> Vec<Planned> {
    let mut plan = Plan { shape, quant, tensors: Vec::new() };
    let role = if shape.tied { Role::Head } else { Role::Other };
    plan.matrix("token_embd".to_owned(), role, 0, vocabulary, shape.width, 1.0);
    (0..shape.layers).for_each(|layer| plan.layer(layer));
    plan.norm("output_norm".to_owned(), shape.width, 3.0);
    if !shape.tied {
        plan.matrix("output".to_owned(), Role::Head, 0, vocabulary, shape.width, 1.0);
    }
    plan.rope();
    plan.tensors
}

struct Plan<'a> {
    shape: &'a ModelShape,
    quant: Quant,
    tensors: Vec<Planned>,
}

impl Plan<'_> {
    fn layer(&mut self, layer: usize) {
        let ModelShape { family, width, head_width, inner, .. } = *self.shape;
        let (queries, keys) = (self.shape.heads * head_width, self.shape.kv_heads * head_width);
        let small = 1.0 / (2.0 * self.shape.layers as f64).sqrt();
        let name = |part: &str| format!("blk.{layer}.{part}");

        self.norm(name("attn_norm"), width, 1.0);
        if family == Family::Phi3 {
            self.matrix(name("attn_qkv"), Role::Values, layer, queries + 2 * keys, width, 1.0);
        } else {
            self.matrix(name("attn_q"), Role::Other, layer, queries, width, 1.0);
            self.matrix(name("attn_k"), Role::Other, layer, keys, width, 1.0);
            self.matrix(name("attn_v"), Role::Values, layer, keys, width, 1.0);
        }
        if family == Family::Qwen2 {
            self.bias(name("attn_q"), queries);
            self.bias(name("attn_k"), keys);
            self.bias(name("attn_v"), keys);
        }
        if matches!(family, Family::Qwen3 | Family::Gemma3) {
            self.norm(name("attn_q_norm"), head_width, 1.0);
            self.norm(name("attn_k_norm"), head_width, 1.0);
        }
        // Gemma norms what it adds: the norms' weights are small there, not the matrices.
        let normed = family == Family::Gemma3;
        let gain = if normed { 1.0 } else { small };
        self.matrix(name("attn_output"), Role::AttentionOutput, layer, width, queries, gain);
        if normed {
            self.norm(name("post_attention_norm"), width, small);
        }
        self.norm(name("ffn_norm"), width, 1.0);
        if family == Family::Phi3 {
            self.matrix(name("ffn_up"), Role::Other, layer, 2 * inner, width, 1.0);
        } else {
            self.matrix(name("ffn_gate"), Role::Other, layer, inner, width, 1.0);
            self.matrix(name("ffn_up"), Role::Other, layer, inner, width, 1.0);
        }
        self.matrix(name("ffn_down"), Role::Down, layer, width, inner, gain);
        if normed {
            self.norm(name("post_ffw_norm"), width, small);
        }
    }

    fn matrix(&mut self, name: String, role: Role, layer: usize, rows: usize, columns: usize, gain: f64) {
        let group = self.shape.heads / self.shape.kv_heads;
        let kind = tensor_type(self.quant, Place { role, layer, layers: self.shape.layers, group, columns });
        let content = Content::Noise { deviation: gain / (columns as f64).sqrt() };
        let dimensions = vec![columns as u64, rows as u64];
        self.tensors.push(Planned { name: format!("{name}.weight"), kind, dimensions, content });
    }

    fn norm(&mut self, name: String, len: usize, mean: f64) {
        self.vector(format!("{name}.weight"), len, Content::Around { mean, deviation: mean / 10.0 });
    }

    fn bias(&mut self, name: String, len: usize) {
        self.vector(format!("{name}.bias"), len, Content::Noise { deviation: 0.3 });
    }

    fn vector(&mut self, name: String, len: usize, content: Content) {
        self.tensors.push(Planned { name, kind: TensorType::F32, dimensions: vec![len as u64], content });
    }

    fn rope(&mut self) {
        let shape = self.shape;
        let pairs = shape.rotated() / 2;
        let part = |pair: usize| pair as f64 / (pairs - 1) as f64;
        let mut numbers = |name: &str, factor: &dyn Fn(usize) -> f64| {
            let values = (0..pairs).map(|pair| factor(pair) as f32).collect();
            self.vector(format!("{name}.weight"), pairs, Content::Numbers(values));
        };
        match shape.special {
            Special::FrequencyFactors => {
                let base = f64::from(shape.rope_base);
                numbers("rope_freqs", &|pair| llama3_factor(base.powf(-(pair as f64) / pairs as f64)));
            }
            // The real factors are a search's result; these rise as those do.
            Special::Longrope { .. } => {
                numbers("rope_factors_long", &|pair| 1.0 + 39.0 * part(pair));
                numbers("rope_factors_short", &|pair| 1.0 + 0.6 * part(pair));
            }
            Special::Nothing | Special::Window(_) => {}
        }
    }
}

/// What Llama 3.2 divides a frequency by: 1 for short waves, 32 for those longer than the original context of 8192
/// positions, a blend between.
fn llama3_factor(frequency: f64) -> f64 {
    const FACTOR: f64 = 32.0;
    const ORIGINAL: f64 = 8192.0;
    const HIGH: f64 = 4.0;
    let turns = ORIGINAL * frequency / std::f64::consts::TAU;
    if turns > HIGH {
        1.0
    } else if turns < 1.0 {
        FACTOR
    } else {
        let smooth = (turns - 1.0) / (HIGH - 1.0);
        1.0 / ((1.0 - smooth) / FACTOR + smooth)
    }
}
