//! Byte-pair encoding: within a word, the neighbours with the best merge rule join until no rule fits.
//!
//! Pieces are numbers, not strings: a token's id, or a number beyond the vocabulary for a piece that merges pass
//! through without being a token (vocabularies that were cut down have many). Rules are one hash look-up on a pair of
//! numbers. The `tokenizers` crate has the same algorithm and is the oracle of the tests; it is not used because it
//! refuses a vocabulary with such a piece, keeps three copies of every token as separate strings, and allocates per
//! token.

mod merge;
mod rules;

use crate::TextError;
use crate::bytes::{byte_to_char, hex_byte};
use crate::pretokenize::{Rule, split};
use crate::vocabulary::Vocabulary;

pub(crate) use merge::Scratch;
use rules::Rules;

/// The part of the tokenizer that turns plain text into tokens.
#[derive(Debug)]
pub(crate) struct Bpe {
    rule: Rule,
    rules: Rules,
    /// The piece of each byte, for byte-level vocabularies.
    byte_pieces: Vec<u32>,
    /// The token that expresses a byte which is in no piece, if there is one.
    byte_tokens: Vec<Option<u32>>,
    /// Stands for a character that has no tokens. Files of byte-level vocabularies name one too, often the same as
    /// the end of the text, but it is never used.
    unknown: Option<u32>,
}

/// No piece: a character that neither the vocabulary nor a rule mentions.
const NO_PIECE: u32 = u32::MAX;

impl Bpe {
    pub(crate) fn new(
        vocabulary: &Vocabulary,
        merges: &[&[u8]],
        rule: Rule,
        unknown: Option<u32>,
    ) -> Result<Self, TextError> {
        let mut rules = Rules::new(vocabulary, merges)?;
        let mut byte_pieces = Vec::new();
        let mut byte_tokens = Vec::with_capacity(256);
        for byte in 0..=u8::MAX {
            if rule.byte_level {
                let mut buffer = [0; 4];
                let text = byte_to_char(byte).encode_utf8(&mut buffer).as_bytes();
                byte_pieces.push(rules.piece(vocabulary, text));
                byte_tokens.push(vocabulary.find_text(text));
            } else {
                byte_tokens.push(vocabulary.find(&hex_byte(byte)));
            }
        }
        let unknown = unknown.filter(|_| !rule.byte_level);
        Ok(Self { rule, rules, byte_pieces, byte_tokens, unknown })
    }

    /// Appends the tokens of plain text.
    pub(crate) fn encode(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        let mut result = Ok(());
        if self.rule.byte_level {
            split(text, self.rule.steps, &mut |word| {
                if result.is_ok() {
                    result = self.encode_bytes(vocabulary, word.as_bytes(), scratch, out);
                }
            });
        } else {
            let text = text.replace(' ', "▁");
            split(&text, self.rule.steps, &mut |word| {
                if result.is_ok() {
                    result = self.encode_chars(vocabulary, word, scratch, out);
                }
            });
        }
        result
    }

    fn encode_bytes(
        &self,
        vocabulary: &Vocabulary,
        word: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        if self.rule.ignore_merges && word.len() <= vocabulary.longest() {
            scratch.spelled.clear();
            scratch.spelled.extend(word.iter().map(|&byte| byte_to_char(byte)));
            if let Some(id) = vocabulary.find_text(scratch.spelled.as_bytes()) {
                out.push(id);
                return Ok(());
            }
        }
        scratch.start();
        for &byte in word {
            scratch.push(self.byte_pieces[byte as usize], 1);
        }
        self.finish(vocabulary, word, scratch, out)
    }

    fn encode_chars(
        &self,
        vocabulary: &Vocabulary,
        word: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        // Gemma 4 has tokens for runs of line breaks that no merge builds.
        if word.starts_with('\n')
            && let Some(id) = vocabulary.find_text(word.as_bytes())
        {
            out.push(id);
            return Ok(());
        }
        scratch.start();
        let mut buffer = [0; 4];
        for c in word.chars() {
            let text = c.encode_utf8(&mut buffer).as_bytes();
            scratch.push(self.rules.find_piece(vocabulary, text).unwrap_or(NO_PIECE), text.len() as u32);
        }
        self.finish(vocabulary, word.as_bytes(), scratch, out)
    }

    fn finish(
        &self,
        vocabulary: &Vocabulary,
        word: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        scratch.merge(&self.rules);
        for (piece, start, end) in scratch.pieces() {
            if vocabulary.contains(piece) {
                out.push(piece);
                continue;
            }
            for &byte in &word[start..end] {
                match self.byte_tokens[byte as usize].or(self.unknown) {
                    Some(id) => out.push(id),
                    // Falcon's vocabulary, among others, lacks a few control characters and leaves them out.
                    None if self.rule.byte_level => {}
                    None => return Err(TextError::NotEncodable { byte }),
                }
            }
        }
        Ok(())
    }
}
