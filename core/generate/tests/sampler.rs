//! The sampler against an independent implementation that sorts everything, and against chance.
#![allow(clippy::unwrap_used)]

use inkling_generate::{Sampler, SamplingOptions};
use proptest::prelude::*;

fn sampler(options: SamplingOptions, vocabulary: usize) -> Sampler {
    // Token i is the letter i; breakers of the default options never occur.
    Sampler::new(options, vocabulary, &|id| vec![b'a' + (id % 26) as u8]).unwrap()
}

fn sampling(change: impl FnOnce(&mut SamplingOptions)) -> SamplingOptions {
    let mut options = SamplingOptions::default();
    (options.top_k, options.top_p, options.min_p, options.temperature) = (0, 1.0, 0.0, 1.0);
    change(&mut options);
    options
}

/// The chain as its papers say it: full sort, full softmax, std's exp and ln.
fn naive(logits: &[f32], o: &SamplingOptions) -> Vec<u32> {
    let mut all: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&l| f64::from(l))).collect();
    let by_logit = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    all.sort_by(by_logit);
    if o.top_k > 0 {
        all.truncate(o.top_k);
    }
    let probs = |all: &[(u32, f64)]| -> Vec<f64> {
        let max = all.iter().map(|t| t.1).fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = all.iter().map(|t| (t.1 - max).exp()).collect();
        let total: f64 = exps.iter().sum();
        exps.iter().map(|e| e / total).collect()
    };
    let prefix = |all: &mut Vec<(u32, f64)>, mass: f32| {
        let p = probs(all);
        let mut sum = 0.0;
        let keep = p.iter().position(|p| {
            sum += p;
            sum >= f64::from(mass)
        });
        all.truncate(keep.map_or(all.len(), |keep| keep + 1));
    };
    if o.typical_p < 1.0 {
        let p = probs(&all);
        let entropy: f64 = p.iter().map(|p| if *p > 0.0 { -p * p.ln() } else { 0.0 }).sum();
        let distance: Vec<(f64, (u32, f64), f64)> =
            p.iter().zip(&all).map(|(p, t)| ((-p.ln() - entropy).abs(), *t, *p)).collect();
        let mut order = distance;
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(by_logit(&a.1, &b.1)));
        let mut sum = 0.0;
        let keep = order.iter().position(|t| {
            sum += t.2;
            sum >= f64::from(o.typical_p)
        });
        order.truncate(keep.map_or(order.len(), |keep| keep + 1));
        all = order.into_iter().map(|t| t.1).collect();
        all.sort_by(by_logit);
    }
    if o.top_p < 1.0 {
        prefix(&mut all, o.top_p);
    }
    if o.min_p > 0.0 {
        let p = probs(&all);
        let best = p.iter().copied().fold(0.0, f64::max);
        let mut keep = p.iter().map(|p| *p >= f64::from(o.min_p) * best);
        all.retain(|_| keep.next().unwrap());
    }
    let mut ids: Vec<u32> = all.into_iter().map(|t| t.0).collect();
    ids.sort_unstable();
    ids
}

/// Logits whose probabilities are far from every border that float rounding could cross: distinct multiples of 1/8.
fn logits(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f32>> {
    proptest::collection::vec((-120_i32..120).prop_map(|l| l as f32 / 8.0), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn filters_keep_what_a_full_sort_keeps(
        logits in logits(1..700),
        top_k in prop_oneof![Just(0_usize), 1..50_usize, 500..900_usize],
        top_p in prop_oneof![Just(1.0_f32), 0.017..0.999_f32],
        min_p in prop_oneof![Just(0.0_f32), 0.0013..0.97_f32],
        typical_p in prop_oneof![Just(1.0_f32), 0.017..0.999_f32],
    ) {
        let options = sampling(|o| (o.top_k, o.top_p, o.min_p, o.typical_p, o.seed) = (top_k, top_p, min_p, typical_p, Some(1)));
        let mut sampler = sampler(options.clone(), logits.len());
        let token = sampler.sample(&mut logits.clone(), &[]).unwrap();
        let mut kept = sampler.survivors();
        kept.sort_unstable();
        prop_assert!(kept.contains(&token));
        prop_assert_eq!(kept, naive(&logits, &options));
    }

    #[test]
    fn greedy_is_the_exact_arg_max(logits in logits(1..300)) {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let first = logits.iter().position(|&l| l == best).unwrap() as u32;
        prop_assert_eq!(sampler(SamplingOptions::greedy(), logits.len()).sample(&mut logits.clone(), &[]).unwrap(), first);
    }

    #[test]
    fn penalties_are_their_formulas(
        logits in logits(26..27),
        history in proptest::collection::vec(0..26_u32, 0..60),
        window in 0..40_usize,
        repetition in 0.5..2.0_f32,
        frequency in -1.0..1.0_f32,
        presence in -1.0..1.0_f32,
    ) {
        let mut options = SamplingOptions::greedy();
        (options.penalties.window, options.penalties.repetition) = (window, repetition);
        (options.penalties.frequency, options.penalties.presence) = (frequency, presence);
        let mut changed = logits.clone();
        sampler(options, 26).sample(&mut changed, &history).unwrap();
        let recent = &history[history.len().saturating_sub(window)..];
        for (id, (&before, &after)) in logits.iter().zip(&changed).enumerate() {
            let count = recent.iter().filter(|&&t| t == id as u32).count() as f32;
            let mut expected = before;
            if count > 0.0 {
                expected = if before > 0.0 { before / repetition } else { before * repetition };
                expected -= count * frequency + presence;
            }
            prop_assert_eq!(after, expected, "token {}", id);
        }
    }

    /// The definition, by trying every earlier place.
    #[test]
    fn dry_finds_the_longest_repetitions(
        history in proptest::collection::vec(0..4_u32, 0..40),
        allowed_length in 0..5_usize,
        range in prop_oneof![Just(usize::MAX), 0..20_usize],
        breaker in proptest::option::of(0..4_u32),
    ) {
        let mut options = SamplingOptions::greedy();
        (options.dry.multiplier, options.dry.base) = (0.5, 2.0);
        (options.dry.allowed_length, options.dry.range) = (allowed_length, range);
        options.dry.sequence_breakers = breaker.map(|id| char::from(b'a' + id as u8).to_string()).into_iter().collect();
        let mut logits = vec![0.0; 4];
        sampler(options, 4).sample(&mut logits, &history).unwrap();
        let text = &history[history.len().saturating_sub(range)..];
        for token in 0..4_u32 {
            let mut longest = 0;
            for place in (0..text.len()).filter(|&p| text[p] == token && Some(token) != breaker) {
                let mut length = 0;
                while length < place
                    && text[place - 1 - length] == text[text.len() - 1 - length]
                    && Some(text[place - 1 - length]) != breaker
                {
                    length += 1;
                }
                longest = longest.max(length);
            }
            let allowed = allowed_length.max(1);
            let expected = if longest >= allowed { 0.5 * 2_f32.powi((longest - allowed_length) as i32) } else { 0.0 };
            prop_assert_eq!(logits[token as usize], -expected, "token {} after {:?}", token, text);
        }
    }
}

#[test]
fn logit_bias_adds_and_bans() {
    let mut options = SamplingOptions::greedy();
    options.logit_bias = vec![(0, f32::NEG_INFINITY), (2, 5.0)];
    let mut sampler = sampler(options, 3);
    assert!(sampler.needs_logits());
    let mut logits = [9.0, 3.0, 0.0];
    assert_eq!(sampler.sample(&mut logits, &[]).unwrap(), 2);
    assert_eq!(logits, [f32::NEG_INFINITY, 3.0, 5.0]);
}

#[test]
fn only_plain_greedy_needs_no_logits() {
    assert!(!sampler(SamplingOptions::greedy(), 3).needs_logits());
    assert!(sampler(SamplingOptions::default(), 3).needs_logits());
    let mut options = SamplingOptions::greedy();
    options.penalties.presence = 0.1;
    assert!(sampler(options, 3).needs_logits());
}

/// Draws follow softmax(logits / temperature): χ² over 40 000 seeded draws stays below the 99.9 % quantile.
#[test]
fn draws_follow_the_distribution() {
    let logits = [2.0_f32, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0, -3.0];
    // 99.9 % quantile of χ² with 7 degrees of freedom.
    const QUANTILE: f64 = 24.32;
    for temperature in [0.5_f32, 1.0, 1.7] {
        let mut sampler = sampler(sampling(|o| (o.temperature, o.seed) = (temperature, Some(42))), logits.len());
        let draws = 40_000;
        let mut counts = [0_u32; 8];
        for _ in 0..draws {
            counts[sampler.sample(&mut logits.clone(), &[]).unwrap() as usize] += 1;
        }
        let exps = logits.map(|l| (f64::from(l) / f64::from(temperature)).exp());
        let total: f64 = exps.iter().sum();
        let chi: f64 = (0..8)
            .map(|i| {
                let expected = exps[i] / total * f64::from(draws);
                (f64::from(counts[i]) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi < QUANTILE, "temperature {temperature}: χ² {chi}, counts {counts:?}");
    }
}

/// The same seed, the same tokens, on every machine: these were drawn once and must never change.
#[test]
fn seeded_draws_are_golden() {
    let logits: Vec<f32> = (0..1000).map(|i| ((i * 37 % 101) as f32).mul_add(0.1, -3.0)).collect();
    let draw = |options: SamplingOptions| -> Vec<u32> {
        let mut sampler = sampler(options, 1000);
        (0..8).map(|_| sampler.sample(&mut logits.clone(), &[]).unwrap()).collect()
    };
    let seeded = |seed| sampling(|o| o.seed = Some(seed));
    assert_eq!(draw(seeded(1)), GOLDEN_OPEN);
    assert_ne!(draw(seeded(2)), GOLDEN_OPEN);
    let mut usual = SamplingOptions::default();
    usual.seed = Some(1);
    assert_eq!(draw(usual), GOLDEN_USUAL);
}

const GOLDEN_OPEN: [u32; 8] = [816, 750, 98, 745, 188, 595, 988, 529];
const GOLDEN_USUAL: [u32; 8] = [999, 696, 333, 696, 535, 90, 726, 767];

#[test]
fn broken_logits_are_an_error_not_an_answer() {
    for options in [SamplingOptions::greedy(), SamplingOptions::default(), sampling(|_| {})] {
        let error = sampler(options, 3).sample(&mut [0.0, f32::NAN, 1.0], &[]).unwrap_err();
        assert!(error.to_string().contains("token 1"), "{error}");
    }
}

#[test]
fn extreme_temperatures_stay_sane() {
    let mut cold = sampler(sampling(|o| (o.temperature, o.seed) = (f32::MIN_POSITIVE, Some(1))), 3);
    assert!((0..50).all(|_| cold.sample(&mut [0.0, 1.0, 0.999], &[]).unwrap() == 1));
    let mut hot = sampler(sampling(|o| (o.temperature, o.seed) = (f32::MAX, Some(1))), 3);
    let seen: std::collections::BTreeSet<u32> =
        (0..100).map(|_| hot.sample(&mut [0.0, 1.0, -9.0], &[]).unwrap()).collect();
    assert_eq!(seen.len(), 3);
}
