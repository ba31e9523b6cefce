//! The metadata of a shape, under the keys that llama.cpp's converter writes.

use inkling_gguf::{GgufWriter, Value};

use super::quant::Quant;
use super::shapes::{ModelShape, Special};
use crate::ModelError;

pub(super) fn set(writer: &mut GgufWriter, shape: &ModelShape, quant: Quant) -> Result<(), ModelError> {
    let architecture = shape.family.architecture();
    writer.set("general.architecture", architecture)?;
    writer.set("general.type", "model")?;
    // The shape's name stays out of this key: llama.cpp takes "phi3" in it as a promise of Phi-3's own tokens.
    writer.set("general.name", "Random weights")?;
    writer.set("general.description", format!("random weights in the shape of {}", shape.name))?;
    writer.set("general.file_type", quant.file_type())?;
    writer.set("general.quantization_version", 2_u32)?;

    let number = |value: usize| Value::from(value as u32);
    let mut own = |name: &str, value: Value| writer.set(&format!("{architecture}.{name}"), value).map(|_| ());
    own("block_count", number(shape.layers))?;
    own("context_length", number(shape.context))?;
    own("embedding_length", number(shape.width))?;
    own("feed_forward_length", number(shape.inner))?;
    own("attention.head_count", number(shape.heads))?;
    own("attention.head_count_kv", number(shape.kv_heads))?;
    own("attention.key_length", number(shape.head_width))?;
    own("attention.value_length", number(shape.head_width))?;
    own("attention.layer_norm_rms_epsilon", shape.epsilon.into())?;
    own("rope.freq_base", shape.rope_base.into())?;
    own("rope.dimension_count", number(shape.rotated()))?;
    match shape.special {
        Special::Window(window) => own("attention.sliding_window", number(window))?,
        Special::Longrope { original_context, .. } => {
            own("rope.scaling.original_context_length", number(original_context))?;
            let (context, original) = (shape.context as f64, original_context as f64);
            let magnitude = (1.0 + (context / original).ln() / original.ln()).sqrt();
            own("rope.scaling.attn_factor", (magnitude as f32).into())?;
        }
        Special::Nothing | Special::FrequencyFactors => {}
    }
    Ok(())
}
