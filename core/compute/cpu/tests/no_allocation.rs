//! A pass allocates nothing but pages of the cache.
#![allow(clippy::unwrap_used)]

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, KvType, LoadPlan, Output, PAGE_POSITIONS, Run, Want, WeightCache};
use inkling_compute_cpu::Cpu;
use inkling_gguf::TensorType;
use inkling_testkit::allocations::Counting;
use inkling_testkit::decoder::RandomDecoder;

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn nothing_is_allocated_for_a_token_or_a_chunk() {
    let shape = RandomDecoder { weights: TensorType::Q4_0, post_norms: true, ..RandomDecoder::default() };
    let (spec, weights) = shape.build();
    let cancel = CancelToken::new();
    let plan = LoadPlan {
        threads: 3,
        max_batch: 8,
        max_outputs: 2,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    let mut decoder = Cpu::default().load(spec, weights, &plan).unwrap();
    let mut kv = decoder.new_cache(KvType::F16, 4 * PAGE_POSITIONS).unwrap();
    let sequence = kv.open();
    let mut output = Output::new();
    let mut counts = Vec::new();
    for step in 0..40 {
        // Chunks of eight until the first page is full, then single tokens.
        let tokens = &[3, 1, 4, 1, 5, 9, 2, 6][..if step < 4 { 8 } else { 1 }];
        let runs = [Run { sequence, start: kv.len(sequence), count: tokens.len() }];
        let batch = Batch { tokens, runs: &runs };
        let rows = [tokens.len() - 1];
        let want = if step % 2 == 0 { Want::Logits(&rows) } else { Want::Argmax(&rows) };
        let before = Counting::count();
        decoder.forward(&batch, &mut kv, want, &mut output).unwrap();
        counts.push(Counting::count() - before);
    }
    // The first passes fill the output's buffers, the first page, and lists that grow by doubling.
    assert_eq!(counts[2..4], [0, 0], "chunks: {counts:?}");
    // Step 4 opens the second page and step 36 the third.
    assert_eq!(counts[6..36], [0; 30], "tokens: {counts:?}");
}
