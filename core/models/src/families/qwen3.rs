//! `qwen3`: Qwen2's shape without biases, with a norm on each query and key head and a head size of its own.

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
    Ok(super::plain(r, &hyper, &rope, None, true))
}
