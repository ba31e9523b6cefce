//! `inkling bench`: load, prefill and decode on this machine, with enough around the numbers to compare them.
//!
//! Prefill and decode are timed as others time them: random tokens through the model in chunks, then one token at a
//! time, each the likeliest after the one before. Runs of the two alternate, after one that is not counted.
//!
//! Peak memory is that of the whole run, the packing load included: resident pages as the system counts them, anonymous
//! ones sampled every few milliseconds.
//!
//! | module | what |
//! |---|---|
//! | `rates` | medians |
//! | `sessions` | conversations that decode together |
//! | `report` | the page and the JSON document |

mod rates;
mod report;
mod sessions;

use std::time::{Duration, Instant};

use inkling::developer::Probe;
use inkling::{CancelToken, ErrorKind, LoadOptions};

use self::rates::Rates;
use self::report::Report;
use crate::args::BenchArgs;
use crate::model::{engine, load_probe, load_with, options, source};
use crate::output::{Failure, print, print_json};
use crate::progress::bar;
use crate::system;

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let load = load_options(args)?;
    let memory = system::MemoryWatch::start();
    let (first_load, cold) = slow_loads(args, &load)?.unzip();
    let start = Instant::now();
    let mut probe = load_probe(&args.model, load.clone())?;
    let warm = start.elapsed();
    probe.time_decode(0, 1)?;
    let warm_to_token = start.elapsed();
    probe.truncate(0);

    let figures = passes(args, &mut probe)?;
    let mut report = Report {
        first_load,
        cold,
        warm,
        warm_to_token,
        prefill: Rates::of(figures.prefill),
        decode: Rates::of(figures.decode),
        first: Rates::of(figures.first),
        checks: figures.checks.into_iter().filter_map(|(count, ms)| Some((count, Rates::of(ms)?))).collect(),
        sessions: None,
        device: probe.device(),
        threads: probe.threads(&load),
        work: probe.work(),
        held: probe.memory(),
        cache_bytes: probe.cache_bytes(),
        memory: memory.peak(),
    };
    // Conversations run on an engine of their own: first the memory of this one goes.
    drop(probe);
    report.sessions = together(args, &load)?;
    if args.json { print_json(&report.document(args, &load)) } else { print(&report.page(args)) }
}

/// The first load, which packs the weights, and one with the packed weights on disk and nothing in the page cache.
/// Without them the weights are packed all the same, so that the load after this is a warm one.
fn slow_loads(args: &BenchArgs, load: &LoadOptions) -> Result<Option<(Duration, Duration)>, Failure> {
    let (model, engine) = (source(args.model.model.as_deref()), engine(&args.model.load)?);
    if args.skip_cold {
        engine.prepare(&model, load.clone(), &CancelToken::new(), |_| {})?;
        return Ok(None);
    }
    let packed = engine.weight_file(&model)?;
    if let Some(packed) = &packed {
        let _ = std::fs::remove_file(packed); // Where it was, the first load makes it again.
    }
    let load_once = || -> Result<Duration, Failure> {
        model.path().into_iter().chain(packed.as_deref()).for_each(system::drop_from_page_cache);
        Ok(timed(|| load_probe(&args.model, load.clone()))?.0)
    };
    Ok(Some((load_once()?, load_once()?)))
}

/// How to load the model, after a look at whether the numbers make sense.
fn load_options(args: &BenchArgs) -> Result<LoadOptions, Failure> {
    let invalid = |why: &str| Err(Failure::Engine(ErrorKind::invalid("bench", why).into()));
    let widest = args.batches.iter().copied().max().unwrap_or(1);
    if args.repetitions == 0 {
        return invalid("-r must be at least 1");
    }
    if args.batches.contains(&0) || args.sessions == Some(0) {
        return invalid("--batches and --sessions must be at least 1");
    }
    if args.sessions.is_some() && args.generated_tokens == 0 {
        return invalid("--sessions needs tokens to generate: give -n");
    }
    let mut load = options(&args.model.load)?;
    let longest = args.prompt_tokens.max(args.generated_tokens).max(widest).max(sessions::PROMPT + 1);
    let need = args.depth.saturating_add(longest);
    let limit = *load.context.get_or_insert(need);
    if need > limit {
        return Err(Failure::Engine(ErrorKind::ContextOverflow { limit, used: need }.into()));
    }
    load.outputs = load.outputs.max(widest).max(args.sessions.unwrap_or(1));
    Ok(load)
}

/// Tokens a second of prefill and decode; milliseconds to the first token and of passes that check tokens.
#[derive(Default)]
struct Figures {
    prefill: Vec<f64>,
    decode: Vec<f64>,
    first: Vec<f64>,
    checks: Vec<(usize, Vec<f64>)>,
}

/// Everything that one sequence can show.
fn passes(args: &BenchArgs, probe: &mut Probe) -> Result<Figures, Failure> {
    let (p, n, depth) = (args.prompt_tokens, args.generated_tokens, args.depth);
    let tokens = random_tokens(depth + p.max(1), probe.vocabulary());
    let mut figures = Figures::default();
    if !args.batches.is_empty() {
        let sizes = std::iter::once(1).chain(args.batches.iter().copied());
        figures.checks = sizes.map(|size| (size, Vec::new())).collect();
    }
    if depth > 0 {
        probe.time_prefill(&tokens[..depth])?;
    }
    let bar = bar(args.repetitions as u64, "measuring {wide_bar} {pos}/{len}");
    // The first round touches all memory for the first time: not counted.
    for round in 0..=args.repetitions {
        let keep = |figures: &mut Vec<f64>, figure: f64| {
            if round > 0 {
                figures.push(figure);
            }
        };
        if p > 0 {
            probe.truncate(depth);
            let seconds = probe.time_prefill(&tokens[depth..])?.as_secs_f64();
            keep(&mut figures.prefill, p as f64 / seconds);
            keep(&mut figures.first, seconds * 1e3);
        }
        if n > 0 {
            probe.truncate(depth);
            let n = if round == 0 { 1 } else { n };
            let seconds = probe.time_decode(tokens[0], n)?.as_secs_f64();
            keep(&mut figures.decode, n as f64 / seconds);
        }
        for (size, times) in &mut figures.checks {
            // Short passes: a few in each round.
            for _ in 0..4 {
                probe.truncate(depth);
                let check = random_tokens(*size, probe.vocabulary());
                keep(times, probe.time_check(&check)?.as_secs_f64() * 1e3);
            }
        }
        bar.set_position(round as u64);
    }
    bar.finish_and_clear();
    Ok(figures)
}

/// Conversations together and one alone, in turns, on a model of their own.
fn together(args: &BenchArgs, load: &LoadOptions) -> Result<Option<(usize, Rates, Rates)>, Failure> {
    let Some(count) = args.sessions else { return Ok(None) };
    let mut load = load.clone();
    let each = args.generated_tokens + sessions::PROMPT;
    load.context = Some(each);
    load.cache_positions = Some(each.next_multiple_of(64) * count);
    let model = load_with(&args.model, load)?;
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for round in 0..=args.repetitions {
        let alone = sessions::throughput(&model, 1, args.generated_tokens)?;
        let beside = sessions::throughput(&model, count, args.generated_tokens)?;
        if round > 0 {
            one.push(alone);
            all.push(beside);
        }
    }
    Ok(Rates::of(one).zip(Rates::of(all)).map(|(one, all)| (count, one, all)))
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(Duration, T), Failure> {
    let start = Instant::now();
    let value = work()?;
    Ok((start.elapsed(), value))
}

/// Tokens without meaning, the same in every run: a Weyl sequence over the vocabulary.
fn random_tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    (1..=count as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32 % vocabulary as u32).collect()
}
