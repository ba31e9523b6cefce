//! `gemma3`: local and global layers alternate, each kind with its own rope; norms stand before and after both parts.
//!
//! * Of every six layers (or as `attention.sliding_window_pattern` says) the last sees all positions, the others a window.
//!   Local layers use base 10 000 and no scaling, global ones the file's base and scaling.
//! * The embedding is multiplied by √width. The `1 +` of Gemma's norms is already in the file.
//! * Scores are divided by √head size, except in the 27B model (62 layers), which divides by √(width / heads).

use inkling_compute::{Activation, DecoderSpec, Layer, Mixer, RopeStyle};
use inkling_gguf::Value;

use crate::SpecOptions;
use crate::blocks::{self, AttentionKind};
use crate::error::ModelError;
use crate::hyper::{Hyper, positive};
use crate::reader::Reader;
use crate::rope::RopeKeys;

const LOCAL_BASE: f32 = 10_000.0;
/// Every so many layers one is global, where the file does not say.
const PATTERN: u32 = 6;
/// The 27B model is known by its depth: no key tells its scale.
const LAYERS_OF_27B: usize = 62;

pub(super) fn read(r: &mut Reader<'_>, _: &SpecOptions) -> Result<DecoderSpec, ModelError> {
    let mut hyper = Hyper::read(r)?;
    if hyper.layers.len() == LAYERS_OF_27B {
        let divisor = (hyper.width / hyper.layers[0].heads).max(1);
        hyper.attention_scale = (1.0 / (divisor as f64).sqrt()) as f32;
    }
    let keys = RopeKeys::read(r, &hyper, RopeStyle::Halves)?;
    let local_base = positive(r, "rope.freq_base_swa")?.unwrap_or(LOCAL_BASE);
    let (global, local) = (keys.rope(r, None)?, keys.local(local_base.into()).rope(r, None)?);
    let window = super::window(r)?;
    let local_layers = local_layers(r, hyper.layers.len())?;

    let layers = local_layers.into_iter().enumerate().map(|(layer, is_local)| {
        let window = window.filter(|_| is_local);
        let rope = if window.is_some() { &local } else { &global };
        let kind = AttentionKind { query_key_norm: true, rope, window, scale: hyper.attention_scale };
        let norm = |r: &mut Reader<'_>, name, purpose| blocks::norm(r, &hyper, layer, name, purpose, hyper.width);
        Layer {
            mixer_norm: norm(r, "attn_norm", "norm before attention"),
            mixer: Mixer::Attention(blocks::attention(r, &hyper, layer, &kind)),
            mixer_post_norm: Some(norm(r, "post_attention_norm", "norm after attention")),
            feed_forward_norm: norm(r, "ffn_norm", "norm before feed-forward"),
            feed_forward: blocks::feed_forward(r, &hyper, layer, Activation::GeluTanh),
            feed_forward_post_norm: Some(norm(r, "post_ffw_norm", "norm after feed-forward")),
        }
    });
    let layers = layers.collect();
    let mut spec = blocks::decoder(r, &hyper, layers);
    spec.embedding_scale = (hyper.width as f64).sqrt() as f32;
    Ok(spec)
}

/// Which layers see only the window: a truth value for each, or the length of the period whose last layer is global.
fn local_layers(r: &Reader<'_>, layers: usize) -> Result<Vec<bool>, ModelError> {
    let key = r.key("attention.sliding_window_pattern");
    if let Some(Value::Array(_)) = r.metadata().get(&key) {
        return Ok(r.metadata().bool_per_layer(&key, layers)?.unwrap_or_default());
    }
    let period = r.metadata().u32(&key)?.unwrap_or(PATTERN) as usize;
    Ok((0..layers).map(|layer| period == 0 || layer % period < period - 1).collect())
}

#[cfg(test)]
mod tests {
    use inkling_gguf::{Gguf, GgufWriter};

    use super::*;

    fn pattern(value: Option<Value>) -> Vec<bool> {
        let mut writer = GgufWriter::new();
        writer.set("general.architecture", "gemma3").unwrap();
        if let Some(value) = value {
            writer.set("gemma3.attention.sliding_window_pattern", value).unwrap();
        }
        let file = Gguf::from_vec(writer.write_to(Vec::new()).unwrap().finish().unwrap()).unwrap();
        local_layers(&Reader::new(&file, "gemma3"), 7).unwrap()
    }

    #[test]
    fn the_last_of_each_period_is_global() {
        assert_eq!(pattern(None), [true, true, true, true, true, false, true]);
        assert_eq!(pattern(Some(2_u32.into())), [true, false, true, false, true, false, true]);
        assert_eq!(pattern(Some(1_u32.into())), [false; 7]);
        assert_eq!(pattern(Some(0_u32.into())), [true; 7]);
        let each = vec![false, true, true, false, false, true, true];
        assert_eq!(pattern(Some(each.clone().into())), each);
    }
}
