//! `inkling models list`, `usage`, `verify` and the small ones.

use std::fmt::Write;
use std::time::Duration;

use indicatif::HumanBytes;
use inkling::CancelToken;
use inkling::store::{Installed, ModelId, ModelStore};
use serde_json::{Value, json};

use crate::interrupt;
use crate::output::{Failure, print, print_json};
use crate::progress::bar;

/// Downloads that nobody went on with for so long are collected.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn entry(model: &Installed) -> Value {
    json!({
        "id": model.id.as_str(), "source": model.source.to_string(), "release": model.release, "on_trial": model.on_trial,
        "previous": model.previous, "bytes": model.bytes, "pinned": model.pinned, "last_used": model.last_used,
        "complete": model.complete,
    })
}

pub(super) fn list(store: &ModelStore, as_json: bool) -> Result<(), Failure> {
    let models = store.list()?;
    if as_json {
        return print_json(&models.iter().map(entry).collect::<Vec<_>>());
    }
    let widest = models.iter().map(|model| model.id.as_str().len()).max().unwrap_or(0);
    let mut page = String::new();
    for model in &models {
        let mut notes = Vec::new();
        notes.extend(model.on_trial.then_some("on trial"));
        notes.extend(model.pinned.then_some("pinned"));
        notes.extend((!model.complete).then_some("damaged: pull it again"));
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        let (size, id) = (HumanBytes(model.bytes).to_string(), model.id.as_str());
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{id:<widest$}  {size:>10}  release {}  {}{notes}", model.release, model.source);
    }
    print(&page)
}

pub(super) fn usage(store: &ModelStore, as_json: bool) -> Result<(), Failure> {
    let usage = store.usage()?;
    let models: u64 = usage.objects.iter().filter(|object| object.is_used).map(|object| object.bytes).sum();
    let unused: u64 = usage.objects.iter().filter(|object| !object.is_used).map(|object| object.bytes).sum();
    let prepared: u64 = usage.objects.iter().map(|object| object.panels).sum();
    let rows = [
        ("models", models),
        ("prepared", prepared),
        ("downloads", usage.staging),
        ("unused", unused),
        ("quarantine", usage.quarantine),
        ("total", usage.total),
    ];
    if as_json {
        let rows = rows.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes)));
        return print_json(&Value::Object(rows.collect()));
    }
    print(&rows.iter().map(|(name, bytes)| format!("{name:<12}{:>12}\n", HumanBytes(*bytes))).collect::<String>())
}

/// Whether all of them are whole.
pub(super) fn verify(store: &ModelStore, ids: &[String], as_json: bool) -> Result<bool, Failure> {
    let ids: Vec<ModelId> = match ids {
        [] => store.list()?.into_iter().map(|model| model.id).collect(),
        _ => ids.iter().map(|id| super::id(id)).collect::<Result<_, _>>()?,
    };
    let cancel = CancelToken::new();
    let token = cancel.clone();
    interrupt::on_press(move || token.cancel())?;
    let (mut page, mut entries, mut whole) = (String::new(), Vec::new(), true);
    for id in ids {
        let bar = bar(0, "verifying {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
        let verified = store.verify(&id, &cancel, |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        let verified = verified?;
        whole &= verified.damaged.is_empty();
        if verified.damaged.is_empty() {
            page.push_str(&format!("{id}: {} are as they were published\n", HumanBytes(verified.bytes)));
        }
        for (file, chunks) in &verified.damaged {
            page.push_str(&match chunks.len() {
                0 => format!("{id}: {file} is missing; `inkling models pull` fetches it\n"),
                n => format!("{id}: {file} has {n} damaged chunks {chunks:?}; `inkling models pull` repairs them\n"),
            });
        }
        let damaged = verified.damaged.iter().map(|(file, chunks)| json!({ "file": file, "chunks": chunks }));
        entries.push(json!({
            "id": id.as_str(), "bytes": verified.bytes, "damaged": damaged.collect::<Vec<_>>(),
        }));
    }
    if as_json {
        print_json(&entries)?
    } else {
        print(&page)?
    }
    Ok(whole)
}

pub(super) fn gc(store: &ModelStore, all: bool, as_json: bool) -> Result<(), Failure> {
    let freed = store.gc(if all { Duration::ZERO } else { OLD })?;
    if as_json {
        return print_json(&json!({ "freed_bytes": freed }));
    }
    print(&format!("{} are free again\n", HumanBytes(freed)))
}
