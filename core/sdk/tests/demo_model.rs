//! The tiny model inside the repository against golden data that an independent implementation (numpy, f32, see
//! scripts/demo-model/golden.py) computed from the same file: prompts, logits, answers.
#![allow(clippy::unwrap_used)]

use inkling::developer::Probe;
use inkling::{
    BackendChoice, CompletionPrompt, Engine, EngineConfig, GenerationOptions, KvType, LoadOptions, Message,
    ModelSource, WeightCache,
};
use serde_json::Value;

/// A quantised back end must give the exact token wherever the choice was clearer than this.
const CLEAR_MARGIN: f64 = 1.0;

struct Case {
    messages: Vec<Message>,
    tokens: Vec<u32>,
    greedy: Vec<u32>,
    margins: Vec<f64>,
    text: String,
    /// The ten largest logits after the prompt.
    top: Vec<(usize, f32)>,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/data/demo-model.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let ids = |value: &Value| value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    let case = |case: &Value| Case {
        messages: case["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| Message::new(m["role"].as_str().unwrap(), m["content"].as_str().unwrap()))
            .collect(),
        tokens: ids(&case["tokens"]),
        greedy: ids(&case["greedy"]),
        margins: case["margins"].as_array().unwrap().iter().map(|m| m.as_f64().unwrap()).collect(),
        text: case["text"].as_str().unwrap().to_owned(),
        top: case["top"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_u64().unwrap() as usize, pair[1].as_f64().unwrap() as f32))
            .collect(),
    };
    golden["cases"].as_array().unwrap().iter().map(case).collect()
}

fn source() -> ModelSource {
    ModelSource::file(concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/assets/inkling-demo.gguf"))
}

fn engine(backend: BackendChoice) -> Engine {
    Engine::new(EngineConfig::default().backend(backend).weight_cache(WeightCache::Off)).unwrap()
}

fn answers_agree(backend: BackendChoice, margin: f64) {
    let model = engine(backend).load(source(), LoadOptions::default(), |_| {}).unwrap();
    let cases = cases();
    assert!(cases.len() >= 20);
    for case in cases {
        let prompt = model.prompt_tokens(case.messages, None).unwrap();
        assert_eq!(prompt, case.tokens);
        let options = GenerationOptions::default().greedy().max_tokens(case.greedy.len() + 1);
        let answer = model.complete(CompletionPrompt::Tokens(prompt), options).unwrap().collect().unwrap();
        // One margin more than tokens: the last is that of the end.
        let clear = case.margins.iter().position(|&m| m < margin);
        match clear {
            None => assert_eq!((answer.stats.tokens, answer.text), (case.greedy, case.text)),
            Some(clear) => assert_eq!(answer.stats.tokens[..clear], case.greedy[..clear], "{}", case.text),
        }
    }
}

fn logits_agree(backend: BackendChoice, kv: KvType, tolerance: f32) {
    let mut options = LoadOptions::default();
    options.kv = kv;
    let mut probe = Probe::load(&engine(backend), &source(), &options, &|_| {}).unwrap();
    for case in cases() {
        probe.truncate(0);
        let last = case.tokens.len() - 1;
        let mut found = Vec::new();
        probe
            .logits(&case.tokens, &[last], |_, row| {
                found.extend_from_slice(row);
                Ok(())
            })
            .unwrap();
        for (token, exact) in case.top {
            let off = (found[token] - exact).abs();
            assert!(off <= tolerance, "{backend:?}: token {token} has {}, exact is {exact}", found[token]);
        }
    }
}

#[test]
fn reference_answers_exactly() {
    answers_agree(BackendChoice::Reference, 1e-3);
}

#[test]
fn cpu_answers_wherever_the_choice_is_clear() {
    answers_agree(BackendChoice::Cpu, CLEAR_MARGIN);
}

#[test]
fn reference_logits() {
    logits_agree(BackendChoice::Reference, KvType::F32, 1e-3);
}

#[test]
fn cpu_logits() {
    logits_agree(BackendChoice::Cpu, KvType::F16, 1.0);
}
