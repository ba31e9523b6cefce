//! The table of cases that every language runs (bindings/cases/cases.json): the same tokens, texts, events and errors.
//!
//! `INKLING_WRITE_CASES=FILE` writes the table with what was found; look at every difference before you keep it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{DEMO, block_on, engine, load, read, text};
use inkling_ffi::{
    FfiEngine, FfiEngineConfig, FfiError, FfiEvent, FfiFinish, FfiGenerationOptions, FfiLoadOptions, FfiLogitBias,
    FfiMessage, FfiModel, FfiPrompt, FfiSignals,
};
use serde_json::{Map, Value, json};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/cases.json");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn number(value: &Value) -> Option<u32> {
    value.as_u64().map(|number| number as u32)
}

fn float(value: &Value) -> Option<f32> {
    match value.as_str() {
        Some("nan") => Some(f32::NAN),
        _ => value.as_f64().map(|number| number as f32),
    }
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(number).collect()
}

fn generation(options: &Value) -> FfiGenerationOptions {
    FfiGenerationOptions {
        max_tokens: number(&options["max_tokens"]),
        stop: options["stop"].as_array().into_iter().flatten().filter_map(string).collect(),
        temperature: float(&options["temperature"]),
        top_k: number(&options["top_k"]),
        top_p: float(&options["top_p"]),
        min_p: float(&options["min_p"]),
        seed: options["seed"].as_u64(),
        log_probs: number(&options["log_probs"]),
        // `null` bans a token: JSON has no infinity.
        logit_bias: options["logit_bias"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pair| FfiLogitBias {
                token: number(&pair[0]).unwrap(),
                amount: float(&pair[1]).unwrap_or(f32::NEG_INFINITY),
            })
            .collect(),
        ..FfiGenerationOptions::default()
    }
}

fn loading(options: &Value) -> FfiLoadOptions {
    FfiLoadOptions {
        context: number(&options["context"]),
        threads: number(&options["threads"]),
        batch: number(&options["batch"]),
        kv: string(&options["kv"]),
        cache_positions: number(&options["cache_positions"]),
    }
}

fn finish(finish: &FfiFinish) -> String {
    match finish {
        FfiFinish::EndOfAnswer => "end_of_answer".to_owned(),
        FfiFinish::StopString { text } => format!("stop_string {text}"),
        FfiFinish::MaxTokens => "max_tokens".to_owned(),
        FfiFinish::Cancelled => "cancelled".to_owned(),
        FfiFinish::ContextFull { limit } => format!("context_full {limit}"),
    }
}

fn event(event: &FfiEvent) -> String {
    match event {
        FfiEvent::Prefilling { done, total } => format!("prefilling {done}/{total}"),
        FfiEvent::Generating => "generating".to_owned(),
        FfiEvent::Text { delta } => format!("text {delta}"),
        FfiEvent::Thinking { delta } => format!("thinking {delta}"),
        FfiEvent::LogProbs { chosen, top } => format!("log_probs {} of {}", chosen.token, top.len()),
        FfiEvent::Finished { stats } => format!("finished {}", finish(&stats.finish)),
    }
}

fn answer(model: &FfiModel, case: &mut Value) {
    let session = model.session(string(&case["instructions"]), Vec::new()).unwrap();
    for turn in case["turns"].as_array_mut().unwrap() {
        let stream = session.stream(string(&turn["prompt"]).unwrap(), generation(&turn["options"])).unwrap();
        let (events, outcome) = read(&stream);
        let stats = outcome.unwrap();
        turn["text"] = json!(text(&events));
        turn["tokens"] = json!(stats.tokens);
        turn["prompt_tokens"] = json!(stats.prompt_tokens);
        turn["reused_tokens"] = json!(stats.reused_tokens);
        turn["events"] = json!(events.iter().map(event).collect::<Vec<_>>());
    }
}

fn error(error: FfiError) -> Value {
    use FfiError as E;
    let (kind, fields) = match error {
        E::ModelNotFound { .. } => ("ModelNotFound", json!({})),
        E::ModelCorrupt { .. } => ("ModelCorrupt", json!({})),
        E::UnsupportedModel { .. } => ("UnsupportedModel", json!({})),
        E::OutOfMemory { .. } => ("OutOfMemory", json!({})),
        E::ContextOverflow { limit, used, .. } => ("ContextOverflow", json!({"limit": limit, "used": used})),
        E::BackendUnavailable { backend, .. } => ("BackendUnavailable", json!({"backend": backend})),
        E::Cancelled { .. } => ("Cancelled", json!({})),
        E::Busy { .. } => ("Busy", json!({})),
        E::StorageFull { .. } => ("StorageFull", json!({})),
        E::Network { retryable, .. } => ("Network", json!({"retryable": retryable})),
        E::Integrity { file, chunk, .. } => ("Integrity", json!({"file": file, "chunk": chunk})),
        E::InvalidInput { field, .. } => ("InvalidInput", json!({"field": field})),
        E::Internal { .. } => ("Internal", json!({})),
    };
    let mut said = Map::new();
    said.insert("kind".to_owned(), json!(kind));
    said.extend(fields.as_object().unwrap().clone());
    Value::Object(said)
}

/// Does what a case says, to the end.
fn attempt(case: &Value) -> Result<(), FfiError> {
    let path = match (case["path"].as_str(), case["bytes"].as_str()) {
        (Some(path), _) => format!("{ROOT}/{path}"),
        (None, Some(hex)) => {
            let path = format!("{}/case-{}.gguf", env!("CARGO_TARGET_TMPDIR"), hex.len());
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
            std::fs::write(&path, bytes).unwrap();
            path
        }
        (None, None) => DEMO.to_owned(),
    };
    match case["do"].as_str().unwrap() {
        "engine" => {
            let backend = string(&case["backend"]).unwrap();
            return FfiEngine::new(FfiEngineConfig { backend, weight_cache: None }, FfiSignals::default()).map(|_| ());
        }
        "inspect" => return engine().inspect(path).map(|_| ()),
        _ => {}
    }
    let model = load(&path, loading(&case["load"]))?;
    let options = generation(&case["options"]);
    let stream = match case["do"].as_str().unwrap() {
        "load" => return Ok(()),
        "threads" => return model.set_threads(number(&case["threads"]).unwrap()),
        "detokenize" => return model.detokenize(ids(&case["ids"])).map(|_| ()),
        "respond" => {
            let count = case["repeat"].as_u64().unwrap_or(1) as usize;
            let transcript = Vec::<FfiMessage>::new();
            model.session(None, transcript)?.stream(case["prompt"].as_str().unwrap().repeat(count), options)?
        }
        "complete" => match case["prompt"].as_str() {
            Some(text) => model.complete(FfiPrompt::Text { text: text.to_owned() }, options)?,
            None => model.complete(FfiPrompt::Tokens { ids: ids(&case["ids"]) }, options)?,
        },
        other => panic!("a case cannot do {other:?}"),
    };
    while block_on(stream.next())?.is_some() {}
    Ok(())
}

#[test]
fn the_table_of_cases() {
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(TABLE).unwrap()).unwrap();
    let mut found = expected.clone();
    let model = common::demo();
    for case in found["tokens"].as_array_mut().unwrap() {
        let ids = model.tokenize(string(&case["text"]).unwrap()).unwrap();
        assert_eq!(model.detokenize(ids.clone()).unwrap(), case["text"]);
        case["ids"] = json!(ids);
    }
    found["answers"].as_array_mut().unwrap().iter_mut().for_each(|case| answer(&model, case));
    for case in found["errors"].as_array_mut().unwrap() {
        let outcome = attempt(case);
        case["error"] = outcome.map_or_else(error, |()| Value::Null);
    }
    if let Ok(path) = std::env::var("INKLING_WRITE_CASES") {
        std::fs::write(path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    for kind in ["tokens", "answers", "errors"] {
        let (expected, found) = (expected[kind].as_array().unwrap(), found[kind].as_array().unwrap());
        assert!(expected.len() >= 5);
        expected.iter().zip(found).for_each(|(expected, found)| assert_eq!(expected, found));
    }
}
