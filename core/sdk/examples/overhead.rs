//! What a token costs besides the model: sampling, detokenising, scheduling, and its way to a reader on another thread.
//! `cargo run --release -p inkling --example overhead -- FILE` (the vocabulary and real logits come from the file).
//!
//! The model answers once; then the same logits are given to the same engine again and again by a decoder that costs
//! nothing, so that what is left of a token is everything else. Compare with a decode step of `inkling bench`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use inkling::{CancelToken, CompletionPrompt, GenerationOptions, KvType, LoadOptions, SamplingOptions};
use inkling_base::SystemClock;
use inkling_compute::{
    Batch, ComputeError, Decoder, DecoderSpec, HostPages, KvCache, KvLayer, KvLayout, MemoryUse, Output, Run, Want,
};
use inkling_compute_cpu::Cpu;
use inkling_generate::{Limits, Sampler};
use inkling_gguf::Gguf;
use inkling_session::{Model, ModelParts};
use inkling_text::Tokenizer;

const TOKENS: usize = 2000;
const ROUNDS: usize = 5;

fn main() {
    let file = std::env::args().nth(1).unwrap();
    let file = Arc::new(Gguf::open(file.as_ref()).unwrap());
    let (logits, spec, tokenizer, step) = real_logits(&file);
    println!("vocabulary {}, a step with logits {:.2} ms", spec.vocabulary, step.as_secs_f64() * 1e3);
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 * 24.0 - 12.0
    };
    let noise: Vec<f32> = (0..spec.vocabulary).map(|_| random()).collect();
    for (name, sampling) in chains() {
        let mut line = format!("{name:<22}");
        for (kind, logits) in [("model's", &logits), ("uniform", &noise)] {
            let sampler = sampler_time(logits, &sampling);
            let all = engine_time(logits, &sampling, &spec, &tokenizer);
            line += &format!(
                " | {kind} logits: sampler {:6.1} µs, everything {:6.1} µs, {:4.1} % of the step",
                micros(sampler),
                micros(all),
                100.0 * all.as_secs_f64() / step.as_secs_f64()
            );
        }
        println!("{line}");
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn chains() -> Vec<(&'static str, SamplingOptions)> {
    let sampling = |change: &dyn Fn(&mut SamplingOptions)| {
        let mut options = SamplingOptions::default();
        (options.temperature, options.top_k, options.top_p, options.min_p) = (0.8, 40, 0.95, 0.0);
        options.seed = Some(1);
        change(&mut options);
        options
    };
    vec![
        ("arg-max", SamplingOptions::greedy()),
        ("top-k 40, top-p 0.95", sampling(&|_| {})),
        ("with penalties", sampling(&|o| (o.penalties.repetition, o.penalties.frequency) = (1.1, 0.1))),
        ("top-p 0.95 alone", sampling(&|o| o.top_k = 0)),
    ]
}

/// Logits behind a few tokens, and the median time of a step that gives them.
fn real_logits(file: &Arc<Gguf>) -> (Vec<f32>, DecoderSpec, Arc<Tokenizer>, Duration) {
    let mut options = LoadOptions::default();
    (options.batch, options.context) = (16, Some(256));
    let cancel = CancelToken::new();
    let mut parts = ModelParts::load(Arc::clone(file), &Cpu::default(), &options, &cancel, &|_| {}).unwrap();
    let (sequence, mut output) = (parts.cache.open(), Output::new());
    let mut times: Vec<Duration> = (0..64_usize)
        .map(|start| {
            let runs = [Run { sequence, start, count: 1 }];
            let batch = Batch { tokens: &[100 + start as u32], runs: &runs };
            let begin = Instant::now();
            parts.decoder.forward(&batch, &mut parts.cache, Want::Logits(&[0]), &mut output).unwrap();
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    (output.logits(0).to_vec(), parts.decoder.spec().clone(), parts.tokenizer, times[32])
}

/// Median time of the sampler alone.
fn sampler_time(logits: &[f32], options: &SamplingOptions) -> Duration {
    let mut sampler = Sampler::new(options.clone(), logits.len(), &|_| Vec::new()).unwrap();
    let history: Vec<u32> = (0..256).collect();
    let mut copy = logits.to_vec();
    let mut times: Vec<Duration> = (0..300)
        .map(|_| {
            copy.copy_from_slice(logits);
            let begin = Instant::now();
            std::hint::black_box(sampler.sample(&mut copy, &history).unwrap());
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Time of a token through scheduler, sampler, detokeniser and queue to a reader that waits for it: best of rounds.
fn engine_time(logits: &[f32], options: &SamplingOptions, spec: &DecoderSpec, tokenizer: &Arc<Tokenizer>) -> Duration {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(id, _)| id as u32);
    let own = Arc::new(AtomicU64::new(0));
    let decoder = Replay { own: Arc::clone(&own), spec: spec.clone(), logits: logits.to_vec(), best };
    let limits = Limits { context: 2 * TOKENS, max_batch: 64, max_outputs: 1 };
    let cache = decoder.new_cache(KvType::F16, 2 * TOKENS).unwrap();
    let (tokenizer, clock) = (Arc::clone(tokenizer), Arc::new(SystemClock::default()));
    let parts = ModelParts { decoder: Box::new(decoder), cache, limits, tokenizer, template: None, clock, owner: None };
    let model = Model::from_parts(parts).unwrap();
    let times = (0..ROUNDS).map(|_| {
        let mut generation = GenerationOptions::default().max_tokens(TOKENS);
        generation.sampling = options.clone();
        // Noise may well draw an end token, and the round would be over.
        if generation.sampling.temperature > 0.0 {
            let ends = model.tokenizer().end_tokens();
            generation.sampling.logit_bias = ends.iter().map(|&end| (end, f32::NEG_INFINITY)).collect();
        }
        let turn = model.complete(CompletionPrompt::Tokens(vec![100, 101]), generation).unwrap();
        let stats = turn.collect().unwrap().stats;
        let own = Duration::from_nanos(own.swap(0, Ordering::Relaxed));
        stats.decode_time.saturating_sub(own) / (stats.generated_tokens.max(2) - 1) as u32
    });
    times.min().unwrap()
}

/// Gives the same logits at every step, without computing anything.
struct Replay {
    /// Nanoseconds that it took for itself: they are not part of what is measured.
    own: Arc<AtomicU64>,
    spec: DecoderSpec,
    logits: Vec<f32>,
    best: u32,
}

impl Decoder for Replay {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn new_cache(&self, _kind: KvType, positions: usize) -> Result<KvCache, ComputeError> {
        let layout = KvLayout::new("replay", KvType::F16, &[KvLayer { heads: 1, key_width: 1, value_width: 1 }])?;
        Ok(KvCache::new(Box::new(HostPages::new(layout)), positions))
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        kv: &mut KvCache,
        want: Want<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        let begin = Instant::now();
        kv.prepare(batch)?;
        match want {
            Want::Logits(rows) => {
                output.begin_logits(rows.len(), self.logits.len()).copy_from_slice(&self.logits);
            }
            Want::Argmax(rows) => output.begin_argmax(rows.len()).fill(self.best),
            _ => {}
        }
        kv.commit(batch);
        self.own.fetch_add(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn set_threads(&mut self, _threads: usize) {}

    fn memory(&self) -> MemoryUse {
        MemoryUse::default()
    }
}
