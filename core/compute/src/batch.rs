//! What goes into a forward pass and what comes out.

use crate::{ComputeError, SequenceId};

/// Tokens of one or several sequences, each sequence's tokens together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Token ids, run after run.
    pub tokens: &'a [u32],
    /// Which sequence they belong to; a sequence appears in one run at most.
    pub runs: &'a [Run],
}

/// Consecutive new tokens of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The sequence.
    pub sequence: SequenceId,
    /// Position of the first of them: the length of the sequence so far.
    pub start: usize,
    /// How many; at least 1.
    pub count: usize,
}

impl Batch<'_> {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Checks what every back end relies on: runs cover the tokens exactly, token ids are in the vocabulary.
    /// (The cache checks the positions.)
    pub fn validate(&self, vocabulary: usize, max_batch: usize) -> Result<(), ComputeError> {
        let covered: usize = self.runs.iter().map(|run| run.count).sum();
        if self.is_empty() || covered != self.len() || self.runs.iter().any(|run| run.count == 0) {
            return Err(ComputeError::BadBatch { why: "runs must cover the tokens, and each must have one at least" });
        }
        if self.len() > max_batch {
            return Err(ComputeError::BatchTooLarge { tokens: self.len(), limit: max_batch });
        }
        match self.tokens.iter().find(|&&token| token as usize >= vocabulary) {
            Some(&token) => Err(ComputeError::UnknownToken { token, vocabulary }),
            None => Ok(()),
        }
    }
}

/// What a forward pass is asked for. Rows count the tokens of the batch from 0 and must ascend.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Want<'a> {
    /// Only the cache: all chunks of a prompt but the last.
    Nothing,
    /// All logits at these rows.
    Logits(&'a [usize]),
    /// The token with the largest logit at these rows; the lowest id wins a tie.
    Argmax(&'a [usize]),
}

impl<'a> Want<'a> {
    /// The rows asked for.
    pub fn rows(&self) -> &'a [usize] {
        match self {
            Self::Nothing => &[],
            Self::Logits(rows) | Self::Argmax(rows) => rows,
        }
    }

    /// Checks that rows ascend, lie inside the batch and are not more than `max_outputs`.
    pub fn validate(&self, batch_len: usize, max_outputs: usize) -> Result<(), ComputeError> {
        let rows = self.rows();
        if rows.len() > max_outputs {
            return Err(ComputeError::BatchTooLarge { tokens: rows.len(), limit: max_outputs });
        }
        if rows.windows(2).any(|pair| pair[0] >= pair[1]) || rows.last().is_some_and(|&last| last >= batch_len) {
            return Err(ComputeError::BadBatch { why: "wanted rows must ascend and lie inside the batch" });
        }
        Ok(())
    }
}

/// What a forward pass found. Kept by the caller and reused, so that a token allocates nothing.
#[derive(Debug, Default)]
pub struct Output {
    vocabulary: usize,
    logits: Vec<f32>,
    argmax: Vec<u32>,
}

impl Output {
    /// An empty output; grows on first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Logits of the `index`-th wanted row, one a token of the vocabulary.
    ///
    /// # Panics
    /// If fewer rows were asked for with [`Want::Logits`].
    pub fn logits(&self, index: usize) -> &[f32] {
        &self.logits[index * self.vocabulary..][..self.vocabulary]
    }

    /// Mutable access, for samplers that work in place.
    ///
    /// # Panics
    /// As [`Output::logits`].
    pub fn logits_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.logits[index * self.vocabulary..][..self.vocabulary]
    }

    /// Number of logit rows held.
    pub fn logit_rows(&self) -> usize {
        self.logits.len().checked_div(self.vocabulary).unwrap_or(0)
    }

    /// The arg-max tokens, one a wanted row.
    pub fn argmax(&self) -> &[u32] {
        &self.argmax
    }

    /// For back ends: clears the output and makes room for `rows` rows of logits, which are returned as one slice
    /// `[rows, vocabulary]`.
    pub fn begin_logits(&mut self, rows: usize, vocabulary: usize) -> &mut [f32] {
        self.vocabulary = vocabulary;
        self.argmax.clear();
        self.logits.resize(rows * vocabulary, 0.0);
        &mut self.logits
    }

    /// For back ends: clears the output and makes room for `rows` arg-max tokens.
    pub fn begin_argmax(&mut self, rows: usize) -> &mut [u32] {
        self.logits.clear();
        self.argmax.resize(rows, 0);
        &mut self.argmax
    }
}
