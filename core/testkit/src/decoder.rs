//! A spec and weights of any shape: everything that a spec can say, also what no model family combines.

use std::sync::Arc;

use inkling_compute::{
    Activation, Attention, DecoderSpec, FeedForward, GatedFeedForward, Layer, Linear, Matrix, Mixer, Norm, Rope,
    RopeStyle, Vector, Weights,
};
use inkling_gguf::{Gguf, GgufWriter, TensorType};

use crate::tensors::Tensors;

/// The shape of a decoder with random weights.
#[derive(Debug, Clone)]
pub struct RandomDecoder {
    /// Seed of the weights.
    pub seed: u64,
    /// Type of all matrices but the embedding (as `tensors::fitting` allows).
    pub weights: TensorType,
    /// Type of the embedding.
    pub embedding: TensorType,
    /// Tokens.
    pub vocabulary: usize,
    /// Width of the hidden state.
    pub width: usize,
    /// Inner width of the feed-forward parts.
    pub inner: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Elements of a query or key head.
    pub key_width: usize,
    /// Elements of a value head.
    pub value_width: usize,
    /// Which elements rotate together.
    pub rope: RopeStyle,
    /// Elements of a head that rotate; even.
    pub rotated: usize,
    /// Factor on the rotated elements.
    pub magnitude: f32,
    /// Window of every layer but the last.
    pub window: Option<usize>,
    /// Cap on attention scores.
    pub score_cap: Option<f32>,
    /// Cap on logits.
    pub logit_cap: Option<f32>,
    /// Whether every linear part has a bias, the head included.
    pub biases: bool,
    /// Whether query and key heads are normed.
    pub head_norms: bool,
    /// Whether there are norms after the parts.
    pub post_norms: bool,
    /// Whether embedding and head are one matrix.
    pub tied: bool,
    /// Whether queries, keys and values are row ranges of one tensor, and gate and up of another.
    pub fused: bool,
    /// Applied to the gate.
    pub activation: Activation,
    /// Factor on the embedding.
    pub embedding_scale: f32,
    /// Factor on the logits.
    pub logit_scale: f32,
}

impl Default for RandomDecoder {
    /// Two layers, 256 wide, F32, four heads of 64 over two, nothing special.
    fn default() -> Self {
        Self {
            seed: 1,
            weights: TensorType::F32,
            embedding: TensorType::F32,
            vocabulary: 208,
            width: 256,
            inner: 256,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            key_width: 64,
            value_width: 64,
            rope: RopeStyle::Halves,
            rotated: 64,
            magnitude: 1.0,
            window: None,
            score_cap: None,
            logit_cap: None,
            biases: false,
            head_norms: false,
            post_norms: false,
            tied: false,
            fused: false,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            logit_scale: 1.0,
        }
    }
}

impl RandomDecoder {
    /// The spec and the weights in memory.
    pub fn build(&self) -> (Arc<DecoderSpec>, Weights) {
        let (spec, bytes) = self.file();
        (spec, Weights::new(Arc::new(Gguf::from_vec(bytes).unwrap())))
    }

    /// The spec and the bytes of a GGUF file with the weights.
    pub fn file(&self) -> (Arc<DecoderSpec>, Vec<u8>) {
        let mut build = Build { shape: self, tensors: Tensors::new(self.seed) };
        let embedding = Matrix {
            tensor: build.tensors.matrix("embedding", self.embedding, self.vocabulary, self.width, 16.0),
            first_row: 0,
            rows: self.vocabulary,
            columns: self.width,
        };
        let layers = (0..self.layers).map(|layer| build.layer(layer)).collect();
        let final_norm = build.norm("final_norm", self.width);
        let head = if self.tied {
            Linear { weight: embedding, bias: None }
        } else {
            build.linear("head", self.vocabulary, self.width, 3.0)
        };
        let spec = DecoderSpec {
            architecture: "random".to_owned(),
            vocabulary: self.vocabulary,
            width: self.width,
            context: 4096,
            embedding,
            embedding_scale: self.embedding_scale,
            layers,
            final_norm,
            head,
            logit_scale: self.logit_scale,
            logit_softcap: self.logit_cap,
        };
        (Arc::new(spec), build.tensors.into_file(GgufWriter::new()))
    }
}

struct Build<'a> {
    shape: &'a RandomDecoder,
    tensors: Tensors,
}

impl Build<'_> {
    fn layer(&mut self, layer: usize) -> Layer {
        let width = self.shape.width;
        let name = |part: &str| format!("{layer}.{part}");
        Layer {
            mixer_norm: self.norm(&name("mixer_norm"), width),
            mixer: Mixer::Attention(self.attention(layer)),
            mixer_post_norm: self.shape.post_norms.then(|| self.norm(&name("mixer_post_norm"), width)),
            feed_forward_norm: self.norm(&name("feed_forward_norm"), width),
            feed_forward: FeedForward::Gated(self.gated(layer)),
            feed_forward_post_norm: self.shape.post_norms.then(|| self.norm(&name("feed_forward_post_norm"), width)),
        }
    }

    fn attention(&mut self, layer: usize) -> Attention {
        let shape = self.shape;
        let rows =
            [shape.heads * shape.key_width, shape.kv_heads * shape.key_width, shape.kv_heads * shape.value_width];
        let name = |part: &str| format!("{layer}.{part}");
        let [query, key, value] = self.linears(&name("qkv"), rows, 1.5);
        let output = self.linear(&name("output"), shape.width, shape.heads * shape.value_width, 1.0);
        let frequency = |pair: usize| (0.02_f64).powf(2.0 * pair as f64 / shape.rotated as f64) as f32;
        Attention {
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            key_width: shape.key_width,
            value_width: shape.value_width,
            query,
            key,
            value,
            output,
            query_norm: shape.head_norms.then(|| self.norm(&name("query_norm"), shape.key_width)),
            key_norm: shape.head_norms.then(|| self.norm(&name("key_norm"), shape.key_width)),
            rope: Rope {
                style: shape.rope,
                frequencies: (0..shape.rotated / 2).map(frequency).collect(),
                magnitude: shape.magnitude,
            },
            window: shape.window.filter(|_| layer + 1 < shape.layers),
            scale: 1.0 / (shape.key_width as f32).sqrt(),
            softcap: shape.score_cap,
        }
    }

    fn gated(&mut self, layer: usize) -> GatedFeedForward {
        let [gate, up] = self.linears(&format!("{layer}.gate_up"), [self.shape.inner; 2], 1.0);
        let down = self.linear(&format!("{layer}.down"), self.shape.width, self.shape.inner, 1.0);
        GatedFeedForward { gate, up, down, activation: self.shape.activation }
    }

    /// Several linear parts of the same input, as row ranges of one tensor if the shape is fused.
    fn linears<const N: usize>(&mut self, name: &str, rows: [usize; N], gain: f32) -> [Linear; N] {
        let width = self.shape.width;
        if !self.shape.fused {
            return std::array::from_fn(|part| self.linear(&format!("{name}.{part}"), rows[part], width, gain));
        }
        let whole = self.linear(name, rows.iter().sum(), width, gain);
        std::array::from_fn(|part| {
            let first = rows[..part].iter().sum();
            Linear {
                weight: Matrix { first_row: first, rows: rows[part], ..whole.weight },
                bias: whole.bias.map(|bias| Vector { first, len: rows[part], ..bias }),
            }
        })
    }

    fn linear(&mut self, name: &str, rows: usize, columns: usize, gain: f32) -> Linear {
        let tensor = self.tensors.matrix(name, self.shape.weights, rows, columns, gain);
        let bias = self.shape.biases.then(|| Vector {
            tensor: self.tensors.vector(&format!("{name}.bias"), rows, 0.0, 0.3),
            first: 0,
            len: rows,
        });
        Linear { weight: Matrix { tensor, first_row: 0, rows, columns }, bias }
    }

    fn norm(&mut self, name: &str, len: usize) -> Norm {
        Norm { weight: Vector { tensor: self.tensors.vector(name, len, 1.0, 0.1), first: 0, len }, epsilon: 1e-6 }
    }
}
