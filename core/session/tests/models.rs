//! Sessions over real back ends and tiny models of every family.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_compute::{Backend, KvType};
use inkling_compute_cpu::Cpu;
use inkling_compute_reference::Reference;
use inkling_session::{
    CompletionPrompt, Event, FinishReason, GenerationOptions, LoadOptions, Model, SamplingOptions, Session,
    SessionConfig,
};
use inkling_testkit::tiny::{Family, TinyModel};

fn backends() -> Vec<Box<dyn Backend>> {
    vec![Box::new(Reference), Box::new(Cpu::default())]
}

fn options() -> LoadOptions {
    let mut options = LoadOptions::default();
    (options.threads, options.batch, options.kv) = (Some(2), 16, KvType::F32);
    options
}

fn load(backend: &dyn Backend, model: &TinyModel, options: &LoadOptions) -> Model {
    Model::load(Arc::new(model.gguf()), backend, options, &CancelToken::new(), &|_| {}).unwrap()
}

fn session(model: &Model) -> Session {
    model.session(SessionConfig::default().instructions("Be brief.")).unwrap()
}

/// Noise never ends by itself, and its end token must not cut the comparison short.
fn seeded(seed: u64, max_tokens: usize) -> GenerationOptions {
    let mut sampling = SamplingOptions::default();
    (sampling.temperature, sampling.seed) = (1.0, Some(seed));
    let mut options = GenerationOptions::default().max_tokens(max_tokens);
    options.sampling = sampling;
    options
}

const QUESTIONS: [&str; 3] = ["Good morning, how are you?", "Why?", "And what about the weather in Kraków, ¿eh?"];

#[test]
fn two_conversations_at_a_time_give_what_each_gives_alone() {
    for backend in backends() {
        for family in Family::ALL {
            let tiny = TinyModel::new(family);
            let alone: Vec<Vec<String>> = [1, 2]
                .map(|seed| {
                    let model = load(&*backend, &tiny, &options());
                    let session = session(&model);
                    let answer = |question| session.respond(question, seeded(seed, 24)).unwrap().text;
                    QUESTIONS.map(answer).to_vec()
                })
                .to_vec();
            let model = load(&*backend, &tiny, &options());
            let together = std::thread::scope(|scope| {
                let threads = [1, 2].map(|seed| {
                    let session = session(&model);
                    scope.spawn(move || {
                        QUESTIONS.map(|question| session.respond(question, seeded(seed, 24)).unwrap().text).to_vec()
                    })
                });
                threads.map(|thread| thread.join().unwrap()).to_vec()
            });
            assert_eq!(together, alone, "{} on {}", family.name(), backend.name());
            assert_ne!(alone[0], alone[1]);
        }
    }
}

#[test]
fn a_cached_prefix_changes_no_answer_also_after_a_cancel() {
    for backend in backends() {
        for family in Family::ALL {
            let model = load(&*backend, &TinyModel::new(family), &options());
            let session = session(&model);
            session.respond(QUESTIONS[0], seeded(5, 10)).unwrap();
            let mut turn = session.stream(QUESTIONS[1], seeded(6, 400)).unwrap();
            while !matches!(turn.next().unwrap(), Some(Event::Text(_))) {}
            drop(turn);
            session.cancel_and_wait();
            let transcript = session.transcript();
            let third = session.respond(QUESTIONS[2], seeded(7, 12)).unwrap();
            assert!(third.stats.reused_tokens > 0);
            assert_eq!(third.stats.reused_tokens + third.stats.prefilled_tokens, third.stats.prompt_tokens);
            let fresh = model.session(SessionConfig::default().messages(transcript)).unwrap();
            let again = fresh.respond(QUESTIONS[2], seeded(7, 12)).unwrap();
            assert_eq!((&again.text, again.stats.reused_tokens), (&third.text, 0), "{}", family.name());
        }
    }
}

#[test]
fn seeds_repeat_whatever_the_threads_and_chunks() {
    for backend in backends() {
        let tiny = TinyModel::new(Family::Qwen3);
        let answer = |threads, batch| {
            let mut options = options();
            (options.threads, options.batch) = (Some(threads), batch);
            let model = load(&*backend, &tiny, &options);
            session(&model).respond(QUESTIONS[0], seeded(11, 32)).unwrap().text
        };
        let first = answer(1, 512);
        assert_eq!(answer(2, 512), first);
        assert_eq!(answer(3, 7), first);
    }
}

#[test]
fn threads_may_change_at_every_token() {
    for backend in backends() {
        let tiny = TinyModel::new(Family::Qwen3);
        let answer = |change: bool| {
            let model = load(&*backend, &tiny, &options());
            let mut options = seeded(3, 40);
            let ends = model.tokenizer().end_tokens();
            options.sampling.logit_bias = ends.iter().map(|&end| (end, f32::NEG_INFINITY)).collect();
            let mut turn = session(&model).stream(QUESTIONS[2], options).unwrap();
            let (mut text, mut events) = (String::new(), 0);
            while let Some(event) = turn.next().unwrap() {
                events += 1;
                if change {
                    model.set_threads(1 + events % 2).unwrap();
                }
                if let Event::Text(delta) = event {
                    text += &delta;
                }
            }
            assert!(events > 20);
            text
        };
        assert_eq!(answer(true), answer(false), "{}", backend.name());
    }
    let model = load(&Cpu::default(), &TinyModel::new(Family::Llama), &options());
    model.set_threads(512).unwrap();
    assert!(model.set_threads(0).is_err() && model.set_threads(513).is_err());
}

#[test]
fn greedy_takes_the_arg_max_of_the_logits() {
    for backend in backends() {
        let model = load(&*backend, &TinyModel::new(Family::Llama), &options());
        let prompt = model.tokenizer().encode("Hello", Default::default()).unwrap();
        let greedy = GenerationOptions::default().greedy().max_tokens(12);
        let turn = model.complete(CompletionPrompt::Tokens(prompt.clone()), greedy).unwrap();
        let stats = turn.collect().unwrap().stats;
        let all = [prompt.clone(), stats.tokens.clone()].concat();
        let at: Vec<usize> = (prompt.len() - 1..all.len() - 1).collect();
        let logits = model.logits(all, at, 5, &CancelToken::new()).unwrap();
        let vocabulary = model.spec().vocabulary;
        for (row, &token) in logits.chunks(vocabulary).zip(&stats.tokens) {
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(row.iter().position(|&logit| logit == best), Some(token as usize));
        }
    }
}

#[test]
fn loading_refuses_what_cannot_be() {
    let tiny = TinyModel::new(Family::Llama);
    let refuse = |change: &dyn Fn(&mut LoadOptions)| {
        let mut options = options();
        change(&mut options);
        let loaded = Model::load(Arc::new(tiny.gguf()), &Reference, &options, &CancelToken::new(), &|_| {});
        loaded.unwrap_err().kind()
    };
    let field = |kind| if let ErrorKind::InvalidInput { field, .. } = kind { field } else { panic!("{kind:?}") };
    assert_eq!(field(refuse(&|o| o.threads = Some(0))), "threads");
    assert_eq!(field(refuse(&|o| o.threads = Some(10_000))), "threads");
    assert_eq!(field(refuse(&|o| o.context = Some(tiny.context + 1))), "context");
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let loaded = Model::load(Arc::new(tiny.gguf()), &Reference, &options(), &cancelled, &|_| {});
    assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_small_context_fills_up() {
    let mut options = options();
    options.context = Some(64);
    let model = load(&Reference, &TinyModel::new(Family::Llama), &options);
    let session = session(&model);
    let long = session.respond(&"long ".repeat(200), seeded(1, 5)).unwrap_err();
    assert!(matches!(long.kind(), ErrorKind::ContextOverflow { limit: 64, used } if used > 64));
    let prompt = CompletionPrompt::Tokens(vec![70; 60]);
    let mut never_end = seeded(1, 1000);
    let ends = model.tokenizer().end_tokens();
    never_end.sampling.logit_bias = ends.iter().map(|&end| (end, f32::NEG_INFINITY)).collect();
    let stats = model.complete(prompt, never_end).unwrap().collect().unwrap().stats;
    assert_eq!((stats.finish, stats.generated_tokens), (FinishReason::ContextFull { limit: 64 }, 5));
}
