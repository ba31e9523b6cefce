//! The decoders that back ends are checked on.

use inkling_compute::quant::FORMATS;
use inkling_compute::{Activation, KvType, RopeStyle};
use inkling_gguf::TensorType;

use crate::decoder::RandomDecoder;

/// A decoder and a cache type.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique; what expected failures name.
    pub name: String,
    /// The decoder.
    pub decoder: RandomDecoder,
    /// The cache.
    pub cache: KvType,
    /// Whether the contract's promises are checked on it too, and not only agreement with the reference.
    pub promises: bool,
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let mut cases = formats();
    cases.extend(shapes().into_iter().map(|(name, decoder, cache)| {
        // What these vary is inside a row; the promises are about rows.
        let promises = !name.starts_with("gqa-") && !name.starts_with("head-size-");
        Case { name, decoder, cache, promises }
    }));
    cases
}

/// Every format with every cache type.
fn formats() -> Vec<Case> {
    let mut cases = Vec::new();
    for weights in FORMATS {
        for cache in KvType::ALL {
            let name = format!("format-{}-{}", weights.name(), cache.name());
            let decoder = RandomDecoder { weights, embedding: weights, ..RandomDecoder::default() };
            cases.push(Case { name, decoder, cache, promises: cache == KvType::F16 });
        }
    }
    cases
}

fn shapes() -> Vec<(String, RandomDecoder, KvType)> {
    let mut shapes = Vec::new();
    let mut add = |name: String, cache, decoder| shapes.push((name, decoder, cache));
    let base = RandomDecoder { weights: TensorType::Q8_0, embedding: TensorType::Q8_0, ..RandomDecoder::default() };

    for size in [32, 64, 80, 96, 128, 256] {
        let decoder = RandomDecoder { key_width: size, value_width: size, rotated: size, ..base.clone() };
        add(format!("head-size-{size}"), KvType::F16, decoder);
    }
    for ratio in 1..=8 {
        let (heads, kv_heads) = (2 * ratio, 2);
        let head = RandomDecoder { key_width: 32, value_width: 32, rotated: 32, ..base.clone() };
        let decoder = RandomDecoder { heads, kv_heads, weights: TensorType::Q4_0, ..head };
        add(format!("gqa-{ratio}"), KvType::Q8_0, decoder);
    }
    for window in [1, 5, 16, 33, 64] {
        let decoder = RandomDecoder { window: Some(window), layers: 3, ..base.clone() };
        add(format!("window-{window}"), KvType::F16, decoder);
    }
    // Columns are multiples of 32 only, rows of nothing in particular where another format stands in.
    for weights in
        [TensorType::F16, TensorType::Q4_0, TensorType::Q4_1, TensorType::Q5_0, TensorType::Q8_0, TensorType::IQ4_NL]
    {
        let sizes = RandomDecoder { vocabulary: 77, width: 96, inner: 90, heads: 3, kv_heads: 1, ..base.clone() };
        let decoder = RandomDecoder { weights, key_width: 40, value_width: 40, rotated: 40, ..sizes };
        add(format!("ragged-rows-{}", weights.name()), KvType::F16, decoder);
        let sizes = RandomDecoder { vocabulary: 333, width: 160, inner: 352, heads: 5, kv_heads: 1, ..base.clone() };
        let decoder = RandomDecoder { weights, key_width: 32, value_width: 32, rotated: 32, ..sizes };
        add(format!("ragged-columns-{}", weights.name()), KvType::Q8_0, decoder);
    }
    add(
        "odd-floats".to_owned(),
        KvType::F32,
        RandomDecoder {
            weights: TensorType::F32,
            embedding: TensorType::BF16,
            vocabulary: 67,
            width: 101,
            inner: 77,
            heads: 3,
            kv_heads: 3,
            key_width: 22,
            value_width: 22,
            rotated: 22,
            ..RandomDecoder::default()
        },
    );
    add("one-head".to_owned(), KvType::F32, RandomDecoder { heads: 1, kv_heads: 1, layers: 1, ..base.clone() });
    add(
        "llama-like".to_owned(),
        KvType::F16,
        RandomDecoder {
            weights: TensorType::Q4_1,
            width: 192,
            inner: 480,
            heads: 3,
            kv_heads: 1,
            rope: RopeStyle::Interleaved,
            tied: true,
            ..base.clone()
        },
    );
    add(
        "qwen-like".to_owned(),
        KvType::F16,
        RandomDecoder {
            weights: TensorType::Q4_K,
            embedding: TensorType::Q6_K,
            biases: true,
            head_norms: true,
            tied: true,
            key_width: 128,
            value_width: 128,
            rotated: 128,
            ..base.clone()
        },
    );
    add(
        "gemma-like".to_owned(),
        KvType::F16,
        RandomDecoder {
            weights: TensorType::Q4_0,
            kv_heads: 1,
            window: Some(16),
            layers: 3,
            head_norms: true,
            post_norms: true,
            activation: Activation::GeluTanh,
            embedding_scale: 16.0,
            score_cap: Some(2.0),
            logit_cap: Some(4.0),
            ..base.clone()
        },
    );
    add(
        "phi-like".to_owned(),
        KvType::F16,
        RandomDecoder {
            weights: TensorType::Q5_K,
            fused: true,
            biases: true,
            rotated: 48,
            magnitude: 1.19,
            ..base.clone()
        },
    );
    add(
        "interleaved-partial".to_owned(),
        KvType::F32,
        RandomDecoder { rope: RopeStyle::Interleaved, rotated: 32, logit_scale: 0.25, ..base.clone() },
    );
    add("value-width".to_owned(), KvType::F32, RandomDecoder { key_width: 96, value_width: 32, ..base });
    shapes
}
