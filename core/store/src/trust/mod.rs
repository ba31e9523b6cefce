//! What a device has already accepted, and what it therefore never accepts again.
//!
//! These are TUF's rules (<https://theupdateframework.github.io/specification/latest/>) with its four roles folded into
//! two: the release keys sign roots and catalogues offline, the rollout keys sign rollouts online.
//!
//! * **Root.** The app is built with one. Each later version is accepted one step at a time, signed by as many release
//!   keys of the version before as that asked for, and by as many of its own as it asks for itself.
//! * **Rollback.** A catalogue or rollout with a smaller version than one that was accepted is refused, and so is another
//!   one of the same version.
//! * **Freeze.** What has expired is refused: catalogue, rollout, and everything under an expired root. A rollout names
//!   the oldest catalogue that it goes with.
//! * **Fast-forward.** A root that changes the keys of a role says from where its versions count again.
//! * **Clocks.** Time does not go back behind the last acceptance of what expires soonest: the rollout, or the catalogue
//!   where there are none. Nothing is accepted after its expiry, so a clock that is far ahead for a while moves that
//!   moment no further than to where the next document goes on.
//!
//! The functions are pure: the caller brings bytes and the time, and keeps [`TrustState::to_bytes`] where the store keeps
//! its truth. The state changes only when everything about a document has been found right.

mod state;

pub use state::TrustState;

use state::Seen;

use crate::manifest::{Catalog, Envelope, Kind, Offers, ReleaseManifest, ReleaseRef, Root};
use crate::{Digest, ModelId, StoreError};

/// Takes the next version of the root, or the present one again. An expired one is taken too, because there may be a next
/// one; but nothing else is accepted under it.
///
/// # Errors
/// [`StoreError::Untrusted`], naming the rule that it breaks. A root that is more than one version ahead: take those
/// between first, from `root/<version>.json`.
pub fn accept_root(state: &mut TrustState, bytes: &[u8]) -> Result<Root, StoreError> {
    let at = Kind::Root.file();
    let envelope = Envelope::read(Kind::Root, bytes)?;
    // Nobody reads what nobody signed.
    envelope.verify(at, state.release_keys())?;
    let root = Root::read(envelope.payload())?;
    envelope.verify(at, &root.release)?;
    let digest = Digest::of(envelope.payload());
    match state.root() {
        Some(old) if root.version == old.version => {
            return if state.root_digest() == Some(digest) {
                Ok(root)
            } else {
                Err(untrusted(at, format!("there is another version {}", root.version)))
            };
        }
        Some(old) if root.version < old.version => {
            return Err(untrusted(at, format!("its version is {}, {} was accepted", root.version, old.version)));
        }
        Some(old) if root.version - 1 > old.version => {
            let (version, next) = (root.version, old.version + 1);
            return Err(untrusted(at, format!("its version is {version}; root/{next}.json comes first")));
        }
        _ => {}
    }
    state.set_root(root.clone(), digest);
    Ok(root)
}

/// Takes a catalogue.
///
/// # Errors
/// [`StoreError::Untrusted`], naming the rule that it breaks.
pub fn accept_catalog(state: &mut TrustState, bytes: &[u8], now: u64) -> Result<Catalog, StoreError> {
    let at = Kind::Catalog.file();
    let root = live_root(state, at, now)?;
    let envelope = Envelope::read(Kind::Catalog, bytes)?;
    envelope.verify(at, &root.release)?;
    let catalog = Catalog::read(envelope.payload())?;
    let seen = Seen { version: catalog.version, digest: Some(Digest::of(envelope.payload())) };
    check_fresh(at, state.catalog_seen(), seen, catalog.expires, state.time(now))?;
    let soonest = root.rollout.is_none();
    state.set_catalog(seen);
    if soonest {
        state.raise_time(now);
    }
    Ok(catalog)
}

/// Takes a rollout; the catalogue that it goes with must have been accepted before.
///
/// # Errors
/// [`StoreError::Untrusted`], naming the rule that it breaks.
pub fn accept_rollout(state: &mut TrustState, bytes: &[u8], now: u64) -> Result<Offers, StoreError> {
    let at = Kind::Rollout.file();
    let root = live_root(state, at, now)?;
    let ring = root.rollout.as_ref().ok_or_else(|| untrusted(at, "the root names no keys for rollouts"))?;
    let envelope = Envelope::read(Kind::Rollout, bytes)?;
    envelope.verify(at, ring)?;
    let offers = Offers::read(envelope.payload())?;
    let seen = Seen { version: offers.version, digest: Some(Digest::of(envelope.payload())) };
    check_fresh(at, state.rollout_seen(), seen, offers.expires, state.time(now))?;
    let catalog = state.catalog_seen();
    if catalog.digest.is_none() || catalog.version < offers.catalog {
        let why = format!("it goes with catalogue {}, the one here is {}", offers.catalog, catalog.version);
        return Err(untrusted(at, why));
    }
    state.set_rollout(seen);
    state.raise_time(now);
    Ok(offers)
}

/// Takes the document of a release that an accepted catalogue names.
///
/// # Errors
/// [`StoreError::Untrusted`] if it is another one or makes no sense.
pub fn accept_release(model: &ModelId, named: &ReleaseRef, bytes: &[u8]) -> Result<ReleaseManifest, StoreError> {
    ReleaseManifest::read(model, named, bytes)
}

/// The root, if it has not expired.
fn live_root<'a>(state: &'a TrustState, at: &str, now: u64) -> Result<&'a Root, StoreError> {
    let root = state.root().ok_or_else(|| untrusted(at, "there is no root yet"))?;
    if state.time(now) < root.expires {
        return Ok(root);
    }
    Err(untrusted(at, format!("root {} expired {}", root.version, ago(state.time(now), root.expires))))
}

/// Neither expired nor older than what was seen, and what was seen if it has the same version.
fn check_fresh(at: &str, seen: Seen, new: Seen, expires: u64, time: u64) -> Result<(), StoreError> {
    if new.version < seen.version {
        return Err(untrusted(
            at,
            format!("its version is {}, the oldest that is accepted is {}", new.version, seen.version),
        ));
    }
    if new.version == seen.version && seen.digest.is_some() && seen.digest != new.digest {
        return Err(untrusted(at, format!("there is another version {}", new.version)));
    }
    if time >= expires {
        return Err(untrusted(at, format!("it expired {}", ago(time, expires))));
    }
    Ok(())
}

fn ago(time: u64, expires: u64) -> String {
    let seconds = time.saturating_sub(expires);
    match seconds / 86_400 {
        0 => format!("{seconds} seconds ago"),
        days => format!("{days} days ago"),
    }
}

fn untrusted(at: &str, why: impl Into<String>) -> StoreError {
    StoreError::Untrusted { at: at.to_owned(), why: why.into() }
}
