//! The checks. Each loads the case afresh and says in words what is wrong.
//!
//! Here is agreement with the reference; `same` has the ways that must lead to the same logits, `errors` what must be
//! refused.

mod errors;
mod same;

use std::sync::Arc;

use inkling_compute::{Backend, Batch, ComputeError, Decoder, DecoderSpec, KvCache, Run, Weights};
use inkling_compute_reference::Reference;

use super::driver::{feed, load, logits_at};
use super::{Case, Expectations};
use crate::golden::nmse;
use crate::random::Random;

/// What a check works on.
pub(super) struct Context<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) case: &'a Case,
    /// The case's decoder.
    pub(super) model: (Arc<DecoderSpec>, Weights),
    pub(super) expectations: &'a Expectations,
    pub(super) exact: bool,
}

/// A check.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// A promise of the contract, as opposed to agreement with the reference.
    pub(super) promise: bool,
    pub(super) run: fn(&Context<'_>) -> Result<(), String>,
}

pub(super) const ALL: &[Check] = &[
    Check { name: "agrees-with-reference", promise: false, run: agrees_with_reference },
    Check { name: "chunks", promise: true, run: same::chunks },
    Check { name: "batches", promise: true, run: same::batches },
    Check { name: "truncate", promise: true, run: same::truncate },
    Check { name: "fork", promise: true, run: same::fork },
    Check { name: "threads", promise: true, run: same::threads },
    Check { name: "argmax", promise: true, run: same::argmax },
    Check { name: "errors-change-nothing", promise: true, run: errors::errors_change_nothing },
    Check { name: "foreign-cache", promise: true, run: errors::foreign_cache },
    Check { name: "refuses", promise: true, run: errors::refuses },
];

/// Longer than two pages and than every window but one.
const PROMPT: usize = 70;
const THREADS: usize = 2;
const POSITIONS: usize = 512;

impl Context<'_> {
    /// A decoder of this back end and an empty cache.
    fn start(&self) -> Result<(Box<dyn Decoder>, KvCache), String> {
        let decoder = load(self.backend, &self.model, THREADS).map_err(text)?;
        let kv = decoder.new_cache(self.case.cache, POSITIONS).map_err(text)?;
        Ok((decoder, kv))
    }

    fn tokens(&self, seed: u64, count: usize) -> Vec<u32> {
        Random::new(seed).tokens(count, self.case.decoder.vocabulary)
    }

    /// Whether two ways to the same logits agree.
    fn same(&self, what: &str, found: &[f32], expected: &[f32]) -> Result<(), String> {
        let error = nmse(found, expected);
        if self.exact && found != expected {
            return Err(format!("{what}: not the same to the bit, NMSE {error:.1e}"));
        }
        within(what, error, self.expectations.same)
    }
}

fn text(error: ComputeError) -> String {
    error.to_string()
}

fn within(what: &str, error: f64, limit: f64) -> Result<(), String> {
    if error <= limit { Ok(()) } else { Err(format!("{what}: NMSE {error:.1e}, allowed {limit:.1e}")) }
}

/// A prompt with logits at several rows, and some tokens one by one after it.
fn agrees_with_reference(c: &Context<'_>) -> Result<(), String> {
    let run = |backend: &dyn Backend| -> Result<Vec<Vec<f32>>, ComputeError> {
        let mut decoder = load(backend, &c.model, THREADS)?;
        let mut kv = decoder.new_cache(c.case.cache, POSITIONS)?;
        let sequence = kv.open();
        let tokens = c.tokens(1, PROMPT);
        let batch = Batch { tokens: &tokens, runs: &[Run { sequence, start: 0, count: PROMPT }] };
        let mut logits = logits_at(&mut *decoder, &mut kv, &batch, &[0, 1, 16, 31, 33, PROMPT - 1])?;
        for token in c.tokens(2, 4) {
            logits.push(feed(&mut *decoder, &mut kv, sequence, &[token])?);
        }
        Ok(logits)
    };
    let exact = run(&Reference).map_err(text)?.concat();
    let found = run(c.backend).map_err(text)?.concat();
    let limit = c.expectations.limit(c.case.decoder.weights, c.case.cache);
    within("all rows together", nmse(&found, &exact), limit)
}
