//! Small vocabularies, made by hand, that are rich enough to be wrong about.

#![allow(dead_code, reason = "each test file uses some of these")]

use inkling_text::{SpecialIds, Tokenizer, TokenizerFlags, TokenizerSource};

/// Token types by their number in a file.
pub(crate) const NORMAL: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const CONTROL: i32 = 3;
pub(crate) const USER_DEFINED: i32 = 4;
pub(crate) const BYTE: i32 = 6;

/// A vocabulary that grows token by token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) model: &'static str,
    pub(crate) pre: Option<&'static str>,
    pub(crate) tokens: Vec<Vec<u8>>,
    pub(crate) types: Vec<i32>,
    pub(crate) scores: Vec<f32>,
    pub(crate) merges: Vec<Vec<u8>>,
    pub(crate) ids: SpecialIds,
    pub(crate) flags: TokenizerFlags,
    pub(crate) name: Option<&'static str>,
}

impl Draft {
    pub(crate) fn add(&mut self, text: &str, kind: i32, score: f32) -> u32 {
        self.tokens.push(text.into());
        self.types.push(kind);
        self.scores.push(score);
        self.tokens.len() as u32 - 1
    }

    /// A merge rule, and the token that it makes.
    pub(crate) fn merge(&mut self, left: &str, right: &str) {
        self.merges.push(format!("{left} {right}").into());
        let whole = format!("{left}{right}");
        if !self.tokens.contains(&whole.clone().into_bytes()) {
            self.add(&whole, NORMAL, 0.0);
        }
    }

    pub(crate) fn source(&self) -> TokenizerSource<'_> {
        TokenizerSource {
            model: self.model,
            pre: self.pre,
            tokens: self.tokens.iter().map(Vec::as_slice).collect(),
            token_types: Some(self.types.clone()),
            scores: Some(self.scores.clone()),
            merges: Some(self.merges.iter().map(Vec::as_slice).collect()),
            ids: self.ids.clone(),
            flags: self.flags.clone(),
            name: self.name,
            ..TokenizerSource::default()
        }
    }

    pub(crate) fn build(&self) -> Tokenizer {
        Tokenizer::from_source(self.source()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The printable character of each byte in byte-level BPE.
pub(crate) fn byte_chars() -> Vec<char> {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 0x100;
    let char_of = |byte: u32| {
        if printable(byte) {
            return char::from_u32(byte);
        }
        next += 1;
        char::from_u32(next - 1)
    };
    (0..256).filter_map(char_of).collect()
}

/// Byte-level BPE: 256 bytes, a few merges, `<|im_start|>` and `<|im_end|>` as control tokens, `<tool>` user-defined.
pub(crate) fn byte_level(pre: &'static str) -> Draft {
    let mut draft = Draft { model: "gpt2", pre: Some(pre), ..Draft::default() };
    for c in byte_chars() {
        draft.add(&c.to_string(), NORMAL, 0.0);
    }
    // Runs of one letter, of spaces and of line breaks double up; the rest makes a few words.
    for seed in ["a", "Ġ", "Ċ", "1"] {
        let mut run = seed.to_owned();
        for _ in 0..6 {
            draft.merge(&run, &run);
            run = run.repeat(2);
        }
    }
    for (left, right) in [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "w"), ("o", "r"), ("Ġw", "or")] {
        draft.merge(left, right);
    }
    draft.add("<|im_start|>", CONTROL, 0.0);
    draft.ids.eos = Some(draft.add("<|im_end|>", CONTROL, 0.0));
    draft.ids.bos = Some(draft.add("<|begin|>", CONTROL, 0.0));
    draft.add("<tool>", USER_DEFINED, 0.0);
    draft
}

/// SentencePiece: unknown, `<s>`, `</s>`, bytes, letters and a few words with scores.
pub(crate) fn sentencepiece() -> Draft {
    let mut draft = Draft { model: "llama", ..Draft::default() };
    draft.add("<unk>", UNKNOWN, 0.0);
    draft.add("<s>", CONTROL, 0.0);
    draft.add("</s>", CONTROL, 0.0);
    for byte in 0..256 {
        draft.add(&format!("<0x{byte:02X}>"), BYTE, 0.0);
    }
    let pieces = ["▁▁", "▁▁▁▁", "he", "ll", "hell", "▁hell", "▁hello", "▁w", "or", "aa", "aaaa", "aaaaaaaa", "▁", "a"];
    for (rank, piece) in pieces.into_iter().enumerate() {
        draft.add(piece, NORMAL, -(rank as f32));
    }
    for letter in "bcdefghijklmnopqrstuvwxyz中".chars() {
        draft.add(&letter.to_string(), NORMAL, -100.0);
    }
    draft.add("<tool>", USER_DEFINED, 0.0);
    draft
}

/// WordPiece: BERT's special tokens, letters at the start and inside of words, and a few words.
pub(crate) fn wordpiece() -> Draft {
    let mut draft = Draft { model: "bert", ..Draft::default() };
    draft.ids.unknown = Some(draft.add("[UNK]", CONTROL, 0.0));
    draft.ids.bos = Some(draft.add("[CLS]", CONTROL, 0.0));
    draft.ids.separator = Some(draft.add("[SEP]", CONTROL, 0.0));
    for c in ('a'..='z').chain("0123456789.,!'".chars()) {
        draft.add(&format!("▁{c}"), NORMAL, 0.0);
        draft.add(&c.to_string(), NORMAL, 0.0);
    }
    for word in ["▁hello", "▁hell", "world", "▁wor", "ld", "▁cafe", "aa", "▁中"] {
        draft.add(word, NORMAL, 0.0);
    }
    draft
}

/// One of each kind, with pre-tokenizers of every shape.
pub(crate) fn one_of_each() -> Vec<(String, Draft)> {
    let names = [
        "gpt-2",
        "llama-bpe",
        "qwen2",
        "qwen35",
        "smollm",
        "falcon",
        "default",
        "deepseek-llm",
        "deepseek-coder",
        "deepseek-v3",
        "bloom",
        "viking",
        "tekken",
        "gpt-4o",
        "tiny_aya",
        "superbpe",
        "kimi-k2",
        "chameleon",
        "jais-2",
        "exaone-moe",
        "youtu",
        "spark2_5",
    ];
    let mut all: Vec<(String, Draft)> = names.map(|pre| (pre.to_owned(), byte_level(pre))).into();
    all.push(("llama".into(), sentencepiece()));
    all.push(("bert".into(), wordpiece()));
    all.push(("gemma4".into(), raw_characters()));
    all
}

/// Gemma 4's kind: merges on characters, bytes as `<0xNN>`.
pub(crate) fn raw_characters() -> Draft {
    let mut draft = Draft { model: "gemma4", ..Draft::default() };
    for byte in 0..256 {
        draft.add(&format!("<0x{byte:02X}>"), BYTE, 0.0);
    }
    for c in "▁abcdefghijklmnopqrstuvwxyz\n中".chars() {
        draft.add(&c.to_string(), NORMAL, 0.0);
    }
    for seed in ["a", "▁"] {
        let mut run = seed.to_owned();
        for _ in 0..5 {
            draft.merge(&run, &run);
            run = run.repeat(2);
        }
    }
    for (left, right) in [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "hello")] {
        draft.merge(left, right);
    }
    draft.add("\n\n", NORMAL, 0.0);
    draft.add("\n\n\n", NORMAL, 0.0);
    draft.ids.bos = Some(draft.add("<bos>", CONTROL, 0.0));
    draft
}
