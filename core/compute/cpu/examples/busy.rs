//! Decoding beside other work: what throughput is left when other processes want the cores too, against the share of
//! the cores that the scheduler gives us. `cargo run --release -p inkling-compute-cpu --example busy -- FILE
//! [THREADS [BUSY]]`.
//!
//! A pool that waits by spinning loses far more than its share then, because it burns its own time slices while the
//! worker that it waits for has none. Fair is: of C cores, T workers beside B busy loops get C · T / (T + B) if all
//! cores are wanted, and the throughput of T workers alone, on min(T, C) cores, shrinks by that ratio. The time that
//! we really got, by Linux's count of it, is printed too: throughput must not shrink by more than that either. Rounds
//! alone and beside alternate; medians.
#![allow(clippy::unwrap_used)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, Decoder, KvType, LoadPlan, Output, Run, Want, WeightCache, Weights};
use inkling_compute_cpu::Cpu;
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec};

/// How long a round decodes.
const ROUND: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 3;
/// Positions after which a round starts afresh, so that depth costs the same in all.
const DEPTH: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments[0] == "burn" {
        burn();
    }
    let number = |index: usize, usual| arguments.get(index).map_or(usual, |text| text.parse().unwrap());
    let cores = std::thread::available_parallelism().unwrap().get();
    let (threads, busy) = (number(1, cores), number(2, cores));

    let file = Arc::new(Gguf::open(arguments[0].as_ref()).unwrap());
    let spec = read_spec(&file, &SpecOptions::default()).unwrap();
    let cancel = CancelToken::new();
    let plan = LoadPlan {
        threads: cores,
        max_batch: 1,
        max_outputs: 1,
        weight_cache: &WeightCache::Off,
        cancel: &cancel,
        progress: &|_| {},
    };
    let mut decoder = Cpu::default().load(Arc::new(spec), Weights::new(file), &plan).unwrap();
    round(&mut *decoder); // A first touch of every weight: not counted.

    let (mut alone, mut many, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        decoder.set_threads(threads.min(cores));
        alone.push(round(&mut *decoder));
        decoder.set_threads(threads);
        many.push(round(&mut *decoder));
        let others: Vec<Child> = (0..busy).map(|_| another()).collect();
        std::thread::sleep(Duration::from_millis(100));
        beside.push(round(&mut *decoder));
        for mut other in others {
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }
    let (alone, many, beside) = (median(alone), median(many), median(beside));
    println!("{} threads alone: {:.1} tok/s, {:.2} cores", threads.min(cores), alone.speed, alone.cores);
    for (busy, got) in [(0, many), (busy, beside)] {
        let fair = threads as f64 / (threads + busy).max(cores) as f64 * cores as f64 / threads.min(cores) as f64;
        println!(
            "{threads} threads, {busy} busy loops: throughput {:.2}, time {:.2}, fair share {fair:.2}: {:.2} of its share",
            got.speed / alone.speed,
            got.cores / alone.cores,
            got.speed / alone.speed / fair.min(1.0)
        );
    }
}

/// What a round gave.
#[derive(Clone, Copy)]
struct Got {
    /// Tokens a second.
    speed: f64,
    /// Seconds of processor time a second.
    cores: f64,
}

/// Decodes for a round.
fn round(decoder: &mut dyn Decoder) -> Got {
    let (mut tokens, mut output) = (0, Output::new());
    let (start, before) = (Instant::now(), processor_time());
    while start.elapsed() < ROUND {
        let mut kv = decoder.new_cache(KvType::F16, DEPTH).unwrap();
        let sequence = kv.open();
        for position in 0..DEPTH {
            let runs = [Run { sequence, start: position, count: 1 }];
            decoder.forward(&Batch { tokens: &[7], runs: &runs }, &mut kv, Want::Argmax(&[0]), &mut output).unwrap();
            tokens += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Got { speed: f64::from(tokens) / seconds, cores: (processor_time() - before) / seconds }
}

/// Seconds that this process has run on all cores together; 0 where Linux is not there to tell.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: fields 14 and 15 of proc(5), in hundredths of a second.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.get(11..13).map_or(0.0, |both| both.iter().map(|ticks| ticks.parse().unwrap_or(0.0)).sum());
    ticks / 100.0
}

/// Another process that wants a core.
fn another() -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program).arg("burn").stdin(Stdio::null()).spawn().unwrap()
}

fn burn() -> ! {
    let parent = std::os::unix::process::parent_id();
    let mut sum = 0_u64;
    loop {
        (0..10_000_000_u64).for_each(|i| sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(i)));
        // Nobody is left to stop it.
        if std::os::unix::process::parent_id() != parent {
            std::process::exit(0);
        }
    }
}

fn median(mut rounds: Vec<Got>) -> Got {
    rounds.sort_by(|a, b| a.speed.total_cmp(&b.speed));
    rounds[rounds.len() / 2]
}
