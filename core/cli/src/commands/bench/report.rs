//! The figures of a run, as a page for people and as a JSON document.

use std::fmt::Write;
use std::time::Duration;

use inkling::LoadOptions;
use inkling::developer::{MemoryUse, Work};
use serde_json::{Map, Value as Json, json};

use super::rates::Rates;
use crate::args::BenchArgs;
use crate::system;

/// What was measured; what was left out is `None` or empty.
pub(super) struct Report {
    /// The load that packs the weights.
    pub(super) first_load: Option<Duration>,
    /// One that finds them on disk and nothing in the page cache.
    pub(super) cold: Option<Duration>,
    pub(super) warm: Duration,
    /// From the beginning of the warm load to the first token.
    pub(super) warm_to_token: Duration,
    pub(super) prefill: Option<Rates>,
    pub(super) decode: Option<Rates>,
    /// Milliseconds from a prompt to its first token.
    pub(super) first: Option<Rates>,
    /// Milliseconds of a pass that checks so many tokens.
    pub(super) checks: Vec<(usize, Rates)>,
    /// Tokens a second of one conversation and of several together.
    pub(super) sessions: Option<(usize, Rates, Rates)>,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) work: Work,
    pub(super) held: MemoryUse,
    pub(super) cache_bytes: u64,
    pub(super) memory: system::PeakMemory,
}

impl Report {
    pub(super) fn document(&self, args: &BenchArgs, load: &LoadOptions) -> Json {
        let rates = |rates: &Option<Rates>| rates.as_ref().map(Rates::json);
        let checks: Map<_, _> = self.checks.iter().map(|(count, rates)| (count.to_string(), rates.json())).collect();
        let sessions = self
            .sessions
            .as_ref()
            .map(|(count, one, all)| json!({ "count": count, "one_tok_s": one.json(), "all_tok_s": all.json() }));
        json!({
            "model": args.model.model,
            "prompt_tokens": args.prompt_tokens,
            "generated_tokens": args.generated_tokens,
            "depth": args.depth,
            "repetitions": args.repetitions,
            "prefill_tok_s": rates(&self.prefill),
            "decode_tok_s": rates(&self.decode),
            "ttft_ms": self.first.as_ref().map(Rates::median),
            "check_ms": checks,
            "sessions": sessions,
            "load_first_ms": self.first_load.map(ms),
            "load_cold_ms": self.cold.map(ms),
            "load_warm_ms": ms(self.warm),
            "load_warm_to_token_ms": ms(self.warm_to_token),
            "peak_rss_bytes": self.memory.resident,
            "peak_anon_bytes": self.memory.anonymous,
            "weights_mapped_bytes": self.held.mapped,
            "weights_owned_bytes": self.held.owned,
            "scratch_bytes": self.held.scratch,
            "kv_bytes": self.cache_bytes,
            "layer_macs_per_token": self.work.layer_macs,
            "head_macs_per_token": self.work.head_macs,
            "weight_bytes_per_token": self.work.weight_bytes,
            "device": self.device,
            "threads": self.threads,
            "kv": load.kv.name(),
            "backend": args.model.load.backend,
            "thermal_state": system::thermal_state(),
            "version": env!("CARGO_PKG_VERSION"),
            "commit": env!("INKLING_COMMIT"),
        })
    }

    pub(super) fn page(&self, args: &BenchArgs) -> String {
        let mut page = String::new();
        let mut line = |name: String, value: String| {
            let _ = writeln!(page, "{name:<22}{value}"); // Writing to a String cannot fail.
        };
        let at = if args.depth == 0 { String::new() } else { format!(" at depth {}", args.depth) };
        if let Some(rates) = &self.prefill {
            line(format!("prefill {}{at}", args.prompt_tokens), rates.words("tok/s"));
        }
        if let Some(rates) = &self.decode {
            line(format!("decode {}{at}", args.generated_tokens), rates.words("tok/s"));
        }
        if let Some(first) = &self.first {
            line("first token".into(), format!("{:.0} ms", first.median()));
        }
        for (count, rates) in &self.checks {
            line(format!("pass of {count}{at}"), rates.words("ms"));
        }
        if let Some((count, one, all)) = &self.sessions {
            line("one conversation".into(), one.words("tok/s"));
            line(format!("{count} together"), all.words("tok/s"));
        }
        let cold = self.cold.map_or(String::new(), |cold| format!("{:.0} ms cold, ", ms(cold)));
        let warm = format!("{:.0} ms warm, {:.0} ms to the first token", ms(self.warm), ms(self.warm_to_token));
        let first = self.first_load.map_or(String::new(), |first| format!("{:.0} ms the first time, ", ms(first)));
        line("load".into(), first + &cold + &warm);
        let megabytes = |bytes: Option<u64>| bytes.map_or("unknown".into(), |b| format!("{:.0} MB", b as f64 / 1e6));
        let memory =
            format!("{}, of it anonymous {}", megabytes(self.memory.resident), megabytes(self.memory.anonymous));
        line("peak memory".into(), memory);
        line("device".into(), format!("{}, {} threads", self.device, self.threads));
        line("thermal state".into(), system::thermal_state().to_owned());
        line("build".into(), format!("{} {}", env!("CARGO_PKG_VERSION"), env!("INKLING_COMMIT")));
        page
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
