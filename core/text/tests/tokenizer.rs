//! The contract of [`Tokenizer`]: special tokens, what begins and ends a text, round trips, and errors that say why.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use common::{BYTE, CONTROL, Draft, NORMAL, USER_DEFINED, byte_level, one_of_each, sentencepiece, wordpiece};
use inkling_text::{DecodeOptions, EncodeOptions, TextError, TokenType, Tokenizer, TokenizerSource};
use proptest::prelude::*;

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
const PARSE: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };
const FULL: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };
const KEEP: DecodeOptions = DecodeOptions { keep_special: true };

fn pieces(tokenizer: &Tokenizer, text: &str, options: EncodeOptions) -> Vec<String> {
    let ids = tokenizer.encode(text, options).unwrap();
    ids.into_iter().map(|id| tokenizer.token_text(id).unwrap().to_owned()).collect()
}

#[test]
fn byte_level_merges_by_rank_within_words() {
    let tokenizer = byte_level("gpt-2").build();
    assert_eq!(pieces(&tokenizer, "hello world", PLAIN), ["hello", "Ġwor", "l", "d"]);
    assert_eq!(pieces(&tokenizer, "é", PLAIN), ["Ã", "©"]);
    assert_eq!(pieces(&tokenizer, "aaa", PLAIN), ["aa", "a"]);
    assert_eq!(pieces(&tokenizer, "", PLAIN), [""; 0]);
}

#[test]
fn a_byte_without_a_token_is_left_out_and_never_becomes_the_unknown_token() {
    let mut draft = byte_level("gpt-2");
    draft.types[3] = CONTROL;
    draft.ids.unknown = draft.ids.eos;
    assert_eq!(pieces(&draft.build(), "a\u{3}h", PLAIN), ["a", "h"]);
}

#[test]
fn sentencepiece_merges_by_score_and_falls_back_to_bytes() {
    let tokenizer = sentencepiece().build();
    assert_eq!(pieces(&tokenizer, "hello", PLAIN), ["▁hello"]);
    assert_eq!(pieces(&tokenizer, "é", PLAIN), ["▁", "<0xC3>", "<0xA9>"]);
    assert_eq!(pieces(&tokenizer, "", PLAIN), [""; 0]);
    assert_eq!(pieces(&tokenizer, "a", FULL), ["<s>", "▁", "a"]);
}

#[test]
fn wordpiece_normalises_and_takes_the_longest() {
    let tokenizer = wordpiece().build();
    assert_eq!(pieces(&tokenizer, "Hello, WORLD!", PLAIN), ["▁hello", "▁,", "▁wor", "ld", "▁!"]);
    assert_eq!(pieces(&tokenizer, "Café", PLAIN), ["▁cafe"]);
    assert_eq!(pieces(&tokenizer, "a中b ☃x", PLAIN), ["▁a", "▁中", "▁b", "[UNK]"]);
    assert_eq!(pieces(&tokenizer, "hi", FULL), ["[CLS]", "▁h", "i", "[SEP]"]);
}

#[test]
fn control_tokens_in_text_are_text_unless_asked_for() {
    for (name, mut draft) in one_of_each() {
        let marker = draft.add("<|mark|>", CONTROL, 0.0);
        let tokenizer = draft.build();
        let spelled = tokenizer.encode("a<|mark|>a", PLAIN).unwrap();
        assert!(!spelled.contains(&marker), "{name}");
        let parsed = tokenizer.encode("a<|mark|>a", PARSE).unwrap();
        assert_eq!(parsed.iter().filter(|&&id| id == marker).count(), 1, "{name}");
    }
}

#[test]
fn no_merge_and_no_whole_word_makes_a_control_token_of_text() {
    // A file whose merges spell out a control token, and a rule that looks whole words up.
    let mut draft = byte_level("llama-bpe");
    for (left, right) in [("e", "n"), ("en", "d")] {
        draft.merge(left, right);
    }
    let id = draft.tokens.iter().position(|token| token == b"end").unwrap();
    draft.types[id] = CONTROL;
    let tokenizer = draft.build();
    assert!(!tokenizer.encode("end end", PLAIN).unwrap().contains(&(id as u32)));

    let mut draft = sentencepiece();
    for piece in ["<", "s", ">", "<s", "s>"] {
        draft.add(piece, NORMAL, -1.0);
    }
    let tokenizer = draft.build();
    assert!(!tokenizer.encode("<s>", PLAIN).unwrap().contains(&1));
}

#[test]
fn user_defined_tokens_always_match() {
    for draft in [byte_level("gpt-2"), sentencepiece()] {
        let tokenizer = draft.build();
        let id = tokenizer.token_id("<tool>").unwrap();
        assert!(tokenizer.encode("a<tool>a", PLAIN).unwrap().contains(&id));
    }
}

#[test]
fn a_shield_keeps_markers_text_and_leaves_no_trace() {
    let shield = '\u{FDD0}';
    for (name, mut draft) in one_of_each() {
        let marker = draft.add("<|mark|>", CONTROL, 0.0);
        let tool = draft.add("<t>", USER_DEFINED, 0.0);
        let tokenizer = draft.build();
        // The template's own marker stands; what the user wrote carries the shield.
        let ids = tokenizer.encode_shielded("<|mark|>a<|\u{FDD0}mark|> <\u{FDD0}t>a", Some(shield), PARSE).unwrap();
        assert_eq!(ids[0], marker, "{name}");
        assert!(!ids[1..].contains(&marker) && !ids.contains(&tool), "{name}: {ids:?}");
        if !matches!(name.as_str(), "bert") {
            assert_eq!(tokenizer.decode(&ids[1..], KEEP).unwrap(), "a<|mark|> <t>a", "{name}");
        }
        let alone = tokenizer.encode_shielded("\u{FDD0}", Some(shield), PARSE).unwrap();
        assert_eq!(alone, [0; 0], "{name}");
    }
}

#[test]
fn what_begins_and_ends_a_text_is_added_where_the_model_wants_it() {
    let mut draft = byte_level("gpt-2");
    let (bos, eos) = (draft.ids.bos.unwrap(), draft.ids.eos.unwrap());
    let a = draft.build().token_id("a").unwrap();
    assert_eq!(draft.build().encode("a", FULL).unwrap(), [a]);
    draft.flags.add_bos = Some(true);
    draft.flags.add_eos = Some(true);
    let tokenizer = draft.build();
    assert!(tokenizer.adds_bos() && tokenizer.adds_eos());
    assert_eq!(tokenizer.encode("a", FULL).unwrap(), [bos, a, eos]);
    assert_eq!(tokenizer.encode("", FULL).unwrap(), [bos, eos]);
    assert_eq!(tokenizer.encode("a", PARSE).unwrap(), [a]);
    // Llama 3's rule wants a beginning without being told, and a file may say no.
    let mut draft = byte_level("llama-bpe");
    assert!(draft.build().adds_bos());
    draft.ids.bos = None;
    assert!(matches!(draft.build().encode("a", FULL), Err(TextError::MissingSpecial { .. })));
    draft.flags.add_bos = Some(false);
    assert!(!draft.build().adds_bos());
}

#[test]
fn every_known_end_marker_ends_an_answer() {
    let mut draft = byte_level("gpt-2");
    let eot = draft.add("<|eot_id|>", NORMAL, 0.0);
    let text_end = draft.add("<|endoftext|>", CONTROL, 0.0);
    let tokenizer = draft.build();
    let im_end = tokenizer.token_id("<|im_end|>").unwrap();
    let mut expected = [eot, text_end, im_end];
    expected.sort_unstable();
    assert_eq!(tokenizer.end_tokens(), expected);
    assert!(tokenizer.is_end(eot) && !tokenizer.is_end(0));
    // A marker is a control token whatever the file says.
    assert_eq!(tokenizer.token_type(eot), Some(TokenType::Control));
    assert!(tokenizer.control_tokens().any(|(text, id)| (text, id) == ("<|eot_id|>", eot)));
}

#[test]
fn an_html_tag_that_looks_like_an_end_marker_is_text() {
    let mut draft = byte_level("superbpe");
    for (left, right) in [("<", "/"), ("s", ">"), ("</", "s>")] {
        draft.merge(left, right);
    }
    let tokenizer = draft.build();
    assert_eq!(pieces(&tokenizer, "</s>", PLAIN), ["</s>"]);
    assert!(!tokenizer.is_end(tokenizer.token_id("</s>").unwrap()));
    assert!(sentencepiece().build().is_end(2));
}

#[test]
fn gpt_oss_ends_a_message_but_not_the_answer_with_end() {
    let mut draft = byte_level("gpt-4o");
    let end = draft.add("<|end|>", CONTROL, 0.0);
    let back = draft.add("<|return|>", CONTROL, 0.0);
    let call = draft.add("<|call|>", CONTROL, 0.0);
    let tokenizer = draft.build();
    assert!(tokenizer.is_end(back) && tokenizer.is_end(call) && !tokenizer.is_end(end));
}

#[test]
fn phi3_markers_swallow_the_white_space_after_them() {
    let mut draft = sentencepiece();
    draft.name = Some("Phi3");
    draft.add("<|user|>", CONTROL, 0.0);
    let tokenizer = draft.build();
    assert_eq!(pieces(&tokenizer, "<|user|>\n a", PARSE), ["<|user|>", "▁", "a"]);
    assert_eq!(pieces(&tokenizer, "<s>\na", PARSE), ["<s>", "▁", "<0x0A>", "a"]);
}

#[test]
fn gemma_takes_runs_of_line_breaks_whole() {
    let tokenizer = common::raw_characters().build();
    assert_eq!(pieces(&tokenizer, "a\n\n\na", PLAIN), ["a", "\n\n\n", "a"]);
    assert_eq!(pieces(&tokenizer, "\n\n\n\n", PLAIN), ["\n"; 4]);
    assert_eq!(pieces(&tokenizer, " hello é", PLAIN), ["▁hello", "▁", "<0xC3>", "<0xA9>"]);
}

#[test]
fn decoding_hides_control_tokens_unless_asked() {
    let tokenizer = sentencepiece().build();
    let ids = tokenizer.encode("<s>hello w</s>", PARSE).unwrap();
    assert_eq!(tokenizer.decode(&ids, DecodeOptions::default()).unwrap(), "hello w");
    assert_eq!(tokenizer.decode(&ids, KEEP).unwrap(), "<s>hello w</s>");
    let size = tokenizer.vocabulary_size() as u32;
    assert!(matches!(
        tokenizer.decode(&[size], KEEP),
        Err(TextError::TokenOutOfRange { id, .. }) if id == size
    ));
}

#[test]
fn token_lookups_are_honest_about_what_is_not_there() {
    let tokenizer = sentencepiece().build();
    assert_eq!(tokenizer.token_text(1), Some("<s>"));
    assert_eq!(tokenizer.token_bytes(3 + 10).as_deref(), Some(&b"\n"[..]));
    assert_eq!(tokenizer.token_type(3), Some(TokenType::Byte));
    assert_eq!((tokenizer.token_text(u32::MAX), tokenizer.token_bytes(u32::MAX)), (None, None));
    assert_eq!(tokenizer.token_id("no such token"), None);
}

#[test]
fn merges_through_pieces_that_are_no_tokens() {
    // A vocabulary that was cut down: "he" is gone, "hel" is there, and both rules are.
    let mut draft = Draft { model: "gpt2", pre: Some("gpt-2"), ..Draft::default() };
    for c in common::byte_chars() {
        draft.add(&c.to_string(), NORMAL, 0.0);
    }
    draft.add("hel", NORMAL, 0.0);
    draft.merges = vec![b"h e".to_vec(), b"he l".to_vec()];
    let tokenizer = draft.build();
    assert_eq!(pieces(&tokenizer, "hel", PLAIN), ["hel"]);
    assert_eq!(pieces(&tokenizer, "hex", PLAIN), ["h", "e", "x"]);
}

#[test]
fn wrong_vocabularies_say_what_is_wrong() {
    let error = |change: &dyn Fn(&mut TokenizerSource<'_>)| {
        let draft = byte_level("gpt-2");
        let mut source = draft.source();
        change(&mut source);
        Tokenizer::from_source(source).unwrap_err()
    };
    assert!(matches!(error(&|s| s.tokens.clear()), TextError::EmptyVocabulary));
    assert!(matches!(error(&|s| s.scores = Some(vec![1.0])), TextError::LengthMismatch { have: 1, .. }));
    assert!(matches!(error(&|s| s.token_types = Some(vec![1; 3])), TextError::LengthMismatch { have: 3, .. }));
    assert!(matches!(error(&|s| s.merges = None), TextError::MissingKey { key: "tokenizer.ggml.merges" }));
    assert!(matches!(error(&|s| s.merges = Some(vec![b"ab"])), TextError::BadMerge { index: 0, .. }));
    assert!(matches!(error(&|s| s.pre = Some("qwen99")), TextError::UnknownPreTokenizer { name } if name == "qwen99"));
    assert!(matches!(error(&|s| s.model = "rwkv"), TextError::UnsupportedTokenizer { model } if model == "rwkv"));
    let types = |s: &mut TokenizerSource<'_>| s.token_types = Some(vec![9; s.tokens.len()]);
    assert!(matches!(error(&types), TextError::BadTokenType { id: 0, found: 9 }));

    let mut draft = sentencepiece();
    draft.scores[7] = f32::NAN;
    assert!(matches!(Tokenizer::from_source(draft.source()), Err(TextError::BadScore { id: 7 })));

    let mut draft = Draft { model: "gpt2", pre: Some("gpt-2"), ..Draft::default() };
    draft.add("a", NORMAL, 0.0);
    draft.model = "gemma4";
    assert!(matches!(draft.build().encode("ab", PLAIN), Err(TextError::NotEncodable { byte: b'b' })));
    draft.types[0] = BYTE;
    assert!(matches!(draft.build().encode("a", PLAIN), Err(TextError::NotEncodable { byte: b'a' })));
}

proptest! {
    /// Decoding gives back what was encoded, whatever characters it has, with every rule.
    #[test]
    fn text_comes_back(text in prop_oneof![".*", "[ a\n1hel.'<>é中😀]{0,60}"]) {
        thread_local!(static ALL: Vec<(String, Tokenizer)> =
            one_of_each().into_iter().map(|(name, draft)| (name, draft.build())).collect());
        ALL.with(|all| {
            for (name, tokenizer) in all.iter().filter(|(name, _)| name != "bert") {
                let ids = tokenizer.encode(&text, PLAIN).unwrap();
                // Gemma's `▁` is a space and cannot be told from one.
                let expected = if matches!(name.as_str(), "llama" | "gemma4") { text.replace('▁', " ") } else { text.clone() };
                prop_assert_eq!(tokenizer.decode(&ids, KEEP).unwrap(), expected, "{}", name);
            }
            Ok(())
        })?;
    }
}
