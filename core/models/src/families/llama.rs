//! `llama`: Llama 3.2, SmolLM2, and others of that shape.
//!
//! Rope turns neighbouring elements, because the converter permutes queries and keys for it; files of Llama 3.1
//! and later carry frequency factors. Mistral's window, where a file names one, holds for all layers.

use inkling_compute::{DecoderSpec, RopeStyle};

use crate::SpecOptions;
use crate::error::ModelError;
use crate::hyper::Hyper;
use crate::reader::Reader;
use crate::rope::{self, RopeKeys};

pub(super) fn read(r: &mut Reader<'_>, options: &SpecOptions) -> Result<DecoderSpec, ModelError> {
    let mut hyper = Hyper::read(r)?;
    let keys = RopeKeys::read(r, &hyper, RopeStyle::Interleaved)?;
    let factors = if keys.is_longrope() {
        let (chosen, reach) = rope::longrope_factors(r, &hyper, &keys, options.context);
        hyper.context = reach;
        chosen
    } else {
        rope::frequency_factors(r, &hyper)
    };
    let window = super::window(r)?;
    let rope = keys.rope(r, factors.as_deref())?;
    Ok(super::plain(r, &hyper, &rope, window, false))
}
