//! Tokens with a role: which ones begin and end a text, and which ones end an answer.
//!
//! GGUF files name some roles by key. Converters forgot others, so the rest is known by text, as llama.cpp does it:
//! a file made for it must end its answers at the same tokens here. A token that is known by text to be a marker is
//! a control token whatever type the file gave it.

use crate::source::SpecialIds;
use crate::vocabulary::{TokenType, Vocabulary};

const END_OF_TURN: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
];
const END_OF_MESSAGE: &[&str] = &["<|eom_id|>"];
const END_OF_GENERATION: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];
const FIM_PREFIX: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
];
const FIM_SUFFIX: &[&str] = &[
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
];
const FIM_MIDDLE: &[&str] = &[
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
];
const FIM_PADDING: &[&str] = &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];
const FIM_REPOSITORY: &[&str] = &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"];
const FIM_SEPARATOR: &[&str] = &["<|file_sep|>"];

/// gpt-oss writes its channels with these and expects them back as text.
const ALWAYS_TEXT: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// The resolved roles. Every id is in the vocabulary.
#[derive(Debug, Clone, Default)]
pub(crate) struct Specials {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    pub(crate) separator: Option<u32>,
    /// Sorted, without duplicates.
    pub(crate) end: Vec<u32>,
}

impl Specials {
    /// Resolves roles, `defaults` where the file is silent, and corrects the types in `vocabulary`.
    ///
    /// An id outside the vocabulary counts as absent: vocabularies that were cut down are met in practice, and a
    /// default such as BERT's 101 may lie outside a small one.
    pub(crate) fn resolve(ids: &SpecialIds, defaults: &SpecialIds, vocabulary: &mut Vocabulary) -> Self {
        let pick = |given: Option<u32>, default: Option<u32>, vocabulary: &Vocabulary| {
            let known = |id: &u32| vocabulary.contains(*id);
            given.filter(known).or(default.filter(known))
        };
        let bos = pick(ids.bos, defaults.bos, vocabulary);
        let eos = pick(ids.eos, defaults.eos, vocabulary);
        let unknown = pick(ids.unknown, defaults.unknown, vocabulary);
        let separator = pick(ids.separator, defaults.separator, vocabulary);

        let mut by_role = |given: Option<u32>, texts: &[&str]| match pick(given, None, vocabulary) {
            Some(id) => Some(id),
            None => {
                let id = texts.iter().find_map(|text| vocabulary.find(text.as_bytes()))?;
                vocabulary.set_type(id, TokenType::Control);
                Some(id)
            }
        };
        let eot = by_role(ids.eot, END_OF_TURN);
        let eom = by_role(ids.eom, END_OF_MESSAGE);
        by_role(ids.fim_prefix, FIM_PREFIX);
        by_role(ids.fim_suffix, FIM_SUFFIX);
        by_role(ids.fim_middle, FIM_MIDDLE);
        let fim = [
            by_role(ids.fim_padding, FIM_PADDING),
            by_role(ids.fim_repository, FIM_REPOSITORY),
            by_role(ids.fim_separator, FIM_SEPARATOR),
        ];

        let mut end: Vec<u32> = fim.into_iter().flatten().collect();
        for text in END_OF_GENERATION {
            if let Some(id) = vocabulary.find(text.as_bytes()) {
                // In Qwen's vocabularies, among others, </s> is an HTML tag that merges build.
                if *text == "</s>" && vocabulary.token_type(id) == Some(TokenType::Normal) {
                    continue;
                }
                vocabulary.set_type(id, TokenType::Control);
                end.push(id);
            }
        }
        for text in ALWAYS_TEXT {
            if let Some(id) = vocabulary.find(text.as_bytes()) {
                vocabulary.set_type(id, TokenType::UserDefined);
            }
        }
        end.extend([eos, eot, eom].into_iter().flatten());
        end.sort_unstable();
        end.dedup();
        drop_exceptions(&mut end, vocabulary);
        Self { bos, eos, unknown, separator, end }
    }
}

/// Some families use a usual end marker for something else.
fn drop_exceptions(end: &mut Vec<u32>, vocabulary: &mut Vocabulary) {
    let ends = |text: &str, end: &[u32], vocabulary: &Vocabulary| {
        vocabulary.find(text.as_bytes()).filter(|id| end.binary_search(id).is_ok())
    };
    let has = |text: &str, end: &[u32], vocabulary: &Vocabulary| ends(text, end, vocabulary).is_some();
    // gpt-oss and Solar Open end a message, not the answer, with <|end|>.
    let calls = has("<|call|>", end, vocabulary) || has("<|calls|>", end, vocabulary);
    if calls
        && (has("<|return|>", end, vocabulary) || has("<|flush|>", end, vocabulary))
        && let Some(id) = ends("<|end|>", end, vocabulary)
    {
        end.retain(|&other| other != id);
        vocabulary.set_type(id, TokenType::UserDefined);
    }
    // In Gemma 4 and PLaMo </s> is an HTML tag.
    if (has("<|tool_response>", end, vocabulary) || has("<|plamo:eos|>", end, vocabulary))
        && let Some(id) = ends("</s>", end, vocabulary)
    {
        end.retain(|&other| other != id);
        vocabulary.set_type(id, TokenType::Normal);
    }
}
