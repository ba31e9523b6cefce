//! An answer as it comes: events of a turn to text on the terminal, or collected for `--json`.

use std::io::{IsTerminal, stderr, stdout};

use indicatif::ProgressBar;
use inkling::{Event, FinishReason, Phase, Stats, Turn};
use serde_json::{Value as Json, json};

use crate::interrupt::Stoppable;
use crate::output::{Failure, print};
use crate::progress::bar;

/// Thoughts are dimmed on a terminal and left out of a pipe.
const DIM: &str = "\x1b[2m";
/// Back to normal.
const NORMAL: &str = "\x1b[0m";

/// Prompts shorter than this need no bar.
const BAR_FROM: usize = 64;

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) stats: Stats,
}

/// Reads a turn to its end. Prints text as it comes unless `quiet`.
pub(crate) fn read(mut turn: Turn, quiet: bool) -> Result<Answer, Failure> {
    let _stoppable = Stoppable::new(turn.canceller());
    let (mut text, mut thinking) = (String::new(), String::new());
    let show_thoughts = !quiet && stdout().is_terminal();
    let mut dimmed = false;
    let mut prefill: Option<ProgressBar> = None;
    loop {
        let next = turn.next();
        if next.is_err() {
            // The error that follows goes on a line of its own, at normal brightness, and not behind a bar.
            clear(&mut prefill);
            if dimmed {
                print(NORMAL)?;
            }
            if dimmed || (!quiet && !text.is_empty()) {
                print("\n")?;
            }
        }
        let Some(event) = next? else { break };
        match event {
            Event::Phase(Phase::Prefilling { done, total }) if total >= BAR_FROM => {
                prefill
                    .get_or_insert_with(|| bar(total as u64, "reading {wide_bar} {pos}/{len} tokens"))
                    .set_position(done as u64);
            }
            Event::Thinking(delta) => {
                clear(&mut prefill);
                if show_thoughts {
                    let start = if dimmed { "" } else { DIM };
                    dimmed = true;
                    print(&format!("{start}{delta}"))?;
                }
                thinking.push_str(&delta);
            }
            Event::Text(delta) => {
                clear(&mut prefill);
                if dimmed {
                    dimmed = false;
                    print(&format!("{NORMAL}\n"))?;
                }
                if !quiet {
                    print(&delta)?;
                }
                text.push_str(&delta);
            }
            Event::Finished(stats) => {
                clear(&mut prefill);
                if dimmed {
                    print(NORMAL)?;
                }
                return Ok(Answer { text, thinking, stats });
            }
            _ => clear(&mut prefill),
        }
    }
    Err(Failure::Engine(inkling::ErrorKind::Internal { report: "a turn ended without its last event".into() }.into()))
}

fn clear(bar: &mut Option<ProgressBar>) {
    if let Some(bar) = bar.take() {
        bar.finish_and_clear();
    }
}

/// One line about speed, for people at a terminal; the reason is named only if it is not the ordinary end.
pub(crate) fn report(stats: &Stats) {
    if !stderr().is_terminal() {
        return;
    }
    let end = match stats.finish {
        FinishReason::EndOfAnswer => String::new(),
        _ => format!(" · {}", stats.finish.name()),
    };
    eprintln!(
        "{DIM}{} tokens, {:.0} tok/s · prompt of {}, {} reused · first token after {:.0} ms{end}{NORMAL}\n",
        stats.generated_tokens,
        stats.decode_tokens_per_second(),
        stats.prompt_tokens,
        stats.reused_tokens,
        stats.time_to_first_token.as_secs_f64() * 1e3,
    );
}

/// The stats as `--json` shows them; times in milliseconds.
pub(crate) fn stats_json(stats: &Stats) -> Json {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    json!({
        "prompt_tokens": stats.prompt_tokens,
        "reused_tokens": stats.reused_tokens,
        "prefilled_tokens": stats.prefilled_tokens,
        "generated_tokens": stats.generated_tokens,
        "seed": stats.seed,
        "ttft_ms": ms(stats.time_to_first_token),
        "prefill_ms": ms(stats.prefill_time),
        "decode_ms": ms(stats.decode_time),
        "total_ms": ms(stats.total_time),
        "prefill_tok_s": stats.prefill_tokens_per_second(),
        "decode_tok_s": stats.decode_tokens_per_second(),
    })
}
