//! Encoders against other implementations of the same definition, on random vocabularies and random texts:
//! byte-pair merging against the `tokenizers` crate, SentencePiece against the plainest code that says what it is.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use common::{Draft, NORMAL, UNKNOWN, byte_chars};
use inkling_text::EncodeOptions;
use proptest::prelude::*;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};

/// Which earlier pieces each merge joins, to be taken modulo their number.
fn merges() -> impl Strategy<Value = Vec<(prop::sample::Index, prop::sample::Index)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn merges_like_the_tokenizers_crate(merges in merges(), text in "[abc]{0,80}", long in "[ab]{0,12}", times in 1..12usize) {
        let mut draft = Draft { model: "gpt2", pre: Some("gpt-2"), ..Draft::default() };
        for c in byte_chars() {
            draft.add(&c.to_string(), NORMAL, 0.0);
        }
        let mut pieces = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let mut pairs = vec![];
        for (left, right) in merges {
            let (left, right) = (left.get(&pieces).clone(), right.get(&pieces).clone());
            let whole = format!("{left}{right}");
            if whole.len() <= 16 && !pairs.contains(&(left.clone(), right.clone())) {
                draft.merge(&left, &right);
                pairs.push((left, right));
                if !pieces.contains(&whole) {
                    pieces.push(whole);
                }
            }
        }
        let vocabulary = draft.tokens.iter().zip(0u32..).map(|(token, id)| (String::from_utf8(token.clone()).unwrap(), id));
        let oracle = BPE::builder().vocab_and_merges(vocabulary.collect::<Vocab>(), pairs).build().unwrap();
        let tokenizer = draft.build();
        for text in [text, long.repeat(times)] {
            let expected: Vec<u32> = oracle.tokenize(&text).unwrap().iter().map(|token| token.id).collect();
            prop_assert_eq!(tokenizer.encode(&text, EncodeOptions::default()).unwrap(), expected, "{:?}", text);
        }
    }

    #[test]
    fn sentencepiece_joins_the_best_pair_until_none_is_left(
        pieces in prop::collection::btree_map("[ab▁]{1,6}", -4..4i8, 0..40), text in "[ab c]{0,60}",
    ) {
        let mut draft = Draft { model: "llama", ..Draft::default() };
        draft.add("<unk>", UNKNOWN, 0.0);
        draft.ids.unknown = Some(0);
        for (piece, score) in &pieces {
            draft.add(piece, NORMAL, f32::from(*score) / 2.0);
        }
        let tokenizer = draft.build();
        let mut symbols: Vec<String> = if text.is_empty() { vec![] } else { vec!["▁".to_owned()] };
        symbols.extend(text.replace(' ', "▁").chars().map(String::from));
        loop {
            let score = |at: usize| pieces.get(&symbols[at..at + 2].concat()).copied();
            // `max_by_key` takes the last of equals, so the places run backwards.
            let best = (0..symbols.len().saturating_sub(1)).rev().filter(|&at| score(at).is_some()).max_by_key(|&at| score(at));
            let Some(at) = best else { break };
            let right = symbols.remove(at + 1);
            symbols[at].push_str(&right);
        }
        let expected: Vec<u32> = symbols.iter().map(|symbol| tokenizer.token_id(symbol).unwrap_or(0)).collect();
        prop_assert_eq!(tokenizer.encode(&text, EncodeOptions::default()).unwrap(), expected);
    }
}
