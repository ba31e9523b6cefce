//! Streaming: the pieces join to the whole, no character is cut, and nothing certain is held back.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::sync::Arc;

use common::{byte_level, one_of_each, sentencepiece};
use inkling_text::{DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer};
use proptest::prelude::*;

fn push_all(stream: &mut StreamDecoder, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|&id| stream.push(id).unwrap()).collect()
}

/// The bytes as byte-level tokens, whose ids are the bytes in these vocabularies.
fn byte_stream(bytes: &[u8]) -> Vec<String> {
    let tokenizer = Arc::new(byte_level("gpt-2").build());
    let ids: Vec<u32> = bytes.iter().map(|&byte| u32::from(byte)).collect();
    let mut stream = tokenizer.stream(DecodeOptions::default());
    let mut pieces = push_all(&mut stream, &ids);
    pieces.push(stream.finish());
    pieces
}

#[test]
fn a_character_comes_with_its_last_byte() {
    assert_eq!(byte_stream("a€".as_bytes()), ["a", "", "", "€", ""]);
    assert_eq!(byte_stream("😀".as_bytes()), ["", "", "", "😀", ""]);
}

#[test]
fn a_broken_byte_comes_as_soon_as_it_is_known_to_be_broken() {
    // 0x80 can start nothing; after 0xE2 0x82 an 'a' shows that both were broken.
    assert_eq!(byte_stream(b"\x80a"), ["\u{FFFD}", "a", ""]);
    assert_eq!(byte_stream(b"\xE2\x82a"), ["", "", "\u{FFFD}a", ""]);
    // 0xED 0xA0 would be a surrogate and 0xF4 0x90 is past the last character: broken at the second byte.
    assert_eq!(byte_stream(b"\xED\xA0"), ["", "\u{FFFD}\u{FFFD}", ""]);
    assert_eq!(byte_stream(b"\xF4\x90"), ["", "\u{FFFD}\u{FFFD}", ""]);
    assert_eq!(byte_stream(b"\xF0\x9F"), ["", "", "\u{FFFD}"]);
}

#[test]
fn a_text_starts_without_the_added_space_and_a_continuation_keeps_it() {
    let tokenizer = Arc::new(sentencepiece().build());
    let hello = tokenizer.token_id("▁hello").unwrap();
    let mut fresh = tokenizer.stream(DecodeOptions::default());
    assert_eq!(push_all(&mut fresh, &[hello, hello]), ["hello", " hello"]);
    let mut continued = tokenizer.stream(DecodeOptions::default()).after(&[1, hello]);
    assert_eq!(push_all(&mut continued, &[hello]), [" hello"]);
    let mut after_marker = tokenizer.stream(DecodeOptions::default()).after(&[hello, 1]);
    assert_eq!(push_all(&mut after_marker, &[hello]), ["hello"]);
}

#[test]
fn control_tokens_are_silent_unless_asked_for() {
    let tokenizer = Arc::new(sentencepiece().build());
    assert_eq!(tokenizer.stream(DecodeOptions::default()).push(2).unwrap(), "");
    assert_eq!(tokenizer.stream(DecodeOptions { keep_special: true }).push(2).unwrap(), "</s>");
    assert!(tokenizer.stream(DecodeOptions::default()).push(u32::MAX).is_err());
}

/// How many bytes at the end could still become a character, by trying.
fn unfinished(bytes: &[u8]) -> usize {
    let completes = |tail: &[u8]| {
        let endings: [&[u8]; 3] = [&[0x80], &[0x80, 0x80], &[0x80, 0x80, 0x80]];
        let more: [&[u8]; 3] = [&[0xBF], &[0xBF, 0x80], &[0xBF, 0x80, 0x80]];
        let mut ways = endings.iter().chain(&more);
        ways.any(|way| std::str::from_utf8(&[tail, way].concat()).is_ok_and(|text| text.chars().count() == 1))
    };
    let longest = bytes.len().min(3);
    (1..=longest).rev().find(|&n| completes(&bytes[bytes.len() - n..])).unwrap_or(0)
}

proptest! {
    #[test]
    fn pieces_join_to_the_lossy_whole_and_hold_back_only_what_they_must(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xE2), Just(0x82), Just(0xAC), Just(0xF0), Just(0x9F)], 0..40),
    ) {
        let pieces = byte_stream(&bytes);
        prop_assert_eq!(pieces.concat(), String::from_utf8_lossy(&bytes));
        for end in 0..=bytes.len() {
            let certain = &bytes[..end - unfinished(&bytes[..end])];
            prop_assert_eq!(pieces[..end].concat(), String::from_utf8_lossy(certain), "after {} bytes", end);
        }
    }

    #[test]
    fn streaming_and_decoding_agree(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40), keep_special: bool,
    ) {
        thread_local!(static ALL: Vec<Arc<Tokenizer>> =
            one_of_each().into_iter().map(|(_, draft)| Arc::new(draft.build())).collect());
        ALL.with(|all| {
            for tokenizer in all {
                let ids: Vec<u32> = picks.iter().map(|pick| pick.index(tokenizer.vocabulary_size()) as u32).collect();
                let options = DecodeOptions { keep_special };
                let mut stream = tokenizer.stream(options);
                let mut text = push_all(&mut stream, &ids).concat();
                text.push_str(&stream.finish());
                prop_assert_eq!(text, tokenizer.decode(&ids, options).unwrap());
            }
            Ok(())
        })?;
    }
}

#[test]
fn what_is_encoded_streams_back() {
    for (name, draft) in one_of_each() {
        let tokenizer = Arc::new(draft.build());
        let text = "hello wor 123\n\n  aaaa é 中 👩\u{200D}👩";
        let ids = tokenizer.encode(text, EncodeOptions::default()).unwrap();
        let mut stream = tokenizer.stream(DecodeOptions::default());
        let streamed = push_all(&mut stream, &ids).concat();
        if name != "bert" {
            assert_eq!(streamed, text, "{name}");
        }
        assert_eq!(stream.finish(), "", "{name}");
    }
}
