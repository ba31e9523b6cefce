//! The steps of a pre-tokenizer. Each cuts a text into pieces that join to the text again.

use super::chars::Categories;
use super::pattern::{Alternative, Class, char_at, isolate, run};

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Matches of a pattern become pieces, and so do the stretches between them.
    Isolate(&'static [Alternative]),
    /// `\s+$`: white space at the end becomes a piece.
    TrailingSpace,
    /// `(?=(\d{3})+(?!\d))`: runs of digits are cut into threes from the right.
    DigitGroups,
    /// `\d{1,3}(?=(?:\d{3})*\b)`: the same, as pieces, unless a letter follows the digits.
    DigitGroupsAtWordEnd,
}

/// Applies the steps one after another and calls `each` with the final pieces, in order.
pub(crate) fn split<'a>(text: &'a str, steps: &[Step], each: &mut dyn FnMut(&'a str)) {
    match steps.split_first() {
        None => each(text),
        Some((step, rest)) => step.apply(text, &mut |piece| split(piece, rest, each)),
    }
}

impl Step {
    fn apply<'a>(&self, text: &'a str, each: &mut dyn FnMut(&'a str)) {
        match self {
            Self::Isolate(alternatives) => isolate(text, alternatives, each),
            Self::TrailingSpace => {
                let (words, space) = text.split_at(text.trim_end().len());
                for piece in [words, space] {
                    if !piece.is_empty() {
                        each(piece);
                    }
                }
            }
            Self::DigitGroups => digit_groups(text, |_, _| true, false, each),
            Self::DigitGroupsAtWordEnd => {
                let at_word_end =
                    |text: &str, end| char_at(text, end).is_none_or(|c| !Categories::of(c).meets(Categories::WORD));
                digit_groups(text, at_word_end, true, each);
            }
        }
    }
}

/// Cuts the runs of digits that `wanted` accepts, given the text and the end of the run. `isolate` also cuts before
/// and after them.
fn digit_groups<'a>(text: &'a str, wanted: impl Fn(&str, usize) -> bool, isolate: bool, each: &mut dyn FnMut(&'a str)) {
    const DIGIT: Class = Class::Any(Categories::DIGIT);
    let mut last = 0;
    let mut cut = |at: usize| {
        if at > last {
            each(&text[last..at]);
            last = at;
        }
    };
    let mut at = 0;
    while let Some(c) = char_at(text, at) {
        let end = run(text, at, &DIGIT, usize::MAX);
        if end == at {
            at += c.len_utf8();
            continue;
        }
        if wanted(text, end) {
            let digits = text[at..end].chars().count();
            for (index, (offset, _)) in text[at..end].char_indices().enumerate() {
                if (digits - index).is_multiple_of(3) || (isolate && index == 0) {
                    cut(at + offset);
                }
            }
            if isolate {
                cut(end);
            }
        }
        at = end;
    }
    cut(text.len());
}
