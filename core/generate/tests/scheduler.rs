//! The scheduler's contract over a scripted decoder, which answers from what the cache really holds.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkling_base::{CancelToken, Classify, ErrorKind, ManualClock};
use inkling_compute::{ComputeError, Decoder, KvType, PAGE_POSITIONS};
use inkling_generate::{
    ConversationId, Event, FinishReason, GenerateError, GenerationOptions, Job, JobSetup, Limits, Phase, Scheduler,
    Sink, Stats, Step, Thinking, ThinkingMarkers,
};
use inkling_testkit::scripted::{END_THINK, IM_END, Pass, ScriptedDecoder, THINK, VOCABULARY, byte_tokenizer};

/// A reader that a test looks into.
#[derive(Default, Clone)]
struct Reader {
    events: Arc<Mutex<Vec<Event>>>,
    outcome: Arc<Mutex<Option<Result<Stats, GenerateError>>>>,
    cancelled: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    ends: Arc<AtomicUsize>,
}

impl Sink for Reader {
    fn has_room(&self) -> bool {
        !self.full.load(Ordering::SeqCst)
    }
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
    fn emit(&mut self, event: Event) {
        assert!(self.outcome.lock().unwrap().is_none(), "an event after the end");
        self.events.lock().unwrap().push(event);
    }
    fn end(self: Box<Self>, outcome: Result<Stats, GenerateError>) {
        self.ends.fetch_add(1, Ordering::SeqCst);
        *self.outcome.lock().unwrap() = Some(outcome);
    }
}

impl Reader {
    fn text(&self) -> String {
        let part = |event: &Event| if let Event::Text(delta) = event { delta.clone() } else { String::new() };
        self.events.lock().unwrap().iter().map(part).collect()
    }
    fn thinking(&self) -> String {
        let part = |event: &Event| if let Event::Thinking(delta) = event { delta.clone() } else { String::new() };
        self.events.lock().unwrap().iter().map(part).collect()
    }
    fn is_over(&self) -> bool {
        self.outcome.lock().unwrap().is_some()
    }
    fn outcome(&self) -> Result<Stats, GenerateError> {
        assert_eq!(self.ends.load(Ordering::SeqCst), 1);
        self.outcome.lock().unwrap().clone().unwrap()
    }
    fn stats(&self) -> Stats {
        self.outcome().unwrap()
    }
}

struct Bench {
    scheduler: Scheduler,
    setup: JobSetup,
    passes: Arc<Mutex<Vec<Pass>>>,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new(decoder: ScriptedDecoder, limits: Limits, cache: usize) -> Self {
        let passes = decoder.passes();
        let clock = Arc::new(ManualClock::default());
        let kv = decoder.new_cache(KvType::F32, cache).unwrap();
        let scheduler = Scheduler::new(Box::new(decoder), kv, limits, clock.clone());
        let setup =
            JobSetup { tokenizer: byte_tokenizer(), context: scheduler.limits().context, vocabulary: VOCABULARY };
        Self { scheduler, setup, passes, clock }
    }

    fn job(&self, conversation: Option<u64>, prompt: &[u32], options: GenerationOptions) -> Result<Job, GenerateError> {
        let conversation = conversation.map(ConversationId);
        Job::new(&self.setup, conversation, prompt.to_vec(), Thinking::default(), options, Duration::ZERO)
    }

    fn start(&mut self, conversation: Option<u64>, prompt: &str, options: GenerationOptions) -> Reader {
        let job = self.job(conversation, &bytes(prompt), options).unwrap();
        let reader = Reader::default();
        self.scheduler.start(job, Box::new(reader.clone()));
        reader
    }

    fn run(&mut self) {
        let mut steps = 0;
        while self.scheduler.step() == Step::Ran {
            steps += 1;
            assert!(steps < 100_000, "does not end");
        }
    }

    fn pass_count(&self) -> usize {
        self.passes.lock().unwrap().len()
    }
}

fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

/// Counts on: after "…7" comes "8", then IM_END after "9".
fn counting() -> ScriptedDecoder {
    ScriptedDecoder::choosing(|history| match history.last() {
        Some(&last) if (48..57).contains(&last) => last + 1,
        _ => IM_END,
    })
}

/// Each history has its own continuation, so an answer shows whether the cache held the right one.
fn hashing() -> ScriptedDecoder {
    ScriptedDecoder::choosing(|history| {
        let hash = history.iter().fold(17_u32, |hash, &token| hash.wrapping_mul(31).wrapping_add(token + 1));
        97 + hash % 26
    })
}

const WIDE: Limits = Limits { context: 1000, max_batch: 16, max_outputs: 8 };

fn greedy() -> GenerationOptions {
    GenerationOptions::default().greedy()
}

#[test]
fn greedy_runs_on_arg_maxes_and_ends_with_the_answer() {
    let mut bench = Bench::new(counting(), WIDE, 1000);
    let reader = bench.start(None, "count: 4", greedy());
    bench.run();
    assert_eq!(reader.text(), "56789");
    let stats = reader.stats();
    assert_eq!(stats.finish, FinishReason::EndOfAnswer);
    assert_eq!((stats.prompt_tokens, stats.prefilled_tokens, stats.generated_tokens), (8, 8, 5));
    assert_eq!(stats.tokens, bytes("56789"));
    assert!(bench.passes.lock().unwrap().iter().all(|pass| !pass.logits));
    assert_eq!(bench.scheduler.cache_bytes(), 0, "a completion leaves nothing behind");
}

#[test]
fn prompts_are_prefilled_in_chunks_with_progress() {
    let mut bench = Bench::new(counting(), Limits { max_batch: 4, ..WIDE }, 1000);
    let reader = bench.start(None, "0123456781", greedy().max_tokens(1));
    bench.run();
    let runs: Vec<_> = bench.passes.lock().unwrap().iter().map(|pass| (pass.runs[0].2, pass.rows)).collect();
    assert_eq!(runs, [(4, 0), (4, 0), (2, 1)]);
    let events = reader.events.lock().unwrap().clone();
    let phase = |done| Event::Phase(Phase::Prefilling { done, total: 10 });
    let generating = Event::Phase(Phase::Generating);
    assert_eq!(events, [phase(0), phase(4), phase(8), phase(10), generating, Event::Text("2".into())]);
    assert_eq!(reader.stats().finish, FinishReason::MaxTokens);
}

#[test]
fn the_next_turn_computes_only_what_is_new() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let first = bench.start(Some(1), "hello", greedy().max_tokens(6));
    bench.run();
    let answer = first.text();
    let before = bench.pass_count();
    let prompt = format!("hello{answer} and more");
    let second = bench.start(Some(1), &prompt, greedy().max_tokens(3));
    bench.run();
    // The last token of the answer was sampled but never computed.
    let stats = second.stats();
    assert_eq!((stats.prompt_tokens, stats.reused_tokens, stats.prefilled_tokens), (20, 10, 10));
    assert_eq!(bench.passes.lock().unwrap()[before].runs[0].1, 10);
    let mut fresh = Bench::new(hashing(), WIDE, 1000);
    let alone = fresh.start(None, &prompt, greedy().max_tokens(3));
    fresh.run();
    assert_eq!(second.text(), alone.text());
}

#[test]
fn asking_the_same_again_leaves_one_token_to_compute() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let first = bench.start(Some(1), "hello", greedy().max_tokens(4));
    bench.run();
    let again = bench.start(Some(1), "hello", greedy().max_tokens(4));
    bench.run();
    assert_eq!(again.text(), first.text());
    assert_eq!((again.stats().reused_tokens, again.stats().prefilled_tokens), (4, 1));
}

#[test]
fn a_cancelled_turn_stops_within_one_pass_and_its_prefix_is_reused() {
    let mut bench = Bench::new(hashing(), Limits { max_batch: 4, ..WIDE }, 1000);
    let long = "x".repeat(40);
    let reader = bench.start(Some(1), &long, greedy());
    for _ in 0..3 {
        assert_eq!(bench.scheduler.step(), Step::Ran);
    }
    reader.cancelled.store(true, Ordering::SeqCst);
    let passes = bench.pass_count();
    bench.run();
    assert_eq!(bench.pass_count(), passes, "no chunk after the cancel");
    assert_eq!(reader.stats().finish, FinishReason::Cancelled);
    assert_eq!(reader.stats().prefilled_tokens, 12);
    let next = bench.start(Some(1), &format!("{long}y"), greedy().max_tokens(5));
    bench.run();
    assert_eq!(next.stats().reused_tokens, 12);

    let reader = bench.start(Some(1), &long, greedy());
    while reader.text().len() < 7 {
        assert_eq!(bench.scheduler.step(), Step::Ran);
    }
    reader.cancelled.store(true, Ordering::SeqCst);
    let passes = bench.pass_count();
    bench.run();
    assert_eq!(bench.pass_count(), passes, "no token after the cancel");
    assert_eq!(reader.stats().generated_tokens, 7);
    let next = bench.start(Some(1), &format!("{long}{}z", reader.text()), greedy().max_tokens(2));
    bench.run();
    assert_eq!(next.stats().reused_tokens, 46);
}

#[test]
fn cancelled_before_it_begins() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let reader = Reader::default();
    reader.cancelled.store(true, Ordering::SeqCst);
    let job = bench.job(None, &bytes("a"), greedy()).unwrap();
    bench.scheduler.start(job, Box::new(reader.clone()));
    assert_eq!(reader.stats().finish, FinishReason::Cancelled);
    assert_eq!(bench.scheduler.step(), Step::Idle);
    assert_eq!(bench.pass_count(), 0);
}

#[test]
fn turns_together_give_what_each_gives_alone() {
    let prompts = ["one", "two is longer than a batch of sixteen tokens", "three", "", "five5"];
    let alone: Vec<String> = prompts
        .iter()
        .map(|prompt| {
            let mut bench = Bench::new(hashing(), WIDE, 1000);
            let reader = bench.start(None, &format!("p{prompt}"), greedy().max_tokens(30));
            bench.run();
            reader.text()
        })
        .collect();
    for (max_batch, max_outputs) in [(16, 8), (1, 1), (2, 1), (3, 2), (7, 8)] {
        let mut bench = Bench::new(hashing(), Limits { max_batch, max_outputs, ..WIDE }, 1000);
        let readers: Vec<Reader> =
            prompts.iter().map(|prompt| bench.start(None, &format!("p{prompt}"), greedy().max_tokens(30))).collect();
        bench.run();
        for (reader, alone) in readers.iter().zip(&alone) {
            assert_eq!(&reader.text(), alone, "batch {max_batch}, outputs {max_outputs}");
        }
        for pass in bench.passes.lock().unwrap().iter() {
            assert!(pass.runs.iter().map(|run| run.2).sum::<usize>() <= max_batch && pass.rows <= max_outputs);
        }
    }
}

#[test]
fn one_pass_serves_all_turns_and_a_chunk() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let short: Vec<Reader> = (0..3).map(|_| bench.start(None, "a", greedy().max_tokens(100))).collect();
    bench.scheduler.step();
    let long = bench.start(None, &"b".repeat(60), greedy().max_tokens(1));
    bench.scheduler.step();
    let pass = bench.passes.lock().unwrap().last().cloned().unwrap();
    let mut counts: Vec<usize> = pass.runs.iter().map(|run| run.2).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 1, 13], "three tokens and a chunk fill the batch of 16");
    while !long.is_over() {
        let before: Vec<usize> = short.iter().map(|reader| reader.text().len()).collect();
        bench.scheduler.step();
        let after: Vec<usize> = short.iter().map(|reader| reader.text().len()).collect();
        assert!(before.iter().zip(&after).all(|(a, b)| a + 1 == *b), "nobody waits for the long prompt");
    }
}

#[test]
fn few_outputs_are_shared_fairly() {
    let mut bench = Bench::new(hashing(), Limits { max_outputs: 2, ..WIDE }, 1000);
    let readers: Vec<Reader> = (0..5).map(|_| bench.start(None, "a", greedy().max_tokens(1000))).collect();
    for _ in 0..100 {
        bench.scheduler.step();
    }
    let lengths: Vec<usize> = readers.iter().map(|reader| reader.text().len()).collect();
    assert!(lengths.iter().all(|&length| (38..=42).contains(&length)), "{lengths:?}");
}

#[test]
fn a_reader_without_room_rests_and_loses_nothing() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let slow = bench.start(None, "slow", greedy().max_tokens(20));
    let quick = bench.start(None, "quick", greedy().max_tokens(20));
    bench.scheduler.step();
    slow.full.store(true, Ordering::SeqCst);
    let (said, events) = (slow.text(), slow.events.lock().unwrap().len());
    bench.run();
    assert_eq!(quick.stats().generated_tokens, 20);
    assert_eq!((slow.text(), slow.events.lock().unwrap().len()), (said, events));
    assert_eq!(bench.scheduler.step(), Step::Blocked);
    slow.full.store(false, Ordering::SeqCst);
    bench.run();
    let mut fresh = Bench::new(hashing(), WIDE, 1000);
    let alone = fresh.start(None, "slow", greedy().max_tokens(20));
    fresh.run();
    assert_eq!(slow.text(), alone.text());
}

#[test]
fn a_resting_reader_can_be_cancelled() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let reader = bench.start(None, "a", greedy());
    bench.scheduler.step();
    reader.full.store(true, Ordering::SeqCst);
    assert_eq!(bench.scheduler.step(), Step::Blocked);
    reader.cancelled.store(true, Ordering::SeqCst);
    bench.scheduler.step();
    assert_eq!(reader.stats().finish, FinishReason::Cancelled);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_before_any_work() {
    let bench = Bench::new(hashing(), Limits { context: 10, ..WIDE }, 1000);
    let refuse = |prompt: &[u32], options| bench.job(Some(1), prompt, options).unwrap_err().kind();
    assert_eq!(refuse(&[1; 11], greedy()), ErrorKind::ContextOverflow { limit: 10, used: 11 });
    assert!(matches!(refuse(&[], greedy()), ErrorKind::InvalidInput { field, .. } if field == "prompt"));
    assert!(matches!(refuse(&[260], greedy()), ErrorKind::InvalidInput { field, .. } if field == "tokens"));
    assert!(matches!(refuse(&[1], greedy().stop("")), ErrorKind::InvalidInput { field, .. } if field == "stop"));
    assert!(
        matches!(refuse(&[1], greedy().temperature(f32::NAN)), ErrorKind::InvalidInput { field, .. } if field == "temperature")
    );
    assert_eq!(bench.pass_count(), 0);
}

#[test]
fn a_full_context_is_an_error_with_both_numbers_and_the_conversation_goes_on() {
    let mut bench = Bench::new(hashing(), Limits { context: 10, ..WIDE }, 1000);
    let reader = bench.start(Some(1), "1234567", greedy());
    bench.run();
    // Three positions are left, and the token behind the last one is known without a position of its own.
    assert_eq!(reader.text().len(), 4);
    assert_eq!(reader.outcome().unwrap_err().kind(), ErrorKind::ContextOverflow { limit: 10, used: 11 });
    let next = bench.start(Some(1), "12345", greedy().max_tokens(2));
    bench.run();
    assert_eq!((next.stats().reused_tokens, next.stats().generated_tokens), (4, 2));
    let completion = bench.start(None, "1234567", greedy());
    bench.run();
    assert_eq!(completion.stats().finish, FinishReason::ContextFull { limit: 10 });
    assert_eq!(completion.stats().generated_tokens, 4);
    assert_eq!(completion.text(), reader.text());
}

#[test]
fn a_prompt_as_long_as_the_context_gets_one_token() {
    let mut bench = Bench::new(hashing(), Limits { context: 10, ..WIDE }, 1000);
    let reader = bench.start(None, "0123456789", greedy());
    bench.run();
    assert_eq!(reader.stats().generated_tokens, 1);
}

#[test]
fn stop_strings_end_the_answer_before_them() {
    let mut bench = Bench::new(counting(), WIDE, 1000);
    let reader = bench.start(None, "0", greedy().stop("9x").stop("678"));
    bench.run();
    assert_eq!(reader.text(), "12345");
    assert_eq!(reader.stats().finish, FinishReason::StopString("678".into()));
    assert_eq!(reader.stats().generated_tokens, 8);
    let reader = bench.start(None, "0", greedy().stop("89x"));
    bench.run();
    assert_eq!((reader.text().as_str(), reader.stats().finish), ("123456789", FinishReason::EndOfAnswer));
}

#[test]
fn what_was_held_back_is_delivered_to_a_reader_that_cancels() {
    let mut bench = Bench::new(counting(), WIDE, 1000);
    let reader = bench.start(None, "0", greedy().stop("345x"));
    for _ in 0..5 {
        bench.scheduler.step();
    }
    assert_eq!(reader.text(), "12");
    reader.cancelled.store(true, Ordering::SeqCst);
    bench.run();
    assert_eq!(reader.text(), "12345");
    assert_eq!(reader.stats().finish, FinishReason::Cancelled);
}

#[test]
fn thoughts_are_apart_and_stop_strings_look_only_at_the_answer() {
    let answer: Vec<u32> = [vec![THINK], bytes("\nis it 42?\n"), vec![END_THINK], bytes("\n\nIt is 42!")].concat();
    let script = answer.clone();
    let decoder = ScriptedDecoder::choosing(move |history| script.get(history.len() - 1).copied().unwrap_or(IM_END));
    let mut bench = Bench::new(decoder, WIDE, 1000);
    let markers = Some(ThinkingMarkers::new("<think>", "</think>"));
    let thinking = Thinking { markers, opened: false };
    let job = Job::new(&bench.setup, None, bytes("?"), thinking, greedy().stop("42"), Duration::ZERO).unwrap();
    let reader = Reader::default();
    bench.scheduler.start(job, Box::new(reader.clone()));
    bench.run();
    assert_eq!(reader.thinking(), "is it 42?\n");
    assert_eq!(reader.text(), "It is ");
    assert_eq!(reader.stats().finish, FinishReason::StopString("42".into()));
}

#[test]
fn characters_are_never_split() {
    let mut bench = Bench::new(
        ScriptedDecoder::choosing(|history| {
            "ä€😀".as_bytes().get(history.len() - 1).map_or(IM_END, |&byte| u32::from(byte))
        }),
        WIDE,
        1000,
    );
    let reader = bench.start(None, "?", greedy());
    bench.run();
    let texts: Vec<Event> =
        reader.events.lock().unwrap().iter().filter(|event| matches!(event, Event::Text(_))).cloned().collect();
    assert_eq!(texts, ["ä", "€", "😀"].map(|text| Event::Text(text.into())));
    let reader = bench.start(None, "?", greedy().max_tokens(4));
    bench.run();
    assert_eq!(reader.text(), "ä\u{FFFD}", "an end inside a character shows");
}

#[test]
fn log_probs_come_before_their_text() {
    let mut bench = Bench::new(counting(), WIDE, 1000);
    let reader = bench.start(None, "8", greedy().log_probs(2));
    bench.run();
    let events = reader.events.lock().unwrap().clone();
    let [.., Event::LogProbs(probs), Event::Text(text)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(text, "9");
    assert_eq!(probs.chosen, probs.top[0]);
    assert_eq!((probs.chosen.token, probs.top[1].token), (57, 0));
    let expected = -(1.0 + 259.0 * (-30.0_f64).exp()).ln();
    assert!((f64::from(probs.chosen.log_prob) - expected).abs() < 1e-9);
    assert!((f64::from(probs.top[1].log_prob) - (expected - 30.0)).abs() < 1e-5);
}

#[test]
fn when_the_cache_is_full_resting_conversations_give_way_and_then_the_youngest() {
    let cache = 4 * PAGE_POSITIONS;
    let limits = Limits { context: cache, ..WIDE };
    let prompts = ["first", "second", "third"];
    let length = 3 * PAGE_POSITIONS;
    let alone: Vec<String> = prompts
        .iter()
        .map(|prompt| {
            let mut bench = Bench::new(hashing(), limits, cache);
            let reader = bench.start(None, prompt, greedy().max_tokens(length));
            bench.run();
            reader.text()
        })
        .collect();
    let mut bench = Bench::new(hashing(), limits, cache);
    let idle = bench.start(Some(9), "idle", greedy().max_tokens(2 * PAGE_POSITIONS));
    bench.run();
    let readers: Vec<Reader> =
        (0..).zip(prompts).map(|(id, prompt)| bench.start(Some(id), prompt, greedy().max_tokens(length))).collect();
    bench.run();
    for (reader, alone) in readers.iter().zip(&alone) {
        assert_eq!(&reader.text(), alone);
        assert_eq!(reader.stats().prefilled_tokens, reader.stats().prompt_tokens);
    }
    let again = bench.start(Some(9), &format!("idle{}", idle.text()), greedy().max_tokens(1));
    bench.run();
    assert_eq!(again.stats().reused_tokens, 0, "it had given way");
}

#[test]
fn a_failed_pass_ends_its_turns_and_no_others() {
    let fail = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&fail);
    let decoder = hashing().before(move |_| {
        if trigger.load(Ordering::SeqCst) { Err(ComputeError::BadBatch { why: "a test" }) } else { Ok(()) }
    });
    let mut bench = Bench::new(decoder, WIDE, 1000);
    let (a, b) = (bench.start(Some(1), "a", greedy()), bench.start(Some(2), "b", greedy().max_tokens(8)));
    bench.scheduler.step();
    b.full.store(true, Ordering::SeqCst);
    fail.store(true, Ordering::SeqCst);
    bench.scheduler.step();
    assert!(matches!(a.outcome().unwrap_err().kind(), ErrorKind::Internal { .. }));
    assert!(!b.is_over());
    fail.store(false, Ordering::SeqCst);
    b.full.store(false, Ordering::SeqCst);
    let next = bench.start(Some(1), "a", greedy().max_tokens(3));
    bench.run();
    assert_eq!((b.stats().generated_tokens, next.stats().generated_tokens), (8, 3));
}

#[test]
fn broken_logits_end_the_turn_with_an_error() {
    let decoder = ScriptedDecoder::new(VOCABULARY, |_| vec![f32::NAN; VOCABULARY]);
    let mut bench = Bench::new(decoder, WIDE, 1000);
    let reader = bench.start(None, "a", GenerationOptions::default());
    bench.run();
    assert!(matches!(reader.outcome(), Err(GenerateError::BadLogit { .. })));
}

#[test]
fn one_conversation_has_one_turn_at_a_time() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let first = bench.start(Some(1), "a", greedy().max_tokens(3));
    let second = bench.start(Some(1), "a", greedy().max_tokens(3));
    assert_eq!(second.outcome().unwrap_err().kind(), ErrorKind::answering());
    bench.run();
    assert_eq!(first.stats().generated_tokens, 3);
}

#[test]
fn closing_frees_the_cache_at_once_or_with_the_turn() {
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    bench.start(Some(1), "a", greedy().max_tokens(3));
    bench.run();
    assert_ne!(bench.scheduler.cache_bytes(), 0);
    bench.scheduler.close(ConversationId(1));
    assert_eq!(bench.scheduler.cache_bytes(), 0);
    let reader = bench.start(Some(2), "a", greedy().max_tokens(3));
    bench.scheduler.step();
    bench.scheduler.close(ConversationId(2));
    bench.run();
    assert_eq!(reader.stats().generated_tokens, 3);
    assert_eq!(bench.scheduler.cache_bytes(), 0);
}

#[test]
fn stats_tell_the_times() {
    let clock: Arc<Mutex<Option<Arc<ManualClock>>>> = Arc::default();
    let ticking = Arc::clone(&clock);
    let decoder = counting().before(move |_| {
        ticking.lock().unwrap().as_ref().unwrap().advance(Duration::from_millis(10));
        Ok(())
    });
    let mut bench = Bench::new(decoder, Limits { max_batch: 4, ..WIDE }, 1000);
    *clock.lock().unwrap() = Some(Arc::clone(&bench.clock));
    bench.clock.advance(Duration::from_millis(5));
    let reader = bench.start(None, "01234564", greedy());
    bench.run();
    let stats = reader.stats();
    // Two chunks give the first token, "5"; four passes more give "6" to "9", and a fifth the end.
    assert_eq!(stats.time_to_first_token, Duration::from_millis(25));
    assert_eq!(stats.prefill_time, Duration::from_millis(20));
    assert_eq!(stats.decode_time, Duration::from_millis(40));
    assert_eq!(stats.total_time, Duration::from_millis(75));
    assert_eq!(stats.prefill_tokens_per_second(), 400.0);
    assert_eq!(stats.decode_tokens_per_second(), 100.0);
}

#[test]
fn evaluation_gives_the_logits_of_each_position_whatever_the_chunk() {
    let script = |history: &[u32]| -> Vec<f32> {
        let sum: u32 = history.iter().sum();
        (0..VOCABULARY).map(|id| ((sum + id as u32) % 17) as f32).collect()
    };
    let tokens = bytes("evaluate these, please");
    for (chunk, max_outputs) in [(1000, 8), (5, 8), (1, 1), (16, 2)] {
        let mut bench = Bench::new(ScriptedDecoder::new(VOCABULARY, script), Limits { max_outputs, ..WIDE }, 1000);
        let mut seen = Vec::new();
        let at = [0, 3, 4, 5, 6, 20];
        bench
            .scheduler
            .evaluate(&tokens, &at, chunk, &CancelToken::new(), &mut |position, logits| {
                assert_eq!(logits, script(&tokens[..=position]));
                seen.push(position);
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, at);
        assert_eq!(bench.scheduler.cache_bytes(), 0);
    }
    let mut bench = Bench::new(hashing(), WIDE, 1000);
    let cancelled = CancelToken::new();
    cancelled.cancel();
    let error = bench.scheduler.evaluate(&tokens, &[1], 4, &cancelled, &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let error = bench.scheduler.evaluate(&tokens, &[3, 3], 4, &CancelToken::new(), &mut |_, _| Ok(())).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidInput { field, .. } if field == "at"));
}
