//! Whatever readers do, in whatever order: each turn ends exactly once, text is never lost, sessions do not disturb
//! each other, nothing hangs.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use inkling_base::SystemClock;
use inkling_compute::{Decoder, KvType};
use inkling_generate::Limits;
use inkling_session::{
    Event, FinishReason, GenerationOptions, Model, ModelParts, Polled, Session, SessionConfig, SessionError, Turn,
};
use inkling_testkit::scripted::{CHATML, ScriptedDecoder, byte_tokenizer};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Act {
    /// Ask, with a bound on the answer.
    Ask(usize),
    /// Read up to this many events without waiting.
    Peek(usize),
    /// Read this many events.
    Read(usize),
    /// Read to the end.
    ReadAll,
    Cancel,
    Drop,
    /// Close the model; rare.
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..200_usize).prop_map(Act::Ask),
        3 => (0..20_usize).prop_map(Act::Peek),
        4 => (1..80_usize).prop_map(Act::Read),
        3 => Just(Act::ReadAll),
        3 => Just(Act::Cancel),
        2 => Just(Act::Drop),
        1 => Just(Act::Close),
    ]
}

/// A letter that depends on the whole history.
fn next(history: &[u32]) -> u32 {
    97 + history.iter().fold(7_u32, |hash, &token| hash.wrapping_mul(31).wrapping_add(token)) % 26
}

fn model(max_batch: usize, max_outputs: usize, cache: usize) -> Model {
    let decoder = ScriptedDecoder::choosing(next);
    let cache = decoder.new_cache(KvType::F32, cache).unwrap();
    let limits = Limits { context: 512, max_batch, max_outputs };
    let (tokenizer, clock) = (byte_tokenizer(), Arc::new(SystemClock::default()));
    Model::from_parts(ModelParts {
        decoder: Box::new(decoder),
        cache,
        limits,
        tokenizer,
        template: Some(CHATML.to_owned()),
        clock,
        owner: None,
    })
    .unwrap()
}

/// One reader and what it has seen.
struct Reader {
    session: Session,
    turn: Option<Turn>,
    /// What the answer must begin with, computed from the prompt.
    expected: Vec<u8>,
    text: String,
    ended: bool,
    cancelled: bool,
}

impl Reader {
    fn ask(&mut self, model: &Model, max_tokens: usize, closed: bool) {
        if self.turn.is_some() {
            return;
        }
        // A turn that was dropped may add its last words to the history yet.
        self.session.cancel_and_wait();
        let mut messages = self.session.transcript();
        messages.push(inkling_session::Message::user("go"));
        let options = GenerationOptions::default().greedy().max_tokens(max_tokens);
        match self.session.stream("go", options) {
            Ok(turn) => {
                let mut history = model.prompt_tokens(messages, None).unwrap();
                self.expected.clear();
                for _ in 0..max_tokens {
                    let token = next(&history);
                    history.push(token);
                    self.expected.push(token as u8);
                }
                (self.turn, self.ended, self.cancelled) = (Some(turn), false, false);
                self.text.clear();
            }
            Err(SessionError::Closed) => assert!(closed),
            Err(SessionError::Generate(error)) => assert!(error.to_string().contains("512"), "{error}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes what the turn gave; false at the end.
    fn take(&mut self, got: Result<Polled, SessionError>, closed: bool) -> bool {
        match got {
            Ok(Polled::Event(event)) => {
                assert!(!self.ended, "{event:?} after the end");
                match event {
                    Event::Text(delta) => self.text += &delta,
                    Event::Finished(stats) => {
                        self.ended = true;
                        assert_eq!(stats.generated_tokens, self.text.len(), "text was lost");
                        match stats.finish {
                            FinishReason::MaxTokens => assert_eq!(self.text.as_bytes(), self.expected),
                            FinishReason::Cancelled => assert!(self.cancelled),
                            other => panic!("{other:?}"),
                        }
                    }
                    _ => {}
                }
                true
            }
            Ok(Polled::Waiting) => false,
            Ok(Polled::Ended) => {
                assert!(self.ended, "no end");
                false
            }
            Err(error) => {
                assert!(!self.ended, "{error} after the end");
                self.ended = true;
                match error {
                    SessionError::Closed => assert!(closed),
                    SessionError::Generate(error) => assert!(error.to_string().contains("512"), "{error}"),
                    error => panic!("{error}"),
                }
                true
            }
        }
    }

    fn check_prefix(&self) {
        assert!(self.expected.starts_with(self.text.as_bytes()), "{} is not what it gives alone", self.text);
    }

    fn next(&mut self, closed: bool) -> bool {
        let Some(turn) = &mut self.turn else { return false };
        let got = turn.next().map(|event| event.map_or(Polled::Ended, Polled::Event));
        let more = self.take(got, closed);
        self.check_prefix();
        more
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn each_turn_ends_exactly_once(
        acts in proptest::collection::vec((0..3_usize, act()), 1..60),
        max_batch in 1..40_usize,
        max_outputs in 1..4_usize,
        cache in 512..2000_usize,
    ) {
        let model = model(max_batch, max_outputs, cache);
        let mut closed = false;
        let mut readers: Vec<Reader> = (0..3)
            .map(|_| Reader {
                session: model.session(SessionConfig::default()).unwrap(),
                turn: None,
                expected: Vec::new(),
                text: String::new(),
                ended: false,
                cancelled: false,
            })
            .collect();
        for (who, act) in acts {
            // A reader that stops reading may hold pages that the others need; then only it can go on.
            let reader = &mut readers[who];
            match act {
                Act::Ask(max_tokens) => reader.ask(&model, max_tokens, closed),
                Act::Peek(count) => {
                    for _ in 0..count {
                        let Some(turn) = &mut reader.turn else { break };
                        let got = turn.try_next();
                        if !reader.take(got, closed) {
                            break;
                        }
                        reader.check_prefix();
                    }
                }
                // Waiting is safe only when no other reader holds what this one waits for.
                Act::Read(count) if cache >= 1700 => {
                    for _ in 0..count {
                        if !reader.next(closed) {
                            reader.turn = None;
                            break;
                        }
                    }
                }
                Act::ReadAll if cache >= 1700 => {
                    while reader.next(closed) {}
                    reader.turn = None;
                }
                Act::Read(_) | Act::ReadAll => {}
                Act::Cancel => {
                    if let Some(turn) = &reader.turn {
                        turn.cancel();
                        reader.cancelled = true;
                    }
                }
                Act::Drop => reader.turn = None,
                Act::Close => {
                    model.close();
                    closed = true;
                }
            }
        }
        // The rest is read in turn, so that nobody waits for a reader that waits.
        while readers.iter().any(|reader| reader.turn.is_some()) {
            for reader in &mut readers {
                let Some(turn) = &mut reader.turn else { continue };
                match turn.try_next() {
                    Ok(Polled::Waiting) => std::thread::yield_now(),
                    got => {
                        if !reader.take(got, closed) {
                            prop_assert!(reader.ended);
                            reader.turn = None;
                        }
                    }
                }
            }
        }
    }
}
