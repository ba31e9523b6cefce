//! Loading a case and feeding it tokens.

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::{
    Backend, Batch, ComputeError, Decoder, DecoderSpec, KvCache, LoadPlan, Output, Run, SequenceId, Want, WeightCache,
    Weights,
};

/// Tokens a pass at most.
pub(super) const MAX_BATCH: usize = 128;
/// Rows of logits a pass at most.
pub(super) const MAX_OUTPUTS: usize = 16;

/// Loads with a number of threads.
pub(super) fn load(
    backend: &dyn Backend,
    (spec, weights): &(Arc<DecoderSpec>, Weights),
    threads: usize,
) -> Result<Box<dyn Decoder>, ComputeError> {
    load_unless(backend, spec.clone(), weights.clone(), threads, &CancelToken::new())
}

/// Loads unless `cancel` says not to.
pub(super) fn load_unless(
    backend: &dyn Backend,
    spec: Arc<DecoderSpec>,
    weights: Weights,
    threads: usize,
    cancel: &CancelToken,
) -> Result<Box<dyn Decoder>, ComputeError> {
    let plan = LoadPlan {
        threads,
        max_batch: MAX_BATCH,
        max_outputs: MAX_OUTPUTS,
        weight_cache: &WeightCache::Off,
        cancel,
        progress: &|_| {},
    };
    backend.load(spec, weights, &plan)
}

/// Appends tokens to several sequences in one pass and returns the logits after each one's last token.
pub(super) fn feed_all(
    decoder: &mut dyn Decoder,
    kv: &mut KvCache,
    parts: &[(SequenceId, &[u32])],
) -> Result<Vec<Vec<f32>>, ComputeError> {
    let tokens: Vec<u32> = parts.iter().flat_map(|(_, tokens)| tokens.iter().copied()).collect();
    let runs: Vec<Run> = parts
        .iter()
        .map(|&(sequence, tokens)| Run { sequence, start: kv.len(sequence), count: tokens.len() })
        .collect();
    let mut end = 0;
    let rows: Vec<usize> = runs
        .iter()
        .map(|run| {
            end += run.count;
            end - 1
        })
        .collect();
    logits_at(decoder, kv, &Batch { tokens: &tokens, runs: &runs }, &rows)
}

/// Appends tokens to a sequence and returns the logits after the last.
pub(super) fn feed(
    decoder: &mut dyn Decoder,
    kv: &mut KvCache,
    sequence: SequenceId,
    tokens: &[u32],
) -> Result<Vec<f32>, ComputeError> {
    Ok(feed_all(decoder, kv, &[(sequence, tokens)])?.remove(0))
}

/// The logits of some rows of a batch.
pub(super) fn logits_at(
    decoder: &mut dyn Decoder,
    kv: &mut KvCache,
    batch: &Batch<'_>,
    rows: &[usize],
) -> Result<Vec<Vec<f32>>, ComputeError> {
    let mut output = Output::new();
    decoder.forward(batch, kv, Want::Logits(rows), &mut output)?;
    Ok((0..output.logit_rows()).map(|row| output.logits(row).to_vec()).collect())
}
