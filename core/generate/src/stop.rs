//! Stop strings across token borders.
//!
//! The text is read byte by byte through one Knuth–Morris–Pratt automaton a stop string, so the outcome does not
//! depend on how the text was cut into tokens: the stop string that is complete first wins (of several that end on the
//! same byte, the longest), what stands before it is delivered, it itself is not. Only the longest tail that may still
//! become a stop string is held back.

use crate::GenerateError;
use crate::answer::USUAL_TEXT;

/// Looks for stop strings in streamed text.
#[derive(Debug, Clone, Default)]
pub struct StopMatcher {
    patterns: Vec<Pattern>,
    /// Text that was pushed and is not delivered yet: a prefix of some stop string.
    held: String,
}

#[derive(Debug, Clone)]
struct Pattern {
    bytes: Vec<u8>,
    /// `fallback[n]`: length of the longest proper prefix of the pattern that is a suffix of its first `n + 1` bytes.
    fallback: Vec<usize>,
    matched: usize,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut pattern = Self { bytes: text.as_bytes().to_vec(), fallback: Vec::new(), matched: 0 };
        let mut length = 0;
        for index in 0..pattern.bytes.len() {
            if index > 0 {
                length = pattern.next(length, pattern.bytes[index]);
            }
            pattern.fallback.push(length);
        }
        pattern
    }

    /// The state after `byte`, from a state short of the whole pattern.
    fn next(&self, mut matched: usize, byte: u8) -> usize {
        while self.bytes[matched] != byte {
            if matched == 0 {
                return 0;
            }
            matched = self.fallback[matched - 1];
        }
        matched + 1
    }
}

impl StopMatcher {
    /// A matcher for these strings; an empty one is refused, because it would stop before the first character.
    pub fn new(stops: &[String]) -> Result<Self, GenerateError> {
        if stops.iter().any(String::is_empty) {
            return Err(GenerateError::invalid(
                "stop",
                "a stop string is empty: leave it out, or give at least one character",
            ));
        }
        Ok(Self {
            patterns: stops.iter().map(|stop| Pattern::new(stop)).collect(),
            held: String::with_capacity(USUAL_TEXT),
        })
    }

    /// What was pushed and is not delivered yet.
    pub(crate) fn held(&self) -> &str {
        &self.held
    }

    /// Takes more text and appends what may be delivered to `out`. Returns the index of the stop string that is
    /// complete; the matcher is then as new.
    pub fn push(&mut self, text: &str, out: &mut String) -> Option<usize> {
        let start = self.held.len();
        self.held.push_str(text);
        for (offset, &byte) in text.as_bytes().iter().enumerate() {
            let mut complete: Option<usize> = None;
            for index in 0..self.patterns.len() {
                let pattern = &mut self.patterns[index];
                pattern.matched = pattern.next(pattern.matched, byte);
                let length = pattern.bytes.len();
                if pattern.matched == length && complete.is_none_or(|best| self.patterns[best].bytes.len() < length) {
                    complete = Some(index);
                }
            }
            if let Some(which) = complete {
                let end = start + offset + 1 - self.patterns[which].bytes.len();
                out.push_str(&self.held[..end]);
                self.held.clear();
                self.patterns.iter_mut().for_each(|pattern| pattern.matched = 0);
                return Some(which);
            }
        }
        // A prefix of a stop string starts where a character starts, so this cut never splits one.
        let keep = self.patterns.iter().map(|pattern| pattern.matched).max().unwrap_or(0);
        let deliver = self.held.len() - keep;
        out.push_str(&self.held[..deliver]);
        self.held.drain(..deliver);
        None
    }

    /// The end of the text: what was held back is text after all.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&self.held);
        self.held.clear();
        self.patterns.iter_mut().for_each(|pattern| pattern.matched = 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[String], pieces: &[&str]) -> (String, Option<usize>) {
        let mut matcher = StopMatcher::new(stops).unwrap();
        let mut out = String::new();
        for piece in pieces {
            if let Some(which) = matcher.push(piece, &mut out) {
                return (out, Some(which));
            }
        }
        matcher.finish(&mut out);
        (out, None)
    }

    /// The obvious way: after each byte, does the text end with a stop string?
    fn naive(stops: &[String], text: &str) -> (String, Option<usize>) {
        for end in 0..=text.len() {
            let done = &text.as_bytes()[..end];
            let mut ended: Vec<usize> = (0..stops.len()).filter(|&i| done.ends_with(stops[i].as_bytes())).collect();
            ended.sort_by_key(|&i| std::cmp::Reverse(stops[i].len()));
            if let Some(&which) = ended.first() {
                return (text[..end - stops[which].len()].to_owned(), Some(which));
            }
        }
        (text.to_owned(), None)
    }

    #[test]
    fn empty_stop_strings_are_refused() {
        let error = StopMatcher::new(&["a".into(), String::new()]).unwrap_err();
        assert!(error.to_string().starts_with("stop: "), "{error}");
    }

    #[test]
    fn holds_back_no_more_than_it_must() {
        let mut matcher = StopMatcher::new(&["END".into(), "Ä!".into()]).unwrap();
        let mut deliver = |text: &str| {
            let mut out = String::new();
            assert_eq!(matcher.push(text, &mut out), None);
            out
        };
        assert_eq!(deliver("aE"), "a");
        assert_eq!(deliver("N"), "");
        assert_eq!(deliver("E"), "EN");
        assert_eq!(deliver("x"), "Ex");
        assert_eq!(deliver("bÄ"), "b");
        assert_eq!(deliver("?"), "Ä?");
    }

    proptest! {
        #[test]
        fn borders_do_not_matter(
            stops in proptest::collection::vec("[abä]{1,5}", 0..4),
            pieces in proptest::collection::vec("[abä]{0,4}", 0..20),
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&stops, &pieces), naive(&stops, &pieces.concat()));
        }

        #[test]
        fn what_is_held_back_is_the_longest_possible_beginning(
            stops in proptest::collection::vec("[ab]{1,6}", 1..4),
            text in "[ab]{0,12}",
        ) {
            let mut matcher = StopMatcher::new(&stops).unwrap();
            let mut out = String::new();
            if matcher.push(&text, &mut out).is_none() {
                let begins = |tail: &str| stops.iter().any(|stop| stop.starts_with(tail));
                let longest = (0..=text.len()).find(|&at| begins(&text[at..])).unwrap();
                prop_assert_eq!(out, &text[..longest]);
            }
        }
    }
}
