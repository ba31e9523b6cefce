//! Every reference model is read, its numbers are those it was made with, and every tensor has a purpose.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use inkling_compute::{Activation, DecoderSpec, FeedForward, KvType, Mixer, RopeStyle};
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec, report};

/// The folder of reference data, or nothing; absent data is a failure where it is required.
fn reference() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).map(|dir| dir.join("shared/reference"));
    let folder = std::env::var_os("INKLING_REFERENCE").map(PathBuf::from).or_else(beside);
    let folder = folder.filter(|folder| folder.join("models").is_dir());
    if folder.is_none() {
        assert!(std::env::var_os("INKLING_REQUIRE_REFERENCE").is_none(), "reference data not found");
        eprintln!("reference data not found, skipped");
    }
    folder
}

fn read(path: &Path) -> DecoderSpec {
    let file = Gguf::open(path).unwrap();
    let report = report(&file, &SpecOptions::default());
    assert!(report.problems.is_empty(), "{}: {:?}", path.display(), report.problems);
    let spec = read_spec(&file, &SpecOptions::default()).unwrap();
    assert_eq!(report.spec.as_ref(), Some(&spec));
    assert!(report.memory(4096, KvType::F16).unwrap().kv_bytes > 0);
    spec
}

/// What the script that made the models was given: layers, heads, key/value heads, head width, inner width, tied.
fn expected(name: &str) -> (usize, usize, usize, usize, usize, bool) {
    match name.split('.').next().unwrap() {
        "tiny-qwen3" => (2, 4, 2, 64, 512, true),
        "tiny-llama" => (2, 4, 2, 64, 512, false),
        "tiny-gemma3" => (7, 4, 1, 64, 512, true),
        "tiny-phi3" => (2, 4, 2, 64, 512, false),
        other => panic!("what was {other} made with?"),
    }
}

#[test]
fn reference_models_are_read_whole() {
    let Some(folder) = reference() else { return };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("models")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".gguf") {
            continue;
        }
        let spec = read(&path);
        let Mixer::Attention(first) = &spec.layers[0].mixer else { panic!("{name} has no attention") };
        let FeedForward::Gated(gated) = &spec.layers[0].feed_forward else { panic!("{name} has no gate") };
        assert_eq!(
            (spec.layers.len(), first.heads, first.kv_heads, first.key_width, gated.gate.weight.rows, spec.is_tied()),
            expected(&name),
            "{name}"
        );
        assert_eq!((spec.width, spec.context, first.scale), (256, 4096, 0.125), "{name}");
        match spec.architecture.as_str() {
            "gemma3" => {
                let windows: Vec<_> = spec.layers.iter().map(|layer| attention(layer).window).collect();
                let local = Some(16);
                assert_eq!(windows, [local, local, local, local, local, None, local]);
                assert_eq!((spec.embedding_scale, gated.activation), (16.0, Activation::GeluTanh));
                // Pair 1 of 32 on base 10 000 and on 1 000 000.
                assert_eq!(attention(&spec.layers[0]).rope.frequencies[1], 0.749_894_2);
                assert_eq!(attention(&spec.layers[5]).rope.frequencies[1], 0.649_381_64);
                assert!(first.query_norm.is_some() && spec.layers[0].mixer_post_norm.is_some());
            }
            "phi3" => {
                assert_eq!(first.query.weight.tensor, first.value.weight.tensor);
                assert_eq!((first.key.weight.first_row, first.value.weight.first_row), (256, 384));
                assert_eq!((gated.gate.weight.first_row, gated.up.weight.first_row), (0, 512));
                assert_eq!(gated.gate.weight.tensor, gated.up.weight.tensor);
                assert_eq!(first.rope.style, RopeStyle::Halves);
            }
            "qwen3" => assert!(first.query_norm.is_some() && first.key_norm.is_some()),
            _ => assert_eq!((first.rope.style, first.rope.frequencies.len()), (RopeStyle::Interleaved, 32)),
        }
        names.push(name);
    }
    assert_eq!(names.len(), 22, "{names:?}");
}

fn attention(layer: &inkling_compute::Layer) -> &inkling_compute::Attention {
    let Mixer::Attention(attention) = &layer.mixer else { panic!("no attention") };
    attention
}

#[test]
fn the_real_model_is_read_whole() {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let path = cache.unwrap_or_default().join("inkling/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.is_file() {
        eprintln!("{} not found, skipped: `make model` fetches it", path.display());
        return;
    }
    let spec = read(&path);
    assert_eq!((spec.layers.len(), spec.width, spec.vocabulary, spec.context), (30, 576, 49152, 8192));
    let first = attention(&spec.layers[0]);
    assert_eq!((first.heads, first.kv_heads, first.key_width, first.scale), (9, 3, 64, 0.125));
    assert!(spec.is_tied());
}
