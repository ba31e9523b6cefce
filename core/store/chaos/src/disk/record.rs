//! The store's records as ARCHITECTURE.md and `core/store/src/disk/checked.rs` describe them, read by code that shares
//! nothing with the store's own.

use inkling_store::{Digest, Hasher};

/// The payload of a record, if it is whole.
pub fn payload<'a>(kind: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let head = bytes.get(..28)?;
    let sum = bytes.get(28..60)?;
    let payload = &bytes[60..];
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    let name = format!("inkling\n{kind:<8}");
    (head.starts_with(name.as_bytes()) && hasher.finish() == Digest(sum.try_into().ok()?)).then_some(payload)
}

/// The generation of a slot's file, and all that it says.
pub fn slot(bytes: &[u8]) -> Option<(u64, serde_json::Value)> {
    let value: serde_json::Value = serde_json::from_slice(payload("slot", bytes)?).ok()?;
    Some((value.get("generation")?.as_u64()?, value))
}

/// Digests of the files that a slot names.
pub fn named(slot: &serde_json::Value) -> Vec<String> {
    let releases = ["active", "previous", "pending"].iter().filter_map(|which| slot[*which]["files"].as_array());
    releases.flatten().filter_map(|file| Some(file["sha256"].as_str()?.to_owned())).collect()
}
