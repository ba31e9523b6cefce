//! The CPU back end against exact logits that another implementation computed: every small model of the reference
//! folder, and the real SmolLM2. It may be 1.25 times as far off as llama.cpp.
#![allow(clippy::unwrap_used)]

use inkling_compute::{Batch, Decoder, KvType, Output, Run, Want};
use inkling_compute_cpu::Cpu;
use inkling_testkit::golden::{GreedyCase, ModelCase, nmse, reference_dir, smollm2};
use inkling_testkit::whole::{load, logits};

/// How far llama.cpp is off on SmolLM2.
const LLAMA_CPP_ON_SMOLLM2: f64 = 9.05e-4;
/// A choice between tokens whose logits are nearer than this may go either way.
const CLEAR_MARGIN: f64 = 1.0;

#[test]
fn small_models() {
    let Some(reference) = reference_dir() else { return };
    let cases = ModelCase::all(&reference);
    assert!(cases.len() >= 20, "the folder holds 20 models and more, {} were found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let mut decoder = load(&Cpu::default(), &case.path(&reference));
        let error = nmse(&logits(&mut *decoder, KvType::default(), &case.tokens, &case.at), &case.logits(&reference));
        let ratio = error / case.llama_cpp_nmse;
        println!("{:28} NMSE {error:.2e}, {ratio:.2} of llama.cpp's {:.2e}", case.model, case.llama_cpp_nmse);
        if ratio > 1.25 {
            wrong.push(format!("{} {ratio:.2}", case.model));
        }
    }
    assert!(wrong.is_empty(), "further off than 1.25 times llama.cpp: {wrong:?}");
}

#[test]
fn smollm2_logits_and_greedy_answers() {
    let (Some(reference), Some(model)) = (reference_dir(), smollm2()) else { return };
    let mut decoder = load(&Cpu::default(), &model);
    let exact = GreedyCase::logits(&reference).concat();
    let cases = GreedyCase::all(&reference);
    let mut found = Vec::new();
    for case in &cases {
        found.extend(logits(&mut *decoder, KvType::default(), &case.tokens, &[case.tokens.len() - 1]));
    }
    let error = nmse(&found, &exact);
    println!("SmolLM2, all prompts: NMSE {error:.2e}, {:.2} of llama.cpp's", error / LLAMA_CPP_ON_SMOLLM2);
    assert!(error <= 1.25 * LLAMA_CPP_ON_SMOLLM2, "NMSE {error:.2e}");

    for (index, case) in cases.iter().enumerate() {
        let sure = case.margins.iter().position(|&margin| margin < CLEAR_MARGIN).unwrap_or(case.greedy.len());
        let answer = greedy(&mut *decoder, &case.tokens, case.greedy.len());
        let same = answer.iter().zip(&case.greedy).take_while(|(ours, exact)| ours == exact).count();
        println!("prompt {index}: {same} of {} tokens as in exact arithmetic, {sure} of them clear", case.greedy.len());
        assert!(same >= sure, "prompt {index} parts at token {same}, where the margin is {}", case.margins[same]);
    }
}

fn greedy(decoder: &mut dyn Decoder, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut kv = decoder.new_cache(KvType::default(), prompt.len() + count).unwrap();
    let sequence = kv.open();
    let (mut output, mut answer, mut next) = (Output::new(), Vec::new(), prompt.to_vec());
    for _ in 0..count {
        let runs = [Run { sequence, start: kv.len(sequence), count: next.len() }];
        let last = [next.len() - 1];
        decoder.forward(&Batch { tokens: &next, runs: &runs }, &mut kv, Want::Argmax(&last), &mut output).unwrap();
        next = vec![output.argmax()[0]];
        answer.extend(&next);
    }
    answer
}
