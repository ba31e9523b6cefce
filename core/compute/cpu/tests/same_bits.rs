//! One model, one answer: every instruction set, every number of threads, every way to cut a prompt gives the same bits.
#![allow(clippy::unwrap_used)]

use inkling_base::CancelToken;
use inkling_compute::quant::FORMATS;
use inkling_compute::{Backend, Batch, Decoder, KvType, LoadPlan, Output, Run, Want, WeightCache};
use inkling_compute_cpu::{Cpu, CpuOptions, Isa};
use inkling_gguf::TensorType;
use inkling_testkit::decoder::RandomDecoder;

const TOKENS: usize = 41;

fn load(decoder: &RandomDecoder, isa: Isa, threads: usize) -> Box<dyn Decoder> {
    let (spec, weights) = decoder.build();
    let cancel = CancelToken::new();
    let plan = LoadPlan {
        threads,
        max_batch: TOKENS,
        max_outputs: TOKENS,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    Cpu::new(CpuOptions::with_isa(isa)).load(spec, weights, &plan).unwrap()
}

/// The bits of all logits of a prompt that is given in chunks.
fn bits(decoder: &mut dyn Decoder, kind: KvType, chunk: usize) -> Vec<u32> {
    let vocabulary = decoder.spec().vocabulary;
    let tokens: Vec<u32> = (0..TOKENS).map(|i| (i * 37 % vocabulary) as u32).collect();
    let mut kv = decoder.new_cache(kind, TOKENS).unwrap();
    let sequence = kv.open();
    let (mut output, mut all) = (Output::new(), Vec::new());
    for tokens in tokens.chunks(chunk) {
        let runs = [Run { sequence, start: kv.len(sequence), count: tokens.len() }];
        let rows: Vec<usize> = (0..tokens.len()).collect();
        decoder.forward(&Batch { tokens, runs: &runs }, &mut kv, Want::Logits(&rows), &mut output).unwrap();
        all.extend(rows.iter().flat_map(|&row| output.logits(row)).map(|logit| logit.to_bits()));
    }
    assert!(all.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    all
}

#[test]
fn instruction_sets_threads_and_chunks_do_not_show() {
    for format in FORMATS {
        let shape = RandomDecoder {
            weights: format,
            embedding: TensorType::Q8_0,
            layers: 1,
            vocabulary: 71,
            head_norms: true,
            post_norms: true,
            window: Some(20),
            logit_cap: Some(3.0),
            ..RandomDecoder::default()
        };
        let kind = if format.is_quantised() { KvType::F16 } else { KvType::Q8_0 };
        let expected = bits(&mut *load(&shape, Isa::Scalar, 1), kind, TOKENS);
        for isa in Isa::available() {
            for (threads, chunk) in [(1, TOKENS), (3, 7), (2, 1)] {
                let got = bits(&mut *load(&shape, isa, threads), kind, chunk);
                assert!(got == expected, "{format:?} with {isa}, {threads} threads, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn threads_may_change_between_passes() {
    let shape = RandomDecoder { weights: TensorType::Q4_K, ..RandomDecoder::default() };
    let mut decoder = load(&shape, Isa::detect(), 1);
    let expected = bits(&mut *decoder, KvType::F16, 5);
    for threads in [4, 2, 64, 1, 8] {
        decoder.set_threads(threads);
        assert!(bits(&mut *decoder, KvType::F16, 5) == expected, "{threads} threads");
    }
}
