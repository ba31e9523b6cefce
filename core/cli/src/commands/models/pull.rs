//! `inkling models pull`: a download with a bar.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use inkling::store::{DownloadEvent, EnsureOptions, ModelStore, Transfer};
use inkling::{Engine, EngineConfig};
use serde_json::json;

use super::args::{FitArgs, PullArgs};
use crate::interrupt;
use crate::output::{Failure, print, print_json};
use crate::progress::bar;

/// What the bar shows beside itself.
const BAR: &str = "{prefix} {wide_bar} {bytes}/{total_bytes} {msg}";
/// As long as nobody knows how much there is to come.
const SPINNER: &str = "{spinner} {prefix} {msg}";

pub(super) fn run(store: &ModelStore, args: &PullArgs, as_json: bool) -> Result<(), Failure> {
    let mut options = EnsureOptions::default();
    options.id = args.id.as_deref().map(super::id).transpose()?;
    (options.update, options.insist) = (args.update, args.insist);
    let mut download = store.ensure(args.net.source.parse().map_err(inkling::Error::from)?, options)?;
    let (handle, id) = (download.again(), download.id().clone());
    interrupt::on_press(move || handle.cancel())?;
    let bar = bar(0, SPINNER);
    let mut last = None;
    let outcome = loop {
        match download.next() {
            Ok(Some(event)) => {
                show(&bar, &event);
                if let DownloadEvent::Downloading(transfer) = event {
                    last = Some(transfer);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    bar.finish_and_clear();
    if let Err(error) = outcome {
        if let (Some(Transfer { bytes, total, .. }), inkling::ErrorKind::Cancelled) = (last, error.kind()) {
            eprintln!("about {} of {} are there; the same command goes on", HumanBytes(bytes), HumanBytes(total));
        }
        return Err(error.into());
    }
    let found = store.list()?.into_iter().find(|model| model.id == id);
    if as_json {
        return print_json(&found.as_ref().map(super::list::entry).unwrap_or_else(|| json!({ "id": id.as_str() })));
    }
    print(&format!("{id}\n"))
}

fn show(bar: &ProgressBar, event: &DownloadEvent) {
    // How much there is comes before the style that shows it: each of these calls may draw.
    let (word, template) = match event {
        DownloadEvent::Resolving => ("resolving", SPINNER),
        DownloadEvent::Waiting(reason) => {
            bar.set_message(format!("({reason})"));
            return;
        }
        DownloadEvent::Downloading(transfer) => {
            bar.set_length(transfer.total);
            bar.set_position(transfer.bytes);
            bar.set_message(speed(transfer));
            ("downloading", BAR)
        }
        DownloadEvent::Verifying { done, total } => {
            bar.set_length(*total);
            bar.set_position(*done);
            bar.set_message("");
            ("verifying", BAR)
        }
        DownloadEvent::Activating => ("activating", SPINNER),
        _ => return,
    };
    if bar.prefix() != word {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(word);
    }
}

fn speed(transfer: &Transfer) -> String {
    if transfer.rate <= 0.0 {
        return String::new();
    }
    let rate = format!("{}/s", HumanBytes(transfer.rate as u64));
    // What is left of a second takes a second.
    match transfer.remaining.map(|rest| rest.as_secs_f64().ceil() as u64) {
        Some(rest) if rest >= 3600 => format!("{rate}, {}:{:02} h left", rest / 3600, rest % 3600 / 60),
        Some(rest) => format!("{rate}, {}:{:02} left", rest / 60, rest % 60),
        None => rate,
    }
}

/// `inkling models fit`.
pub(super) fn fit(store: &ModelStore, args: &FitArgs, as_json: bool) -> Result<(), Failure> {
    use inkling::store::Fit;
    let engine = Engine::new(EngineConfig::default())?;
    let source = args.net.source.parse().map_err(inkling::Error::from)?;
    let verdict = store.fit(&engine, &source, args.ctx, inkling::parse_kv_type(&args.kv)?)?;
    match verdict {
        Fit::Yes { need_bytes, have_bytes, download_bytes } if as_json => print_json(&json!({
            "fits": true, "need_bytes": need_bytes, "have_bytes": have_bytes, "download_bytes": download_bytes,
        })),
        Fit::Yes { need_bytes, download_bytes, .. } => print(&format!(
            "yes: it needs {} of memory; {} remain to be fetched\n",
            HumanBytes(need_bytes),
            HumanBytes(download_bytes)
        )),
        Fit::No { what, need_bytes, have_bytes, suggestion } if as_json => print_json(&json!({
            "fits": false, "what": what.to_string(), "need_bytes": need_bytes, "have_bytes": have_bytes,
            "suggestion": suggestion,
        })),
        Fit::No { what, need_bytes, have_bytes, suggestion } => print(&format!(
            "no: it needs {} of {what}, {} can be had: {suggestion}\n",
            HumanBytes(need_bytes),
            HumanBytes(have_bytes)
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn speeds_are_for_people() {
        let transfer = |rate, seconds: Option<u64>| Transfer {
            bytes: 0,
            total: 0,
            rate,
            remaining: seconds.map(Duration::from_secs),
        };
        assert_eq!(speed(&transfer(0.0, None)), "");
        assert_eq!(speed(&transfer(2048.0, None)), "2.00 KiB/s");
        assert_eq!(speed(&transfer(1048576.0, Some(75))), "1.00 MiB/s, 1:15 left");
        assert_eq!(speed(&transfer(1048576.0, Some(7_260))), "1.00 MiB/s, 2:01 h left");
    }
}
