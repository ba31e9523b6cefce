//! The checker of the kill loop. It reads the folder itself; nothing of the store's code is asked, but for what a digest
//! is.

use std::collections::BTreeMap;
use std::path::Path;

use inkling_store::Digest;

use super::models::Models;
use crate::disk::record;

/// What is in a store's folder.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Objects that were compared.
    pub objects: u64,
    /// Chunks that were compared.
    pub chunks: u64,
    /// Slots by id.
    pub slots: BTreeMap<String, serde_json::Value>,
    /// Bytes that are safe of each file: all of an object, recorded chunks of one that is on its way.
    pub safe: BTreeMap<Digest, u64>,
    /// Whether it is an object.
    pub installed: BTreeMap<Digest, bool>,
}

/// Looks, and says what is wrong.
pub fn at(base: &Path, models: &Models) -> Result<Seen, String> {
    let mut seen = Seen::default();
    if !base.exists() {
        return Ok(seen);
    }
    for name in names(&base.join("objects"))? {
        let Ok(digest) = name.parse::<Digest>() else { continue };
        let bytes = read(&base.join("objects").join(&name))?;
        let known = models.files.get(&digest).ok_or_else(|| format!("{digest} was never served"))?;
        if bytes != known.bytes[..] {
            return Err(format!("the object {digest} has other bytes"));
        }
        seen.objects += 1;
        seen.safe.insert(digest, bytes.len() as u64);
        seen.installed.insert(digest, true);
    }
    for name in names(&base.join("slots"))? {
        let Some((id, _)) = name.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "slot" | "copy")) else {
            continue; // What was being written.
        };
        let bytes = read(&base.join("slots").join(&name))?;
        let (generation, slot) = record::slot(&bytes).ok_or_else(|| format!("the slot {name} is damaged"))?;
        let is_older = |other: &serde_json::Value| other["generation"].as_u64() < Some(generation);
        if seen.slots.get(id).is_none_or(is_older) {
            seen.slots.insert(id.to_owned(), slot);
        }
    }
    for (id, slot) in &seen.slots {
        for digest in record::named(slot) {
            if !base.join("objects").join(&digest).exists() {
                return Err(format!("the slot {id} names {digest}, which is not there"));
            }
        }
    }
    for name in names(&base.join("staging"))? {
        let Ok(digest) = name.parse::<Digest>() else { continue };
        look_at_staging(&base.join("staging").join(&name), digest, models, &mut seen)?;
    }
    Ok(seen)
}

/// What is recorded to be there is there.
fn look_at_staging(folder: &Path, digest: Digest, models: &Models, seen: &mut Seen) -> Result<(), String> {
    let known = models.files.get(&digest).ok_or_else(|| format!("{digest} was never served"))?;
    let copies = ["have", "have.copy"].map(|name| std::fs::read(folder.join(name)).ok());
    let copies = copies.iter().flatten().filter_map(|bytes| record::payload("have", bytes));
    let newest = copies.max_by_key(|payload| payload.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)));
    let Some(payload) = newest else { return Ok(()) };
    // Generation, digest of the plan, number of chunks, bits.
    let count = payload.get(40..48).and_then(|bytes| bytes.first_chunk::<8>()).map(|bytes| u64::from_le_bytes(*bytes));
    let bits = payload.get(48..).unwrap_or_default();
    let Ok(data) = std::fs::read(folder.join("data")) else { return Ok(()) };
    let mut safe = 0;
    for chunk in 0..count.unwrap_or(0) as usize {
        if bits.get(chunk / 8).is_some_and(|byte| byte >> (chunk % 8) & 1 == 1) {
            // Without digests of chunks they are a MiB each.
            let range = chunk << 20..((chunk + 1) << 20).min(known.bytes.len());
            if data.get(range.clone()) != known.bytes.get(range.clone()) {
                return Err(format!("{digest}: chunk {chunk} was recorded and is wrong"));
            }
            seen.chunks += 1;
            safe += range.len() as u64;
        }
    }
    seen.safe.entry(digest).or_insert(safe);
    Ok(())
}

/// A model that was ready, with nothing begun since then that may take it, is installed.
pub fn confirmed(words: &[String], seen: &Seen, models: &Models) -> Result<(), String> {
    let Some(at) = words.iter().rposition(|line| line.starts_with("ready ")) else { return Ok(()) };
    let takes = |line: &String| {
        ["begin ensure", "begin update", "begin gc", "begin remove", "begin lend"]
            .iter()
            .any(|what| line.starts_with(what))
    };
    let id = words[at].trim_start_matches("ready ");
    if words[at..].iter().any(takes) {
        return Ok(());
    }
    let slot = seen.slots.get(id).ok_or_else(|| format!("{id} was ready and has no slot"))?;
    let named = record::named(slot);
    let is_there = |digest: &Digest| named.contains(&digest.to_string()) && seen.installed.contains_key(digest);
    let mut files = models.files.iter().filter(|(_, file)| file.id.as_str() == id);
    if files.any(|(digest, _)| is_there(digest)) { Ok(()) } else { Err(format!("{id} was ready and is not there")) }
}

/// Bytes of a file that were sent in vain: `served` of them, less those that are safe now and were not before. `None` if
/// that cannot be told: it was removed meanwhile, or came twice.
pub fn again(
    file: &Digest,
    served: u64,
    words: &[String],
    before: &Seen,
    after: &Seen,
    models: &Models,
) -> Option<u64> {
    let id = models.files.get(file)?.id.as_str();
    let ready = words.iter().filter(|line| line.strip_prefix("ready ") == Some(id)).count();
    let safe = |seen: &Seen| seen.safe.get(file).copied().unwrap_or(0);
    let gone = words.iter().any(|line| line.starts_with("begin gc") || line.starts_with("begin remove"));
    let is_there = after.installed.contains_key(file);
    if served == 0 || ready > 1 || (ready == 1 && !is_there) || gone || safe(after) < safe(before) {
        return None;
    }
    Some(served.saturating_sub(safe(after) - safe(before)))
}

fn names(folder: &Path) -> Result<Vec<String>, String> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| error.to_string())?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
