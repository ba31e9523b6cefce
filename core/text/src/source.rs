//! What a GGUF says about its tokenizer, as plain data.
//!
//! [`TokenizerSource`] is the only thing a [`Tokenizer`](crate::Tokenizer) is built from. Files fill it through
//! [`Tokenizer::from_metadata`](crate::Tokenizer::from_metadata); tests and tools may fill it by hand.

use std::borrow::Cow;

use inkling_gguf::{Array, Metadata};

use crate::TextError;

/// The metadata keys, as the format spells them.
pub(crate) mod keys {
    pub(crate) const MODEL: &str = "tokenizer.ggml.model";
    pub(crate) const PRE: &str = "tokenizer.ggml.pre";
    pub(crate) const TOKENS: &str = "tokenizer.ggml.tokens";
    pub(crate) const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
    pub(crate) const SCORES: &str = "tokenizer.ggml.scores";
    pub(crate) const MERGES: &str = "tokenizer.ggml.merges";
    pub(crate) const CHARSMAP: &str = "tokenizer.ggml.precompiled_charsmap";
}

/// Ids that the file names by role; `None` where the file is silent.
#[derive(Debug, Clone, Default)]
pub struct SpecialIds {
    /// `bos_token_id`: beginning of a sequence.
    pub bos: Option<u32>,
    /// `eos_token_id`: end of a sequence.
    pub eos: Option<u32>,
    /// `eot_token_id`: end of a turn.
    pub eot: Option<u32>,
    /// `eom_token_id`: end of a message that expects a tool's answer.
    pub eom: Option<u32>,
    /// `unknown_token_id`.
    pub unknown: Option<u32>,
    /// `seperator_token_id` (sic).
    pub separator: Option<u32>,
    /// `padding_token_id`.
    pub padding: Option<u32>,
    /// `mask_token_id`.
    pub mask: Option<u32>,
    /// `fim_pre_token_id`: fill in the middle, what comes before the hole.
    pub fim_prefix: Option<u32>,
    /// `fim_suf_token_id`: what comes after the hole.
    pub fim_suffix: Option<u32>,
    /// `fim_mid_token_id`: the hole.
    pub fim_middle: Option<u32>,
    /// `fim_pad_token_id`.
    pub fim_padding: Option<u32>,
    /// `fim_rep_token_id`: a repository's name follows.
    pub fim_repository: Option<u32>,
    /// `fim_sep_token_id`: the next file of the repository follows.
    pub fim_separator: Option<u32>,
}

/// Switches of the file; `None` where the file is silent and the kind of tokenizer decides.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFlags {
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_sep_token`.
    pub add_separator: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `normalizer.lowercase`.
    pub lowercase: Option<bool>,
    /// `normalizer.strip_accents`.
    pub strip_accents: Option<bool>,
}

/// A tokenizer's description, borrowed from the file where it is large.
#[derive(Debug, Clone, Default)]
pub struct TokenizerSource<'a> {
    /// `tokenizer.ggml.model`: the kind of tokenizer.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`: the rule that cuts text into words, for the kinds that do.
    pub pre: Option<&'a str>,
    /// `tokenizer.ggml.tokens`, in the order of the ids.
    pub tokens: Vec<&'a [u8]>,
    /// `tokenizer.ggml.token_type`; absent means all normal.
    pub token_types: Option<Vec<i32>>,
    /// `tokenizer.ggml.scores`; absent means all zero.
    pub scores: Option<Vec<f32>>,
    /// `tokenizer.ggml.merges`, best first.
    pub merges: Option<Vec<&'a [u8]>>,
    /// `tokenizer.ggml.precompiled_charsmap`.
    pub charsmap: Option<Vec<u8>>,
    /// The ids named by role.
    pub ids: SpecialIds,
    /// The switches.
    pub flags: TokenizerFlags,
    /// `general.architecture`, which a few older files need to be read right.
    pub architecture: Option<&'a str>,
    /// `general.name`, likewise.
    pub name: Option<&'a str>,
}

impl<'a> TokenizerSource<'a> {
    /// Reads what a GGUF says.
    pub fn from_metadata(meta: &'a Metadata) -> Result<Self, TextError> {
        let model = meta.str(keys::MODEL)?.ok_or(TextError::MissingKey { key: keys::MODEL })?;
        let tokens = meta.strings(keys::TOKENS)?.ok_or(TextError::MissingKey { key: keys::TOKENS })?;
        Ok(Self {
            model,
            pre: meta.str(keys::PRE)?.filter(|name| !name.is_empty()),
            tokens: tokens.iter().collect(),
            token_types: meta.i32s(keys::TOKEN_TYPE)?.map(Cow::into_owned),
            scores: scores(meta)?,
            merges: meta.strings(keys::MERGES)?.map(|merges| merges.iter().collect()),
            charsmap: charsmap(meta)?,
            ids: SpecialIds::from_metadata(meta)?,
            flags: TokenizerFlags::from_metadata(meta)?,
            architecture: meta.str("general.architecture")?,
            name: meta.bytes("general.name")?.and_then(|name| std::str::from_utf8(name).ok()),
        })
    }
}

/// Scores are floats, but a few old converters wrote them as integers.
fn scores(meta: &Metadata) -> Result<Option<Vec<f32>>, TextError> {
    Ok(match meta.array(keys::SCORES)? {
        Some(array) if array.integer(0).is_some() => {
            meta.i32s(keys::SCORES)?.map(|scores| scores.iter().map(|&score| score as f32).collect())
        }
        Some(_) => meta.f32s(keys::SCORES)?.map(Cow::into_owned),
        None => None,
    })
}

/// The character map is an array of bytes, signed or not.
fn charsmap(meta: &Metadata) -> Result<Option<Vec<u8>>, TextError> {
    Ok(match meta.array(keys::CHARSMAP)? {
        None => None,
        Some(Array::U8(bytes)) => Some(bytes.to_vec()),
        Some(Array::I8(bytes)) => Some(bytes.iter().map(|&byte| byte.cast_unsigned()).collect()),
        Some(other) => {
            let why = format!("it should be an array of bytes and is one of {}", other.kind());
            return Err(TextError::BadKey { key: keys::CHARSMAP, why });
        }
    })
}

impl SpecialIds {
    fn from_metadata(meta: &Metadata) -> Result<Self, TextError> {
        // Some converters write -1, and some a larger type, for a role that the model does not have.
        let id = |names: &[&str]| -> Result<Option<u32>, TextError> {
            for name in names {
                if let Some(value) = meta.i64(&format!("tokenizer.ggml.{name}_token_id"))? {
                    return Ok(u32::try_from(value).ok());
                }
            }
            Ok(None)
        };
        Ok(Self {
            bos: id(&["bos"])?,
            eos: id(&["eos"])?,
            eot: id(&["eot"])?,
            eom: id(&["eom"])?,
            unknown: id(&["unknown"])?,
            separator: id(&["seperator", "separator"])?,
            padding: id(&["padding"])?,
            mask: id(&["mask"])?,
            fim_prefix: id(&["fim_pre", "prefix"])?,
            fim_suffix: id(&["fim_suf", "suffix"])?,
            fim_middle: id(&["fim_mid", "middle"])?,
            fim_padding: id(&["fim_pad"])?,
            fim_repository: id(&["fim_rep"])?,
            fim_separator: id(&["fim_sep"])?,
        })
    }
}

impl TokenizerFlags {
    fn from_metadata(meta: &Metadata) -> Result<Self, TextError> {
        let flag = |name: &str| meta.bool(&format!("tokenizer.ggml.{name}"));
        Ok(Self {
            add_bos: flag("add_bos_token")?,
            add_eos: flag("add_eos_token")?,
            add_separator: flag("add_sep_token")?,
            add_space_prefix: flag("add_space_prefix")?,
            remove_extra_whitespaces: flag("remove_extra_whitespaces")?,
            lowercase: flag("normalizer.lowercase")?,
            strip_accents: flag("normalizer.strip_accents")?,
        })
    }
}
