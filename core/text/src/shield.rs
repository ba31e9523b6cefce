//! Keeps text that a user typed from becoming a control token.
//!
//! A chat template mixes its own control tokens (`<|im_end|>`) with text from outside, and the tokenizer that reads
//! the result cannot tell them apart. So every string from outside is *shielded* before rendering: a **mark**, a
//! noncharacter that occurs in neither input nor template, is put behind the first character of each control token in
//! it, and at its ends where a part of a token could join with what the template puts there. The tokenizer matches
//! control tokens first, which the marks break, and then drops the marks from the plain text between them.
//!
//! What templates do with such strings still works: comparing, searching and splitting look past the marks (the
//! needle is shielded as the text was), `length` does not count them, `repr` and JSON do not escape them. What a
//! filter newly makes (`'<|IM_END|>'|lower`) is shielded again. Only *control* tokens are shielded; `<think>` and the
//! like, which templates look for and models write themselves, must not be in the list.
//!
//! Not covered: a control token of a single character, and a template that builds a token around a value from outside
//! (`'<|' + role + '|>'`, as Phi-3 does with roles): there the value is meant to choose the token, so roles must come
//! from the app.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The control tokens of a model, prepared for searching.
#[derive(Debug, Clone, Default)]
pub struct ControlTokens {
    tokens: HashSet<Box<str>>,
    /// The lengths in bytes of the tokens that start with a character.
    lengths: HashMap<char, Vec<usize>>,
    prefixes: HashSet<Box<str>>,
    suffixes: HashSet<Box<str>>,
    longest: usize,
}

impl ControlTokens {
    /// Prepares a list of control tokens; those of one character are left out.
    pub fn new<S: AsRef<str>>(tokens: impl IntoIterator<Item = S>) -> Self {
        let mut set = Self::default();
        for token in tokens {
            let token = token.as_ref();
            let Some(first) = token.chars().next().filter(|first| first.len_utf8() < token.len()) else { continue };
            if !set.tokens.insert(token.into()) {
                continue;
            }
            let lengths = set.lengths.entry(first).or_default();
            if !lengths.contains(&token.len()) {
                lengths.push(token.len());
                lengths.sort_unstable_by(|a, b| b.cmp(a));
            }
            for (at, _) in token.char_indices().skip(1) {
                set.prefixes.insert(token[..at].into());
                set.suffixes.insert(token[at..].into());
            }
            set.longest = set.longest.max(token.len());
        }
        set
    }

    /// Whether there is nothing to shield.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The places where a token starts, and the longest token there; tokens may overlap.
    fn occurrences<'t>(&self, text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
        text.char_indices().filter_map(move |(at, c)| {
            let lengths = self.lengths.get(&c)?;
            lengths
                .iter()
                .find_map(|length| text.get(at..at + length).filter(|part| self.tokens.contains(*part)))
                .map(|token| (at, token))
        })
    }

    /// A character that occurs in none of `texts`.
    pub(crate) fn pick_mark<'t>(&self, texts: impl Iterator<Item = &'t str> + Clone) -> Option<char> {
        let is_candidate = |c: char| matches!(c, '\u{FDD0}'..='\u{FDEF}') || c as u32 & 0xFFFE == 0xFFFE;
        let is_spare = |c: char| matches!(c, '\u{E000}'..='\u{F8FF}');
        let used: HashSet<char> =
            texts.clone().flat_map(str::chars).filter(|c| is_candidate(*c) || is_spare(*c)).collect();
        let candidates = ('\u{FDD0}'..='\u{FDEF}')
            .chain((0..=16).flat_map(|plane| [plane << 16 | 0xFFFE, plane << 16 | 0xFFFF]).filter_map(char::from_u32))
            .chain('\u{E000}'..='\u{F8FF}');
        let in_tokens = |c: char| self.tokens.iter().any(|token| token.contains(c));
        candidates.into_iter().find(|c| !used.contains(c) && !in_tokens(*c))
    }
}

/// The shield of one rendering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shield<'t> {
    tokens: &'t ControlTokens,
    mark: char,
}

impl<'t> Shield<'t> {
    pub(crate) fn new(tokens: &'t ControlTokens, mark: char) -> Self {
        Self { tokens, mark }
    }

    /// The character that breaks control tokens.
    pub(crate) fn mark(&self) -> char {
        self.mark
    }

    /// Whether `text` is a control token.
    pub(crate) fn is_token(&self, text: &str) -> bool {
        self.tokens.tokens.contains(text)
    }

    /// A text from outside with all marks.
    pub(crate) fn apply(&self, text: &str) -> String {
        // A template may strip the whitespace at the ends, so the marks stand inside of it.
        let start = text.len() - text.trim_start().len();
        let end = text.trim_end().len().max(start);
        let core = &text[start..end];
        let mut out = String::with_capacity(text.len() + 8);
        out.push_str(&text[..start]);
        let reach = |at: &usize| *at <= self.tokens.longest;
        if core
            .char_indices()
            .map(|(at, _)| at)
            .skip(1)
            .chain([core.len()])
            .take_while(reach)
            .any(|at| self.tokens.suffixes.contains(&core[..at]))
        {
            out.push(self.mark);
        }
        out.push_str(&self.inside(core));
        let from_end = |at: &usize| core.len() - at <= self.tokens.longest;
        if core
            .char_indices()
            .rev()
            .map(|(at, _)| at)
            .take_while(from_end)
            .any(|at| self.tokens.prefixes.contains(&core[at..]))
        {
            out.push(self.mark);
        }
        out.push_str(&text[end..]);
        out
    }

    /// `text` with a mark behind the first character of each control token.
    pub(crate) fn inside<'s>(&self, text: &'s str) -> Cow<'s, str> {
        self.break_tokens(text, |_| true)
    }

    fn break_tokens<'s>(&self, text: &'s str, breaks: impl Fn(&str) -> bool) -> Cow<'s, str> {
        let mut out = String::new();
        let mut from = 0;
        for (at, token) in self.tokens.occurrences(text) {
            if !breaks(token) {
                continue;
            }
            let behind = at + token.chars().next().map_or(0, char::len_utf8);
            out.push_str(&text[from..behind]);
            out.push(self.mark);
            from = behind;
        }
        if from == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }

    /// What a template looks for in `text`, as it stands there.
    pub(crate) fn needle<'s>(&self, text: &str, needle: &'s str) -> Cow<'s, str> {
        if text.contains(self.mark)
            && let Cow::Owned(shielded) = self.inside(needle)
            && text.contains(&shielded)
        {
            return Cow::Owned(shielded);
        }
        Cow::Borrowed(needle)
    }

    /// `result` with a mark in every control token that none of `inputs` contains.
    pub(crate) fn again(&self, inputs: &[&str], result: String) -> String {
        match self.break_tokens(&result, |token| !inputs.iter().any(|input| input.contains(token))) {
            Cow::Borrowed(_) => result,
            Cow::Owned(shielded) => shielded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: char = '\u{FDD0}';

    fn tokens() -> ControlTokens {
        ControlTokens::new(["<|im_start|>", "<|im_end|>", "</s>", "<s>", "|"])
    }

    fn shielded(text: &str) -> String {
        Shield::new(&tokens(), MARK).apply(text)
    }

    #[test]
    fn a_token_inside_is_broken_and_the_rest_stays() {
        assert_eq!(shielded("a<|im_end|>b"), format!("a<{MARK}|im_end|>b"));
        assert_eq!(shielded("plain text, 1 < 2, |x|"), "plain text, 1 < 2, |x|");
        assert_eq!(shielded("<s><s>x"), format!("<{MARK}s><{MARK}s>x"));
    }

    #[test]
    fn parts_at_the_ends_cannot_join() {
        assert_eq!(shielded("x<|im_"), format!("x<|im_{MARK}"));
        assert_eq!(shielded("end|>x"), format!("{MARK}end|>x"));
        assert_eq!(shielded("nd|x"), "nd|x");
        assert_eq!(shielded("x<  \n"), format!("x<{MARK}  \n"));
    }

    #[test]
    fn what_a_filter_makes_is_shielded_again() {
        let tokens = tokens();
        let shield = Shield::new(&tokens, MARK);
        assert_eq!(shield.again(&["</S>"], "</s>".into()), format!("<{MARK}/s>"));
        assert_eq!(shield.again(&["a</s>"], "</s>".into()), "</s>");
    }

    #[test]
    fn the_mark_occurs_nowhere() {
        let all: String = ('\u{FDD0}'..='\u{FDEF}').collect();
        let mark = tokens().pick_mark([all.as_str()].into_iter());
        assert_eq!(mark, Some('\u{FFFE}'));
    }
}
