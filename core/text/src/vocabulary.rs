//! The tokens of a model: text, type and number of each, and the way back from text to number.
//!
//! All texts lie in one buffer and the index from text to id holds only ids, so that a vocabulary of 262 144
//! tokens costs a few megabytes. Texts are bytes as the file has them; nothing here assumes UTF-8.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::TextError;

/// What a token is for, as `tokenizer.ggml.token_type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// A piece of ordinary text.
    Normal,
    /// Stands for what the vocabulary cannot express.
    Unknown,
    /// Steers the model; never written by a user and not shown to one.
    Control,
    /// Added to the vocabulary as a whole; always matched in text, before anything else.
    UserDefined,
    /// Reserved.
    Unused,
    /// One raw byte, written `<0xNN>`.
    Byte,
}

impl TokenType {
    pub(crate) fn from_number(id: u32, number: i32) -> Result<Self, TextError> {
        Ok(match number {
            // 0 is "undefined": writers that do not care about types leave it.
            0 | 1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            found => return Err(TextError::BadTokenType { id, found }),
        })
    }

    /// Whether ordinary text may become this token. It is what keeps a user's `<|im_end|>` from ending a turn.
    pub(crate) fn is_text(self) -> bool {
        !matches!(self, Self::Control | Self::Unknown | Self::Byte)
    }
}

/// Token texts and types. Two tokens with the same text are tolerated: text becomes the one with the lowest id.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    bytes: Vec<u8>,
    /// End of each token's text in `bytes`.
    ends: Vec<u32>,
    types: Vec<TokenType>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    longest: usize,
}

impl Vocabulary {
    /// Takes the texts in the order of their ids. `types` is empty (all normal) or as long as the tokens.
    pub(crate) fn new<'a>(
        texts: impl ExactSizeIterator<Item = &'a [u8]>,
        types: Vec<TokenType>,
    ) -> Result<Self, TextError> {
        let count = texts.len();
        if count == 0 {
            return Err(TextError::EmptyVocabulary);
        }
        if !types.is_empty() && types.len() != count {
            let key = crate::source::keys::TOKEN_TYPE;
            return Err(TextError::LengthMismatch { key, have: types.len(), need: count });
        }
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(count);
        let mut longest = 0;
        for text in texts {
            bytes.extend_from_slice(text);
            longest = longest.max(text.len());
            // The largest id and offset stay free for "none".
            match u32::try_from(bytes.len()) {
                Ok(end) if end < u32::MAX && count < i32::MAX as usize => ends.push(end),
                _ => return Err(TextError::VocabularyTooLarge { tokens: count, bytes: bytes.len() }),
            }
        }
        let types = if types.is_empty() { vec![TokenType::Normal; count] } else { types };
        let mut this = Self {
            bytes,
            ends,
            types,
            index: HashTable::with_capacity(count),
            hasher: DefaultHashBuilder::default(),
            longest,
        };
        for id in 0..count as u32 {
            this.enter(id);
        }
        Ok(this)
    }

    fn enter(&mut self, id: u32) {
        let Self { bytes, ends, index, hasher, .. } = self;
        let text = slice(bytes, ends, id);
        let hash = hasher.hash_one(text);
        if !text.is_empty() && index.find(hash, |&other| slice(bytes, ends, other) == text).is_none() {
            index.insert_unique(hash, id, |&other| hasher.hash_one(slice(bytes, ends, other)));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        (id as usize) < self.ends.len()
    }

    /// The text as the file has it; empty for an id out of range.
    pub(crate) fn text(&self, id: u32) -> &[u8] {
        if self.contains(id) { slice(&self.bytes, &self.ends, id) } else { &[] }
    }

    pub(crate) fn token_type(&self, id: u32) -> Option<TokenType> {
        self.types.get(id as usize).copied()
    }

    pub(crate) fn set_type(&mut self, id: u32, token_type: TokenType) {
        if let Some(slot) = self.types.get_mut(id as usize) {
            *slot = token_type;
        }
    }

    /// The token with exactly this text.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.index.find(hash, |&id| slice(&self.bytes, &self.ends, id) == text).copied()
    }

    /// The token that ordinary text `text` may become.
    pub(crate) fn find_text(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        self.find(text).filter(|&id| self.types[id as usize].is_text())
    }

    /// Length in bytes of the longest token.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// All ids with their types.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, TokenType)> + '_ {
        self.types.iter().enumerate().map(|(id, &kind)| (id as u32, kind))
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] as usize };
    &bytes[start..ends[id] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(texts: &[&str], types: Vec<TokenType>) -> Result<Vocabulary, TextError> {
        Vocabulary::new(texts.iter().map(|text| text.as_bytes()), types)
    }

    #[test]
    fn finds_every_text_and_the_lowest_of_duplicates() {
        let vocabulary = vocabulary(&["a", "bc", "", "a", "d"], vec![]).unwrap();
        assert_eq!(vocabulary.find(b"a"), Some(0));
        assert_eq!(vocabulary.find(b"bc"), Some(1));
        assert_eq!(vocabulary.find(b"d"), Some(4));
        assert_eq!(vocabulary.find(b""), None);
        assert_eq!(vocabulary.find(b"b"), None);
        assert_eq!(vocabulary.text(3), b"a");
        assert_eq!(vocabulary.text(5), b"");
    }

    #[test]
    fn control_tokens_are_not_text() {
        let vocabulary = vocabulary(&["<s>", "x"], vec![TokenType::Control, TokenType::Normal]).unwrap();
        assert_eq!(vocabulary.find(b"<s>"), Some(0));
        assert_eq!(vocabulary.find_text(b"<s>"), None);
        assert_eq!(vocabulary.find_text(b"x"), Some(1));
    }

    #[test]
    fn refuses_nothing_and_ragged_arrays() {
        assert!(matches!(vocabulary(&[], vec![]), Err(TextError::EmptyVocabulary)));
        assert!(matches!(
            vocabulary(&["a", "b"], vec![TokenType::Normal]),
            Err(TextError::LengthMismatch { have: 1, need: 2, .. })
        ));
    }
}
