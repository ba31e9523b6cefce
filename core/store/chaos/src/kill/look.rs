//! The checker of the kill loop. It reads the folder itself; nothing of the store's code is asked, but for what a digest
//! is.
//!
//! Every object is compared byte by byte with what was served. One whose inode, size and time have not changed since it was
//! compared is compared again only now and then, because the store writes into no object: most of the loop's time would go
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use inkling_store::Digest;
use serde_json::Value;

use super::damage::Damage;
use super::models::{Models, Served};
use crate::disk::record;

/// What is in a store's folder.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Objects that were found, and those that were read for it.
    pub objects: u64,
    /// See `objects`.
    pub compared: u64,
    /// Chunks that were compared.
    pub chunks: u64,
    /// Slots by id.
    pub slots: BTreeMap<String, Value>,
    /// Chunks that are safe of each file: all of an object, recorded ones of one that is on its way.
    pub safe: BTreeMap<Digest, Vec<bool>>,
    /// Objects.
    pub installed: BTreeSet<Digest>,
    /// Objects, and what is put together or was put aside.
    pub stored: BTreeSet<Digest>,
    /// Versions of root, catalogue and rollout that are remembered.
    pub trust: [u64; 3],
}

/// Objects that were compared, as they were then.
#[derive(Debug, Default)]
pub struct Compared(BTreeMap<Digest, (u64, u64, SystemTime)>);

impl Compared {
    /// Everything is to be read again.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// The number of a slot's release.
pub fn number(slot: &Value, which: &str) -> Option<u64> {
    slot[which]["number"].as_u64()
}

/// The number of the release that the next load takes.
pub fn chosen(slot: &Value) -> Option<u64> {
    number(slot, "pending").or_else(|| number(slot, "active"))
}

/// Looks, and says what is wrong. What the parent damaged may be damaged, in the way that it damaged it; what it finds
/// repaired is taken off that list.
pub fn at(base: &Path, models: &Models, damage: &mut Damage, compared: &mut Compared) -> Result<Seen, String> {
    let mut seen = Seen::default();
    if !base.exists() {
        return Ok(seen);
    }
    strangers(base)?;
    for digest in digests(&base.join("objects"))? {
        let known = models.files.get(&digest).ok_or_else(|| format!("{digest} was never served"))?;
        compare(&base.join("objects").join(digest.to_string()), digest, known, damage, compared, &mut seen)?;
        seen.safe.insert(digest, vec![true; known.chunks.len()]);
        seen.installed.insert(digest);
    }
    compared.0.retain(|digest, _| seen.installed.contains(digest));
    for name in names(&base.join("slots"))? {
        let Some((id, _)) = name.rsplit_once('.').filter(|(_, ending)| matches!(*ending, "slot" | "copy")) else {
            continue; // What was being written.
        };
        let bytes = read(&base.join("slots").join(&name))?;
        let (generation, slot) = record::slot(&bytes).ok_or_else(|| format!("the slot {name} is damaged"))?;
        let is_older = |other: &Value| other["generation"].as_u64() < Some(generation);
        if seen.slots.get(id).is_none_or(is_older) {
            seen.slots.insert(id.to_owned(), slot);
        }
    }
    seen.stored = seen.installed.clone();
    seen.stored.extend(digests(&base.join("quarantine"))?);
    for digest in digests(&base.join("staging"))? {
        let known = models.files.get(&digest).ok_or_else(|| format!("{digest} was never served"))?;
        look_at_staging(&base.join("staging").join(digest.to_string()), digest, known, &mut seen)?;
        seen.stored.insert(digest);
    }
    let named: BTreeSet<Digest> =
        seen.slots.values().flat_map(record::named).filter_map(|digest| digest.parse().ok()).collect();
    damage.retain(|digest| named.contains(digest) || seen.stored.contains(digest));
    for (id, slot) in &seen.slots {
        for digest in record::named(slot).iter().filter_map(|digest| digest.parse::<Digest>().ok()) {
            // One that is being repaired is not there meanwhile; files that a model can do without may be missing.
            if !seen.installed.contains(&digest) && !damage.has(&digest) && is_required(slot, &digest) {
                return Err(format!("the slot {id} names {digest}, which is not there"));
            }
        }
    }
    seen.trust = trust(base)?;
    Ok(seen)
}

fn is_required(slot: &Value, digest: &Digest) -> bool {
    let releases = ["active", "previous", "pending"].iter().filter_map(|which| slot[*which]["files"].as_array());
    let digest = digest.to_string();
    releases.flatten().any(|file| file["sha256"].as_str() == Some(&digest) && file["required"] != Value::Bool(false))
}

/// Names that nothing has in a store, such as a file that is not whole outside of `staging`.
fn strangers(base: &Path) -> Result<(), String> {
    const TOP: [&str; 11] = [
        "LOCK",
        "STORE",
        "STORE.copy",
        "slots",
        "objects",
        "panels",
        "staging",
        "quarantine",
        "trust",
        "ballast",
        "trusted",
    ];
    let is_object = |name: &str| name.strip_suffix(".chunks").unwrap_or(name).parse::<Digest>().is_ok();
    let is_record = |name: &str| [".slot", ".copy", ".state"].iter().any(|ending| name.ends_with(ending));
    for folder in [".", "objects", "quarantine", "staging", "slots", "trust"] {
        for name in names(&base.join(folder))? {
            let name = name.strip_suffix(".tmp").unwrap_or(&name);
            let is_sound = match folder {
                "." => TOP.contains(&name),
                "objects" | "quarantine" => is_object(name),
                "staging" => name.parse::<Digest>().is_ok(),
                _ => is_record(name),
            };
            if !is_sound {
                return Err(format!("{folder} holds {name}, which no store does"));
            }
        }
    }
    Ok(())
}

fn compare(
    path: &Path,
    digest: Digest,
    known: &Served,
    damage: &mut Damage,
    compared: &mut Compared,
    seen: &mut Seen,
) -> Result<(), String> {
    seen.objects += 1;
    let meta = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let modified = meta.modified().map_err(|error| error.to_string())?;
    let mark = (meta.ino(), meta.len(), modified);
    if compared.0.get(&digest) == Some(&mark) && !damage.has(&digest) {
        return Ok(());
    }
    let bytes = read(path)?;
    seen.compared += 1;
    if bytes == known.bytes[..] {
        damage.repaired(&digest);
        // A clock is coarse: what was just written might be written again at the same time.
        if modified.elapsed().is_ok_and(|age| age > Duration::from_millis(50)) {
            compared.0.insert(digest, mark);
        }
        return Ok(());
    }
    if damage.is_as_it_was_done(&digest, &bytes, &known.bytes) {
        return Ok(());
    }
    Err(format!("the object {digest} of {} has other bytes", known.id))
}

/// What is recorded to be there is there. Where chunks end is in the plan that the record names.
fn look_at_staging(folder: &Path, digest: Digest, known: &Served, seen: &mut Seen) -> Result<(), String> {
    let copies = ["have", "have.copy"].map(|name| std::fs::read(folder.join(name)).ok());
    let copies = copies.iter().flatten().filter_map(|bytes| record::payload("have", bytes));
    let newest = copies.max_by_key(|payload| payload.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)));
    let (Some(have), Ok(plan)) = (newest, std::fs::read(folder.join("plan"))) else { return Ok(()) };
    // Generation, digest of the plan, number of chunks, bits.
    let plan = record::payload("plan", &plan).filter(|plan| have.get(8..40) == Some(&Digest::of(plan).0));
    let plan: Option<Value> = plan.and_then(|plan| serde_json::from_slice(plan).ok());
    let (Some(plan), Ok(data)) = (plan, File::open(folder.join("data"))) else { return Ok(()) };
    let ends: Option<Vec<usize>> = plan["chunks"]["ends"]
        .as_array()
        .map(|ends| ends.iter().filter_map(|end| end.as_u64()).map(|end| end as usize).collect());
    let ends =
        ends.filter(|ends| ends.len() == known.chunks.len()).ok_or_else(|| format!("{digest} is cut otherwise"))?;
    let bits = have.get(48..).unwrap_or_default();
    let mut safe = vec![false; ends.len()];
    let mut start = 0;
    for (chunk, end) in ends.into_iter().enumerate() {
        if bits.get(chunk / 8).is_some_and(|byte| byte >> (chunk % 8) & 1 == 1) {
            let right = known.bytes.get(start..end).ok_or_else(|| format!("{digest} is cut otherwise"))?;
            let mut bytes = vec![0; right.len()];
            if data.read_exact_at(&mut bytes, start as u64).is_err() || bytes != right {
                return Err(format!("{digest}: chunk {chunk} was recorded and is wrong"));
            }
            seen.chunks += 1;
            safe[chunk] = true;
        }
        start = end;
    }
    seen.safe.entry(digest).or_insert(safe);
    Ok(())
}

/// The versions that are remembered: of the root, the catalogue, the rollout.
fn trust(base: &Path) -> Result<[u64; 3], String> {
    let mut newest = (0, [0; 3]);
    for name in names(&base.join("trust"))?.iter().filter(|name| !name.ends_with(".tmp")) {
        let bytes = read(&base.join("trust").join(name))?;
        let payload = record::payload("state", &bytes).ok_or_else(|| format!("the state {name} is damaged"))?;
        let (generation, rest) = payload.split_first_chunk::<8>().ok_or("a state is too short")?;
        let line = rest.iter().position(|byte| *byte == b'\n').ok_or("a state has no first line")?;
        let value: Value = serde_json::from_slice(&rest[line + 1..]).map_err(|error| error.to_string())?;
        let root = value["anchor"]["root"][0]["version"].as_u64();
        let versions = [root, value["catalog"]["version"].as_u64(), value["rollout"]["version"].as_u64()];
        let generation = u64::from_le_bytes(*generation);
        if generation >= newest.0 {
            newest = (generation, versions.map(|version| version.unwrap_or(0)));
        }
    }
    Ok(newest.1)
}

/// Bytes of a file that were sent in vain: those that were `served`, less those that are safe now, were not before, and
/// could not be taken from another file. `None` if that cannot be told: it was removed meanwhile, or came twice.
pub fn again(
    file: &Digest,
    served: u64,
    words: &[String],
    before: &Seen,
    after: &Seen,
    models: &Models,
) -> Option<u64> {
    let known = models.files.get(file).filter(|_| served > 0)?;
    let id = known.id.as_str();
    let ready = words.iter().filter(|line| line.strip_prefix("ready ") == Some(id)).count();
    let gone = words.iter().any(|line| line.starts_with("begin gc") || line.starts_with("begin remove"));
    let gone = gone || words.contains(&format!("dropped {file}")) || words.contains(&format!("left {id}"));
    let is_there = after.installed.contains(file);
    let none = Vec::new();
    let (was, is) = (before.safe.get(file).unwrap_or(&none), after.safe.get(file).unwrap_or(&none));
    let has = |safe: &[bool], chunk: usize| safe.get(chunk).copied().unwrap_or(false);
    let lost = (0..known.chunks.len()).any(|chunk| has(was, chunk) && !has(is, chunk));
    if ready > 1 || (ready == 1 && !is_there) || gone || lost {
        return None;
    }
    let others = before.installed.iter().filter(|other| *other != file).filter_map(|other| models.files.get(other));
    let others: Vec<&Served> = others.filter(|other| other.id == known.id).collect();
    let here: BTreeSet<Digest> = others
        .iter()
        .flat_map(|other| (0..other.chunks.len()).filter_map(|chunk| other.chunks.digest(chunk)))
        .collect();
    let gain = |chunk: &usize| {
        has(is, *chunk) && !has(was, *chunk) && known.chunks.digest(*chunk).is_none_or(|digest| !here.contains(&digest))
    };
    let gained: u64 = (0..known.chunks.len()).filter(gain).map(|chunk| known.chunks.range(chunk).1).sum();
    Some(served.saturating_sub(gained))
}

fn digests(folder: &Path) -> Result<Vec<Digest>, String> {
    Ok(names(folder)?.iter().filter_map(|name| name.parse().ok()).collect())
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
