//! The contract between a model as data and the code that runs it.

use std::sync::Arc;

use inkling_base::CancelToken;

use crate::{
    Batch, ComputeError, DecoderSpec, KvCache, KvType, LoadWarning, Output, Prepared, Want, WeightCache, Weights,
};

/// A way to run decoders: the reference, the CPU, a GPU.
pub trait Backend: Send + Sync {
    /// The name that users type: `reference`, `cpu`, `vulkan`, `metal`.
    fn name(&self) -> &'static str;

    /// Whether it can run here, and on what; otherwise [`ComputeError::Unavailable`] in words a user can act on.
    fn probe(&self) -> Result<DeviceInfo, ComputeError>;

    /// Makes a decoder ready to run: `ready` means that the next token is fast.
    ///
    /// A spec that needs a word which this back end does not speak is [`ComputeError::Unsupported`].
    fn load(
        &self,
        spec: Arc<DecoderSpec>,
        weights: Weights,
        plan: &LoadPlan<'_>,
    ) -> Result<Box<dyn Decoder>, ComputeError>;

    /// Does once what loads would do the first time, and keeps nothing in memory: for whoever installs a model. A back
    /// end that takes weights as they are has nothing to do.
    fn prepare(&self, spec: Arc<DecoderSpec>, weights: Weights, plan: &LoadPlan<'_>) -> Result<Prepared, ComputeError> {
        let _unused = (spec, weights, plan);
        Ok(Prepared::default())
    }
}

/// What a back end runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the device, for people.
    pub device: String,
    /// Instruction sets or features in use, for people: `avx512-vnni`, `neon+dotprod`.
    pub features: Vec<String>,
    /// Worker threads that a model should get when nobody says how many: on a phone, one for each fast core.
    pub threads: usize,
    /// Whether a row's numbers are the same to the bit whatever else is in the batch.
    pub exact_batches: bool,
}

/// How to load.
pub struct LoadPlan<'a> {
    /// Worker threads including the caller; at least 1.
    pub threads: usize,
    /// Tokens in the largest batch that [`Decoder::forward`] will be given.
    pub max_batch: usize,
    /// Rows for which logits are wanted at a time, at most.
    pub max_outputs: usize,
    /// Where weights in an order of the back end's own may be kept for the next load.
    pub weight_cache: &'a WeightCache,
    /// Asked between tensors.
    pub cancel: &'a CancelToken,
    /// Told the fraction done, 0 to 1.
    pub progress: &'a (dyn Fn(f32) + 'a),
}

/// A loaded model.
pub trait Decoder: Send {
    /// What it runs.
    fn spec(&self) -> &DecoderSpec;

    /// An empty cache in this back end's memory for at most `positions` positions over all sequences.
    fn new_cache(&self, kind: KvType, positions: usize) -> Result<KvCache, ComputeError>;

    /// Runs `batch` through all layers, appends its keys and values to `kv`, and writes what is wanted to `output`.
    ///
    /// On an error, `kv`'s sequences are as long as before.
    fn forward(
        &mut self,
        batch: &Batch<'_>,
        kv: &mut KvCache,
        want: Want<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError>;

    /// Changes the number of worker threads between two passes (the governor does). Results do not change.
    fn set_threads(&mut self, threads: usize);

    /// Memory in use, cache excluded.
    fn memory(&self) -> MemoryUse;

    /// What went wrong while it was loaded without keeping it from running.
    fn warnings(&self) -> &[LoadWarning] {
        &[]
    }
}

/// Bytes that a decoder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Weights in file-backed pages, which the system may drop.
    pub mapped: u64,
    /// Weights in memory of our own.
    pub owned: u64,
    /// Scratch buffers.
    pub scratch: u64,
    /// Weights that a decoded token reads: all matrices but the embedding, of which it reads a row.
    pub per_token: u64,
}
