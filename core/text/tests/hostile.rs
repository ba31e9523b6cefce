//! Vocabularies that a file should not have: an error or a tokenizer that works within its means, never a panic.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::sync::Arc;

use common::{Draft, one_of_each};
use inkling_text::{DecodeOptions, EncodeOptions, SpecialIds, Tokenizer, TokenizerFlags, TokenizerSource};
use proptest::collection::vec;
use proptest::prelude::*;

/// Uses everything that a tokenizer offers. Errors are fine.
fn exercise(source: TokenizerSource<'_>, text: &str) {
    let Ok(tokenizer) = Tokenizer::from_source(source) else { return };
    let size = tokenizer.vocabulary_size() as u32;
    assert!(size > 0);
    for (add_special, parse_special) in [(false, false), (true, true)] {
        let options = EncodeOptions { add_special, parse_special };
        if let Ok(ids) = tokenizer.encode_shielded(text, Some('a'), options) {
            assert!(ids.iter().all(|&id| id < size));
            tokenizer.decode(&ids, DecodeOptions::default()).unwrap();
        }
    }
    for id in [tokenizer.bos(), tokenizer.eos()].into_iter().flatten().chain(tokenizer.end_tokens().iter().copied()) {
        assert!(id < size);
    }
    let tokenizer = Arc::new(tokenizer);
    let mut stream = tokenizer.stream(DecodeOptions { keep_special: true });
    for id in 0..size {
        stream.push(id).unwrap();
    }
    assert!(stream.push(size).is_err());
    stream.finish();
    assert!(tokenizer.special_tokens().count() >= tokenizer.control_tokens().count());
}

fn small_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c<>|s ▁\n0x]{0,30}", ".{0,20}"]
}

/// Tokens that could be mistaken for something: bytes, markers, rules' pieces, texts that are no UTF-8.
fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-cĠ▁Ċ<>x0]{0,6}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..6),
        1 => prop::sample::select(vec!["<0x61>", "<0xZZ>", "<0x", "</s>", "<|end|>", "<|call|>", "<|return|>", "<|tool_response>"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let id = || prop::option::of(0..12u32);
    let model = prop::sample::select(vec!["gpt2", "llama", "bert", "gemma4", "t5", "?"]);
    let pre = prop::sample::select(vec![None, Some("llama-bpe"), Some("gpt-4o"), Some("superbpe"), Some("nobody")]);
    let arrays =
        (vec(token(), 0..30), vec(-1..8i32, 0..31), vec(any::<f32>(), 0..31), vec(token(), 0..10), any::<bool>());
    let ids = (id(), id(), id(), id(), id());
    let flags = (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>());
    (model, pre, arrays, ids, flags).prop_map(|(model, pre, arrays, ids, flags)| {
        let (tokens, mut types, mut scores, merges, fit) = arrays;
        if fit {
            types = types.into_iter().map(|kind| kind.clamp(1, 6)).collect();
            types.resize(tokens.len(), 1);
            scores.retain(|score| !score.is_nan());
            scores.resize(tokens.len(), 0.5);
        }
        let (bos, eos, eot, unknown, separator) = ids;
        let (add_bos, add_eos, add_space_prefix) = flags;
        Draft {
            model,
            pre,
            tokens,
            types,
            scores,
            merges: merges.chunks(2).map(|halves| halves.join(&b' ')).collect(),
            ids: SpecialIds { bos, eos, eot, unknown, separator, ..SpecialIds::default() },
            flags: TokenizerFlags { add_bos, add_eos, add_space_prefix, ..TokenizerFlags::default() },
            name: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_vocabularies(draft in draft(), text in small_text()) {
        exercise(draft.source(), &text);
    }

    #[test]
    fn sound_vocabularies_with_something_changed(
        which in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), token(), 0..8i32, any::<f32>()), 1..6),
        text in small_text(),
    ) {
        thread_local!(static ALL: Vec<(String, Draft)> = one_of_each());
        let mut draft = ALL.with(|all| which.get(all).1.clone());
        for (place, token, kind, score) in edits {
            let at = place.index(draft.tokens.len());
            draft.tokens[at] = token.clone();
            draft.types[at] = kind;
            draft.scores[at] = score;
            if !draft.merges.is_empty() {
                let at = place.index(draft.merges.len());
                draft.merges[at].extend_from_slice(&token);
            }
        }
        exercise(draft.source(), &text);
    }
}

#[test]
fn duplicates_count_once_and_the_first_wins() {
    let mut draft = common::byte_level("gpt-2");
    let first = draft.tokens.iter().position(|token| token == b"aa").unwrap() as u32;
    draft.add("aa", common::NORMAL, 0.0);
    let tokenizer = draft.build();
    assert_eq!(tokenizer.encode("aa", EncodeOptions::default()).unwrap(), [first]);
}

#[test]
fn ids_out_of_range_are_as_if_the_file_were_silent() {
    let mut draft = common::sentencepiece();
    draft.ids.bos = Some(1_000_000);
    draft.ids.eot = Some(u32::MAX);
    let tokenizer = draft.build();
    assert_eq!(tokenizer.bos(), Some(1));
    assert_eq!(tokenizer.end_tokens(), [2]);
}
