//! Files that `synth` writes: they parse, they are read whole, and the same seed gives the same bytes.
#![cfg(feature = "synth")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use inkling_compute::DecoderSpec;
use inkling_gguf::{Gguf, TensorType};
use inkling_models::synth::{self, Quant, SynthOptions};
use inkling_models::{SpecOptions, read_spec, report};

fn small() -> SynthOptions {
    SynthOptions { quant: Quant::Q2_K, layers: Some(1), ..SynthOptions::default() }
}

fn write(folder: &Path, shape: &str, options: &SynthOptions) -> Gguf {
    let path = folder.join(format!("{shape}.gguf"));
    let written = synth::write(shape, options, &path, &|_| {}).unwrap();
    let file = Gguf::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((written.bytes, written.tensors), (file.file_bytes(), file.tensors().len()));
    file
}

fn read(file: &Gguf) -> DecoderSpec {
    let report = report(file, &SpecOptions::default());
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    read_spec(file, &SpecOptions::default()).unwrap()
}

#[test]
fn every_shape_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    for shape in synth::shape_names() {
        let spec = read(&write(folder.path(), shape, &small()));
        assert_eq!(spec.layers.len(), 1, "{shape}");
    }
}

#[test]
fn every_mix_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    for &quant in Quant::ALL {
        for shape in ["tiny-llama", "tiny-qwen2", "tiny-qwen3", "tiny-gemma3", "tiny-phi3"] {
            read(&write(folder.path(), shape, &SynthOptions { quant, ..SynthOptions::default() }));
        }
    }
}

#[test]
fn real_shapes_have_the_real_number_of_parameters() {
    let folder = tempfile::tempdir().unwrap();
    for (shape, parameters) in [("smollm2-135m", 134_515_008), ("gemma3-270m", 268_098_176)] {
        let path = folder.path().join("model.gguf");
        let options = SynthOptions { quant: Quant::Q2_K, ..SynthOptions::default() };
        assert_eq!(synth::write(shape, &options, &path, &|_| {}).unwrap().parameters, parameters, "{shape}");
    }
}

#[test]
fn threads_do_not_change_the_bytes_and_the_seed_does() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |threads, seed| {
        let path = folder.path().join("model.gguf");
        let options = SynthOptions { threads: Some(threads), seed, ..small() };
        synth::write("smollm2-135m", &options, &path, &|_| {}).unwrap();
        std::fs::read(path).unwrap()
    };
    let one = bytes(1, 1);
    assert!(one == bytes(3, 1), "threads changed the bytes");
    assert!(one != bytes(1, 2), "the seed changed nothing");
}

#[test]
fn a_vocabulary_is_copied_with_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("vocabulary.gguf");
    synth::write("tiny-qwen3", &small(), &source, &|_| {}).unwrap();
    let options = SynthOptions { vocabulary: Some(source), ..small() };
    let file = write(folder.path(), "smollm2-360m", &options);
    assert_eq!(read(&file).vocabulary, 4096);
    assert_eq!(file.metadata().require_str("tokenizer.ggml.pre").unwrap(), "qwen2");
}

#[test]
fn types_follow_the_mix_and_fall_back_where_blocks_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let options = SynthOptions { quant: Quant::Q4_K_M, ..SynthOptions::default() };
    let file = write(folder.path(), "smollm2-135m", &options);
    let kind = |name| file.info(file.tensor(name).unwrap()).kind;
    assert_eq!(kind("token_embd.weight"), TensorType::Q8_0);
    assert_eq!(kind("blk.0.attn_q.weight"), TensorType::Q5_0);
    assert_eq!(kind("blk.0.ffn_down.weight"), TensorType::Q6_K);
    assert_eq!(kind("blk.3.ffn_down.weight"), TensorType::Q4_K);
    assert_eq!(kind("blk.3.attn_norm.weight"), TensorType::F32);
}

#[test]
fn wrong_orders_are_refused_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let refused = |shape, options: &SynthOptions| synth::write(shape, options, &path, &|_| {}).unwrap_err().to_string();
    assert!(refused("qwen9-1b", &small()).contains("qwen3-0.6b"));
    assert!(refused("tiny-llama", &SynthOptions { layers: Some(0), ..small() }).contains("0 layers"));
    let missing = SynthOptions { vocabulary: Some(folder.path().join("none.gguf")), ..small() };
    assert!(refused("tiny-llama", &missing).contains("none.gguf"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
