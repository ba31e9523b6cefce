//! Whole model files on a back end: how the conformance tests of every back end load one and ask for its logits.

use std::path::Path;
use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, Decoder, KvType, LoadPlan, Output, Run, Want, WeightCache, Weights};
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec};

/// Loads a file for batches of 512 tokens and 64 rows of logits, on two threads.
pub fn load(backend: &dyn Backend, path: &Path) -> Box<dyn Decoder> {
    let file = Arc::new(Gguf::open(path).unwrap());
    let spec = read_spec(&file, &SpecOptions::default()).unwrap();
    let cancel = CancelToken::new();
    let plan = LoadPlan {
        threads: 2,
        max_batch: 512,
        max_outputs: 64,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    backend.load(Arc::new(spec), Weights::new(file), &plan).unwrap()
}

/// The logits at some positions of a prompt, `[at, vocabulary]`, in one pass over a fresh cache.
pub fn logits(decoder: &mut dyn Decoder, cache: KvType, tokens: &[u32], at: &[usize]) -> Vec<f32> {
    let mut kv = decoder.new_cache(cache, tokens.len()).unwrap();
    let runs = [Run { sequence: kv.open(), start: 0, count: tokens.len() }];
    let mut output = Output::new();
    decoder.forward(&Batch { tokens, runs: &runs }, &mut kv, Want::Logits(at), &mut output).unwrap();
    (0..at.len()).flat_map(|row| output.logits(row).to_vec()).collect()
}
