//! What must be refused, with which error, and without a trace.

use inkling_base::CancelToken;
use inkling_compute::{Batch, ComputeError, KvCache, KvLayout, KvType, Mixer, Output, PageId, PageStore, Run, Want};

use super::{Context, POSITIONS, PROMPT, THREADS, text};
use crate::conformance::driver::{MAX_BATCH, MAX_OUTPUTS, feed, load, load_unless, logits_at};

/// Whether an error is the one that the contract asks for.
type Expected = fn(&ComputeError) -> bool;
/// What is wrong, tokens, runs, wanted rows, and the error.
type Attempt<'a> = (&'a str, &'a [u32], &'a [Run], &'a [usize], Expected);

/// Every error of the contract has its type, leaves the lengths, and does not disturb what comes after.
pub(super) fn errors_change_nothing(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, _) = c.start()?;
    let mut kv = decoder.new_cache(c.case.cache, 2 * MAX_BATCH).map_err(text)?;
    let tokens = c.tokens(70, PROMPT);
    let sequence = kv.open();
    feed(&mut *decoder, &mut kv, sequence, &tokens[..20]).map_err(text)?;
    let closed = kv.open();
    kv.close(closed);

    let vocabulary = c.case.decoder.vocabulary;
    let many = c.tokens(71, MAX_BATCH + 1);
    let last_of_all = [MAX_BATCH - 1];
    let too_many_rows: Vec<usize> = (0..=MAX_OUTPUTS).collect();
    let run = |start, count| Run { sequence, start, count };
    let of_closed = Run { sequence: closed, start: 0, count: 1 };
    let bad: Expected = |e| matches!(e, ComputeError::BadBatch { .. });
    let large: Expected = |e| matches!(e, ComputeError::BatchTooLarge { .. });
    let unknown: Expected = |e| matches!(e, ComputeError::UnknownToken { .. });
    let no_sequence: Expected = |e| matches!(e, ComputeError::UnknownSequence(_));
    let attempts: &[Attempt<'_>] = &[
        ("no tokens", &[], &[], &[], bad),
        ("tokens without a run", &tokens[..2], &[run(20, 1)], &[], bad),
        ("a run of none", &tokens[..1], &[run(20, 1), run(21, 0)], &[], bad),
        ("a token beyond the vocabulary", &[0, vocabulary as u32], &[run(20, 2)], &[1], unknown),
        ("the largest token", &[u32::MAX], &[run(20, 1)], &[], unknown),
        ("more tokens than planned", &many, &[run(20, MAX_BATCH + 1)], &[], large),
        ("more rows than planned", &tokens[..30], &[run(20, 30)], &too_many_rows, large),
        ("rows out of order", &tokens[..3], &[run(20, 3)], &[2, 1], bad),
        ("a row twice", &tokens[..3], &[run(20, 3)], &[1, 1], bad),
        ("a row outside", &tokens[..3], &[run(20, 3)], &[3], bad),
        ("a gap", &tokens[..1], &[run(21, 1)], &[], bad),
        ("a position twice", &tokens[..1], &[run(19, 1)], &[], bad),
        ("a sequence twice", &tokens[..2], &[run(20, 1), run(20, 1)], &[], bad),
        ("a closed sequence", &tokens[..1], &[of_closed], &[0], no_sequence),
    ];
    let mut output = Output::new();
    for &(what, tokens, runs, rows, expected) in attempts {
        match decoder.forward(&Batch { tokens, runs }, &mut kv, Want::Logits(rows), &mut output) {
            Ok(()) => return Err(format!("{what}: no error")),
            Err(error) if !expected(&error) => return Err(format!("{what}: unexpected error: {error}")),
            Err(_) if kv.len(sequence) != 20 => return Err(format!("{what}: the sequence has another length now")),
            Err(_) => {}
        }
    }

    // 256 positions hold 20, then 128, and not 128 more.
    let other = kv.open();
    let fill = Batch { tokens: &many[..MAX_BATCH], runs: &[Run { sequence: other, start: 0, count: MAX_BATCH }] };
    logits_at(&mut *decoder, &mut kv, &fill, &last_of_all).map_err(text)?;
    let over = Batch { tokens: &many[..MAX_BATCH], runs: &[run(20, MAX_BATCH)] };
    match logits_at(&mut *decoder, &mut kv, &over, &last_of_all) {
        Err(ComputeError::CacheFull { limit, used }) if limit == 2 * MAX_BATCH && used > limit => {}
        Err(error) => return Err(format!("a full cache: unexpected error: {error}")),
        Ok(_) => return Err("a full cache: no error".to_owned()),
    }
    if (kv.len(sequence), kv.len(other)) != (20, MAX_BATCH) {
        return Err("a full cache: the sequences have other lengths now".to_owned());
    }

    kv.close(other);
    let found = feed(&mut *decoder, &mut kv, sequence, &tokens[20..]).map_err(text)?;
    let fresh = kv.open();
    let expected = feed(&mut *decoder, &mut kv, fresh, &tokens).map_err(text)?;
    c.same("after the errors", &found, &expected)
}

/// A store of pages that no back end knows.
struct ForeignStore;

impl PageStore for ForeignStore {
    fn make_resident(&mut self, _: PageId) -> Result<(), ComputeError> {
        Ok(())
    }
    fn release(&mut self, _: PageId) {}
    fn copy(&mut self, _: PageId, _: PageId) {}
    fn page_bytes(&self) -> usize {
        0
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// A cache that another back end made, or that was made for another model, is an error.
pub(super) fn foreign_cache(c: &Context<'_>) -> Result<(), String> {
    let (mut decoder, _) = c.start()?;
    let mut other_shape = c.case.decoder.clone();
    other_shape.layers += 1;
    let other = load(c.backend, &other_shape.build(), 1).map_err(text)?;
    let of_other_model = other.new_cache(c.case.cache, POSITIONS).map_err(text)?;
    for mut kv in [KvCache::new(Box::new(ForeignStore), POSITIONS), of_other_model] {
        let sequence = kv.open();
        if feed(&mut *decoder, &mut kv, sequence, &[0]).is_ok() || kv.len(sequence) != 0 {
            return Err("a cache that is not its own was used".to_owned());
        }
    }
    Ok(())
}

/// Loading stops when cancelled; specs that ask for more than the file has, and caches that cannot be, are errors.
pub(super) fn refuses(c: &Context<'_>) -> Result<(), String> {
    let (spec, weights) = c.model.clone();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    match load_unless(c.backend, spec.clone(), weights.clone(), THREADS, &cancelled) {
        Err(ComputeError::Cancelled(_)) => {}
        Err(error) => return Err(format!("cancelled: unexpected error: {error}")),
        Ok(_) => return Err("cancelled: loaded nevertheless".to_owned()),
    }
    let mut wrong = (*spec).clone();
    if let Some(Mixer::Attention(attention)) = wrong.layers.last_mut().map(|layer| &mut layer.mixer) {
        attention.output.weight.first_row += 1;
    }
    match load(c.backend, &(wrong.into(), weights.clone()), THREADS) {
        Err(ComputeError::TensorTooSmall { .. }) => {}
        Err(error) => return Err(format!("rows beyond the tensor: unexpected error: {error}")),
        Ok(_) => return Err("rows beyond the tensor: loaded nevertheless".to_owned()),
    }
    let decoder = load(c.backend, &(spec.clone(), weights), THREADS).map_err(text)?;
    for kind in KvType::ALL {
        let possible = KvLayout::new(c.backend.name(), kind, &spec.kv_layers()).is_ok();
        match decoder.new_cache(kind, POSITIONS) {
            Ok(_) if possible => {}
            Err(ComputeError::Unsupported { .. }) if !possible => {}
            Ok(_) => return Err(format!("a {} cache for these heads: no error", kind.name())),
            Err(error) => return Err(format!("a {} cache: {error}", kind.name())),
        }
    }
    Ok(())
}
