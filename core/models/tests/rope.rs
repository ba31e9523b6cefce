//! Rope frequencies and magnitudes against numbers computed independently by `golden/rope.py`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use inkling_compute::{DecoderSpec, Mixer, Rope};
use inkling_models::{SpecOptions, read_spec};
use support::Small;

/// Magnitude and frequencies of a line of the golden file.
fn golden(name: &str) -> (f32, Vec<f32>) {
    let line = include_str!("golden/rope.txt").lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    let mut numbers = line.split(' ').skip(1).map(|number| number.parse::<f64>().unwrap() as f32);
    (numbers.next().unwrap(), numbers.collect())
}

fn spec(small: &Small, context: Option<usize>) -> DecoderSpec {
    read_spec(&small.build(), &SpecOptions { context }).unwrap()
}

fn rope(spec: &DecoderSpec, layer: usize) -> &Rope {
    let Mixer::Attention(attention) = &spec.layers[layer].mixer else { panic!("no attention") };
    &attention.rope
}

/// Equal to within the one rounding that the order of operations in f64 can change.
fn check(rope: &Rope, name: &str) {
    let (magnitude, frequencies) = golden(name);
    let close = |a: f32, b: f32| (a - b).abs() <= b.abs() * f32::EPSILON;
    assert_eq!(rope.frequencies.len(), frequencies.len(), "{name}");
    for (pair, (&found, &expected)) in rope.frequencies.iter().zip(&frequencies).enumerate() {
        assert!(close(found, expected), "{name}, pair {pair}: {found} for {expected}");
    }
    assert!(close(rope.magnitude, magnitude), "{name}: magnitude {} for {magnitude}", rope.magnitude);
}

#[test]
fn without_keys_the_base_is_ten_thousand() {
    for family in ["llama", "qwen2", "qwen3", "phi3"] {
        check(rope(&spec(&Small::new(family), None), 1), "plain");
    }
}

#[test]
fn a_linear_factor_divides_all_frequencies() {
    let mut small = Small::new("qwen3");
    small.set("rope.freq_base", 1e6_f32).set("rope.scaling.type", "linear").set("rope.scaling.factor", 8_f32);
    check(rope(&spec(&small, None), 0), "linear");
    small.set("rope.scaling.type", "none").set("rope.freq_base", 1e4_f32);
    check(rope(&spec(&small, None), 0), "plain");
}

#[test]
fn gemma_scales_global_layers_only() {
    let mut small = Small::new("gemma3");
    small.set("rope.freq_base", 1e6_f32).set("rope.scaling.type", "linear").set("rope.scaling.factor", 8_f32);
    small.set("attention.sliding_window", 32_u32).set("attention.sliding_window_pattern", 2_u32);
    let spec = spec(&small, None);
    check(rope(&spec, 0), "plain");
    check(rope(&spec, 1), "linear");
}

#[test]
fn llama3_divides_by_its_factors() {
    let mut small = Small::new("llama");
    small.set("rope.freq_base", 5e5_f32).add_numbers("rope_freqs.weight", &golden("llama3-factors").1);
    check(rope(&spec(&small, None), 0), "llama3");
}

#[test]
fn yarn_blends_and_grows() {
    let mut small = Small::new("qwen2");
    small.set("rope.freq_base", 1e6_f32).set("rope.scaling.type", "yarn").set("rope.scaling.factor", 4_f32);
    small.set("rope.scaling.original_context_length", 32_768_u32);
    check(rope(&spec(&small, None), 1), "yarn");
    small.set("rope.freq_base", 1e4_f32).set("rope.scaling.factor", 8_f32);
    small.set("rope.scaling.original_context_length", 4096_u32);
    small.set("rope.scaling.yarn_beta_fast", 16_f32).set("rope.scaling.yarn_beta_slow", 2_f32);
    check(rope(&spec(&small, None), 1), "yarn-betas");
}

#[test]
fn longrope_chooses_by_the_context() {
    let factors = |step: f32| (0..6).map(|pair| 1.0 + step * pair as f32).collect::<Vec<_>>();
    let mut small = Small::new("phi3");
    small.set("rope.dimension_count", 12_u32).set("rope.scaling.original_context_length", 4096_u32);
    small.set("rope.scaling.attn_factor", golden("long").0);
    small.add_numbers("rope_factors_long.weight", &factors(5.0));
    small.add_numbers("rope_factors_short.weight", &factors(0.125));
    for (context, name, reach) in [(None, "short", 4096), (Some(4096), "short", 4096), (Some(4097), "long", 131_072)] {
        let spec = spec(&small, context);
        check(rope(&spec, 0), name);
        assert_eq!(spec.context, reach);
    }
}
