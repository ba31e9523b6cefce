//! The CPU back end: quantised panels, SIMD kernels, a thread pool.
//!
//! | module | what |
//! |---|---|
//! | `cores` | [`Cores`]: classes of cores by speed, and the usual number of threads |
//! | `isa` | [`Isa`]: instruction sets and which of them this machine has |
//! | `format` | panel layouts: what the bytes of a packed matrix mean |
//! | `pack` | matrices of the file become panels, kept in a file for later loads |
//! | `activations` | quantised vectors |
//! | `kernels` | the innermost loops, a table for each instruction set |
//! | `pool` | threads, barrier, memory that workers share |
//! | `model` | a spec with its matrices packed |
//! | `scratch` | the buffers of a pass |
//! | `pass` | a forward pass: the phases that all workers walk through |
//! | `decoder` | the contract's [`Decoder`] |
//! | [`roofline`] | kernels beside the machine's limits, for developers |
//!
//! Weights stay in the codes that the file holds, activations are quantised to signed bytes in blocks of 32, and dot
//! products are exact integers; F32, F16 and BF16 weights meet f32 activations. Everything that is rounded is rounded
//! in an order that depends neither on the instruction set, nor on the number of threads, nor on the other rows of a
//! batch: results are the same to the bit. `unsafe` is in `kernels` (vector instructions), `pool` (jobs that borrow,
//! shared memory) and `pass` (which part of it belongs to whom).

mod activations;
mod aligned;
mod cores;
mod decoder;
mod format;
mod isa;
mod kernels;
mod model;
mod pack;
mod pass;
mod pool;
pub mod roofline;
mod scratch;
#[cfg(test)]
mod tests_support;

use std::sync::Arc;

use inkling_compute::{Backend, ComputeError, Decoder, DecoderSpec, DeviceInfo, LoadPlan, Prepared, Weights};

use crate::decoder::CpuDecoder;
use crate::kernels::Kernels;
use crate::model::Model;
use crate::pool::Pool;

pub use cores::{CoreClass, Cores};
pub use isa::Isa;
pub use pack::LAYOUT_VERSION;

/// The name that users type.
pub const NAME: &str = "cpu";

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CpuOptions {
    /// The instruction set; `None` takes the best that the machine has.
    pub isa: Option<Isa>,
}

impl CpuOptions {
    /// With this instruction set.
    pub fn with_isa(isa: Isa) -> Self {
        Self { isa: Some(isa) }
    }
}

/// The CPU back end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    options: CpuOptions,
}

impl Cpu {
    /// The back end with `options`.
    pub fn new(options: CpuOptions) -> Self {
        Self { options }
    }

    fn isa(&self) -> Result<Isa, ComputeError> {
        self.options.isa.unwrap_or_else(Isa::detect).require()
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Result<DeviceInfo, ComputeError> {
        let isa = self.isa()?;
        let cores = Cores::here();
        Ok(DeviceInfo {
            device: format!("{} CPU with {cores}", std::env::consts::ARCH),
            threads: cores.default_threads(),
            features: vec![isa.name().to_owned()],
            exact_batches: true,
        })
    }

    fn load(
        &self,
        spec: Arc<DecoderSpec>,
        weights: Weights,
        plan: &LoadPlan<'_>,
    ) -> Result<Box<dyn Decoder>, ComputeError> {
        let kernels = Kernels::new(self.isa()?)?;
        let mut pool = Pool::new(plan.threads);
        let model = Model::load(spec, weights, plan, &mut pool)?;
        Ok(Box::new(CpuDecoder::new(model, kernels, pool, plan)?))
    }

    fn prepare(&self, spec: Arc<DecoderSpec>, weights: Weights, plan: &LoadPlan<'_>) -> Result<Prepared, ComputeError> {
        Model::prepare(spec, weights, plan, &mut Pool::new(plan.threads))
    }
}
