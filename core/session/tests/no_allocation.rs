//! From the engine thread to a waiting reader, a token costs one allocation: the text that the reader owns.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_compute::PAGE_POSITIONS;
use inkling_compute_cpu::Cpu;
use inkling_session::{CompletionPrompt, Event, GenerationOptions, LoadOptions, Model, SamplingOptions};
use inkling_testkit::allocations::Counting;
use inkling_testkit::tiny::{Family, TinyModel};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of all threads during a turn, and how many texts it delivered.
fn turn(model: &Model, sampling: &SamplingOptions, tokens: usize) -> (usize, usize) {
    let mut options = GenerationOptions::default().max_tokens(tokens);
    options.sampling = sampling.clone();
    let before = Counting::count();
    let mut turn = model.complete(CompletionPrompt::Tokens(vec![70, 71]), options).unwrap();
    let (mut texts, mut generated) = (0, 0);
    while let Some(event) = turn.next().unwrap() {
        match event {
            Event::Text(_) => texts += 1,
            Event::Finished(stats) => generated = stats.generated_tokens,
            _ => {}
        }
    }
    drop(turn);
    // The engine lets go of the turn a moment after its end is read; another command waits for that.
    model.memory().unwrap();
    assert_eq!(generated, tokens);
    (Counting::count() - before, texts)
}

#[test]
fn a_token_costs_the_text_that_its_reader_owns_and_nothing_else() {
    let mut options = LoadOptions::default();
    (options.threads, options.batch) = (Some(2), 16);
    let tiny = TinyModel::new(Family::Qwen3);
    let model = Model::load(Arc::new(tiny.gguf()), &Cpu::default(), &options, &CancelToken::new(), &|_| {}).unwrap();
    let ends: Vec<(u32, f32)> = model.tokenizer().end_tokens().iter().map(|&end| (end, f32::NEG_INFINITY)).collect();
    let mut usual = SamplingOptions::default();
    (usual.seed, usual.logit_bias) = (Some(3), ends);
    let mut penalised = usual.clone();
    (penalised.penalties.repetition, penalised.penalties.frequency) = (1.1, 0.1);
    let mut greedy = usual.clone();
    greedy.temperature = 0.0;
    for (name, sampling) in [("usual", usual), ("penalised", penalised), ("greedy", greedy)] {
        // The first turn fills buffers that the engine keeps; both others end on the cache's first page.
        turn(&model, &sampling, PAGE_POSITIONS - 4);
        // A channel allocates when its reader must wait, once a turn or not at all, as the threads happen to run. What a
        // token cost would be there in each pair of turns.
        let excess: Vec<isize> = (0..8)
            .map(|_| {
                let (few, few_texts) = turn(&model, &sampling, 6);
                let (many, many_texts) = turn(&model, &sampling, PAGE_POSITIONS - 4);
                assert!(many_texts > few_texts + 8, "{name}: {many_texts} texts");
                (many as isize - few as isize) - (many_texts as isize - few_texts as isize)
            })
            .collect();
        assert!(excess.contains(&0), "{name}: beside the texts {excess:?} allocations");
        assert!(excess.iter().all(|extra| extra.abs() <= 2), "{name}: beside the texts {excess:?} allocations");
    }
}
