//! A prefill and some decode steps of a GGUF file, `ROUNDS` times from nothing, on one thread: what
//! `scripts/bench-neon.sh` counts the instructions of. `passes FILE ISA PROMPT ANSWER ROUNDS`; `ISA` may be `auto`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, KvType, LoadPlan, Output, Run, Want, WeightCache, Weights};
use inkling_compute_cpu::{Cpu, CpuOptions};
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, isa, prompt, answer, rounds] = &arguments[..] else { panic!("passes FILE ISA PROMPT ANSWER ROUNDS") };
    let options = if isa == "auto" { CpuOptions::default() } else { CpuOptions::with_isa(isa.parse().unwrap()) };
    let [prompt, answer, rounds]: [usize; 3] = [prompt, answer, rounds].map(|number| number.parse().unwrap());

    let file = Arc::new(Gguf::open(file.as_ref()).unwrap());
    let spec = read_spec(&file, &SpecOptions::default()).unwrap();
    let vocabulary = spec.vocabulary as u32;
    let cancel = CancelToken::new();
    // The same buffers whatever the lengths, so that runs differ in nothing else.
    let plan = LoadPlan {
        threads: 1,
        max_batch: 512,
        max_outputs: 1,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    let mut decoder = Cpu::new(options).load(Arc::new(spec), Weights::new(file), &plan).unwrap();
    let tokens: Vec<u32> = (0..prompt.max(answer) as u32).map(|i| i * 7919 % vocabulary).collect();
    let mut kv = decoder.new_cache(KvType::F16, 1024).unwrap();
    let mut output = Output::new();
    for _ in 0..rounds {
        let sequence = kv.open();
        let mut pass = |tokens: &[u32]| {
            let runs = [Run { sequence, start: kv.len(sequence), count: tokens.len() }];
            let last = [tokens.len() - 1];
            decoder.forward(&Batch { tokens, runs: &runs }, &mut kv, Want::Argmax(&last), &mut output).unwrap();
        };
        if prompt > 0 {
            pass(&tokens[..prompt]);
        }
        tokens[..answer].iter().for_each(|&token| pass(&[token]));
        kv.close(sequence);
    }
    println!("{isa}: {prompt} + {answer} tokens, {rounds} times, arg-max {:?}", output.argmax());
}
