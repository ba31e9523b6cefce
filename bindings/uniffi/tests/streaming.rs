//! Answers through the boundary: events, cancelling, back-pressure, two at a time, dropped handles.
#![allow(clippy::unwrap_used)]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{block_on, demo, endless, greedy, read, session, text, tokens};
use inkling_ffi::{FfiError, FfiEvent, FfiFinish, FfiGenerationOptions, FfiMessage, FfiPrompt};

const PROMPT: &str = "Translate to German: Where is the train station?";
const ANSWER: &str = "Wo ist der Bahnhof?";

#[test]
fn an_answer_comes_in_order_and_is_remembered() {
    let model = demo();
    let session = session(&model);
    let (events, outcome) = read(&session.stream(PROMPT.to_owned(), greedy()).unwrap());
    let stats = outcome.unwrap();
    let total = stats.prompt_tokens;
    assert_eq!(events[0], FfiEvent::Prefilling { done: 0, total });
    assert_eq!(events[1], FfiEvent::Prefilling { done: total, total });
    assert_eq!(events[2], FfiEvent::Generating);
    assert_eq!((text(&events).as_str(), &stats.finish), (ANSWER, &FfiFinish::EndOfAnswer));
    assert_eq!(stats.tokens.len() as u64, stats.generated_tokens);
    assert_eq!(model.detokenize(stats.tokens).unwrap(), ANSWER);
    let said = |role: &str, content: &str| FfiMessage { role: role.to_owned(), content: content.to_owned() };
    assert_eq!(session.transcript().unwrap(), [said("user", PROMPT), said("assistant", ANSWER)]);
    assert!(!session.is_responding().unwrap());
}

/// Everything that was computed when `cancel` returned is in the next batch; what comes later was computed after.
#[test]
fn cancelling_stops_the_engine_within_one_token() {
    let session = session(&demo());
    for round in 0..20 {
        session.set_transcript(Vec::new()).unwrap();
        let stream = session.stream(PROMPT.to_owned(), endless()).unwrap();
        let mut before = 0;
        while before <= round {
            before += tokens(&block_on(stream.next()).unwrap().unwrap());
        }
        assert!(session.is_responding().unwrap());
        stream.cancel().unwrap();
        stream.cancel().unwrap();
        let at_cancel = block_on(stream.next()).unwrap().unwrap();
        let after = if matches!(at_cancel.last(), Some(FfiEvent::Finished { .. })) {
            at_cancel
        } else {
            before += tokens(&at_cancel);
            let (late, outcome) = read(&stream);
            outcome.unwrap();
            assert!(tokens(&late) <= 1, "{} tokens after the cancel", tokens(&late));
            late
        };
        let Some(FfiEvent::Finished { stats }) = after.last() else { panic!("no end") };
        assert_eq!(stats.finish, FfiFinish::Cancelled);
        assert_eq!(stats.generated_tokens as usize, before + tokens(&after));
        stream.cancel().unwrap();
    }
}

#[test]
fn cancelled_before_the_first_token() {
    let session = session(&demo());
    let stream = session.stream(PROMPT.to_owned(), endless()).unwrap();
    stream.cancel().unwrap();
    let stats = read(&stream).1.unwrap();
    assert_eq!(stats.finish, FfiFinish::Cancelled);
    assert!(stats.generated_tokens <= 64);
    session.set_transcript(Vec::new()).unwrap();
    assert_eq!(text(&read(&session.stream(PROMPT.to_owned(), greedy()).unwrap()).0), ANSWER);
}

#[test]
fn a_reader_that_rests_rests_the_engine_and_loses_nothing() {
    let model = demo();
    let (first, second) = (session(&model), session(&model));
    let options = || FfiGenerationOptions { max_tokens: Some(400), ..endless() };
    let whole = read(&first.stream(PROMPT.to_owned(), options()).unwrap());
    let stream = second.stream(PROMPT.to_owned(), options()).unwrap();
    // Others are answered while it rests; by then its own answer is stuck behind a full queue.
    first.set_transcript(Vec::new()).unwrap();
    assert_eq!(text(&read(&first.stream(PROMPT.to_owned(), greedy()).unwrap()).0), ANSWER);
    let waiting = block_on(stream.next()).unwrap().unwrap();
    assert!(waiting.len() <= 64, "{} events wait", waiting.len());
    let (rest, outcome) = read(&stream);
    assert_eq!(outcome.unwrap().tokens, whole.1.unwrap().tokens);
    assert_eq!(text(&waiting) + &text(&rest), text(&whole.0));
}

#[test]
fn two_sessions_answer_together_as_they_would_alone() {
    let model = demo();
    let ask = |prompt: &'static str| {
        let session = session(&model);
        std::thread::spawn(move || text(&read(&session.stream(prompt.to_owned(), greedy()).unwrap()).0))
    };
    let german = ask(PROMPT);
    let english = ask("Translate to English: Je suis allergique aux noix.");
    assert_eq!(german.join().unwrap(), ANSWER);
    assert_eq!(english.join().unwrap(), "I am allergic to nuts.");
}

#[test]
fn a_dropped_stream_is_cancelled_and_the_session_goes_on() {
    let session = session(&demo());
    let stream = session.stream(PROMPT.to_owned(), endless()).unwrap();
    block_on(stream.next()).unwrap();
    drop(stream);
    // The next message waits for the end of the one before, which nobody reads any more.
    session.set_transcript(Vec::new()).unwrap();
    assert_eq!(text(&read(&session.stream(PROMPT.to_owned(), greedy()).unwrap()).0), ANSWER);
}

#[test]
fn an_abandoned_call_loses_nothing_and_a_second_one_is_refused() {
    let model = demo();
    let session = session(&model);
    let stream = session.stream(PROMPT.to_owned(), greedy()).unwrap();
    // Wait for the end, take all, and look at an answer without events.
    let blocked = session.prewarm(String::new()).unwrap_err();
    assert!(matches!(blocked, FfiError::Busy { .. }), "{blocked:?}");
    drop(read(&stream));
    let stream = session.stream("Translate to German: Hello.".repeat(40), greedy()).unwrap();
    let mut abandoned = Vec::new();
    {
        let mut first = pin!(stream.next());
        let mut context = Context::from_waker(Waker::noop());
        match first.as_mut().poll(&mut context) {
            Poll::Pending => assert!(matches!(block_on(stream.next()), Err(FfiError::Busy { .. }))),
            Poll::Ready(batch) => abandoned = batch.unwrap().unwrap(),
        }
    }
    let (events, outcome) = read(&stream);
    abandoned.extend(events);
    assert!(matches!(abandoned[0], FfiEvent::Prefilling { done: 0, .. }));
    assert_eq!(model.detokenize(outcome.unwrap().tokens).unwrap(), text(&abandoned));
}

#[test]
fn closing_the_model_ends_what_runs() {
    let model = demo();
    let session = session(&model);
    let stream = session.stream(PROMPT.to_owned(), endless()).unwrap();
    model.shut_down().unwrap();
    model.shut_down().unwrap();
    assert!(matches!(read(&stream).1, Err(FfiError::Cancelled { .. })));
    let refused = session.stream(PROMPT.to_owned(), greedy()).unwrap_err();
    assert!(matches!(refused, FfiError::Cancelled { .. }), "{refused:?}");
    assert!(matches!(model.memory(), Err(FfiError::Cancelled { .. })));
}

#[test]
fn a_model_lives_as_long_as_somebody_reads() {
    let stream = {
        let model = demo();
        session(&model).stream(PROMPT.to_owned(), greedy()).unwrap()
    };
    assert_eq!(text(&read(&stream).0), ANSWER);
}

#[test]
fn prewarming_saves_the_prefill() {
    let model = demo();
    let session = model.session(Some("Translate to German: ".repeat(20)), Vec::new()).unwrap();
    let warm = read(&session.prewarm("Where".to_owned()).unwrap()).1.unwrap();
    assert!(warm.prefilled_tokens > 20 && warm.generated_tokens == 0);
    let stats = read(&session.stream("Where is it?".to_owned(), greedy()).unwrap()).1.unwrap();
    assert_eq!(stats.reused_tokens, warm.prefilled_tokens);
}

#[test]
fn raw_completion_and_tokens() {
    let model = demo();
    let facts = model.facts().unwrap();
    assert!(facts.vocabulary > 256 && facts.context > 0 && facts.chat_problem.is_none());
    let odd = "a\0b 🦑 日本 <|im_end|>";
    let ids = model.tokenize(odd.to_owned()).unwrap();
    assert_eq!(model.detokenize(ids).unwrap(), odd);
    let user = FfiMessage { role: "user".to_owned(), content: PROMPT.to_owned() };
    let ids = model.prompt_tokens(vec![user], None).unwrap();
    let stream = model.complete(FfiPrompt::Tokens { ids }, greedy()).unwrap();
    assert_eq!(text(&read(&stream).0), ANSWER);
    let stream = model.complete(FfiPrompt::Text { text: "Hello".to_owned() }, endless()).unwrap();
    let (_, outcome) = read(&stream);
    assert!(matches!(outcome.unwrap().finish, FfiFinish::ContextFull { limit } if limit == facts.context));
    model.set_threads(1).unwrap();
    assert!(model.memory().unwrap().owned_bytes > 0);
}

#[test]
fn many_sessions_come_and_go() {
    let model = demo();
    for _ in 0..2_000 {
        drop(session(&model));
    }
    let before = model.memory().unwrap().cache_bytes;
    let open: Vec<_> = (0..4).map(|_| session(&model)).collect();
    for session in &open {
        read(&session.stream(PROMPT.to_owned(), greedy()).unwrap()).1.unwrap();
    }
    assert!(model.memory().unwrap().cache_bytes > before);
    drop(open);
    assert_eq!(model.memory().unwrap().cache_bytes, before);
    assert_eq!(Arc::strong_count(&model), 1);
}
