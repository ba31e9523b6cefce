//! Conversations with SmolLM2 against the exact greedy answers of the reference data.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute_cpu::Cpu;
use inkling_gguf::Gguf;
use inkling_session::{CompletionPrompt, GenerationOptions, LoadOptions, Message, Model, Response, SessionConfig};
use inkling_testkit::golden::{GreedyCase, reference_dir, smollm2};

/// A choice whose margin is smaller may fall the other way in quantised arithmetic.
const MARGIN: f64 = 1.0;

fn messages(case: &GreedyCase) -> Vec<Message> {
    case.messages.iter().map(|message| Message::new(&message.role, &message.content)).collect()
}

fn answer(model: &Model, case: &GreedyCase) -> Response {
    let options = GenerationOptions::default().greedy().max_tokens(case.greedy.len());
    let mut messages = messages(case);
    match messages.pop() {
        Some(last) => {
            let session = model.session(SessionConfig::default().messages(messages)).unwrap();
            session.respond(&last.content, options).unwrap()
        }
        None => model.complete(CompletionPrompt::Tokens(case.tokens.clone()), options).unwrap().collect().unwrap(),
    }
}

#[test]
fn prompts_and_greedy_answers_are_those_of_the_reference() {
    let (Some(reference), Some(file)) = (reference_dir(), smollm2()) else { return };
    let file = Arc::new(Gguf::open(&file).unwrap());
    let model = Model::load(file, &Cpu::default(), &LoadOptions::default(), &CancelToken::new(), &|_| {}).unwrap();
    let cases = GreedyCase::all(&reference);
    assert!(!cases.is_empty());
    for case in cases.iter().filter(|case| !case.messages.is_empty()) {
        assert_eq!(model.prompt_tokens(messages(case), None).unwrap(), case.tokens, "{}", case.rendered);
    }
    let alone: Vec<Response> = cases.iter().map(|case| answer(&model, case)).collect();
    for (case, response) in cases.iter().zip(&alone) {
        let mut tokens = response.stats.tokens.clone();
        if case.greedy.len() > tokens.len() {
            tokens.extend(model.tokenizer().eos());
        }
        let parted = tokens.iter().zip(&case.greedy).position(|(ours, exact)| ours != exact);
        match parted {
            None => assert_eq!((tokens.len(), &response.text), (case.greedy.len(), &case.answer)),
            Some(at) => assert!(case.margins[at] < MARGIN, "parted at {at} by {}: {}", case.margins[at], response.text),
        }
    }
    let together: Vec<Response> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| scope.spawn(|| answer(&model, case))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!(alone.text, together.text, "together with others");
    }
}
