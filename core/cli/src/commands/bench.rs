//! `inkling bench`: load, prefill and decode on this machine, with enough around the numbers to compare them.
//!
//! Prefill and decode are timed as others time them: random tokens through the model in chunks, then one token at a
//! time, each the likeliest after the one before. Runs of the two alternate, after one that is not counted.

use std::fmt::Write;
use std::time::{Duration, Instant};

use inkling::developer::Probe;
use inkling::{ErrorKind, LoadOptions};
use serde_json::{Value as Json, json};

use crate::args::BenchArgs;
use crate::model::{bar, load_probe, options, source};
use crate::output::{Failure, print, print_json};
use crate::system;

/// What one kind of run gave, in tokens a second.
struct Rates(Vec<f64>);

impl Rates {
    fn sorted(mut rates: Vec<f64>) -> Self {
        rates.sort_by(f64::total_cmp);
        Self(rates)
    }

    fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[middle] } else { (self.0[middle - 1] + self.0[middle]) / 2.0 }
    }

    fn json(&self) -> Json {
        json!({ "median": self.median(), "min": self.0[0], "max": self.0[self.0.len() - 1] })
    }

    fn words(&self) -> String {
        format!("{:.1} tok/s (min {:.1}, max {:.1})", self.median(), self.0[0], self.0[self.0.len() - 1])
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let (p, n, depth) = (args.prompt_tokens, args.generated_tokens, args.depth);
    if p == 0 || n == 0 || args.repetitions == 0 {
        return Err(Failure::Engine(ErrorKind::invalid("bench", "-p, -n and -r must be at least 1").into()));
    }
    let mut load = options(&args.model.load)?;
    let need = depth.saturating_add(p.max(n));
    let limit = *load.context.get_or_insert(need);
    if need > limit {
        return Err(Failure::Engine(ErrorKind::ContextOverflow { limit, used: need }.into()));
    }
    let file = source(args.model.model.as_deref());
    system::drop_from_page_cache(&file);
    let (cold, probe) = timed(|| load_probe(&args.model, load.clone()))?;
    drop(probe);
    let (warm, mut probe) = timed(|| load_probe(&args.model, load.clone()))?;
    let tokens = random_tokens(depth + p, probe.vocabulary());
    probe.time_prefill(&tokens[..depth.max(1)])?; // The depth, and a first touch of every weight: not counted.

    let bar = bar(args.repetitions as u64, "measuring {wide_bar} {pos}/{len}");
    let (mut prefill, mut decode, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.repetitions {
        probe.truncate(depth);
        let time = probe.time_prefill(&tokens[depth..])?;
        prefill.push(p as f64 / time.as_secs_f64());
        first.push(time);
        probe.truncate(depth);
        decode.push(n as f64 / probe.time_decode(tokens[0], n)?.as_secs_f64());
        bar.inc(1);
    }
    bar.finish_and_clear();
    first.sort();
    let report = Report {
        prefill: Rates::sorted(prefill),
        decode: Rates::sorted(decode),
        first: first[first.len() / 2],
        cold,
        warm,
        memory: system::peak_memory(),
    };
    if args.json { print_json(&report.document(args, &load, &probe)) } else { print(&report.page(args, &load, &probe)) }
}

struct Report {
    prefill: Rates,
    decode: Rates,
    first: Duration,
    cold: Duration,
    warm: Duration,
    memory: system::PeakMemory,
}

impl Report {
    fn document(&self, args: &BenchArgs, load: &LoadOptions, probe: &Probe) -> Json {
        json!({
            "model": args.model.model,
            "prompt_tokens": args.prompt_tokens,
            "generated_tokens": args.generated_tokens,
            "depth": args.depth,
            "repetitions": args.repetitions,
            "prefill_tok_s": self.prefill.json(),
            "decode_tok_s": self.decode.json(),
            "ttft_ms": ms(self.first),
            "load_cold_ms": ms(self.cold),
            "load_warm_ms": ms(self.warm),
            "peak_rss_bytes": self.memory.resident,
            "peak_anon_bytes": self.memory.anonymous,
            "device": probe.device(),
            "threads": load.thread_count(),
            "kv": args.model.load.kv,
            "backend": args.model.load.backend,
            "thermal_state": system::thermal_state(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": env!("INKLING_COMMIT"),
        })
    }

    fn page(&self, args: &BenchArgs, load: &LoadOptions, probe: &Probe) -> String {
        let mut page = String::new();
        let mut line = |name: String, value: String| {
            let _ = writeln!(page, "{name:<22}{value}"); // Writing to a String cannot fail.
        };
        let at = if args.depth == 0 { String::new() } else { format!(" at depth {}", args.depth) };
        line(format!("prefill {}{at}", args.prompt_tokens), self.prefill.words());
        line(format!("decode {}{at}", args.generated_tokens), self.decode.words());
        line("first token".into(), format!("{:.0} ms", ms(self.first)));
        line("load".into(), format!("{:.0} ms cold, {:.0} ms warm", ms(self.cold), ms(self.warm)));
        let megabytes = |bytes: Option<u64>| bytes.map_or("unknown".into(), |b| format!("{:.0} MB", b as f64 / 1e6));
        let memory =
            format!("{}, of it anonymous {}", megabytes(self.memory.resident), megabytes(self.memory.anonymous));
        line("peak memory".into(), memory);
        line("device".into(), format!("{}, {} threads", probe.device(), load.thread_count()));
        line("thermal state".into(), system::thermal_state().to_owned());
        line("build".into(), format!("{} {}", env!("CARGO_PKG_VERSION"), env!("INKLING_COMMIT")));
        page
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Rates::sorted(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Rates::sorted(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
    }
}
