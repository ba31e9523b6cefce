//! `phi3`: Phi-3, Phi-3.5 and Phi-4-mini. Queries, keys and values are one tensor, gate and up another; rope turns only
//! the first elements of a head in Phi-4-mini, and has two sets of factors in the models for 128k positions.
//!
//! `attention.sliding_window` is not used: converters have written it with values that the models were not trained
//! with, and llama.cpp, whose numbers these files are compared with, leaves it out as well.

use inkling_compute::{Activation, DecoderSpec, RopeStyle};

use crate::SpecOptions;
use crate::blocks::{self, AttentionKind};
use crate::error::ModelError;
use crate::hyper::Hyper;
use crate::reader::Reader;
use crate::rope::{self, RopeKeys};

pub(super) fn read(r: &mut Reader<'_>, options: &SpecOptions) -> Result<DecoderSpec, ModelError> {
    let mut hyper = Hyper::read(r)?;
    let keys = RopeKeys::read(r, &hyper, RopeStyle::Halves)?;
    let (factors, reach) = rope::longrope_factors(r, &hyper, &keys, options.context);
    hyper.context = reach;
    let rope = keys.rope(r, factors.as_deref())?;
    let kind = AttentionKind { query_key_norm: false, rope: &rope, window: None, scale: hyper.attention_scale };
    let layers = (0..hyper.layers.len()).map(|layer| {
        let attention = blocks::attention(r, &hyper, layer, &kind);
        let feed_forward = blocks::fused_feed_forward(r, &hyper, layer, Activation::Silu);
        blocks::plain_layer(r, &hyper, layer, attention, feed_forward)
    });
    let layers = layers.collect();
    Ok(blocks::decoder(r, &hyper, layers))
}
