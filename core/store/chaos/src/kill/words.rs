//! What a child said, and what must therefore be true.

use std::collections::BTreeMap;

use serde_json::Value;

use super::look::{Seen, chosen};
use super::models::Models;
use crate::disk::record;

/// What a child was doing at its end.
pub fn doing(words: &[String]) -> String {
    let mut doing = "opening".to_owned();
    for word in words {
        if word == "done" || word == "opened" {
            doing = "between".to_owned();
        } else if let Some(what) = word.strip_prefix("begin ") {
            doing = what.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(step) = word.strip_prefix("at ") {
            let call = doing.split(':').next().unwrap_or_default().to_owned();
            doing = format!("{call}: {step}");
        }
    }
    doing
}

/// What was being done, by the part of the store that does it.
pub fn phase(doing: &str) -> &str {
    match doing.split_once(": ").unwrap_or((doing, "")) {
        ("ensure" | "update", "refresh") => "catalogue refresh",
        ("ensure" | "update", "" | "resolve") => "resolve",
        ("ensure" | "update", step) => step,
        ("lend", _) => "load",
        (call, _) => call,
    }
}

/// The model of the last call, and how many lines there were up to it.
fn last<'a>(words: &'a [String], start: &str) -> Option<(usize, &'a str)> {
    let at = words.iter().rposition(|line| line.starts_with(start))?;
    Some((at, &words[at][start.len()..]))
}

/// Whether a call of these began after `at`, of this model or, where others matter too, of any.
fn began(words: &[String], at: usize, calls: &[&str], id: Option<&str>) -> bool {
    words[at..]
        .iter()
        .filter_map(|line| line.strip_prefix("begin ")?.split_once(' '))
        .any(|(call, of)| calls.contains(&call) && id.is_none_or(|id| id == of))
}

/// What was said to be done is done, if nothing began since then that may undo it.
pub fn confirmed(words: &[String], seen: &Seen, models: &Models) -> Result<(), String> {
    let slot = |id: &str| seen.slots.get(id);
    // Downloads that go on by themselves may change and take anything.
    let left = words.iter().any(|line| line.starts_with("left "));
    if let Some((at, id)) = last(words, "ready ")
        && !left
        && !began(words, at, &["ensure", "update", "gc", "remove", "lend"], None)
    {
        let slot = slot(id).ok_or_else(|| format!("{id} was ready and has no slot"))?;
        let named = record::named(slot);
        let mut files = models.files.iter().filter(|(_, file)| file.id.as_str() == id);
        if !files.any(|(file, _)| named.contains(&file.to_string()) && seen.stored.contains(file)) {
            return Err(format!("{id} was ready and is not there"));
        }
    }
    if let Some((at, pin)) = last(words, "pinned ")
        && let Some((id, pinned)) = pin.split_once(' ')
        && !began(words, at, &["pin", "remove"], Some(id))
        && slot(id).map(|slot| slot["pinned"].to_string()) != Some(pinned.to_owned())
    {
        return Err(format!("{id} was pinned ({pinned}), and its slot says otherwise"));
    }
    if let Some((at, rolled)) = last(words, "rolled ")
        && let Some((id, number)) = rolled.split_once(' ')
        && !left
        && !began(words, at, &["ensure", "update", "lend", "rollback", "remove"], None)
        && slot(id).and_then(chosen).map(|number| number.to_string()) != Some(number.to_owned())
    {
        return Err(format!("{id} was rolled back to {number}, and its slot says otherwise"));
    }
    if let Some((at, id)) = last(words, "removed ")
        && !began(words, at, &["ensure", "update"], Some(id))
        && slot(id).is_some()
    {
        return Err(format!("{id} was removed and is there"));
    }
    Ok(())
}

/// What a child complained about, and whether it may: about models that the parent `hurt`, and, while old documents are
/// served (`replayed`), about those. Gives the number of documents that were refused.
pub fn judge(words: &[String], hurt: &dyn Fn(&str) -> bool, replayed: Option<bool>) -> Result<u64, String> {
    let (mut refused, mut updates) = (0, BTreeMap::new());
    for line in words {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let id = rest.split(' ').next().unwrap_or_default();
        match word {
            "broken" => return Err(rest.to_owned()),
            "damaged" if !hurt(id) => return Err(format!("found damaged: {rest}")),
            "untrusted" if replayed.is_none() => return Err(rest.to_owned()),
            "untrusted" => refused += 1,
            "begin" => drop(updates.insert("", rest.strip_prefix("update ").unwrap_or_default())),
            "ready" if replayed == Some(true) && updates.get("") == Some(&id) && is_signed(id) => {
                return Err(format!("{id} was updated by a catalogue that is older than one that was accepted"));
            }
            _ => {}
        }
    }
    Ok(refused)
}

/// Whether a model is in the catalogue.
pub fn is_signed(id: &str) -> bool {
    id.starts_with("signed") || id.starts_with("sealed")
}

/// Nothing that was accepted is forgotten.
pub fn is_no_older(before: &Seen, after: &Seen) -> Result<(), String> {
    let older = before.trust.iter().zip(&after.trust).any(|(before, after)| after < before);
    let told = |seen: &Seen| format!("root {}, catalogue {}, rollout {}", seen.trust[0], seen.trust[1], seen.trust[2]);
    if older { Err(format!("{} was accepted, {} is remembered", told(before), told(after))) } else { Ok(()) }
}

/// Whether a slot's release was tried so often that the next load gives it up.
pub fn is_spent(slot: &Value) -> bool {
    slot["attempts"].as_u64() >= Some(u64::from(inkling_store::slot::MOST_ATTEMPTS))
}
