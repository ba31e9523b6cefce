//! Token ids back to bytes and text.

use std::borrow::Cow;
use std::sync::Arc;

use super::{DecodeOptions, Spelling, Tokenizer};
use crate::bytes::{append_byte_level, parse_hex_byte};
use crate::vocabulary::TokenType;
use crate::{StreamDecoder, TextError};

impl Tokenizer {
    /// The text of token ids. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32], options: DecodeOptions) -> Result<String, TextError> {
        let bytes = self.decode_bytes(ids, options)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// The bytes of token ids.
    ///
    /// Where the tokenizer puts a space before a text, that space is taken off again, so that decoding gives back
    /// what was encoded.
    pub fn decode_bytes(&self, ids: &[u32], options: DecodeOptions) -> Result<Vec<u8>, TextError> {
        let mut out = Vec::new();
        let mut after_special = true;
        for &id in ids {
            let before = out.len();
            self.append_piece(id, after_special, &mut out)?;
            after_special = self.is_special(id);
            if self.is_hidden(id) && !options.keep_special {
                out.truncate(before);
            }
        }
        Ok(out)
    }

    /// Appends the bytes that a token adds to a text, without allocating for it; `after_special` says whether it stands
    /// at the start or after a special token, where it may carry a space that is not part of the text.
    pub(crate) fn append_piece(&self, id: u32, after_special: bool, out: &mut Vec<u8>) -> Result<(), TextError> {
        let out_of_range = TextError::TokenOutOfRange { id, vocabulary_size: self.vocabulary.len() };
        let kind = self.vocabulary.token_type(id).ok_or(out_of_range)?;
        let text = self.vocabulary.text(id);
        let before = out.len();
        match (kind, self.spelling) {
            (TokenType::Control | TokenType::Unknown | TokenType::UserDefined, _) => out.extend_from_slice(text),
            (TokenType::Byte, _) if let Some(byte) = parse_hex_byte(text) => out.push(byte),
            (_, Spelling::ByteLevel) => {
                if !std::str::from_utf8(text).is_ok_and(|text| append_byte_level(text, out)) {
                    out.extend_from_slice(text);
                }
            }
            (_, Spelling::Metaspace) => append_unescaped(text, out),
        }
        if after_special && self.add_space_prefix && !self.is_special(id) && out.get(before) == Some(&b' ') {
            out.remove(before);
        }
        Ok(())
    }

    /// Whether encoding a text that follows this token starts afresh.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        let kind = self.vocabulary.token_type(id);
        matches!(kind, Some(TokenType::Control | TokenType::Unknown | TokenType::UserDefined))
    }

    /// Whether a reader should not see this token.
    pub(crate) fn is_hidden(&self, id: u32) -> bool {
        matches!(self.vocabulary.token_type(id), Some(TokenType::Control | TokenType::Unknown))
    }

    /// The bytes that a token stands for; control tokens stand for their own text.
    pub fn token_bytes(&self, id: u32) -> Option<Cow<'_, [u8]>> {
        let kind = self.vocabulary.token_type(id)?;
        if matches!(kind, TokenType::Control | TokenType::Unknown | TokenType::UserDefined) {
            return Some(Cow::Borrowed(self.vocabulary.text(id)));
        }
        let mut bytes = Vec::new();
        self.append_piece(id, false, &mut bytes).ok()?;
        Some(Cow::Owned(bytes))
    }

    /// A decoder for tokens that come one by one.
    pub fn stream(self: &Arc<Self>, options: DecodeOptions) -> StreamDecoder {
        StreamDecoder::new(Arc::clone(self), options)
    }
}

/// `▁` to a space.
fn append_unescaped(text: &[u8], out: &mut Vec<u8>) {
    const MARK: &[u8] = "▁".as_bytes();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = match rest.strip_prefix(MARK) {
            Some(after) => {
                out.push(b' ');
                after
            }
            None => {
                out.push(first);
                after
            }
        };
    }
}
