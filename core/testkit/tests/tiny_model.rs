//! Tiny models are read, tokenized and run by the engine's own parts, whatever their family and shape.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::{Backend, Batch, KvType, LoadPlan, Output, Run, Want, WeightCache, Weights};
use inkling_compute_reference::Reference;
use inkling_gguf::TensorType;
use inkling_models::{SpecOptions, read_spec};
use inkling_testkit::tiny::{Family, SMALLEST_VOCABULARY, TinyModel};
use inkling_text::{DecodeOptions, EncodeOptions, Tokenizer};

fn shapes(family: Family) -> [TinyModel; 3] {
    let base = TinyModel::new(family);
    let wide = TinyModel {
        weights: TensorType::Q4_K,
        embedding: TensorType::Q6_K,
        width: 256,
        inner: 512,
        heads: 4,
        kv_heads: 2,
        head_width: 64,
        tied: !base.tied,
        ..base.clone()
    };
    let odd = TinyModel {
        weights: TensorType::Q5_1,
        vocabulary: SMALLEST_VOCABULARY,
        width: 36,
        inner: 50,
        layers: 7,
        heads: 3,
        kv_heads: 3,
        head_width: 10,
        ..base.clone()
    };
    [base, wide, odd]
}

#[test]
fn every_family_runs() {
    for model in Family::ALL.into_iter().flat_map(shapes) {
        let file = Arc::new(model.gguf());
        let spec = read_spec(&file, &SpecOptions::default()).unwrap_or_else(|error| panic!("{model:?}: {error}"));
        assert_eq!(spec.is_tied(), model.tied);
        let cancel = CancelToken::new();
        let plan = LoadPlan {
            threads: 1,
            max_batch: 8,
            max_outputs: 1,
            weight_cache: &WeightCache::Off,
            cancel: &cancel,
            progress: &|_| {},
        };
        let mut decoder = Reference.load(Arc::new(spec), Weights::new(file), &plan).unwrap();
        let mut kv = decoder.new_cache(KvType::F32, 8).unwrap();
        let runs = [Run { sequence: kv.open(), start: 0, count: 4 }];
        let mut output = Output::new();
        let batch = Batch { tokens: &[70, 71, 72, 73], runs: &runs };
        decoder.forward(&batch, &mut kv, Want::Logits(&[3]), &mut output).unwrap();
        let logits = output.logits(0);
        let square = logits.iter().map(|logit| logit * logit).sum::<f32>() / logits.len() as f32;
        assert!((0.5..100.0).contains(&square), "{model:?}: logits of mean square {square}");
    }
}

#[test]
fn its_tokenizer_encodes_any_text() {
    let file = TinyModel::new(Family::Qwen3).gguf();
    let tokenizer = Tokenizer::from_metadata(file.metadata()).unwrap();
    assert_eq!(tokenizer.vocabulary_size(), 300);
    for text in ["", "banana cabana", "Grüße, 世界! 🎈\n\t0"] {
        let ids = tokenizer.encode(text, EncodeOptions::default()).unwrap();
        assert_eq!(tokenizer.decode(&ids, DecodeOptions::default()).unwrap(), text);
    }
    let ids = tokenizer.encode("banana", EncodeOptions::default()).unwrap();
    assert!(ids.len() < "banana".len(), "pairs of letters are merged: {ids:?}");
    assert!(tokenizer.is_end(2));
}
