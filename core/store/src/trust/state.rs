//! What was accepted, as bytes that the caller keeps.

use serde::{Deserialize, Serialize};

use crate::manifest::{Envelope, Keyring, Kind, Root};
use crate::{Digest, StoreError};

/// The most bytes that are read as a state: a root and a few numbers.
const LARGEST: usize = 1 << 20;

/// What a device trusts and has seen. Small; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustState {
    anchor: Anchor,
    catalog: Seen,
    rollout: Seen,
    /// No time before this is believed.
    time_floor: u64,
}

/// Where trust begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Anchor {
    /// Keys that came with the app; whatever root they sign is the first one.
    Keys(Keyring),
    /// The newest root, and the digest of its payload.
    Root(Box<Root>, Digest),
}

/// The newest version of a document that was accepted. Without a digest it is only a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) version: u64,
    pub(super) digest: Option<Digest>,
}

impl Seen {
    fn floor(version: u64) -> Self {
        Self { version, digest: None }
    }
}

impl TrustState {
    /// Trust that begins with a root that came with the app. It must be signed by its own keys, so that a broken file is
    /// noticed before it is shipped.
    pub fn pinned(root: &[u8]) -> Result<Self, StoreError> {
        let (root, digest) = own(root)?;
        let (catalog, rollout) = (Seen::floor(root.catalog_floor), Seen::floor(root.rollout_floor));
        Ok(Self { anchor: Anchor::Root(Box::new(root), digest), catalog, rollout, time_floor: 0 })
    }

    /// Trust that begins with keys that came with the app: those of the first root. That, `root/1.json`, is accepted next.
    pub fn with_keys(keys: Keyring) -> Self {
        Self { anchor: Anchor::Keys(keys), catalog: Seen::floor(0), rollout: Seen::floor(0), time_floor: 0 }
    }

    /// An app that was updated brings a newer root: it is trusted like the app itself, whatever lies between. An older
    /// one changes nothing. Says whether it was taken.
    pub fn adopt(&mut self, root: &[u8]) -> Result<bool, StoreError> {
        let (root, digest) = own(root)?;
        let newer = self.root().is_none_or(|old| root.version > old.version);
        if newer {
            self.set_root(root, digest);
        }
        Ok(newer)
    }

    /// What both have seen together. For those who accept documents side by side, each on a copy: what the slower one
    /// keeps must not make forgotten what the faster one has kept meanwhile.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let version = |state: &Self| state.root().map_or(0, |root| root.version);
        let (mut older, newer) =
            if version(self) < version(other) { (self.clone(), other) } else { (other.clone(), self) };
        if let Anchor::Root(root, digest) = &newer.anchor
            && version(&older) < root.version
        {
            older.set_root((**root).clone(), *digest);
        }
        let later = |one: Seen, two: Seen| {
            let floor = one.version == two.version && one.digest.is_none();
            if floor || one.version < two.version { two } else { one }
        };
        Self {
            anchor: newer.anchor.clone(),
            catalog: later(newer.catalog, older.catalog),
            rollout: later(newer.rollout, older.rollout),
            time_floor: newer.time_floor.max(older.time_floor),
        }
    }

    /// The newest root; `None` as long as there are only keys.
    pub fn root(&self) -> Option<&Root> {
        match &self.anchor {
            Anchor::Root(root, _) => Some(root),
            Anchor::Keys(_) => None,
        }
    }

    /// The version of the root to ask for next.
    pub fn next_root(&self) -> u64 {
        self.root().map_or(1, |root| root.version.saturating_add(1))
    }

    /// Whether a rollout must be accepted before anything is chosen.
    pub fn needs_rollout(&self) -> bool {
        self.root().is_some_and(|root| root.rollout.is_some())
    }

    /// The version of the newest catalogue, or the oldest that would be accepted.
    pub fn catalog_version(&self) -> u64 {
        self.catalog.version
    }

    /// The version of the newest rollout, or the oldest that would be accepted.
    pub fn rollout_version(&self) -> u64 {
        self.rollout.version
    }

    /// The time that counts when a clock says `now`.
    pub fn time(&self, now: u64) -> u64 {
        now.max(self.time_floor)
    }

    /// As bytes, with a checksum against a damaged disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Numbers, digests and lists of keys: nothing that JSON cannot say.
        let body = serde_json::to_vec(self).unwrap_or_default();
        [format!("inkling-trust-1 {}\n", Digest::of(&body)).as_bytes(), &body].concat()
    }

    /// From what [`TrustState::to_bytes`] gave.
    ///
    /// # Errors
    /// [`StoreError::Untrusted`] for anything else. Starting again from the app's root forgets what was seen; an attacker
    /// who can damage files of the app could replace them as well.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let no = |why: String| StoreError::Untrusted { at: "state".to_owned(), why };
        let damaged = || no("what was kept of it is damaged".to_owned());
        let end = bytes.iter().take(100).position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        let (head, body) = (&bytes[..end], &bytes[end + 1..]);
        if bytes.len() > LARGEST || head != format!("inkling-trust-1 {}", Digest::of(body)).as_bytes() {
            return Err(damaged());
        }
        let state: Self = serde_json::from_slice(body).map_err(|error| no(error.to_string()))?;
        match &state.anchor {
            Anchor::Keys(keys) => keys.check(),
            Anchor::Root(root, _) => root.check(),
        }
        .map_err(|why| no(why.to_owned()))?;
        Ok(state)
    }

    pub(super) fn release_keys(&self) -> &Keyring {
        match &self.anchor {
            Anchor::Keys(keys) => keys,
            Anchor::Root(root, _) => &root.release,
        }
    }

    pub(super) fn root_digest(&self) -> Option<Digest> {
        match &self.anchor {
            Anchor::Root(_, digest) => Some(*digest),
            Anchor::Keys(_) => None,
        }
    }

    pub(super) fn catalog_seen(&self) -> Seen {
        self.catalog
    }

    pub(super) fn rollout_seen(&self) -> Seen {
        self.rollout
    }

    pub(super) fn set_catalog(&mut self, seen: Seen) {
        self.catalog = seen;
    }

    pub(super) fn set_rollout(&mut self, seen: Seen) {
        self.rollout = seen;
    }

    pub(super) fn raise_time(&mut self, now: u64) {
        self.time_floor = self.time(now);
    }

    /// Takes a root. Where a role's keys have changed, its versions count from where the root says; else they only rise.
    pub(super) fn set_root(&mut self, root: Root, digest: Digest) {
        let old = self.root();
        let same_release = old.is_none_or(|old| old.release == root.release);
        let same_rollout = old.is_none_or(|old| old.rollout == root.rollout);
        let counted = |seen: Seen, floor: u64, same: bool| {
            if same && seen.version >= floor { seen } else { Seen::floor(floor) }
        };
        self.catalog = counted(self.catalog, root.catalog_floor, same_release);
        // A rollout names versions of catalogues: those that start again are not known to it.
        self.rollout = counted(self.rollout, root.rollout_floor, same_rollout);
        self.anchor = Anchor::Root(Box::new(root), digest);
    }
}

/// A root that is signed by its own keys.
fn own(bytes: &[u8]) -> Result<(Root, Digest), StoreError> {
    let envelope = Envelope::read(Kind::Root, bytes)?;
    let root = Root::read(envelope.payload())?;
    envelope.verify(Kind::Root.file(), &root.release)?;
    Ok((root, Digest::of(envelope.payload())))
}
