//! Files that llama.cpp's tools wrote: every one opens, and says what Python's `gguf` package says of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use std::path::{Path, PathBuf};

use inkling_gguf::{Gguf, TensorType};

/// The folder with the reference data; `None`, said aloud, when it is absent and nobody requires it.
fn reference() -> Option<PathBuf> {
    let folder = std::env::var_os("INKLING_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("INKLING_REQUIRE_REFERENCE").is_none(), "no reference data at {}", folder.display());
    println!("reference data not found, skipped");
    None
}

fn ggufs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(ggufs(&path));
        } else if path.extension().is_some_and(|ending| ending == "gguf") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_reference_file_opens() {
    let Some(folder) = reference() else { return };
    let paths = ggufs(&folder);
    assert!(paths.len() >= 27, "only {} files", paths.len());
    for path in paths {
        let model = Gguf::open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(model.file_bytes(), std::fs::metadata(&path).unwrap().len());
        assert!(matches!(model.version(), 2 | 3));
        let architecture = model.metadata().require_str("general.architecture").unwrap();
        let tokens = model.metadata().require_strings("tokenizer.ggml.tokens").unwrap();
        assert!(tokens.len() > 1000, "{}: {} tokens", path.display(), tokens.len());
        let mut data = 0;
        for (id, tensor) in model.ids() {
            assert_eq!(model.tensor(&tensor.name), Some(id));
            assert_eq!(model.data(id).len() as u64, tensor.bytes);
            data += tensor.bytes;
        }
        println!(
            "{}: {architecture}, {} keys, {} tokens, {} tensors, {data} bytes of data",
            path.strip_prefix(&folder).unwrap().display(),
            model.metadata().len(),
            tokens.len(),
            model.tensors().len(),
        );
    }
}

/// Names, types, shapes and places as `gguf` 0.19.0 from PyPI prints them for this file.
#[test]
fn directory_agrees_with_the_python_package() {
    let Some(folder) = reference() else { return };
    let model = Gguf::open(&folder.join("models/tiny-qwen3.Q4_K_M.gguf")).unwrap();
    let tensor = |name: &str| {
        let info = model.info(model.tensor(name).unwrap_or_else(|| panic!("{name}")));
        (info.kind, info.shape.dimensions().to_vec(), info.bytes, info.offset)
    };
    assert_eq!(model.tensors().len(), TENSORS);
    for (name, kind, shape, bytes, offset) in FROM_PYTHON {
        assert_eq!(tensor(name), (*kind, shape.to_vec(), *bytes, *offset), "{name}");
    }
}

const TENSORS: usize = 24;
/// Name, type, dimensions, size, offset in the file.
type Line = (&'static str, TensorType, &'static [u64], u64, u64);
const FROM_PYTHON: &[Line] = &[
    ("output_norm.weight", TensorType::F32, &[256], 1024, 135_200),
    ("token_embd.weight", TensorType::Q6_K, &[256, 4389], 921_690, 136_224),
    ("blk.0.attn_k.weight", TensorType::Q4_K, &[256, 128], 18_432, 1_057_920),
    ("blk.0.attn_k_norm.weight", TensorType::F32, &[64], 256, 1_076_352),
    ("blk.0.ffn_down.weight", TensorType::Q4_K, &[512, 256], 73_728, 1_170_048),
    ("blk.1.attn_k.weight", TensorType::Q4_K, &[256, 128], 18_432, 1_392_256),
];
