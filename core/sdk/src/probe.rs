//! A decoder without an engine around it: logits, perplexity and raw speed for tools.

mod speed;

use inkling_compute::{Batch, DeviceInfo, LoadWarning, Output, Run, SequenceId, Want};
use inkling_generate::negative_log_likelihood;
use inkling_session::ModelParts;
use inkling_text::EncodeOptions;

pub use speed::Work;

use crate::{CancelToken, Engine, Error, ErrorKind, LoadOptions, ModelSource};

/// Tokens of the smallest window whose second half has a token to score.
const LEAST_WINDOW: usize = 3;

/// A loaded model, one sequence, and nothing that samples.
pub struct Probe {
    parts: ModelParts,
    device: DeviceInfo,
    sequence: SequenceId,
    output: Output,
    /// The most bytes of keys and values at any time before they were forgotten.
    most_cached: u64,
}

/// The perplexity of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perplexity {
    /// `exp` of the mean negative log-likelihood of the scored tokens.
    pub perplexity: f64,
    /// Tokens scored.
    pub tokens: usize,
}

impl Probe {
    /// Loads a model; `progress` is told the part done, 0 to 1.
    pub fn load(
        engine: &Engine,
        source: &ModelSource,
        options: &LoadOptions,
        progress: &dyn Fn(f32),
    ) -> Result<Self, Error> {
        let options = engine.with_cache(options.clone());
        let file = engine.open(source, &options)?;
        let mut parts = ModelParts::load(file, &*engine.backend, &options, &CancelToken::new(), progress)?;
        let sequence = parts.cache.open();
        Ok(Self { parts, device: engine.backend.probe()?, sequence, output: Output::new(), most_cached: 0 })
    }

    /// What went wrong during the load.
    pub fn warnings(&self) -> &[LoadWarning] {
        self.parts.decoder.warnings()
    }

    /// Tokens of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.parts.decoder.spec().vocabulary
    }

    /// What the model runs on, for people.
    pub fn device(&self) -> String {
        let features = self.device.features.join(", ");
        if features.is_empty() { self.device.device.clone() } else { format!("{} ({features})", self.device.device) }
    }

    /// Worker threads of a model that was loaded with these options.
    pub fn threads(&self, options: &LoadOptions) -> usize {
        options.threads_on(&self.device)
    }

    /// Forgets everything from position `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.most_cached = self.cache_bytes();
        self.parts.cache.truncate(self.sequence, len);
    }

    /// Appends `tokens` in chunks and hands the logits of each row in `at` (ascending) to `row`.
    pub fn logits(
        &mut self,
        tokens: &[u32],
        at: &[usize],
        mut row: impl FnMut(usize, &[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(&beyond) = at.iter().find(|&&position| position >= tokens.len()) {
            let why = format!("position {beyond} of {} tokens", tokens.len());
            return Err(ErrorKind::invalid("at", why).into());
        }
        if let Some(pair) = at.windows(2).find(|pair| pair[0] >= pair[1]) {
            let why = format!("position {} after {}: positions must ascend", pair[1], pair[0]);
            return Err(ErrorKind::invalid("at", why).into());
        }
        let start = self.parts.cache.len(self.sequence);
        if start + tokens.len() > self.parts.limits.context {
            let (limit, used) = (self.parts.limits.context, start + tokens.len());
            return Err(ErrorKind::ContextOverflow { limit, used }.into());
        }
        let mut rest = at;
        for (index, chunk) in tokens.chunks(self.parts.limits.max_batch).enumerate() {
            let first = index * self.parts.limits.max_batch;
            let (here, later) = rest.split_at(rest.partition_point(|&position| position < first + chunk.len()));
            rest = later;
            self.chunk(chunk, first, here, &mut row)?;
        }
        Ok(())
    }

    /// One chunk, in several passes if more rows are wanted than one gives.
    fn chunk(
        &mut self,
        mut tokens: &[u32],
        mut first: usize,
        mut at: &[usize],
        row: &mut impl FnMut(usize, &[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let most = self.parts.limits.max_outputs;
        while at.len() > most {
            let cut = at[most] - first;
            self.pass(&tokens[..cut], first, &at[..most], row)?;
            (tokens, first, at) = (&tokens[cut..], first + cut, &at[most..]);
        }
        self.pass(tokens, first, at, row)
    }

    /// One pass through the model, of which no more rows are wanted than it gives.
    fn pass(
        &mut self,
        tokens: &[u32],
        first: usize,
        at: &[usize],
        row: &mut impl FnMut(usize, &[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let rows: Vec<usize> = at.iter().map(|position| position - first).collect();
        let want = if rows.is_empty() { Want::Nothing } else { Want::Logits(&rows) };
        self.forward(tokens, want)?;
        at.iter().enumerate().try_for_each(|(index, &position)| row(position, self.output.logits(index)))
    }

    fn forward(&mut self, tokens: &[u32], want: Want<'_>) -> Result<(), Error> {
        let runs = [Run { sequence: self.sequence, start: self.parts.cache.len(self.sequence), count: tokens.len() }];
        let batch = Batch { tokens, runs: &runs };
        Ok(self.parts.decoder.forward(&batch, &mut self.parts.cache, want, &mut self.output)?)
    }

    /// Perplexity as llama-perplexity computes it: windows of the context's size without overlap, the second half of
    /// each scored, the first token replaced by BOS where the model adds one. `progress` is told windows done and all.
    pub fn perplexity(&mut self, text: &str, mut progress: impl FnMut(usize, usize)) -> Result<Perplexity, Error> {
        let tokenizer = self.parts.tokenizer.clone();
        let mut tokens = tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: false })?;
        let window = self.parts.limits.context;
        if window < LEAST_WINDOW {
            let why = format!("a window of {window} tokens has none to score: give at least {LEAST_WINDOW}");
            return Err(ErrorKind::invalid("ctx", why).into());
        }
        let windows = tokens.len() / window;
        if windows == 0 {
            let why = format!("{} tokens, and one window of --ctx has {window}: give a longer text", tokens.len());
            return Err(ErrorKind::invalid("file", why).into());
        }
        let bos = tokenizer.bos().filter(|_| tokenizer.adds_bos());
        let at: Vec<usize> = (window / 2..window - 1).collect();
        let mut sum = 0.0;
        for (index, window) in tokens.chunks_exact_mut(window).enumerate() {
            window[0] = bos.unwrap_or(window[0]);
            self.truncate(0);
            self.logits(window, &at, |position, logits| {
                sum += negative_log_likelihood(logits, window[position + 1])?;
                Ok(())
            })?;
            progress(index + 1, windows);
        }
        let scored = windows * at.len();
        Ok(Perplexity { perplexity: (sum / scored as f64).exp(), tokens: scored })
    }
}
