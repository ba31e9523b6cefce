//! What can go wrong with a vocabulary, a text or a list of token ids.

use inkling_base::{Classify, ErrorKind};

/// An error of this crate's tokenizer half.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A metadata key could not be read.
    #[error(transparent)]
    Metadata(#[from] inkling_gguf::GgufError),
    /// The GGUF lacks a key that its tokenizer needs.
    #[error("the metadata key {key} is missing")]
    MissingKey {
        /// The whole key.
        key: &'static str,
    },
    /// A metadata key holds a value of another type or one that makes no sense.
    #[error("the metadata key {key} is unusable: {why}")]
    BadKey {
        /// The whole key.
        key: &'static str,
        /// What was found and what would be right.
        why: String,
    },
    /// `tokenizer.ggml.model` names a kind of tokenizer that is not built here.
    #[error("tokenizer model {model:?} is not supported (supported: gpt2, gemma4, llama, bert)")]
    UnsupportedTokenizer {
        /// The name as the file has it.
        model: String,
    },
    /// `tokenizer.ggml.pre` names a pre-tokenizer that is not known.
    #[error("pre-tokenizer {name:?} is not known, and guessing one would give wrong tokens")]
    UnknownPreTokenizer {
        /// The name as the file has it.
        name: String,
    },
    /// The vocabulary has no tokens.
    #[error("the vocabulary is empty")]
    EmptyVocabulary,
    /// The vocabulary has more tokens, or more bytes of text, than 32-bit ids and offsets can name.
    #[error("the vocabulary is too large: {tokens} tokens with {bytes} bytes of text")]
    VocabularyTooLarge {
        /// Number of tokens.
        tokens: usize,
        /// Bytes of all token texts.
        bytes: usize,
    },
    /// An array that goes along with the tokens has another length.
    #[error("{key} has {have} entries for {need} tokens")]
    LengthMismatch {
        /// The whole key.
        key: &'static str,
        /// Its length.
        have: usize,
        /// The number of tokens.
        need: usize,
    },
    /// A token type that the format does not define.
    #[error("token {id} has the unknown type {found}")]
    BadTokenType {
        /// The token.
        id: u32,
        /// The type's number.
        found: i32,
    },
    /// A score that cannot be ordered.
    #[error("token {id} has no number as its score")]
    BadScore {
        /// The token.
        id: u32,
    },
    /// A merge rule that is not two pieces with a space between.
    #[error("merge rule {index} is not two pieces separated by a space: {rule:?}")]
    BadMerge {
        /// Its place in `tokenizer.ggml.merges`.
        index: usize,
        /// Its text.
        rule: String,
    },
    /// A token too long to be looked for in a text in reasonable time.
    #[error("token {id} has {bytes} bytes, more than the {limit} that this kind of tokenizer allows")]
    TokenTooLong {
        /// The token.
        id: u32,
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        limit: usize,
    },
    /// The special tokens could not be compiled into a matcher.
    #[error("the special tokens cannot be matched: {why}")]
    SpecialTokens {
        /// The matcher's reason.
        why: String,
    },
    /// The vocabulary should add a token that it does not have.
    #[error("the vocabulary wants a {which} token added but has none")]
    MissingSpecial {
        /// Its role.
        which: &'static str,
    },
    /// The text has a byte that no token of a character vocabulary can express.
    #[error("the vocabulary has no token for byte 0x{byte:02X} and no unknown token")]
    NotEncodable {
        /// The byte.
        byte: u8,
    },
    /// The text is longer than 32-bit offsets can name.
    #[error("the text has {bytes} bytes, more than {limit}")]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        limit: usize,
    },
    /// A token id that is not in the vocabulary.
    #[error("token {id} is not in the vocabulary of {vocabulary_size} tokens")]
    TokenOutOfRange {
        /// The id.
        id: u32,
        /// The number of tokens.
        vocabulary_size: usize,
    },
}

impl Classify for TextError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Metadata(error) => error.kind(),
            Self::MissingKey { .. }
            | Self::BadKey { .. }
            | Self::EmptyVocabulary
            | Self::LengthMismatch { .. }
            | Self::BadTokenType { .. }
            | Self::BadScore { .. }
            | Self::BadMerge { .. }
            | Self::SpecialTokens { .. }
            | Self::MissingSpecial { .. } => ErrorKind::ModelCorrupt { location: self.to_string() },
            Self::UnsupportedTokenizer { .. }
            | Self::UnknownPreTokenizer { .. }
            | Self::VocabularyTooLarge { .. }
            | Self::TokenTooLong { .. } => ErrorKind::UnsupportedModel { what: self.to_string() },
            Self::NotEncodable { .. } | Self::TextTooLong { .. } => ErrorKind::invalid("text", self.to_string()),
            Self::TokenOutOfRange { .. } => ErrorKind::invalid("tokens", self.to_string()),
        }
    }
}
