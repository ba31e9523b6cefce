//! What a server can do wrong, and when. Rules have a text, so that command lines and other languages can name them:
//! `FAULT[=ARGUMENT][@PHASE][*TIMES]`, as in `reset=100000@middle*2`.

use std::str::FromStr;
use std::time::Duration;

/// What goes wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The body ends politely after so many bytes, though more were announced.
    Truncate(u64),
    /// The connection is reset after so many bytes of the body.
    Reset(u64),
    /// 200 and the whole file, whatever range was asked for.
    Whole,
    /// A `Content-Range` that is one byte off.
    WrongRange,
    /// A `Content-Range` of a file that has one byte more.
    WrongTotal,
    /// Another ETag than before.
    OtherEtag,
    /// The byte at this offset of the body has one bit flipped.
    Flip(u64),
    /// So many bytes a second.
    Drip(u64),
    /// Headers, and then nothing.
    Silent,
    /// No answer at all.
    Mute,
    /// A body without end, of unannounced length.
    Endless,
    /// A redirect.
    Redirect(String),
    /// A redirect to itself.
    Loop,
    /// A status without a body, and perhaps `Retry-After`.
    Status(u16, Option<String>),
    /// It says that the body is compressed.
    Gzip,
    /// No `Content-Range`.
    NoRange,
    /// No `Content-Length`: the end of the connection is the end of the body.
    NoLength,
    /// No ETag.
    NoEtag,
    /// The connection ends before an answer.
    Hangup,
    /// An answer that is not HTTP.
    Garbage,
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// All.
    #[default]
    Any,
    /// The nth for its path, counted from 1.
    Nth(u64),
    /// What asks where a file is: `bytes=0-0`.
    Resolve,
    /// A range from byte 0.
    First,
    /// A range that neither begins nor ends the file.
    Middle,
    /// A range to the file's end that does not begin it.
    Last,
    /// A request without a range.
    Manifest,
}

/// A fault, when it strikes, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What.
    pub fault: Fault,
    /// When.
    pub phase: Phase,
    /// How often at most.
    pub times: u32,
}

impl Rule {
    /// Always.
    pub fn new(fault: Fault, phase: Phase) -> Self {
        Self { fault, phase, times: u32::MAX }
    }

    /// At most so often.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

impl Phase {
    /// Whether a request is in this phase: the `number`th for its path, for the bytes `range` of `size`.
    pub(crate) fn covers(self, number: u64, range: Option<(u64, u64)>, size: u64) -> bool {
        match (self, range) {
            (Self::Any, _) => true,
            (Self::Nth(nth), _) => nth == number,
            (Self::Manifest, range) => range.is_none(),
            (_, None) => false,
            (Self::Resolve, Some(range)) => range == (0, 0),
            (Self::First, Some((from, to))) => from == 0 && to > 0,
            (Self::Middle, Some((from, to))) => from > 0 && to + 1 < size,
            (Self::Last, Some((from, to))) => from > 0 && to + 1 >= size,
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, times) = match text.rsplit_once('*') {
            Some((rest, times)) => (rest, times.parse().map_err(|_| format!("{times} is no number of times"))?),
            None => (text, u32::MAX),
        };
        let (text, phase) = match text.rsplit_once('@') {
            Some((rest, phase)) => (rest, phase.parse()?),
            None => (text, Phase::Any),
        };
        let (name, argument) = text.split_once('=').unwrap_or((text, ""));
        let number = || argument.parse::<u64>().map_err(|_| format!("{name} needs a number: {name}=1000"));
        let fault = match name {
            "truncate" => Fault::Truncate(number()?),
            "reset" => Fault::Reset(number()?),
            "whole" => Fault::Whole,
            "wrong-range" => Fault::WrongRange,
            "wrong-total" => Fault::WrongTotal,
            "other-etag" => Fault::OtherEtag,
            "flip" => Fault::Flip(number()?),
            "drip" => Fault::Drip(number()?.max(1)),
            "silent" => Fault::Silent,
            "mute" => Fault::Mute,
            "endless" => Fault::Endless,
            "redirect" => Fault::Redirect(argument.to_owned()),
            "loop" => Fault::Loop,
            "status" => {
                let (status, after) = argument.split_once(',').map_or((argument, None), |(a, b)| (a, Some(b)));
                let status = status.parse().map_err(|_| "status needs a number: status=503,2".to_owned())?;
                Fault::Status(status, after.map(str::to_owned))
            }
            "gzip" => Fault::Gzip,
            "no-range" => Fault::NoRange,
            "no-length" => Fault::NoLength,
            "no-etag" => Fault::NoEtag,
            "hangup" => Fault::Hangup,
            "garbage" => Fault::Garbage,
            _ => return Err(format!("{name} is no fault")),
        };
        Ok(Self { fault, phase, times })
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "any" => Self::Any,
            "resolve" => Self::Resolve,
            "first" => Self::First,
            "middle" => Self::Middle,
            "last" => Self::Last,
            "manifest" => Self::Manifest,
            number => Self::Nth(number.parse().map_err(|_| format!("{number} is no phase"))?),
        })
    }
}

/// How long so many bytes take at a rate.
pub(crate) fn pace(bytes: u64, rate: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_a_text() {
        let rule = |text: &str| text.parse::<Rule>();
        assert_eq!(rule("reset=100@middle*2"), Ok(Rule::new(Fault::Reset(100), Phase::Middle).times(2)));
        assert_eq!(rule("gzip"), Ok(Rule::new(Fault::Gzip, Phase::Any)));
        assert_eq!(rule("status=503,2@3"), Ok(Rule::new(Fault::Status(503, Some("2".to_owned())), Phase::Nth(3))));
        assert_eq!(rule("redirect=https://a/b"), Ok(Rule::new(Fault::Redirect("https://a/b".to_owned()), Phase::Any)));
        for bad in ["", "reset", "reset=x", "gzip@never", "gzip*x", "status="] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn phases_are_parts_of_a_file() {
        assert!(Phase::First.covers(1, Some((0, 9)), 100) && !Phase::First.covers(1, Some((0, 0)), 100));
        assert!(Phase::Middle.covers(1, Some((1, 98)), 100) && !Phase::Middle.covers(1, Some((1, 99)), 100));
        assert!(Phase::Last.covers(1, Some((1, 99)), 100) && !Phase::Last.covers(1, Some((0, 99)), 100));
        assert!(Phase::Manifest.covers(1, None, 100) && Phase::Nth(2).covers(2, None, 1));
    }
}
