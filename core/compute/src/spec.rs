//! A decoder as pure data.
//!
//! `models` reads a GGUF's metadata into a [`DecoderSpec`]; a back end interprets it without knowing the name of any
//! model family. Everything that depends on metadata alone is settled here: rope frequencies are final numbers
//! (whatever scaling made them), fused tensors are row ranges, embedding scales and soft-caps are values.
//!
//! The pass that a spec describes, for each token with hidden state `x` (width `W`):
//!
//! ```text
//! x = embedding[token] * embedding_scale
//! for layer:
//!     y = mixer(mixer_norm(x));               x += mixer_post_norm(y)        (post norms where present)
//!     y = feed_forward(feed_forward_norm(x)); x += feed_forward_post_norm(y)
//! logits = softcap(head · final_norm(x) * logit_scale)
//! ```

use inkling_gguf::TensorId;

/// A whole decoder. Sizes are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderSpec {
    /// The architecture's name in the file, for people; no back end looks at it.
    pub architecture: String,
    /// Number of rows of the embedding and of the head.
    pub vocabulary: usize,
    /// Width of the hidden state.
    pub width: usize,
    /// Positions that the model was made for, after its own rope scaling.
    pub context: usize,
    /// Token embedding, `[vocabulary rows, width columns]`.
    pub embedding: Matrix,
    /// Factor on the embedding (1 where a model has none; Gemma: √width).
    pub embedding_scale: f32,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// Norm before the head.
    pub final_norm: Norm,
    /// Output projection, `[vocabulary rows, width columns]`; the same matrix as `embedding` when tied.
    pub head: Linear,
    /// Factor on the logits (1 where a model has none).
    pub logit_scale: f32,
    /// `cap · tanh(logit / cap)` where a model has it.
    pub logit_softcap: Option<f32>,
}

/// One layer: a mixer and a feed-forward part, each inside a residual connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Norm of the mixer's input.
    pub mixer_norm: Norm,
    /// What mixes positions.
    pub mixer: Mixer,
    /// Norm of the mixer's output, before it is added.
    pub mixer_post_norm: Option<Norm>,
    /// Norm of the feed-forward's input.
    pub feed_forward_norm: Norm,
    /// What works on each position alone.
    pub feed_forward: FeedForward,
    /// Norm of the feed-forward's output, before it is added.
    pub feed_forward_post_norm: Option<Norm>,
}

/// What mixes positions. Later words: short convolution, gated delta-net.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Mixer {
    /// Grouped-query causal attention.
    Attention(Attention),
}

/// Grouped-query causal attention. Query head `h` reads key/value head `h / (heads / kv_heads)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Query heads; a multiple of `kv_heads`.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements of a query or key head.
    pub key_width: usize,
    /// Elements of a value head.
    pub value_width: usize,
    /// `[heads · key_width, width]`.
    pub query: Linear,
    /// `[kv_heads · key_width, width]`.
    pub key: Linear,
    /// `[kv_heads · value_width, width]`.
    pub value: Linear,
    /// `[width, heads · value_width]`.
    pub output: Linear,
    /// Norm of each query head before rope, of `key_width` elements.
    pub query_norm: Option<Norm>,
    /// Norm of each key head before rope, of `key_width` elements.
    pub key_norm: Option<Norm>,
    /// Rotary position embedding of queries and keys.
    pub rope: Rope,
    /// A position sees itself and the `window - 1` before it; `None` sees all.
    pub window: Option<usize>,
    /// Factor on query · key.
    pub scale: f32,
    /// `cap · tanh(score / cap)` on the scaled scores where a model has it.
    pub softcap: Option<f32>,
}

/// Rotary position embedding as final numbers: pair `i` at position `p` turns by `p · frequencies[i]`, and both of
/// its elements are multiplied by `magnitude`. Elements beyond `2 · frequencies.len()` of a head stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Which elements form pair `i`.
    pub style: RopeStyle,
    /// Radians per position, one a pair.
    pub frequencies: Vec<f32>,
    /// Factor on the rotated elements (1 unless yarn or longrope scales attention).
    pub magnitude: f32,
}

/// Which elements of a head rotate together; `n` is the number of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeStyle {
    /// `(2i, 2i + 1)`: files of the `llama` architecture.
    Interleaved,
    /// `(i, i + n)`: most others.
    Halves,
}

/// What works on each position alone. Later word: experts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FeedForward {
    /// `down · (activation(gate · x) ⊙ (up · x))`.
    Gated(GatedFeedForward),
}

/// The matrices of a gated feed-forward part of inner width `F`.
#[derive(Debug, Clone, PartialEq)]
pub struct GatedFeedForward {
    /// `[F, width]`.
    pub gate: Linear,
    /// `[F, width]`.
    pub up: Linear,
    /// `[width, F]`.
    pub down: Linear,
    /// Applied to the gate.
    pub activation: Activation,
}

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`.
    GeluTanh,
}

/// Root-mean-square norm: `x / √(mean(x²) + epsilon) ⊙ weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// The weight, as stored (Gemma's `1 +` is already in the file).
    pub weight: Vector,
    /// Added to the mean square.
    pub epsilon: f32,
}

/// `y = weight · x (+ bias)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// The matrix.
    pub weight: Matrix,
    /// One value a row.
    pub bias: Option<Vector>,
}

/// A range of whole rows of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// The tensor.
    pub tensor: TensorId,
    /// The first row taken.
    pub first_row: usize,
    /// Rows taken: the size of the output.
    pub rows: usize,
    /// Columns: the size of the input.
    pub columns: usize,
}

/// A range of elements of a one-dimensional tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vector {
    /// The tensor.
    pub tensor: TensorId,
    /// The first element taken.
    pub first: usize,
    /// Elements taken.
    pub len: usize,
}

impl DecoderSpec {
    /// Whether embedding and head are one matrix.
    pub fn is_tied(&self) -> bool {
        self.embedding == self.head.weight
    }

    /// The matrices that a decoded token is multiplied with, head included, embedding excluded.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.layers
            .iter()
            .flat_map(|layer| {
                let Mixer::Attention(a) = &layer.mixer;
                let FeedForward::Gated(f) = &layer.feed_forward;
                [&a.query, &a.key, &a.value, &a.output, &f.gate, &f.up, &f.down]
            })
            .chain(std::iter::once(&self.head))
    }

    /// The shape of this decoder's keys and values.
    pub fn kv_layers(&self) -> Vec<crate::KvLayer> {
        self.layers
            .iter()
            .map(|layer| {
                let Mixer::Attention(a) = &layer.mixer;
                crate::KvLayer { heads: a.kv_heads, key_width: a.key_width, value_width: a.value_width }
            })
            .collect()
    }
}
