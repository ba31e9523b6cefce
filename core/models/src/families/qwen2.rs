//! `qwen2`: Qwen2 and Qwen2.5. Llama's shape with biases on queries, keys and values, and rope on halves.

use inkling_compute::{DecoderSpec, RopeStyle};

use crate::SpecOptions;
use crate::error::ModelError;
use crate::hyper::Hyper;
use crate::reader::Reader;
use crate::rope::RopeKeys;

pub(super) fn read(r: &mut Reader<'_>, _: &SpecOptions) -> Result<DecoderSpec, ModelError> {
    let hyper = Hyper::read(r)?;
    super::refuse_window(r, &hyper)?;
    let rope = RopeKeys::read(r, &hyper, RopeStyle::Halves)?.rope(r, None)?;
    Ok(super::plain(r, &hyper, &rope, None, false))
}
