//! The reference back end: plain f32, slow, obviously right.
//!
//! It is the oracle that every other back end is tested against, so it prefers the plain formula to the fast one:
//! weights are decoded row by row as they are needed, every sum is taken in f64 in a fixed order and rounded to f32
//! once, and attention reads all of its keys before it begins. Hidden states between the parts of a layer are f32.
//! Keys and values go through the cache, so its type rounds them exactly as it says.
//!
//! Threads share out whole rows; no number depends on how many there are, nor on what else is in the batch.
//! Unlike the fast back ends it allocates as it goes, and keeps no scratch memory between passes.
//!
//! | module | what |
//! |---|---|
//! | `decoder` | the pass of `inkling_compute::spec`, line by line |
//! | `linear` | matrix times vectors |
//! | `attention` | grouped-query causal attention over the cache |
//! | `cache` | rows into pages and back |
//! | `operators` | norm, rope, activations, soft-cap |
//! | `check` | whether a spec agrees with itself and with the file |
//! | `parallel` | sharing out a slice among threads |

mod attention;
mod cache;
mod check;
mod decoder;
mod linear;
mod operators;
mod parallel;

use std::sync::Arc;

use inkling_compute::{Backend, ComputeError, Decoder, DecoderSpec, DeviceInfo, LoadPlan, Weights};

use crate::decoder::ReferenceDecoder;

/// The name that users type.
pub(crate) const NAME: &str = "reference";

/// The reference back end. It runs everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl Backend for Reference {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Result<DeviceInfo, ComputeError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(DeviceInfo { device: "any CPU".to_owned(), features: Vec::new(), threads, exact_batches: true })
    }

    fn load(
        &self,
        spec: Arc<DecoderSpec>,
        weights: Weights,
        plan: &LoadPlan<'_>,
    ) -> Result<Box<dyn Decoder>, ComputeError> {
        check::check(&spec, &weights, plan)?;
        Ok(Box::new(ReferenceDecoder::new(spec, weights, plan)))
    }
}

pub(crate) fn unsupported(what: impl Into<String>) -> ComputeError {
    ComputeError::Unsupported { backend: NAME, what: what.into() }
}
