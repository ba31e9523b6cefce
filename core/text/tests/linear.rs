//! Encoding takes time in proportion to the text, whatever the text: four times the text, less than eight times the
//! time. Something quadratic would take sixteen times. What is measured is the thread's own processor time, each is
//! the best of several, and a failure is measured again, because machines are busy.

#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::time::Duration;

use common::{Draft, one_of_each};
use inkling_text::{EncodeOptions, Tokenizer};

const SIZE: usize = 24 * 1024;

/// A text of about `bytes` bytes.
type Text = fn(usize) -> String;

fn repeat(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len())
}

/// Bytes without a pattern, as text: what is not UTF-8 becomes U+FFFD.
fn noise(bytes: usize) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    String::from_utf8_lossy(&(0..bytes / 2).map(|_| next()).collect::<Vec<u8>>()).into_owned()
}

const TEXTS: &[(&str, Text)] = &[
    ("one letter", |n| repeat("a", n)),
    ("one capital", |n| repeat("A", n)),
    ("letters without a rule", |n| repeat("xyzzy", n)),
    ("spaces", |n| repeat(" ", n)),
    ("spaces before a letter", |n| repeat(" ", n) + "a"),
    ("tabs and ideographic spaces", |n| repeat("\t\u{3000}", n)),
    ("line breaks", |n| repeat("\n", n)),
    ("carriage returns and spaces", |n| repeat("\r ", n)),
    ("digits", |n| repeat("1", n)),
    ("digits then a letter", |n| repeat("1", n) + "a"),
    ("punctuation", |n| repeat("!?", n)),
    ("apostrophes", |n| repeat("'s'", n)),
    ("Chinese", |n| repeat("中文字", n)),
    ("marks", |n| repeat("\u{301}", n)),
    ("capitals and marks", |n| repeat("A\u{301}", n)),
    ("letters with single spaces", |n| repeat("a b ", n)),
    ("families of emoji", |n| repeat("👩\u{200D}👩\u{200D}👧", n)),
    ("words", |n| repeat("hello wor, ", n)),
    ("half a special token", |n| repeat("<|im_start|", n)),
    ("special tokens", |n| repeat("<tool>", n)),
    ("noise", noise),
];

/// Processor time of this thread.
fn clock() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

fn best(tokenizer: &Tokenizer, text: &str, times: usize) -> Duration {
    let measure = || {
        let start = clock();
        let ids = tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: true }).unwrap();
        let time = clock() - start;
        assert!(!ids.is_empty());
        time
    };
    (0..times).map(|_| measure()).min().unwrap()
}

fn check(name: &str, draft: &Draft) {
    let tokenizer = draft.build();
    for (kind, text) in TEXTS {
        let (short, long) = (text(SIZE), text(4 * SIZE));
        let ratio = |times| {
            // Below a tenth of a millisecond the clock is what is measured.
            let floor = Duration::from_micros(100);
            best(&tokenizer, &long, times).as_secs_f64() / best(&tokenizer, &short, times).max(floor).as_secs_f64()
        };
        let mut ratios = [1, 2, 4, 8].into_iter().map(ratio);
        assert!(ratios.any(|ratio| ratio < 8.0), "{name} on {kind}: 4 × the text took 8 × the time, four times over");
    }
}

#[test]
fn encoding_is_linear() {
    for (name, draft) in one_of_each() {
        check(&name, &draft);
    }
}
