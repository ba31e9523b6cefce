//! Token ids back to bytes and text.

use std::borrow::Cow;
use std::sync::Arc;

use super::{DecodeOptions, Spelling, Tokenizer};
use crate::bytes::{decode_byte_level, parse_hex_byte};
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
            let piece = self.piece(id, after_special)?;
            after_special = self.is_special(id);
            if !self.is_hidden(id) || options.keep_special {
                out.extend_from_slice(&piece);
            }
        }
        Ok(out)
    }

    /// The bytes that a token adds to a text; `after_special` says whether it stands at the start or after a special
    /// token, where it may carry a space that is not part of the text.
    pub(crate) fn piece(&self, id: u32, after_special: bool) -> Result<Cow<'_, [u8]>, TextError> {
        let out_of_range = TextError::TokenOutOfRange { id, vocabulary_size: self.vocabulary.len() };
        let bytes = self.token_bytes(id).ok_or(out_of_range)?;
        if after_special && self.add_space_prefix && !self.is_special(id) && bytes.first() == Some(&b' ') {
            return Ok(match bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[1..]),
                Cow::Owned(bytes) => Cow::Owned(bytes[1..].to_vec()),
            });
        }
        Ok(bytes)
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
        let text = self.vocabulary.text(id);
        Some(match (kind, self.spelling) {
            (TokenType::Control | TokenType::Unknown | TokenType::UserDefined, _) => Cow::Borrowed(text),
            (TokenType::Byte, _) if parse_hex_byte(text).is_some() => {
                parse_hex_byte(text).map_or(Cow::Borrowed(text), |byte| Cow::Owned(vec![byte]))
            }
            (_, Spelling::ByteLevel) => {
                let bytes = std::str::from_utf8(text).ok().and_then(decode_byte_level);
                bytes.map_or(Cow::Borrowed(text), Cow::Owned)
            }
            (_, Spelling::Metaspace) => unescape(text),
        })
    }

    /// A decoder for tokens that come one by one.
    pub fn stream(self: &Arc<Self>, options: DecodeOptions) -> StreamDecoder {
        StreamDecoder::new(Arc::clone(self), options)
    }
}

/// `▁` to a space.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    const MARK: &[u8] = "▁".as_bytes();
    if !text.windows(MARK.len()).any(|window| window == MARK) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
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
    Cow::Owned(out)
}
