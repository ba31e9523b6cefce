//! Files that are sound and still no model: the error says what is wrong, by name and number.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use inkling_gguf::{StringArray, TensorType, Value};
use inkling_models::{SpecOptions, read_spec, report};
use support::{FAMILIES, Small};

fn refused(small: &Small) -> String {
    read_spec(&small.build(), &SpecOptions::default()).unwrap_err().to_string()
}

#[track_caller]
fn check(change: impl Fn(&mut Small), expected: &[&str]) {
    let mut small = Small::new("llama");
    change(&mut small);
    let said = refused(&small);
    for words in expected {
        assert!(said.contains(words), "{said:?} lacks {words:?}");
    }
}

#[test]
fn small_models_of_every_family_are_read() {
    for family in FAMILIES {
        let file = Small::new(family).build();
        let report = report(&file, &SpecOptions::default());
        assert!(report.problems.is_empty(), "{family}: {:?}", report.problems);
        assert!(read_spec(&file, &SpecOptions::default()).is_ok());
    }
}

#[test]
fn another_architecture_is_named_with_those_that_work() {
    check(
        |small| _ = small.set_whole("general.architecture", "mamba2"),
        &["architecture `mamba2` is not supported; supported: llama qwen2 qwen3 gemma3 phi3"],
    );
    check(|small| small.keys.retain(|(key, _)| key != "general.architecture"), &["general.architecture"]);
}

#[test]
fn a_tensor_too_few_is_named_with_its_purpose_and_shape() {
    check(|small| _ = small.remove("blk.1.ffn_up.weight"), &["blk.1.ffn_up.weight", "feed-forward up", "64 × 96"]);
    check(|small| _ = small.remove("token_embd.weight"), &["token_embd.weight"]);
    check(|small| _ = small.set("block_count", 3_u32), &["blk.2."]);
}

#[test]
fn tensors_too_many_are_listed() {
    check(|small| small.add("blk.0.ssm_a", &[4]), &["1 tensors", "`llama`", "blk.0.ssm_a"]);
    check(|small| _ = small.set("block_count", 1_u32), &["9 tensors", "blk.1.attn_norm.weight", "…"]);
    check(|small| small.add("blk.0.attn_q_norm.weight", &[16]), &["blk.0.attn_q_norm.weight"]);
}

#[test]
fn a_wrong_shape_shows_both() {
    check(|small| small.tensors[0].dimensions = vec![32, 40], &["token_embd.weight", "32 × 40", "64 × 40"]);
    check(|small| small.tensors[1].dimensions = vec![64, 2], &["output_norm.weight", "64 × 2", "it should be 64"]);
}

#[test]
fn a_type_that_nothing_computes_with_is_named() {
    check(|small| small.tensors[0].kind = TensorType::I32, &["token_embd.weight", "I32", "Q4_K", "IQ4_XS"]);
    check(|small| small.tensors[1].kind = TensorType::Q8_0, &["output_norm.weight", "Q8_0", "F32 F16 BF16 can"]);
}

#[test]
fn features_without_a_word_in_the_spec_are_refused_with_key_and_value() {
    check(|small| _ = small.set("expert_count", 8_u32), &["llama.expert_count = 8", "mixture of experts"]);
    check(|small| _ = small.set("attention.causal", false), &["llama.attention.causal = false"]);
    check(|small| _ = small.set("pooling_type", 4_u32), &["llama.pooling_type = 4"]);
    check(|small| _ = small.set("logit_scale", 0.25_f32), &["llama.logit_scale = 0.25"]);
    check(|small| _ = small.set("rope.scaling.type", "dynamic"), &["llama.rope.scaling.type = dynamic"]);
    check(|small| _ = small.set("rope.dimension_sections", vec![8_i32, 4, 4, 0]), &["= [8, 4, 4, 0]"]);
    let mut small = Small::new("qwen2");
    small.set("attention.sliding_window", 4096_u32);
    assert!(refused(&small).contains("qwen2.attention.sliding_window = 4096"));
}

#[test]
fn features_that_are_off_do_no_harm() {
    let mut small = Small::new("llama");
    small.set("expert_count", 0_u32).set("attention.causal", true).set("logit_scale", 1.0_f32);
    small.set("rope.dimension_sections", vec![0_i32; 4]).set("attn_logit_softcapping", 0.0_f32);
    assert!(read_spec(&small.build(), &SpecOptions::default()).is_ok());
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    check(|small| _ = small.set("block_count", 0_u32), &["llama.block_count = 0", "between 1 and 512"]);
    check(|small| _ = small.set("block_count", u32::MAX), &["4294967295"]);
    check(|small| _ = small.set("attention.head_count", 3_u32), &["attention.head_count_kv = 2", "no multiple"]);
    check(|small| _ = small.set("rope.dimension_count", 17_u32), &["rope.dimension_count = 17"]);
    check(|small| _ = small.set("attention.layer_norm_rms_epsilon", f32::NAN), &["rms_epsilon = NaN"]);
    check(|small| _ = small.set("rope.freq_base", -1.0_f32), &["rope.freq_base = -1"]);
    check(|small| _ = small.set("rope.freq_base", 1e-45_f32), &["rope.freq_base", "would turn by inf"]);
    check(|small| _ = small.set("attention.head_count", "four"), &["llama.attention.head_count", "string"]);
    check(|small| _ = small.add_numbers("rope_freqs.weight", &[0.0; 8]), &["rope_freqs.weight", "element 0 is 0"]);
}

#[test]
fn tokenizer_and_embedding_must_agree() {
    let tokens = |count: usize| Value::from((0..count).map(|id| id.to_string()).collect::<StringArray>());
    check(|small| _ = small.set_whole("tokenizer.ggml.tokens", tokens(41)), &["41 tokens", "40 rows"]);
    let mut small = Small::new("llama");
    small.set_whole("tokenizer.ggml.tokens", tokens(40));
    assert!(read_spec(&small.build(), &SpecOptions::default()).is_ok());
}

#[test]
fn a_report_lists_every_problem() {
    let mut small = Small::new("qwen3");
    small.remove("blk.0.attn_q.weight").remove("blk.1.ffn_down.weight");
    small.add("surplus", &[1]);
    small.set("expert_count", 4_u32);
    let report = report(&small.build(), &SpecOptions::default());
    let all: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(report.spec.is_none() && report.memory(1024, inkling_compute::KvType::F16).is_none());
    assert_eq!(report.context, Some(131_072));
}
