//! Tokenizers against the reference data: every vocabulary that lies in the folder, exact ids and the text back.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_gguf::Gguf;
use inkling_text::{DecodeOptions, EncodeOptions, Tokenizer};

/// The folder with the reference data; `None`, said aloud, when it is absent and nobody requires it.
fn reference() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference");
    let folder = std::env::var_os("INKLING_REFERENCE").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var_os("INKLING_REQUIRE_REFERENCE").is_some();
    assert!(!required, "reference data not found at {}", folder.display());
    println!("reference data not found, skipped");
    None
}

fn load(path: &Path) -> Tokenizer {
    let gguf = Gguf::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Tokenizer::from_metadata(gguf.metadata()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts of a `.inp` file and the ids of its `.out` file.
fn cases(vocabulary: &Path) -> Option<Vec<(String, Vec<u32>)>> {
    let beside = |extension: &str| std::fs::read_to_string(format!("{}.{extension}", vocabulary.display())).ok();
    let (texts, ids) = (beside("inp")?, beside("out")?);
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids: Vec<Vec<u32>> =
        ids.lines().map(|line| line.split_whitespace().map(|id| id.parse().unwrap()).collect()).collect();
    // The last text ends with the file's own separator or not at all; both leave at most an empty text too many.
    assert!(texts.len() >= ids.len(), "{}: {} texts, {} answers", vocabulary.display(), texts.len(), ids.len());
    Some(texts.into_iter().map(str::to_owned).zip(ids).collect())
}

fn vocabularies(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "gguf")).collect();
    files.sort();
    files
}

#[test]
fn every_vocabulary_gives_the_reference_ids_and_the_text_back() {
    let Some(reference) = reference() else { return };
    let mut checked = 0;
    for path in vocabularies(&reference.join("tokenizers")) {
        let Some(cases) = cases(&path) else { continue };
        let tokenizer = Arc::new(load(&path));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut wrong = 0;
        for (text, expected) in &cases {
            let ids = tokenizer.encode(text, EncodeOptions::default()).unwrap();
            if &ids != expected {
                wrong += 1;
                eprintln!("{name}: {text:?}\n  expected {expected:?}\n  got      {ids:?}");
                continue;
            }
            let back = tokenizer.decode(&ids, DecodeOptions::default()).unwrap();
            // BERT's normaliser forgets case, accents and white space; nobody can give them back.
            if !name.contains("bert") {
                assert_eq!(&back, text, "{name}");
            }
            let mut stream = tokenizer.stream(DecodeOptions::default());
            let mut streamed: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
            streamed.push_str(&stream.finish());
            assert_eq!(streamed, back, "{name}: streamed");
        }
        assert_eq!(wrong, 0, "{name}: {wrong} of {} texts", cases.len());
        println!("{name}: {} texts", cases.len());
        checked += 1;
    }
    assert!(checked >= 1, "no vocabulary with .inp and .out found");
}

/// The real model, where `make model` puts it; `None`, said aloud, when it is absent and nobody requires it.
fn smollm2() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let file = cache.join("inkling/models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if file.is_file() {
        return Some(file);
    }
    assert!(std::env::var_os("INKLING_REQUIRE_MODEL").is_none(), "{} not found: run `make model`", file.display());
    println!("SmolLM2 not found, skipped");
    None
}

#[test]
fn rendered_conversations_give_the_reference_ids() {
    let (Some(reference), Some(model)) = (reference(), smollm2()) else { return };
    let tokenizer = load(&model);
    let cases = std::fs::read_to_string(reference.join("smollm2/greedy.json")).unwrap();
    let cases: serde_json::Value = serde_json::from_str(&cases).unwrap();
    let ids = |value: &serde_json::Value| -> Vec<u32> {
        value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    for case in cases.as_array().unwrap() {
        let rendered = case["rendered"].as_str().unwrap();
        let options = EncodeOptions { add_special: false, parse_special: true };
        assert_eq!(tokenizer.encode(rendered, options).unwrap(), ids(&case["tokens"]), "{rendered:?}");
        let answer = tokenizer.decode(&ids(&case["greedy"]), DecodeOptions::default()).unwrap();
        assert_eq!(answer.trim_end_matches('\u{FFFD}'), case["answer"].as_str().unwrap().trim_end_matches('\u{FFFD}'));
    }
    assert!(tokenizer.is_end(tokenizer.token_id("<|im_end|>").unwrap()));
    println!("SmolLM2: {} conversations", cases.as_array().unwrap().len());
}
