//! Cuts a text into special tokens and the plain text between them, before anything else looks at it.
//!
//! The leftmost match wins, and of several at one place the longest, as in the tokenizers that models are trained
//! with. One pass of an Aho-Corasick automaton does it, so the time is linear in the text whatever tokens there are.

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::TextError;
use crate::vocabulary::{TokenType, Vocabulary};

/// A piece of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment<'a> {
    /// Text that the tokenizer proper has to encode; never empty.
    Text(&'a str),
    /// A special token that stood in the text.
    Token(u32),
}

/// Whether a special token swallows the white space beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Strip {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

/// Finds special tokens in text.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Tokens that always match.
    always: Matcher,
    /// Those and the control tokens.
    all: Matcher,
}

#[derive(Debug)]
struct Matcher {
    automaton: Option<AhoCorasick>,
    tokens: Vec<(u32, Strip)>,
}

impl Partition {
    /// Compiles the matchers; `strip` says what a token does to the white space beside it.
    pub(crate) fn new(vocabulary: &Vocabulary, strip: impl Fn(u32) -> Strip) -> Result<Self, TextError> {
        let matcher = |wanted: fn(TokenType) -> bool| {
            let ids = vocabulary.iter().filter(|&(id, kind)| wanted(kind) && is_pattern(vocabulary.text(id)));
            Matcher::new(vocabulary, ids.map(|(id, _)| (id, strip(id))).collect())
        };
        Ok(Self {
            always: matcher(|kind| kind == TokenType::UserDefined)?,
            all: matcher(|kind| matches!(kind, TokenType::UserDefined | TokenType::Control | TokenType::Unknown))?,
        })
    }

    /// Calls `each` with the fragments of `text` in order. Control tokens count only if `parse_special`.
    pub(crate) fn split<'a>(
        &self,
        text: &'a str,
        parse_special: bool,
        mut each: impl FnMut(Fragment<'a>) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        let matcher = if parse_special { &self.all } else { &self.always };
        let mut rest = 0;
        if let Some(automaton) = &matcher.automaton {
            // Each search starts where the last ended, so white space that a token swallowed is not searched again.
            while let Some(found) = automaton.find(Input::new(text).range(rest..)) {
                let (id, strip) = matcher.tokens[found.pattern().as_usize()];
                let before = &text[rest..found.start()];
                let before = if strip.left { before.trim_end_matches(is_c_space) } else { before };
                if !before.is_empty() {
                    each(Fragment::Text(before))?;
                }
                each(Fragment::Token(id))?;
                rest = found.end();
                if strip.right {
                    let after = &text[rest..];
                    rest += after.len() - after.trim_start_matches(is_c_space).len();
                }
            }
        }
        if rest < text.len() {
            each(Fragment::Text(&text[rest..]))?;
        }
        Ok(())
    }
}

impl Matcher {
    fn new(vocabulary: &Vocabulary, tokens: Vec<(u32, Strip)>) -> Result<Self, TextError> {
        let automaton = if tokens.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(tokens.iter().map(|&(id, _)| vocabulary.text(id)));
            Some(built.map_err(|error| TextError::SpecialTokens { why: error.to_string() })?)
        };
        Ok(Self { automaton, tokens })
    }
}

/// A text that is not UTF-8 could match across a character's border and would cut it in two; it never matches text.
fn is_pattern(text: &[u8]) -> bool {
    !text.is_empty() && std::str::from_utf8(text).is_ok()
}

/// The white space of C's `isspace`, which is what the stripping rules of these vocabularies mean.
fn is_c_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0B' | '\x0C')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragments(tokens: &[(&str, TokenType)], strip: Strip, text: &str, parse_special: bool) -> Vec<String> {
        let texts = tokens.iter().map(|(text, _)| text.as_bytes());
        let vocabulary = Vocabulary::new(texts, tokens.iter().map(|&(_, kind)| kind).collect()).unwrap();
        let partition = Partition::new(&vocabulary, |_| strip).unwrap();
        let mut out = vec![];
        let each = |fragment: Fragment<'_>| {
            out.push(match fragment {
                Fragment::Text(text) => format!("'{text}'"),
                Fragment::Token(id) => id.to_string(),
            });
            Ok(())
        };
        partition.split(text, parse_special, each).unwrap();
        out
    }

    const TOKENS: &[(&str, TokenType)] =
        &[("<s>", TokenType::Control), ("  ", TokenType::UserDefined), ("   ", TokenType::UserDefined)];

    #[test]
    fn control_tokens_are_text_unless_asked_for() {
        assert_eq!(fragments(TOKENS, Strip::default(), "a<s>b", false), ["'a<s>b'"]);
        assert_eq!(fragments(TOKENS, Strip::default(), "a<s>b", true), ["'a'", "0", "'b'"]);
    }

    #[test]
    fn the_longest_at_the_leftmost_place_wins() {
        assert_eq!(fragments(TOKENS, Strip::default(), "a     b", false), ["'a'", "2", "1", "'b'"]);
        assert_eq!(fragments(TOKENS, Strip::default(), "", true), [""; 0]);
    }

    #[test]
    fn stripping_takes_white_space_and_what_lies_in_it() {
        let strip = Strip { left: true, right: true };
        assert_eq!(fragments(&TOKENS[..1], strip, "a \n<s>\t b", true), ["'a'", "0", "'b'"]);
        assert_eq!(fragments(TOKENS, Strip { left: false, right: true }, "<s>   b", true), ["0", "'b'"]);
    }
}
