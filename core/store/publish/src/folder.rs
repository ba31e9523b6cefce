//! The documents in a publisher's folder.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use inkling_store::StoreError;
use inkling_store::manifest::{Catalog, Envelope, Keyring, Kind, Offers, Root, SecretKey};

/// What came of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was already as asked for.
    Unchanged,
    /// A new version is served.
    Written {
        /// Its number.
        version: u64,
    },
    /// A new version waits in `pending/` for more signatures: [`sign_pending`].
    Pending {
        /// Its number.
        version: u64,
        /// How many signatures are missing.
        missing: u32,
    },
}

/// Where the documents are.
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    pub(super) fn path(&self, kind: Kind) -> PathBuf {
        self.0.join(kind.file())
    }

    /// The root that is served; it must have been made before.
    pub(super) fn root(&self) -> Result<(Root, Envelope), StoreError> {
        let envelope = self.envelope(Kind::Root)?.ok_or_else(|| {
            let why = format!("{} has no root.json: make one first", self.0.display());
            StoreError::Invalid { field: "folder", why }
        })?;
        let root = Root::read(envelope.payload())?;
        envelope.verify(Kind::Root.file(), &root.release)?;
        Ok((root, envelope))
    }

    /// The catalogue that is served, if there is one.
    pub(super) fn catalog(&self) -> Result<Option<Catalog>, StoreError> {
        self.envelope(Kind::Catalog)?.map(|envelope| Catalog::read(envelope.payload())).transpose()
    }

    /// The rollout that is served, if there is one.
    pub(super) fn rollout(&self) -> Result<Option<Offers>, StoreError> {
        self.envelope(Kind::Rollout)?.map(|envelope| Offers::read(envelope.payload())).transpose()
    }

    /// A document that is served. Its signatures are not checked: the folder is the publisher's own, and whatever is
    /// signed next is read back first.
    pub(super) fn envelope(&self, kind: Kind) -> Result<Option<Envelope>, StoreError> {
        let path = self.path(kind);
        read(&path, kind.limit())?.map(|bytes| Envelope::read(kind, &bytes)).transpose()
    }

    /// Signs a new version of a document with those keys that count, and serves it, or lets it wait for more signatures.
    pub(super) fn put(
        &self,
        kind: Kind,
        version: u64,
        document: &impl Serialize,
        rings: &[&Keyring],
        keys: &[SecretKey],
    ) -> Result<Outcome, StoreError> {
        let invalid = |error: serde_json::Error| StoreError::Invalid { field: "document", why: error.to_string() };
        let mut envelope = Envelope::new(kind, serde_json::to_string_pretty(document).map_err(invalid)?);
        // What waits already and says the same keeps its signatures.
        let pending = self.0.join("pending").join(kind.file());
        if let Some(bytes) = read(&pending, kind.limit())? {
            match Envelope::read(kind, &bytes) {
                Ok(waiting) if same(&waiting, &envelope) => envelope = waiting,
                Ok(waiting) if of_version(&waiting) >= Some(version) => {
                    let why = format!("another {} waits for signatures: sign or remove it", pending.display());
                    return Err(StoreError::Invalid { field: "pending", why });
                }
                _ => {}
            }
        }
        self.serve(kind, version, envelope, rings, keys)
    }

    fn serve(
        &self,
        kind: Kind,
        version: u64,
        mut envelope: Envelope,
        rings: &[&Keyring],
        keys: &[SecretKey],
    ) -> Result<Outcome, StoreError> {
        let pending = self.0.join("pending").join(kind.file());
        for key in keys {
            if rings.iter().any(|ring| ring.keys.contains(&key.public())) {
                envelope.sign(key);
            }
        }
        let bytes = envelope.to_bytes();
        if bytes.len() as u64 > kind.limit() {
            let why = format!("{} would have {} bytes, devices read {}", kind.file(), bytes.len(), kind.limit());
            return Err(StoreError::Invalid { field: "document", why });
        }
        let missing = rings.iter().map(|ring| ring.threshold.saturating_sub(envelope.signers(ring))).max().unwrap_or(0);
        if missing > 0 {
            write(&pending, &bytes)?;
            return Ok(Outcome::Pending { version, missing });
        }
        if kind == Kind::Root {
            // Devices that are versions behind need all of them.
            write(&self.0.join(format!("root/{version}.json")), &bytes)?;
        }
        write(&self.path(kind), &bytes)?;
        match std::fs::remove_file(&pending) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("removing", &pending)(error))
            }
            _ => Ok(Outcome::Written { version }),
        }
    }
}

/// Whether two documents differ only in how long they live.
fn same(one: &Envelope, other: &Envelope) -> bool {
    let content = |envelope: &Envelope| {
        let mut value: serde_json::Value = serde_json::from_slice(envelope.payload()).ok()?;
        value.as_object_mut()?.remove("expires");
        Some(value)
    };
    content(one).is_some_and(|content_of_one| Some(content_of_one) == content(other))
}

fn of_version(envelope: &Envelope) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(envelope.payload()).ok()?.get("version")?.as_u64()
}

/// Adds signatures to a document that waits for them, and serves it when it has enough: so that those who sign need not
/// meet, nor their keys.
pub fn sign_pending(folder: &Path, kind: Kind, keys: &[SecretKey]) -> Result<Outcome, StoreError> {
    let path = folder.join("pending").join(kind.file());
    let Some(bytes) = read(&path, kind.limit())? else { return Ok(Outcome::Unchanged) };
    let envelope = Envelope::read(kind, &bytes)?;
    let folder = Folder(folder);
    let (payload, no) = (envelope.payload(), |why: &str| StoreError::Invalid { field: "pending", why: why.to_owned() });
    let stale = || no("something newer is served meanwhile: make it again");
    if kind == Kind::Root {
        let new = Root::read(payload)?;
        let old = folder.envelope(kind)?.map(|old| Root::read(old.payload())).transpose()?;
        if new.version != old.as_ref().map_or(0, |old| old.version) + 1 {
            return Err(stale());
        }
        let rings: Vec<&Keyring> = old.iter().map(|old| &old.release).chain([&new.release]).collect();
        return folder.serve(kind, new.version, envelope, &rings, keys);
    }
    let (root, _) = folder.root()?;
    let (version, served, ring) = match kind {
        Kind::Rollout => {
            let served = folder.rollout()?.map_or(0, |served| served.version);
            (Offers::read(payload)?.version, served, root.rollout.as_ref())
        }
        _ => {
            let served = folder.catalog()?.map_or(0, |served| served.version);
            (Catalog::read(payload)?.version, served, Some(&root.release))
        }
    };
    if version <= served {
        return Err(stale());
    }
    let ring = ring.ok_or_else(|| no("the root names no keys for rollouts"))?;
    folder.serve(kind, version, envelope.clone(), &[ring], keys)
}

/// A file of at most so many bytes; `None` if there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(StoreError::io("opening", path))?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(StoreError::io("reading", path))?;
    Ok(Some(bytes))
}

/// Writes a file beside its place and renames it there.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::io("making", folder))?;
    }
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(StoreError::io("writing", &part))?;
    std::fs::rename(&part, path).map_err(StoreError::io("writing", path))
}
