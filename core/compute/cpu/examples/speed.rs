//! Prefill and decode speed of a GGUF file on the CPU back end alone, without tokenizer, sampler or session:
//! `cargo run --release -p inkling-compute-cpu --example speed -- FILE [THREADS] [ISA] [DEPTH] [KV]`, decoding at
//! the given depth if there is one. For work on kernels; what
//! users measure is `inkling bench`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, KvCache, KvType, LoadPlan, Output, Run, Want, WeightCache, Weights};
use inkling_compute_cpu::{Cpu, CpuOptions, Isa};
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec};

const PROMPT: usize = 512;
const ANSWER: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap();
    let threads = arguments.next().map_or(2, |threads| threads.parse().unwrap());
    let isa = arguments.next().map_or_else(Isa::detect, |isa| isa.parse().unwrap());
    let depth: usize = arguments.next().map_or(PROMPT, |depth| depth.parse().unwrap());
    let kind: KvType = arguments.next().map_or(KvType::F16, |kind| kind.parse().unwrap());

    let start = Instant::now();
    let file = Arc::new(Gguf::open(file.as_ref()).unwrap());
    let spec = read_spec(&file, &SpecOptions::default()).unwrap();
    let vocabulary = spec.vocabulary as u32;
    let cancel = CancelToken::new();
    let plan = LoadPlan {
        threads,
        max_batch: PROMPT,
        max_outputs: 1,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    let mut decoder = Cpu::new(CpuOptions::with_isa(isa)).load(Arc::new(spec), Weights::new(file), &plan).unwrap();
    println!("{isa}, {threads} threads, loaded in {:.2} s, {:?}", start.elapsed().as_secs_f64(), decoder.memory());

    let tokens: Vec<u32> = (0..PROMPT as u32).map(|i| i * 7919 % vocabulary).collect();
    let mut output = Output::new();
    let mut kv = decoder.new_cache(kind, PROMPT.max(depth) + ANSWER).unwrap();
    let sequence = kv.open();
    let mut pass = |kv: &mut KvCache, tokens: &[u32]| {
        let runs = [Run { sequence, start: kv.len(sequence), count: tokens.len() }];
        let last = [tokens.len() - 1];
        decoder.forward(&Batch { tokens, runs: &runs }, kv, Want::Argmax(&last), &mut output).unwrap();
    };
    for _ in 0..3 {
        kv.truncate(sequence, 0);
        let start = Instant::now();
        pass(&mut kv, &tokens);
        println!("prefill of {PROMPT}: {:.1} tok/s", PROMPT as f64 / start.elapsed().as_secs_f64());
    }
    while kv.len(sequence) < depth {
        let count = PROMPT.min(depth - kv.len(sequence));
        pass(&mut kv, &tokens[..count]);
    }
    kv.truncate(sequence, depth);
    for _ in 0..3 {
        let start = Instant::now();
        tokens[..ANSWER].iter().for_each(|&token| pass(&mut kv, &[token]));
        println!("decode of {ANSWER} at {depth}: {:.1} tok/s", ANSWER as f64 / start.elapsed().as_secs_f64());
        kv.truncate(sequence, depth);
    }
}
