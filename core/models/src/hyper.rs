//! The numbers that all families share, each inside its bound.
//!
//! Everything is read before a tensor is asked for, so that shapes are computed from bounded numbers and no product
//! can overflow: the largest, heads · head width, stays below 2^23.

use crate::error::ModelError;
use crate::reader::Reader;

/// Largest values; far above every model that a phone could hold.
const MAX_LAYERS: usize = 512;
const MAX_WIDTH: usize = 1 << 16;
const MAX_HEADS: usize = 1 << 10;
const MAX_HEAD_WIDTH: usize = 1 << 13;
const MAX_INNER: usize = 1 << 20;
const MAX_CONTEXT: usize = 1 << 30;
const MAX_VOCABULARY: usize = 1 << 22;

/// The shape of one layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerShape {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Inner width of the feed-forward part.
    pub(crate) inner: usize,
}

/// The shape of a model.
#[derive(Debug, Clone)]
pub(crate) struct Hyper {
    pub(crate) vocabulary: usize,
    pub(crate) context: usize,
    pub(crate) width: usize,
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    /// Leading elements of a head that rope turns; even.
    pub(crate) rotated: usize,
    /// Added to the mean square in norms.
    pub(crate) epsilon: f32,
    /// Factor on query · key, and the cap on scores.
    pub(crate) attention_scale: f32,
    pub(crate) attention_softcap: Option<f32>,
    pub(crate) logit_softcap: Option<f32>,
    pub(crate) layers: Vec<LayerShape>,
}

impl Hyper {
    /// Reads and checks the numbers; the first bad one is the error, because later ones depend on it.
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, ModelError> {
        let layers = required(r, "block_count", MAX_LAYERS)?;
        let width = required(r, "embedding_length", MAX_WIDTH)?;
        let context = required(r, "context_length", MAX_CONTEXT)?;
        let heads = per_layer(r, "attention.head_count", layers, MAX_HEADS)?;
        let heads = heads.ok_or_else(|| missing(r, "attention.head_count"))?;
        let kv_heads = per_layer(r, "attention.head_count_kv", layers, MAX_HEADS)?.unwrap_or_else(|| heads.clone());
        let inner = per_layer(r, "feed_forward_length", layers, MAX_INNER)?;
        let inner = inner.ok_or_else(|| missing(r, "feed_forward_length"))?;
        for (&heads, &kv_heads) in heads.iter().zip(&kv_heads) {
            if !heads.is_multiple_of(kv_heads) {
                let why = format!("the {heads} query heads are no multiple of it");
                return Err(bad(r, "attention.head_count_kv", kv_heads, &why));
            }
        }
        let key_width = match optional(r, "attention.key_length", MAX_HEAD_WIDTH)? {
            Some(given) => given,
            None if width.is_multiple_of(heads[0]) => width / heads[0],
            None => {
                let why = format!("{width} columns cannot be divided among them, and attention.key_length is absent");
                return Err(bad(r, "attention.head_count", heads[0], &why));
            }
        };
        let value_width = match optional(r, "attention.value_length", MAX_HEAD_WIDTH)? {
            Some(given) => given,
            None => (width / heads[0]).max(1),
        };
        let rotated = optional(r, "rope.dimension_count", MAX_HEAD_WIDTH)?.unwrap_or(key_width);
        if rotated > key_width || !rotated.is_multiple_of(2) {
            let why = format!("it must be even and at most the {key_width} elements of a head");
            return Err(bad(r, "rope.dimension_count", rotated, &why));
        }
        let epsilon_key = r.key("attention.layer_norm_rms_epsilon");
        let epsilon = r.metadata().require_f32(&epsilon_key)?;
        if !(0.0..=0.1).contains(&epsilon) {
            return Err(bad(r, "attention.layer_norm_rms_epsilon", epsilon, "it must lie between 0 and 0.1"));
        }
        let attention_scale =
            positive(r, "attention.scale")?.unwrap_or_else(|| (1.0 / (key_width as f64).sqrt()) as f32);
        let shapes = heads.into_iter().zip(kv_heads).zip(inner);
        Ok(Self {
            vocabulary: vocabulary(r, width)?,
            context,
            width,
            key_width,
            value_width,
            rotated,
            epsilon,
            attention_scale,
            attention_softcap: positive(r, "attn_logit_softcapping")?,
            logit_softcap: positive(r, "final_logit_softcapping")?,
            layers: shapes.map(|((heads, kv_heads), inner)| LayerShape { heads, kv_heads, inner }).collect(),
        })
    }
}

/// The rows of the embedding, which must be the tokenizer's tokens where the file has a tokenizer.
fn vocabulary(r: &mut Reader<'_>, width: usize) -> Result<usize, ModelError> {
    const NAME: &str = "token_embd.weight";
    let Some(embedding) = r.peek(NAME) else {
        let shape = format!("{width} × the vocabulary");
        return Err(ModelError::MissingTensor { name: NAME.to_owned(), purpose: "token embedding", shape });
    };
    let rows = embedding.rows();
    let Some(rows) = usize::try_from(rows).ok().filter(|&rows| rows <= MAX_VOCABULARY) else {
        return Err(ModelError::WrongShape {
            name: NAME.to_owned(),
            purpose: "token embedding",
            expected: format!("at most {MAX_VOCABULARY} rows"),
            found: embedding.shape.to_string(),
        });
    };
    let tokens = r.metadata().strings("tokenizer.ggml.tokens")?.map(|tokens| tokens.len());
    if let Some(tokens) = tokens.filter(|&tokens| tokens != rows) {
        r.problem(ModelError::VocabularyMismatch { tokens, rows });
    }
    Ok(rows)
}

/// A whole number from 1 to `limit`, or nothing.
pub(crate) fn optional(r: &Reader<'_>, name: &str, limit: usize) -> Result<Option<usize>, ModelError> {
    let value = r.metadata().u64(&r.key(name))?;
    value.map(|value| bounded(r, name, value, limit)).transpose()
}

fn required(r: &Reader<'_>, name: &str, limit: usize) -> Result<usize, ModelError> {
    optional(r, name, limit)?.ok_or_else(|| missing(r, name))
}

fn bounded(r: &Reader<'_>, name: &str, value: u64, limit: usize) -> Result<usize, ModelError> {
    match usize::try_from(value) {
        Ok(value) if (1..=limit).contains(&value) => Ok(value),
        _ => Err(bad(r, name, value, &format!("between 1 and {limit} are possible"))),
    }
}

/// A number for each layer: one for all, or an array.
fn per_layer(r: &Reader<'_>, name: &str, layers: usize, limit: usize) -> Result<Option<Vec<usize>>, ModelError> {
    let Some(values) = r.metadata().u32_per_layer(&r.key(name), layers)? else { return Ok(None) };
    values.into_iter().map(|value| bounded(r, name, value.into(), limit)).collect::<Result<_, _>>().map(Some)
}

/// A float that must be finite and not negative; 0 means that the model does without, as converters write it.
pub(crate) fn positive(r: &Reader<'_>, name: &str) -> Result<Option<f32>, ModelError> {
    match r.metadata().f32(&r.key(name))? {
        Some(value) if !(value.is_finite() && value >= 0.0) => {
            Err(bad(r, name, value, "it must be finite and not negative"))
        }
        value => Ok(value.filter(|&value| value != 0.0)),
    }
}

fn missing(r: &Reader<'_>, name: &str) -> ModelError {
    inkling_gguf::GgufError::MissingKey { key: r.key(name) }.into()
}

/// A number that makes no sense.
pub(crate) fn bad(r: &Reader<'_>, name: &str, value: impl ToString, why: &str) -> ModelError {
    ModelError::BadNumber { key: r.key(name), value: value.to_string(), why: why.to_owned() }
}
