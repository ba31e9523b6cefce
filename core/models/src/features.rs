//! Keys that change the computation in ways a [`DecoderSpec`](inkling_compute::DecoderSpec) has no word for.
//!
//! A file may carry them as long as they say "not used"; any other value is a problem that names key and value, because
//! to ignore it would be a wrong answer said with confidence. Keys that no back end needs (names, licences, training
//! facts) are not looked at.

use inkling_gguf::{Array, Value};

use crate::error::ModelError;
use crate::reader::Reader;

/// What a value must be to mean "not used".
#[derive(Clone, Copy)]
enum Neutral {
    /// A number that is one of these.
    Number(&'static [f64]),
    /// This truth value.
    Bool(bool),
    /// A list of zeros.
    Zeros,
}

use Neutral::{Bool, Number, Zeros};

/// Name under the architecture's, value that means "not used", and what another value would mean.
const FEATURES: &[(&str, Neutral, &str)] = &[
    ("expert_count", Number(&[0.0]), "mixture of experts"),
    ("expert_used_count", Number(&[0.0]), "mixture of experts"),
    ("expert_shared_count", Number(&[0.0]), "shared experts"),
    ("nextn_predict_layers", Number(&[0.0]), "layers that predict several tokens"),
    ("attention.causal", Bool(true), "attention that is not causal"),
    ("pooling_type", Number(&[0.0]), "pooling to an embedding or a score"),
    ("use_parallel_residual", Bool(false), "attention and feed-forward side by side"),
    ("logit_scale", Number(&[0.0, 1.0]), "scaled logits"),
    ("residual_scale", Number(&[0.0, 1.0]), "scaled residuals"),
    ("embedding_scale", Number(&[0.0, 1.0]), "a scaled embedding"),
    ("attention.max_alibi_bias", Number(&[0.0]), "ALiBi positions"),
    ("attention.clamp_kqv", Number(&[0.0]), "clamped queries, keys and values"),
    ("attention.shared_kv_layers", Number(&[0.0]), "layers that share keys and values"),
    ("attention.temperature_length", Number(&[0.0]), "attention whose temperature depends on position"),
    ("attention.temperature_scale", Number(&[0.0]), "attention whose temperature depends on position"),
    ("rope.dimension_sections", Zeros, "rope over several axes"),
    ("rope.scaling.alpha", Number(&[0.0]), "rope scaled by alpha"),
    ("rope.scaling.yarn_log_multiplier", Number(&[0.0]), "yarn with its own magnitude for all dimensions"),
];

/// Notes a problem for each feature that the file uses.
pub(crate) fn check(r: &mut Reader<'_>) {
    for &(name, neutral, meaning) in FEATURES {
        let Some(value) = r.metadata().get(&r.key(name)) else { continue };
        if !is_neutral(value, neutral) {
            let why = format!("it means {meaning}");
            r.problem(ModelError::UnsupportedValue { key: r.key(name), value: show(value), why });
        }
    }
}

fn is_neutral(value: &Value, neutral: Neutral) -> bool {
    match (value, neutral) {
        (Value::Bool(value), Bool(expected)) => *value == expected,
        (Value::Array(array), Zeros) => (0..array.len()).all(|index| array.integer(index) == Some(0)),
        (Value::F32(value), Number(numbers)) => numbers.contains(&f64::from(*value)),
        (Value::F64(value), Number(numbers)) => numbers.contains(value),
        (value, Number(numbers)) => value.as_integer().is_some_and(|value| numbers.contains(&(value as f64))),
        _ => false,
    }
}

/// A value as messages show it: short.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::String(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(64)])),
        Value::Array(array) => show_array(array),
        other => other.as_integer().map_or_else(|| other.kind().to_string(), |value| value.to_string()),
    }
}

fn show_array(array: &Array) -> String {
    let first: Vec<String> = (0..array.len().min(8)).map_while(|i| array.integer(i)).map(|v| v.to_string()).collect();
    let more = if first.len() < array.len() { ", …" } else { "" };
    format!("[{}{more}]", first.join(", "))
}
