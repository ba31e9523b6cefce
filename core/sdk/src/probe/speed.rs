//! Raw speed: what a pass takes, and how much work is in it.

use std::time::{Duration, Instant};

use inkling_compute::{Linear, MemoryUse, Want};

use super::Probe;
use crate::{Error, ErrorKind};

/// The work of a token, to hold a measured time against a machine's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Work {
    /// Multiply-adds of the layers' matrices: what every token of a prompt costs.
    pub layer_macs: u64,
    /// Multiply-adds of the head: only tokens whose successor is wanted cost them.
    pub head_macs: u64,
    /// Bytes of weights that a decoded token reads, as the back end keeps them.
    pub weight_bytes: u64,
}

impl Probe {
    /// The work of a token.
    pub fn work(&self) -> Work {
        let spec = self.parts.decoder.spec();
        let macs = |linear: &Linear| (linear.weight.rows * linear.weight.columns) as u64;
        let all: u64 = spec.linears().map(macs).sum();
        let head_macs = macs(&spec.head);
        Work { layer_macs: all - head_macs, head_macs, weight_bytes: self.memory().per_token }
    }

    /// Bytes that the decoder holds.
    pub fn memory(&self) -> MemoryUse {
        self.parts.decoder.memory()
    }

    /// The most bytes of keys and values that have been in use at a time.
    pub fn cache_bytes(&self) -> u64 {
        self.parts.cache.bytes().max(self.most_cached)
    }

    /// Appends `tokens` in chunks, as a prompt is, and takes the time.
    pub fn time_prefill(&mut self, tokens: &[u32]) -> Result<Duration, Error> {
        let last = [tokens.len().saturating_sub(1)];
        let start = Instant::now();
        self.logits(tokens, &last, |_, _| Ok(()))?;
        Ok(start.elapsed())
    }

    /// Appends `count` tokens one by one, each the likeliest after the one before, and takes the time.
    pub fn time_decode(&mut self, first: u32, count: usize) -> Result<Duration, Error> {
        self.fits(count)?;
        let mut token = first;
        let start = Instant::now();
        for _ in 0..count {
            self.forward(&[token], Want::Argmax(&[0]))?;
            token = self.output.argmax()[0];
        }
        Ok(start.elapsed())
    }

    /// Appends `tokens` in one pass that finds the likeliest successor of each, as a pass that checks guesses does, and
    /// takes the time. No more tokens than [`crate::LoadOptions::outputs`].
    pub fn time_check(&mut self, tokens: &[u32]) -> Result<Duration, Error> {
        self.fits(tokens.len())?;
        let rows: Vec<usize> = (0..tokens.len()).collect();
        let start = Instant::now();
        self.forward(tokens, Want::Argmax(&rows))?;
        Ok(start.elapsed())
    }

    fn fits(&self, count: usize) -> Result<(), Error> {
        let limit = self.parts.limits.context;
        let used = self.parts.cache.len(self.sequence) + count;
        if used > limit { Err(ErrorKind::ContextOverflow { limit, used }.into()) } else { Ok(()) }
    }
}
