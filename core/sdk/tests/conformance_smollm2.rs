//! The real SmolLM2-135M-Instruct through the facade against exact results: the oracle's greedy answers, and
//! perplexity on both back ends. (Greedy answers of `cpu` are compared in `inkling-session`.)
#![allow(clippy::unwrap_used)]

use inkling::developer::Probe;
use inkling::{
    BackendChoice, CompletionPrompt, Engine, EngineConfig, GenerationOptions, KvType, LoadOptions, Message,
    ModelSource, WeightCache,
};
use inkling_testkit::golden::{GreedyCase, PerplexityCase, reference_dir, smollm2};

/// The oracle differs from the exact results only by the order of f32 additions.
const ORACLE_MARGIN: f64 = 1e-3;

fn engine(backend: BackendChoice) -> Engine {
    Engine::new(EngineConfig::default().backend(backend).weight_cache(WeightCache::Off)).unwrap()
}

fn options(backend: BackendChoice) -> LoadOptions {
    let mut options = LoadOptions::default();
    options.kv = if backend == BackendChoice::Reference { KvType::F32 } else { KvType::default() };
    options
}

#[test]
fn reference_follows_the_exact_answers() {
    let backend = BackendChoice::Reference;
    let (Some(reference), Some(file)) = (reference_dir(), smollm2()) else { return };
    let model = engine(backend).load(ModelSource::file(file), options(backend), |_| {}).unwrap();
    for (index, case) in GreedyCase::all(&reference).into_iter().enumerate() {
        if !case.messages.is_empty() {
            let message = |m: &inkling_testkit::golden::Message| Message::new(&m.role, &m.content);
            let prompt = model.prompt_tokens(case.messages.iter().map(message).collect(), None).unwrap();
            assert_eq!(prompt, case.tokens, "prompt {index}");
        }
        let clear = case.margins.iter().position(|&m| m < ORACLE_MARGIN).unwrap_or(case.greedy.len());
        let asked = GenerationOptions::default().greedy().max_tokens(case.greedy.len());
        let turn = model.complete(CompletionPrompt::Tokens(case.tokens), asked).unwrap();
        let found = turn.collect().unwrap().stats.tokens;
        // The exact continuation includes the token that ends the answer, the engine's tokens do not.
        let clear = clear.min(found.len().max(case.greedy.len() - 1));
        let same = found.iter().zip(&case.greedy).take_while(|(found, exact)| found == exact).count();
        println!(
            "{backend:?}, prompt {index}: {same} of {} tokens are the exact ones, {clear} clear",
            case.greedy.len()
        );
        assert!(same >= clear, "prompt {index} leaves the exact answer at token {same}, clear until {clear}");
    }
}

fn perplexity(backend: BackendChoice, tolerance: f64) {
    let (Some(reference), Some(file)) = (reference_dir(), smollm2()) else { return };
    let (case, text) = PerplexityCase::read(&reference);
    let mut options = options(backend);
    options.context = Some(case.ctx);
    let mut probe = Probe::load(&engine(backend), &ModelSource::file(file), &options, &|_| {}).unwrap();
    let found = probe.perplexity(&text, |_, _| {}).unwrap().perplexity;
    let off = found / case.exact - 1.0;
    println!("{backend:?}: perplexity {found:.4}, exact {:.4} ({:+.4} %)", case.exact, off * 100.0);
    assert!(off.abs() <= tolerance, "perplexity {found} is too far from {}", case.exact);
}

#[test]
fn cpu_perplexity() {
    perplexity(BackendChoice::Cpu, 0.005);
}

#[test]
fn reference_perplexity() {
    perplexity(BackendChoice::Reference, 1e-4);
}
