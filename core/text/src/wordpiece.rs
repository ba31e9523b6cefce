//! WordPiece (BERT): text is normalised and cut into words and punctuation, each word into the longest tokens.
//!
//! GGUF files write a word's first token with `▁` in front and its other tokens bare. A word that cannot be built
//! from tokens is the unknown token as a whole.

use unicode_normalization::UnicodeNormalization;

use crate::TextError;
use crate::pretokenize::Categories;
use crate::vocabulary::Vocabulary;

/// At each place of a word, tokens of every length are looked up; this bounds how long that takes.
const LONGEST_TOKEN: usize = 512;

/// BERT's normaliser and the token for what it cannot express.
#[derive(Debug)]
pub(crate) struct WordPiece {
    pub(crate) lowercase: bool,
    pub(crate) strip_accents: bool,
    pub(crate) unknown: Option<u32>,
}

impl WordPiece {
    pub(crate) fn check(vocabulary: &Vocabulary) -> Result<(), TextError> {
        let limit = LONGEST_TOKEN;
        match vocabulary.iter().map(|(id, _)| (id, vocabulary.text(id).len())).find(|&(_, bytes)| bytes > limit) {
            Some((id, bytes)) => Err(TextError::TokenTooLong { id, bytes, limit }),
            None => Ok(()),
        }
    }

    /// Appends the tokens of plain text.
    pub(crate) fn encode(&self, vocabulary: &Vocabulary, text: &str, out: &mut Vec<u32>) -> Result<(), TextError> {
        let mut word = String::from("▁");
        let empty = word.len();
        for c in self.normalise(text) {
            let categories = Categories::of(c);
            let alone = stands_alone(c, categories);
            if (alone || categories.meets(Categories::SPACE)) && word.len() > empty {
                self.encode_word(vocabulary, &word, out)?;
                word.truncate(empty);
            }
            if categories.meets(Categories::SPACE) {
                continue;
            }
            word.push(c);
            if alone {
                self.encode_word(vocabulary, &word, out)?;
                word.truncate(empty);
            }
        }
        if word.len() > empty {
            self.encode_word(vocabulary, &word, out)?;
        }
        Ok(())
    }

    fn normalise<'a>(&self, text: &'a str) -> Box<dyn Iterator<Item = char> + 'a> {
        let clean = text.chars().filter(|&c| {
            let categories = Categories::of(c);
            let unwanted = c == '\0' || c == char::REPLACEMENT_CHARACTER || categories.meets(Categories::CONTROL);
            !unwanted || categories.meets(Categories::SPACE)
        });
        let bare: Box<dyn Iterator<Item = char>> = if self.strip_accents {
            Box::new(clean.nfd().filter(|&c| !Categories::of(c).meets(Categories::NONSPACING)))
        } else {
            Box::new(clean)
        };
        if self.lowercase { Box::new(bare.flat_map(char::to_lowercase)) } else { bare }
    }

    /// Longest token first, from left to right.
    fn encode_word(&self, vocabulary: &Vocabulary, word: &str, out: &mut Vec<u32>) -> Result<(), TextError> {
        let before = out.len();
        let mut start = 0;
        while start < word.len() {
            let longest = word.len().min(start + vocabulary.longest());
            let found = (start + 1..=longest)
                .rev()
                .filter(|&end| word.is_char_boundary(end))
                .find_map(|end| Some((end, vocabulary.find_text(&word.as_bytes()[start..end])?)));
            let Some((end, id)) = found else {
                out.truncate(before);
                out.push(self.unknown.ok_or(TextError::MissingSpecial { which: "unknown" })?);
                return Ok(());
            };
            out.push(id);
            start = end;
        }
        Ok(())
    }
}

/// Punctuation and Chinese characters are words of their own.
fn stands_alone(c: char, categories: Categories) -> bool {
    categories.meets(Categories::PUNCTUATION) || c.is_ascii_punctuation() || is_chinese(c)
}

/// The blocks that BERT's tokenizer counts as Chinese characters.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F | 0x2_B740..=0x2_B81F
        | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}
