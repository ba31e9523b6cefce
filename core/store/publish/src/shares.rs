//! To how many devices a release is offered.

use std::path::Path;

use super::folder::{Folder, Outcome};
use super::releases::{Publication, edit_catalog};
use inkling_store::manifest::offers::ALL;
use inkling_store::manifest::{FORMAT, Kind, Offer, Offers, Root, SecretKey};
use inkling_store::{ModelId, StoreError};

/// What to change about a release's offer; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Of ten thousand devices, so many.
    pub basis_points: Option<u32>,
    /// Whether nobody new gets it.
    pub halted: Option<bool>,
    /// Which devices come first. Changing it takes the offer from some and gives it to others.
    pub seed: Option<String>,
}

/// Changes to whom a release is offered, which must be in the catalogue.
pub fn set_rollout(
    folder: &Path,
    (model, release): (&ModelId, u64),
    share: &Share,
    keys: &[SecretKey],
    (expires, now): (u64, u64),
) -> Result<Outcome, StoreError> {
    let here = Folder(folder);
    let (root, _) = here.root()?;
    let catalog = here.catalog()?;
    let known = catalog.as_ref().and_then(|catalog| catalog.model(model));
    if !known.is_some_and(|known| known.releases.iter().any(|known| known.number == release)) {
        return Err(StoreError::NotFound { what: format!("release {release} of {model}") });
    }
    edit_rollout(&here, &root, keys, (expires, now), |offers| {
        let found = offers.iter().position(|offer| offer.model == *model && offer.release == release);
        let index = found.unwrap_or_else(|| {
            offers.push(new_offer(model, release, 0));
            offers.len() - 1
        });
        let offer = &mut offers[index];
        offer.basis_points = share.basis_points.unwrap_or(offer.basis_points);
        offer.halted = share.halted.unwrap_or(offer.halted);
        offer.seed = share.seed.clone().unwrap_or_else(|| offer.seed.clone());
    })
}

/// Signs the catalogue and the rollout anew if they expire too soon, or if those who signed them may no longer. With only
/// the rollout keys it renews the rollout, as a server does every few days.
pub fn renew(
    folder: &Path,
    keys: &[SecretKey],
    (catalog_expires, rollout_expires): (u64, u64),
    now: u64,
) -> Result<(Outcome, Option<Outcome>), StoreError> {
    let here = Folder(folder);
    let (root, _) = here.root()?;
    let can = keys.iter().any(|key| root.release.keys.contains(&key.public()));
    let catalog = match here.catalog()? {
        Some(_) if can => edit_catalog(&here, &root, keys, (catalog_expires, now), |_| {})?,
        _ => Outcome::Unchanged,
    };
    let rollout = match (&root.rollout, here.rollout()?) {
        (Some(ring), Some(_)) if keys.iter().any(|key| ring.keys.contains(&key.public())) => {
            Some(edit_rollout(&here, &root, keys, (rollout_expires, now), |_| {})?)
        }
        _ => None,
    };
    Ok((catalog, rollout))
}

/// Offers what was just published, unless it is offered already or there are no rollouts.
pub(super) fn add_offer(here: &Folder<'_>, root: &Root, what: &Publication<'_>) -> Result<Option<Outcome>, StoreError> {
    if root.rollout.is_none() {
        return Ok(None);
    }
    let times = (what.rollout_expires, what.now);
    let added = edit_rollout(here, root, what.keys, times, |offers| {
        if !offers.iter().any(|offer| offer.model == what.model && offer.release == what.number) {
            offers.push(new_offer(&what.model, what.number, what.basis_points));
        }
    });
    added.map(Some)
}

fn new_offer(model: &ModelId, release: u64, basis_points: u32) -> Offer {
    // The seed is the model's name: other models begin with other devices.
    Offer { model: model.clone(), release, basis_points, seed: model.to_string(), halted: false }
}

/// Makes the next rollout if `edit` changes it, if it would expire too soon, or if there is a newer catalogue.
fn edit_rollout(
    here: &Folder<'_>,
    root: &Root,
    keys: &[SecretKey],
    (expires, now): (u64, u64),
    edit: impl FnOnce(&mut Vec<Offer>),
) -> Result<Outcome, StoreError> {
    let invalid = |why: String| StoreError::Invalid { field: "rollout", why };
    let ring = root.rollout.as_ref().ok_or_else(|| invalid("the root names no keys for rollouts".to_owned()))?;
    let old = here.rollout()?;
    let nothing = Offers { format: FORMAT, version: 0, expires, catalog: 0, offers: Vec::new() };
    let mut new = old.clone().unwrap_or(nothing);
    edit(&mut new.offers);
    new.catalog = here.catalog()?.map_or(0, |catalog| catalog.version);
    if new.offers.iter().any(|offer| offer.basis_points > ALL) {
        return Err(invalid("a share is at most 10,000 basis points".to_owned()));
    }
    let signed = here.envelope(Kind::Rollout)?.is_some_and(|envelope| envelope.verify("", ring).is_ok());
    let lives = signed && new.version >= root.rollout_floor && lasts(new.expires, expires, now);
    if lives && old.as_ref() == Some(&new) {
        return Ok(Outcome::Unchanged);
    }
    new.version = new.version.saturating_add(1).max(root.rollout_floor).max(1);
    new.expires = expires;
    new.check().map_err(|why| invalid(why.to_owned()))?;
    here.put(Kind::Rollout, new.version, &new, &[ring], keys)
}

/// Whether what expires `then` still has half of the time that it would be given now.
pub(super) fn lasts(then: u64, expires: u64, now: u64) -> bool {
    then.saturating_sub(now) >= expires.saturating_sub(now).div_ceil(2)
}
