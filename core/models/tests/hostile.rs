//! Whatever a sound GGUF says, reading it ends in a spec that fits the file or in an error; never in a panic.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use inkling_compute::{Mixer, Weights};
use inkling_gguf::{TensorType, Value};
use inkling_models::{SpecOptions, read_spec, report};
use proptest::prelude::*;
use support::{FAMILIES, Small};

/// One change to a small valid model; indices wrap.
#[derive(Debug, Clone)]
enum Change {
    SetKey(usize, Value),
    AddKey(&'static str, Value),
    RemoveKey(usize),
    RemoveTensor(usize),
    RenameTensor(usize, usize),
    Reshape(usize, Vec<u64>),
    Retype(usize, TensorType),
    AddFactors(&'static str, Vec<f32>),
}

const EXTRA_KEYS: [&str; 14] = [
    "attention.scale",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

fn value() -> impl Strategy<Value = Value> {
    let numbers = prop::sample::select(vec![0, 1, 2, 3, 4, 15, 16, 17, 64, 512, 513, 1 << 20, u32::MAX]);
    let floats = prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 1e-45, 1e-6, 1e30, 1e38, f32::INFINITY, f32::NAN]);
    let words = prop::sample::select(vec!["", "none", "linear", "yarn", "longrope", "su", "\u{1F980}"]);
    prop_oneof![
        numbers.clone().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        floats.prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::collection::vec(numbers, 0..4).prop_map(Value::from),
        prop::collection::vec(any::<bool>(), 0..4).prop_map(Value::from),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let dimension = prop::sample::select(vec![1_u64, 2, 16, 31, 32, 40, 63, 64, 65, 96, 128, 256, 4096]);
    let factors =
        prop::sample::select(vec!["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"]);
    prop_oneof![
        (any::<usize>(), value()).prop_map(|(key, value)| Change::SetKey(key, value)),
        (prop::sample::select(EXTRA_KEYS.to_vec()), value()).prop_map(|(key, value)| Change::AddKey(key, value)),
        any::<usize>().prop_map(Change::RemoveKey),
        any::<usize>().prop_map(Change::RemoveTensor),
        any::<(usize, usize)>().prop_map(|(from, to)| Change::RenameTensor(from, to)),
        (any::<usize>(), prop::collection::vec(dimension, 0..4)).prop_map(|(at, shape)| Change::Reshape(at, shape)),
        (any::<usize>(), prop::sample::select(TensorType::ALL.to_vec())).prop_map(|(at, to)| Change::Retype(at, to)),
        (factors, prop::collection::vec(any::<f32>(), 8)).prop_map(|(name, all)| Change::AddFactors(name, all)),
    ]
}

fn apply(small: &mut Small, change: Change) {
    let (keys, tensors) = (small.keys.len().max(1), small.tensors.len().max(1));
    match change {
        Change::SetKey(key, value) => {
            small.keys.iter_mut().skip(key % keys).take(1).for_each(|(_, at)| *at = value.clone())
        }
        Change::AddKey(key, value) => _ = small.set(key, value),
        Change::RemoveKey(key) if !small.keys.is_empty() => _ = small.keys.remove(key % keys),
        Change::RemoveTensor(at) if !small.tensors.is_empty() => _ = small.tensors.remove(at % tensors),
        Change::RenameTensor(from, to) => small.tensors[from % tensors].name = small.tensors[to % tensors].name.clone(),
        Change::Reshape(at, dimensions) => small.tensors[at % tensors].dimensions = dimensions,
        Change::Retype(at, kind) => small.tensors[at % tensors].kind = kind,
        Change::AddFactors(name, numbers) => _ = small.add_numbers(name, &numbers),
        Change::RemoveKey(_) | Change::RemoveTensor(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_metadata_and_no_shape_panics(
        family in prop::sample::select(FAMILIES.to_vec()),
        changes in prop::collection::vec(change(), 1..4),
        context in prop::option::of(any::<usize>()),
    ) {
        let mut small = Small::new(family);
        changes.into_iter().for_each(|change| apply(&mut small, change));
        let Some(file) = small.try_build() else { return Ok(()) };
        let options = SpecOptions { context };
        let report = report(&file, &options);
        let read = read_spec(&file, &options);
        prop_assert_eq!(report.spec.is_some(), read.is_ok());
        prop_assert_eq!(report.problems.is_empty(), read.is_ok());
        let Ok(spec) = read else { return Ok(()) };
        let weights = Weights::new(Arc::new(file));
        for linear in spec.linears() {
            prop_assert!(weights.matrix(&linear.weight).is_ok());
        }
        for layer in &spec.layers {
            let Mixer::Attention(attention) = &layer.mixer else { continue };
            prop_assert!(attention.rope.frequencies.iter().all(|frequency| frequency.is_finite()));
            prop_assert!(attention.rope.magnitude.is_finite() && attention.scale.is_finite());
            prop_assert!(attention.heads.is_multiple_of(attention.kv_heads));
            prop_assert!(2 * attention.rope.frequencies.len() <= attention.key_width);
        }
    }
}
