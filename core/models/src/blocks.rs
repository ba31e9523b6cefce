//! Attention, feed-forward, embedding and head from their tensors, under the names that llama.cpp's converter gives.
//!
//! Biases are taken wherever a file has them. Queries, keys and values may be one fused matrix in any family.

use inkling_compute::{
    Activation, Attention, DecoderSpec, FeedForward, GatedFeedForward, Layer, Linear, Matrix, Norm, Rope, Vector,
};

use crate::hyper::Hyper;
use crate::reader::Reader;

/// What families do differently inside attention.
pub(crate) struct AttentionKind<'a> {
    /// Whether queries and keys are normed before rope.
    pub(crate) query_key_norm: bool,
    pub(crate) rope: &'a Rope,
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
}

/// The attention of a layer.
pub(crate) fn attention(r: &mut Reader<'_>, hyper: &Hyper, layer: usize, kind: &AttentionKind<'_>) -> Attention {
    let shape = hyper.layers[layer];
    let (heads, kv_heads) = (shape.heads, shape.kv_heads);
    let (key_width, value_width) = (hyper.key_width, hyper.value_width);
    let rows = [heads * key_width, kv_heads * key_width, kv_heads * value_width];
    let [query, key, value] = queries_keys_values(r, layer, rows, hyper.width);
    let output = linear(r, &block(layer, "attn_output"), "attention output", hyper.width, heads * value_width);
    let head_norm = |r: &mut Reader<'_>, name, purpose| {
        kind.query_key_norm.then(|| norm(r, hyper, layer, name, purpose, key_width))
    };
    Attention {
        heads,
        kv_heads,
        key_width,
        value_width,
        query,
        key,
        value,
        output,
        query_norm: head_norm(r, "attn_q_norm", "norm of query heads"),
        key_norm: head_norm(r, "attn_k_norm", "norm of key heads"),
        rope: kind.rope.clone(),
        window: kind.window,
        scale: kind.scale,
        softcap: hyper.attention_softcap,
    }
}

/// Three projections, from one fused matrix or from three.
fn queries_keys_values(r: &mut Reader<'_>, layer: usize, rows: [usize; 3], columns: usize) -> [Linear; 3] {
    const PURPOSES: [&str; 3] = ["queries", "keys", "values"];
    let separate = ["attn_q", "attn_k", "attn_v"].map(|name| block(layer, name));
    let fused = block(layer, "attn_qkv");
    if r.peek(&format!("{fused}.weight")).is_none() {
        return [0, 1, 2].map(|part| linear(r, &separate[part], PURPOSES[part], rows[part], columns));
    }
    let total = rows.iter().sum();
    let whole = linear(r, &fused, "queries, keys and values", total, columns);
    let mut first = 0;
    [0, 1, 2].map(|part| {
        let range = Matrix { first_row: first, rows: rows[part], ..whole.weight };
        let bias = whole.bias.map(|bias| Vector { first, len: rows[part], ..bias });
        first += rows[part];
        let bias = bias.or_else(|| r.optional_vector(&bias_of(&separate[part]), PURPOSES[part], rows[part]));
        Linear { weight: range, bias }
    })
}

/// The gated feed-forward part of a layer, gate and up apart.
pub(crate) fn feed_forward(r: &mut Reader<'_>, hyper: &Hyper, layer: usize, activation: Activation) -> FeedForward {
    let inner = hyper.layers[layer].inner;
    let gate = linear(r, &block(layer, "ffn_gate"), "feed-forward gate", inner, hyper.width);
    let up = linear(r, &block(layer, "ffn_up"), "feed-forward up", inner, hyper.width);
    let down = linear(r, &block(layer, "ffn_down"), "feed-forward down", hyper.width, inner);
    FeedForward::Gated(GatedFeedForward { gate, up, down, activation })
}

/// The gated feed-forward part of a layer whose `ffn_up` holds the gate's rows, then those of up.
pub(crate) fn fused_feed_forward(
    r: &mut Reader<'_>,
    hyper: &Hyper,
    layer: usize,
    activation: Activation,
) -> FeedForward {
    let inner = hyper.layers[layer].inner;
    let both = linear(r, &block(layer, "ffn_up"), "feed-forward gate and up", 2 * inner, hyper.width);
    let down = linear(r, &block(layer, "ffn_down"), "feed-forward down", hyper.width, inner);
    let half = |first: usize| Linear {
        weight: Matrix { first_row: first, rows: inner, ..both.weight },
        bias: both.bias.map(|bias| Vector { first, len: inner, ..bias }),
    };
    FeedForward::Gated(GatedFeedForward { gate: half(0), up: half(inner), down, activation })
}

/// A norm of a layer.
pub(crate) fn norm(
    r: &mut Reader<'_>,
    hyper: &Hyper,
    layer: usize,
    name: &str,
    purpose: &'static str,
    len: usize,
) -> Norm {
    r.norm(&format!("{}.weight", block(layer, name)), purpose, len, hyper.epsilon)
}

/// A layer without norms after its parts.
pub(crate) fn plain_layer(
    r: &mut Reader<'_>,
    hyper: &Hyper,
    layer: usize,
    attention: Attention,
    feed_forward: FeedForward,
) -> Layer {
    Layer {
        mixer_norm: norm(r, hyper, layer, "attn_norm", "norm before attention", hyper.width),
        mixer: inkling_compute::Mixer::Attention(attention),
        mixer_post_norm: None,
        feed_forward_norm: norm(r, hyper, layer, "ffn_norm", "norm before feed-forward", hyper.width),
        feed_forward,
        feed_forward_post_norm: None,
    }
}

/// Embedding and head around the layers. Without `output.weight` the embedding is the head.
pub(crate) fn decoder(r: &mut Reader<'_>, hyper: &Hyper, layers: Vec<Layer>) -> DecoderSpec {
    let (vocabulary, width) = (hyper.vocabulary, hyper.width);
    let embedding = r.matrix("token_embd.weight", "token embedding", vocabulary, width);
    let final_norm = r.norm("output_norm.weight", "norm before the head", width, hyper.epsilon);
    let head = if r.peek("output.weight").is_some() {
        linear(r, "output", "head", vocabulary, width)
    } else {
        Linear { weight: embedding, bias: r.optional_vector("output.bias", "bias of the head", vocabulary) }
    };
    DecoderSpec {
        architecture: r.architecture().to_owned(),
        vocabulary,
        width,
        context: hyper.context,
        embedding,
        embedding_scale: 1.0,
        layers,
        final_norm,
        head,
        logit_scale: 1.0,
        logit_softcap: hyper.logit_softcap,
    }
}

fn linear(r: &mut Reader<'_>, name: &str, purpose: &'static str, rows: usize, columns: usize) -> Linear {
    let weight = r.matrix(&format!("{name}.weight"), purpose, rows, columns);
    Linear { weight, bias: r.optional_vector(&bias_of(name), purpose, rows) }
}

fn bias_of(name: &str) -> String {
    format!("{name}.bias")
}

fn block(layer: usize, name: &str) -> String {
    format!("blk.{layer}.{name}")
}
