//! What the parent itself damages: bits of installed files, between two children. Everything else must stay whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use inkling_store::Digest;

use super::models::Served;
use crate::disk::Random;

/// Files that were damaged and not repaired yet, and where.
#[derive(Debug, Default)]
pub struct Damage {
    hurt: BTreeMap<Digest, Vec<u64>>,
    /// Files that were damaged.
    pub done: u64,
    /// Files that were found whole again.
    pub repaired: u64,
}

const FLIPPED: u8 = 0x10;

impl Damage {
    /// Flips up to three bits of an object. Every third time its time is put back, as when the storage is to blame: then
    /// only `verify` sees it.
    pub fn hurt(&mut self, path: &Path, digest: Digest, known: &Served, random: &mut Random) -> Result<(), String> {
        if self.has(&digest) {
            return Ok(());
        }
        let text = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = File::options().write(true).open(path).map_err(text)?;
        let modified = file.metadata().and_then(|meta| meta.modified()).map_err(text)?;
        let mut places: Vec<u64> = (0..=random.below(3)).map(|_| random.below(known.bytes.len() as u64)).collect();
        places.sort_unstable();
        places.dedup();
        for place in &places {
            file.write_all_at(&[known.bytes[*place as usize] ^ FLIPPED], *place).map_err(text)?;
        }
        if random.chance(33) {
            file.set_modified(modified).map_err(text)?;
        }
        self.hurt.insert(digest, places);
        self.done += 1;
        Ok(())
    }

    /// Whether a file was damaged and is not repaired yet.
    pub fn has(&self, digest: &Digest) -> bool {
        self.hurt.contains_key(digest)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Digest> {
        self.hurt.keys()
    }

    /// It was found whole.
    pub(super) fn repaired(&mut self, digest: &Digest) {
        self.repaired += u64::from(self.hurt.remove(digest).is_some());
    }

    /// Forgets those that are not there any more.
    pub(super) fn retain(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.hurt.retain(|digest, _| keep(digest));
    }

    /// Whether these bytes differ from the right ones where they were damaged, and nowhere else.
    pub(super) fn is_as_it_was_done(&self, digest: &Digest, bytes: &[u8], right: &[u8]) -> bool {
        let Some(places) = self.hurt.get(digest) else { return false };
        let mut mended = bytes.to_vec();
        for place in places {
            if let Some(byte) = mended.get_mut(*place as usize) {
                *byte ^= FLIPPED;
            }
        }
        mended == right
    }
}
