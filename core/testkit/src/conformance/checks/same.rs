//! Different ways that must lead to the same logits.

use inkling_compute::{Batch, ComputeError, Decoder, Output, PAGE_POSITIONS, Run, SequenceId, Want};

use super::{Context, POSITIONS, PROMPT, text};
use crate::conformance::driver::{feed, feed_all, load, logits_at};

/// A prompt in pieces gives what it gives whole, and so do tokens one by one.
pub(super) fn chunks(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, mut kv) = c.start()?;
    let tokens = c.tokens(3, PROMPT);
    let whole_sequence = kv.open();
    let whole = feed(&mut *decoder, &mut kv, whole_sequence, &tokens).map_err(text)?;
    let by_size = [7, 16, PAGE_POSITIONS, PAGE_POSITIONS + 1].map(|size| tokens.chunks(size).collect::<Vec<_>>());
    let (start, end) = tokens.split_at(2 * PAGE_POSITIONS - 2);
    let one_by_one = [start].into_iter().chain(end.chunks(1)).collect();
    for pieces in by_size.into_iter().chain([one_by_one]) {
        let sequence = kv.open();
        let mut last = Vec::new();
        for piece in &pieces {
            last = feed(&mut *decoder, &mut kv, sequence, piece).map_err(text)?;
        }
        c.same(&format!("in {} pieces, the first of {}", pieces.len(), pieces[0].len()), &last, &whole)?;
        kv.close(sequence);
    }
    Ok(())
}

/// Sequences in one batch give what each gives alone.
pub(super) fn batches(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, mut kv) = c.start()?;
    let prompts: Vec<Vec<u32>> = [40, 1, 33, 5].iter().zip(10..).map(|(&len, seed)| c.tokens(seed, len)).collect();
    let next = c.tokens(20, 2 * prompts.len());
    let mut alone = Vec::new();
    for (prompt, next) in prompts.iter().zip(next.chunks(2)) {
        let sequence = kv.open();
        let first = feed(&mut *decoder, &mut kv, sequence, prompt).map_err(text)?;
        alone.push((first, feed(&mut *decoder, &mut kv, sequence, next).map_err(text)?));
        kv.close(sequence);
    }
    let sequences: Vec<SequenceId> = prompts.iter().map(|_| kv.open()).collect();
    let parts: Vec<(SequenceId, &[u32])> = sequences.iter().copied().zip(prompts.iter().map(Vec::as_slice)).collect();
    let first = feed_all(&mut *decoder, &mut kv, &parts).map_err(text)?;
    let parts: Vec<(SequenceId, &[u32])> = sequences.iter().copied().zip(next.chunks(2)).rev().collect();
    let mut second = feed_all(&mut *decoder, &mut kv, &parts).map_err(text)?;
    second.reverse();
    for (index, (one, (first, second))) in alone.iter().zip(first.iter().zip(&second)).enumerate() {
        c.same(&format!("prompt of sequence {index}"), first, &one.0)?;
        c.same(&format!("next tokens of sequence {index}"), second, &one.1)?;
    }
    Ok(())
}

/// A sequence that was cut and continued gives what a fresh one gives.
pub(super) fn truncate(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, mut kv) = c.start()?;
    let (tokens, other) = (c.tokens(30, PROMPT), c.tokens(31, 20));
    for keep in [0, PAGE_POSITIONS, PAGE_POSITIONS + 3] {
        let sequence = kv.open();
        feed(&mut *decoder, &mut kv, sequence, &tokens).map_err(text)?;
        kv.truncate(sequence, keep);
        let found = feed(&mut *decoder, &mut kv, sequence, &other).map_err(text)?;
        kv.close(sequence);
        let fresh = kv.open();
        let whole = [&tokens[..keep], &other].concat();
        let expected = feed(&mut *decoder, &mut kv, fresh, &whole).map_err(text)?;
        kv.close(fresh);
        c.same(&format!("cut to {keep}"), &found, &expected)?;
    }
    Ok(())
}

/// A fork and its source go on independently.
pub(super) fn fork(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, mut kv) = c.start()?;
    let prompt = c.tokens(40, PAGE_POSITIONS + 8);
    let ends = [c.tokens(41, 9), c.tokens(42, 9)];
    let source = kv.open();
    feed(&mut *decoder, &mut kv, source, &prompt).map_err(text)?;
    let forked = kv.fork(source).map_err(text)?;
    let parts = [(source, &*ends[0]), (forked, &*ends[1])];
    let found = feed_all(&mut *decoder, &mut kv, &parts).map_err(text)?;
    for ((end, found), name) in ends.iter().zip(&found).zip(["the source", "the fork"]) {
        let fresh = kv.open();
        let whole = [&prompt[..], end].concat();
        let expected = feed(&mut *decoder, &mut kv, fresh, &whole).map_err(text)?;
        c.same(name, found, &expected)?;
    }
    Ok(())
}

/// The number of threads changes nothing, neither at load nor later.
pub(super) fn threads(c: &Context<'_>) -> Result<(), String> {
    let tokens = c.tokens(50, PROMPT);
    let run = |decoder: &mut dyn Decoder| -> Result<Vec<f32>, ComputeError> {
        let mut kv = decoder.new_cache(c.case.cache, POSITIONS)?;
        let sequence = kv.open();
        let mut logits = feed(decoder, &mut kv, sequence, &tokens)?;
        logits.extend(feed(decoder, &mut kv, sequence, &tokens[..1])?);
        Ok(logits)
    };
    let mut decoder = load(c.backend, &c.model, 1).map_err(text)?;
    let expected = run(&mut *decoder).map_err(text)?;
    for threads in [3, 1, 2] {
        decoder.set_threads(threads);
        let found = run(&mut *decoder).map_err(text)?;
        c.same(&format!("set to {threads} threads"), &found, &expected)?;
    }
    let mut decoder = load(c.backend, &c.model, 5).map_err(text)?;
    let found = run(&mut *decoder).map_err(text)?;
    c.same("loaded with 5 threads", &found, &expected)
}

/// The arg-max is that of the logits.
pub(super) fn argmax(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, mut kv) = c.start()?;
    let tokens = c.tokens(60, PROMPT);
    let rows = [0, 5, 32, PROMPT - 1];
    let mut output = Output::new();
    let (a, b) = (kv.open(), kv.open());
    let batch = |sequence| [Run { sequence, start: 0, count: PROMPT }];
    let logits = logits_at(&mut *decoder, &mut kv, &Batch { tokens: &tokens, runs: &batch(a) }, &rows).map_err(text)?;
    decoder
        .forward(&Batch { tokens: &tokens, runs: &batch(b) }, &mut kv, Want::Argmax(&rows), &mut output)
        .map_err(text)?;
    let expected: Vec<u32> = logits
        .iter()
        .map(|row| (0..row.len()).fold(0, |best, id| if row[id] > row[best] { id } else { best }) as u32)
        .collect();
    if output.argmax() == expected {
        Ok(())
    } else {
        Err(format!("{:?}, the logits say {expected:?}", output.argmax()))
    }
}
