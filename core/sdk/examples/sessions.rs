//! How much more several conversations get together than one alone: `cargo run --release -p inkling --example sessions
//! -- FILE [SESSIONS]`.
//!
//! All of them are asked at once and decode in the same passes. Printed are tokens a second of one, of all together,
//! the ratio, and the longest pause between two tokens of a running answer while another prompt is prefilled. Rounds
//! alternate; medians.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use inkling::{
    CompletionPrompt, Engine, EngineConfig, Event, GenerationOptions, LoadOptions, Model, ModelSource, SamplingOptions,
};

const TOKENS: usize = 48;
const ROUNDS: usize = 5;
const PROMPT: usize = 1024;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap();
    let sessions = arguments.next().map_or(4, |text| text.parse().unwrap());
    let engine = Engine::new(EngineConfig::default()).unwrap();
    let model = engine.load(ModelSource::file(file), LoadOptions::default(), |_| {}).unwrap();
    together(&model, sessions); // A first touch of everything: not counted.
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(together(&model, 1));
        all.push(together(&model, sessions));
    }
    let (one, all) = (median(one), median(all));
    println!("1 session {one:.1} tok/s, {sessions} sessions {all:.1} tok/s together: {:.2} times", all / one);
    let (usual, longest, chunk) = pause(&model);
    println!(
        "a pause between tokens: usually {:.1} ms; at most {:.1} ms while a prompt of {PROMPT} is prefilled in chunks of \
         {}, each of which takes {:.1} ms alone",
        usual * 1e3,
        longest * 1e3,
        model.limits().max_batch,
        chunk * 1e3
    );
}

fn options(model: &Model, tokens: usize, seed: u64) -> GenerationOptions {
    let mut sampling = SamplingOptions::default();
    sampling.seed = Some(seed);
    sampling.logit_bias = model.tokenizer().end_tokens().iter().map(|&end| (end, f32::NEG_INFINITY)).collect();
    let mut options = GenerationOptions::default().max_tokens(tokens);
    options.sampling = sampling;
    options
}

/// Tokens a second of so many answers at a time, from the first token of the last of them on.
fn together(model: &Model, sessions: usize) -> f64 {
    let turns: Vec<_> = (0..sessions as u64)
        .map(|seed| {
            let prompt = (0..8).map(|i| 100 + seed as u32 * 8 + i).collect();
            model.complete(CompletionPrompt::Tokens(prompt), options(model, TOKENS, seed)).unwrap()
        })
        .collect();
    let readers: Vec<_> = turns.into_iter().map(|turn| std::thread::spawn(|| turn.collect().unwrap().stats)).collect();
    let stats: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    stats.iter().map(inkling::Stats::decode_tokens_per_second).sum()
}

/// Seconds between tokens of an answer: usual, and the longest while another turn prefills; and what a chunk takes.
fn pause(model: &Model) -> (f64, f64, f64) {
    let prompt = || CompletionPrompt::Tokens((0..PROMPT as u32).map(|i| 100 + i * 7 % 1000).collect());
    let alone = model.complete(prompt(), options(model, 1, 1)).unwrap().collect().unwrap().stats;
    let chunk = alone.prefill_time.as_secs_f64() / PROMPT.div_ceil(model.limits().max_batch) as f64;
    let mut turn = model.complete(CompletionPrompt::Tokens(vec![100, 101]), options(model, 4 * TOKENS, 1)).unwrap();
    let (mut last, mut pauses, mut other) = (None::<Instant>, Vec::<Duration>::new(), None);
    while let Some(event) = turn.next().unwrap() {
        if matches!(event, Event::Text(_)) {
            let now = Instant::now();
            pauses.extend(last.map(|last| now - last));
            last = Some(now);
            if pauses.len() == TOKENS {
                other = Some(model.complete(prompt(), options(model, 1, 2)).unwrap());
            }
        }
    }
    drop(other);
    pauses.sort_unstable();
    (pauses[pauses.len() / 2].as_secs_f64(), pauses[pauses.len() - 1].as_secs_f64(), chunk)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
