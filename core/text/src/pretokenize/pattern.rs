//! Scanners for the patterns that cut text into words.
//!
//! Models are trained with regular expressions such as
//! `\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`. A backtracking engine has a step limit that long
//! runs of one character exceed, and a few of the expressions are quadratic in it. Their alternatives have few shapes,
//! though, so each is a value of [`Alternative`] here and matched by a loop without backtracking. A pattern is the
//! list of its alternatives, next to the expression that it stands for; the tests run both on the same random texts.
//!
//! Every failed alternative costs a constant, or a run of white space that the next alternatives then take as one
//! word, so a text is scanned in linear time.

use super::chars::Categories;

/// A set of characters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Class {
    /// Characters of any of the categories.
    Any(Categories),
    /// Characters of none of the categories.
    None(Categories),
    /// Characters of any of the first categories and none of the second.
    AnyBut(Categories, Categories),
    /// Characters of the inclusive ranges, which are sorted.
    Ranges(&'static [(char, char)]),
    /// Characters of any of the classes.
    Union(&'static [Class]),
    /// Characters of none of the classes.
    NotUnion(&'static [Class]),
}

impl Class {
    pub(crate) fn has(&self, c: char) -> bool {
        match self {
            Self::Any(any) => Categories::of(c).meets(*any),
            Self::None(none) => !Categories::of(c).meets(*none),
            Self::AnyBut(any, none) => {
                let categories = Categories::of(c);
                categories.meets(*any) && !categories.meets(*none)
            }
            Self::Ranges(ranges) => {
                let after = ranges.partition_point(|&(_, last)| last < c);
                ranges.get(after).is_some_and(|&(first, _)| first <= c)
            }
            Self::Union(classes) => classes.iter().any(|class| class.has(c)),
            Self::NotUnion(classes) => !classes.iter().any(|class| class.has(c)),
        }
    }
}

/// One alternative of a pattern. All are greedy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alternative {
    /// `'s|'t|'re|'ve|'m|'ll|'d`.
    Contraction,
    /// The same in upper or lower case.
    AnyCaseContraction,
    /// `prefix? body{1,max} tail*`.
    Run {
        /// At most one of these first.
        prefix: Option<Class>,
        /// Then these.
        body: Class,
        /// At most so many.
        max: usize,
        /// Then these.
        tail: Option<Class>,
    },
    /// `prefix? body+ tail?`.
    OneTail {
        /// At most one of these first.
        prefix: Class,
        /// Then these.
        body: Class,
        /// At most one of these last.
        tail: Class,
    },
    /// Exactly so many of the class.
    Exactly(Class, usize),
    /// `first body+`.
    Led {
        /// Exactly one of these.
        first: Class,
        /// Then these.
        body: Class,
    },
    /// `prefix? upper* lower+ contraction? | prefix? upper+ lower* contraction?`: two alternatives of the expression.
    Cased {
        /// At most one of these first.
        prefix: Class,
        /// Capitals and letters without case.
        upper: Class,
        /// Small letters and letters without case.
        lower: Class,
        /// Whether a contraction in upper or lower case may follow.
        contraction: bool,
    },
    /// `prefix?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`: letters with single spaces between.
    SpacedLetters {
        /// At most one of these first.
        prefix: Class,
    },
    /// `\s*[\r\n]+`, or `\s*[\r\n]`: white space up to its last line break.
    ThroughNewline,
    /// `\s+(?!\S)`: white space but its last character, or all of it at the end.
    SpaceBeforeSpace,
    /// `\s+`.
    Space,
    /// `\s{min,max}(?!\S)`.
    SpaceCount(usize, usize),
    /// `[^\n]+`.
    Line,
    /// `[\n]+`.
    LineFeeds,
    /// The text itself.
    Text(&'static str),
    /// The opening text, then characters of the class `min..=max` times, then the closing text.
    Literal {
        /// Begins with it.
        open: &'static str,
        /// Then these.
        body: Class,
        /// At least one and at most so many.
        max: usize,
        /// Ends with it.
        close: &'static str,
    },
}

impl Alternative {
    /// The end of the match at `at`, if there is one. A match is never empty.
    ///
    /// `unbroken` is how far the text is known to be white space without a line break. It keeps a rule that takes
    /// white space in small portions from looking for a line break in all the rest each time.
    fn match_at(&self, text: &str, at: usize, unbroken: &mut usize) -> Option<usize> {
        let end = match self {
            Self::Contraction => contraction(text, at, false)?,
            Self::AnyCaseContraction => contraction(text, at, true)?,
            Self::Run { prefix, body, max, tail } => {
                let start = after_prefix(text, at, prefix.as_ref(), body)?;
                let end = run(text, start, body, *max);
                tail.as_ref().map_or(end, |tail| run(text, end, tail, usize::MAX))
            }
            Self::OneTail { prefix, body, tail } => {
                let start = after_prefix(text, at, Some(prefix), body)?;
                run(text, run(text, start, body, usize::MAX), tail, 1)
            }
            Self::Exactly(class, count) => {
                let end = run(text, at, class, *count);
                (text[at..end].chars().count() == *count).then_some(end)?
            }
            Self::Led { first, body } => {
                let start = one(text, at, first)?;
                some(run(text, start, body, usize::MAX), start)?
            }
            Self::Cased { prefix, upper, lower, contraction: suffix } => {
                let end = cased(text, at, prefix, upper, lower)?;
                if *suffix { contraction(text, end, true).unwrap_or(end) } else { end }
            }
            Self::SpacedLetters { prefix } => spaced_letters(text, at, prefix)?,
            Self::ThroughNewline if at < *unbroken => return None,
            Self::ThroughNewline => {
                let end = run(text, at, &SPACE, usize::MAX);
                let newline = text[at..end].rfind(['\r', '\n']);
                if newline.is_none() {
                    *unbroken = end;
                }
                at + newline? + 1
            }
            Self::SpaceBeforeSpace => {
                let end = run(text, at, &SPACE, usize::MAX);
                if end == text.len() { end } else { end - text[at..end].chars().next_back()?.len_utf8() }
            }
            Self::Space => run(text, at, &SPACE, usize::MAX),
            Self::SpaceCount(min, max) => return space_count(text, at, *min, *max),
            Self::Line => at + text[at..].find('\n').unwrap_or(text.len() - at),
            Self::LineFeeds => run(text, at, &Class::Ranges(&[('\n', '\n')]), usize::MAX),
            Self::Text(literal) => at + text[at..].starts_with(literal).then_some(literal.len())?,
            Self::Literal { open, body, max, close } => {
                let start = at + text[at..].starts_with(open).then_some(open.len())?;
                let end = some(run(text, start, body, *max), start)?;
                end + text[end..].starts_with(close).then_some(close.len())?
            }
        };
        some(end, at)
    }
}

const SPACE: Class = Class::Any(Categories::SPACE);
const LETTER: Class = Class::Any(Categories::LETTER);
const MARK: Class = Class::Any(Categories::MARK);

/// Calls `each` with the matches of the alternatives and with the stretches between them, in order.
pub(crate) fn isolate<'a>(text: &'a str, alternatives: &[Alternative], each: &mut dyn FnMut(&'a str)) {
    let mut gap = 0;
    let mut at = 0;
    let mut unbroken = 0;
    while let Some(c) = char_at(text, at) {
        match alternatives.iter().find_map(|alternative| alternative.match_at(text, at, &mut unbroken)) {
            Some(end) => {
                if gap < at {
                    each(&text[gap..at]);
                }
                each(&text[at..end]);
                (gap, at) = (end, end);
            }
            None => at += c.len_utf8(),
        }
    }
    if gap < at {
        each(&text[gap..at]);
    }
}

fn some(end: usize, start: usize) -> Option<usize> {
    (end > start).then_some(end)
}

pub(crate) fn char_at(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// The end of one character of the class.
fn one(text: &str, at: usize, class: &Class) -> Option<usize> {
    char_at(text, at).filter(|&c| class.has(c)).map(|c| at + c.len_utf8())
}

/// The end of at most `max` characters of the class.
pub(crate) fn run(text: &str, at: usize, class: &Class, max: usize) -> usize {
    let outside = text[at..].char_indices().enumerate().find(|&(count, (_, c))| count >= max || !class.has(c));
    outside.map_or(text.len(), |(_, (offset, _))| at + offset)
}

/// Where the body starts: after a prefix if one is there and the body follows it, else here.
fn after_prefix(text: &str, at: usize, prefix: Option<&Class>, body: &Class) -> Option<usize> {
    let after = prefix.and_then(|prefix| one(text, at, prefix));
    [after, Some(at)].into_iter().flatten().find(|&start| one(text, start, body).is_some())
}

fn contraction(text: &str, at: usize, any_case: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'\'') {
        return None;
    }
    let letter = |offset: usize| {
        let byte = *bytes.get(at + offset)?;
        Some(if any_case { byte.to_ascii_lowercase() } else { byte })
    };
    match (letter(1)?, letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 3),
        _ => None,
    }
}

/// Tries in the order of a backtracking engine: small letters needed, with and without the prefix, then not needed.
fn cased(text: &str, at: usize, prefix: &Class, upper: &Class, lower: &Class) -> Option<usize> {
    let starts = [one(text, at, prefix), Some(at)];
    let starts = || starts.into_iter().flatten();
    let needed = starts().find_map(|start| upper_then_lower(text, start, upper, lower));
    needed.or_else(|| {
        starts().find_map(|start| {
            let end = some(run(text, start, upper, usize::MAX), start)?;
            Some(run(text, end, lower, usize::MAX))
        })
    })
}

/// `upper* lower+`: where no small letter follows the capitals, they give back up to their last character that
/// counts as both.
fn upper_then_lower(text: &str, start: usize, upper: &Class, lower: &Class) -> Option<usize> {
    let capitals = run(text, start, upper, usize::MAX);
    some(run(text, capitals, lower, usize::MAX), capitals).or_else(|| {
        let (offset, c) = text[start..capitals].char_indices().rev().find(|&(_, c)| lower.has(c))?;
        Some(start + offset + c.len_utf8())
    })
}

fn spaced_letters(text: &str, at: usize, prefix: &Class) -> Option<usize> {
    let mut end = after_prefix(text, at, Some(prefix), &LETTER)?;
    let mut next = one(text, end, &LETTER);
    while let Some(letter) = next {
        end = run(text, letter, &MARK, usize::MAX);
        let space = text[end..].starts_with(' ').then_some(end + 1);
        next = one(text, end, &LETTER).or_else(|| one(text, space?, &LETTER));
    }
    Some(end)
}

fn space_count(text: &str, at: usize, min: usize, max: usize) -> Option<usize> {
    let mut best = None;
    let mut end = at;
    for count in 1..=max {
        end = one(text, end, &SPACE)?.max(end);
        if count >= min && char_at(text, end).is_none_or(|c| SPACE.has(c)) {
            best = Some(end);
        }
        if char_at(text, end).is_none_or(|c| !SPACE.has(c)) {
            break;
        }
    }
    best
}
