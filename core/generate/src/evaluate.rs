//! Logits at given positions of given tokens, for `inkling logits`, perplexity and tests.

use inkling_base::CancelToken;
use inkling_compute::{Batch, ComputeError, Run, Want};

use crate::job::check_prompt;
use crate::{GenerateError, Scheduler};

/// Gets a position and the logits there.
pub type Visit<'a> = dyn FnMut(usize, &[f32]) -> Result<(), GenerateError> + 'a;

impl Scheduler {
    /// Runs `tokens` as a sequence of their own, in chunks of at most `chunk`, and shows `visit` the logits at each
    /// position of `at`, which must ascend. Turns wait meanwhile; `cancel` is asked between chunks.
    ///
    /// Chunks are shorter where more rows are wanted than the decoder was loaded for.
    pub fn evaluate(
        &mut self,
        tokens: &[u32],
        at: &[usize],
        chunk: usize,
        cancel: &CancelToken,
        visit: &mut Visit<'_>,
    ) -> Result<(), GenerateError> {
        check_prompt(tokens, self.limits.context, self.decoder.spec().vocabulary)?;
        if at.windows(2).any(|pair| pair[0] >= pair[1]) || at.last().is_some_and(|&last| last >= tokens.len()) {
            let why = format!("positions must ascend and be below the number of tokens, {}", tokens.len());
            return Err(GenerateError::invalid("at", why));
        }
        let sequence = self.kv.open();
        let mut rows = Vec::with_capacity(self.limits.max_outputs);
        let chunk = chunk.clamp(1, self.limits.max_batch);
        let (mut start, mut wanted) = (0, at);
        let mut run = || {
            while start < tokens.len() && !wanted.is_empty() {
                cancel.check()?;
                let mut end = (start + chunk).min(tokens.len());
                if let Some(&beyond) = wanted.get(self.limits.max_outputs).filter(|&&beyond| beyond < end) {
                    end = beyond;
                }
                let count = wanted.partition_point(|&position| position < end);
                rows.clear();
                rows.extend(wanted[..count].iter().map(|position| position - start));
                let batch = Batch { tokens: &tokens[start..end], runs: &[Run { sequence, start, count: end - start }] };
                let want = if rows.is_empty() { Want::Nothing } else { Want::Logits(&rows) };
                loop {
                    match self.decoder.forward(&batch, &mut self.kv, want, &mut self.output) {
                        Ok(()) => break,
                        Err(ComputeError::CacheFull { .. } | ComputeError::OutOfMemory { .. })
                            if self.conversations.evict(&mut self.kv) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                for (index, &position) in wanted[..count].iter().enumerate() {
                    visit(position, self.output.logits(index))?;
                }
                (start, wanted) = (end, &wanted[count..]);
            }
            Ok(())
        };
        let outcome = run();
        self.kv.close(sequence);
        outcome
    }
}
