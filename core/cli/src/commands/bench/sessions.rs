//! Conversations that decode together, through the same facade as an app's: what continuous batching is worth.

use std::time::Instant;

use inkling::{CompletionPrompt, GenerationOptions, Model};

use super::random_tokens;
use crate::output::Failure;

/// Tokens of each prompt: few, so that the time is that of decoding.
pub(super) const PROMPT: usize = 8;

/// Tokens a second of `sessions` completions of `count` tokens each that run at the same time, all together.
pub(super) fn throughput(model: &Model, sessions: usize, count: usize) -> Result<f64, Failure> {
    let vocabulary = model.vocabulary();
    let prompts = random_tokens(PROMPT * sessions, vocabulary);
    let start = Instant::now();
    let turns = prompts
        .chunks(PROMPT)
        .map(|prompt| {
            let mut options = GenerationOptions::default().seed(1).max_tokens(count);
            // Nobody ends before the others do.
            let ends = model.tokenizer().end_tokens().iter();
            options.sampling.logit_bias = ends.map(|&end| (end, f32::NEG_INFINITY)).collect();
            model.complete(CompletionPrompt::Tokens(prompt.to_vec()), options)
        })
        .collect::<Result<Vec<_>, _>>()?;
    // Each is read by a thread of its own: one that is not read waits for its reader.
    let tokens = std::thread::scope(|scope| {
        let readers: Vec<_> = turns.into_iter().map(|turn| scope.spawn(|| turn.collect())).collect();
        readers.into_iter().try_fold(0, |sum, reader| match reader.join() {
            Ok(answer) => Ok::<_, inkling::Error>(sum + answer?.stats.generated_tokens),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(tokens as f64 / start.elapsed().as_secs_f64())
}
