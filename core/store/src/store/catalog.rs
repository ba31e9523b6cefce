//! What a signed catalogue offers to this device: its documents are fetched, accepted by the rules of [`crate::trust`],
//! and remembered, so that nothing older is accepted later.

use super::config::TrustedCatalog;
use super::jobs::Job;
use super::wanted::{From, Wanted, WantedFile};
use super::{Inner, invalid};
use crate::manifest::{Catalog, Kind, Offers, ReleaseManifest, ReleaseRef, resolve};
use crate::net::control::Control;
use crate::net::open::Address;
use crate::rollout::{Device, choose};
use crate::slot::{Slot, Why};
use crate::source::shown;
use crate::trust::{TrustState, accept_catalog, accept_release, accept_rollout, accept_root};
use crate::{Digest, FetchError, ModelId, StoreError};

/// Roots that are taken one after another: a publisher who rotates keys daily is caught up with in half a year's sleep.
const MOST_ROOTS: usize = 200;

/// A document that is not there is no offer of nothing: who can keep it away could keep every update away, and nobody
/// would ever see that what is known has expired.
fn unanswered(error: StoreError) -> StoreError {
    match error {
        StoreError::NotFound { what } => {
            StoreError::Download { url: what, attempts: 1, source: FetchError::Status { status: 404 } }
        }
        other => other,
    }
}

impl Inner {
    /// The release that the catalogue offers, or the one that is there if it offers no later one.
    pub(super) fn offered(&self, job: &Job, url: &str, model: &ModelId) -> Result<Wanted, StoreError> {
        let Some(trusted) = self.catalog(url) else {
            return Err(invalid("source", format!("no root is known for the catalogue {}", shown(url))));
        };
        let (catalog, offers) = self.accept(trusted, &job.control).map_err(unanswered)?;
        let offered = catalog.model(model);
        let offered = offered.ok_or_else(|| StoreError::NotFound { what: format!("{model} in {}", shown(url)) })?;
        let slot = self.slot(&job.id)?;
        let named = self.choose_release(job, offered, offers.as_ref(), slot.as_ref());
        let named = named.ok_or_else(|| {
            let what = format!("a release of {model} in {} that is offered to this device and engine", shown(url));
            StoreError::NotFound { what }
        })?;
        let address = Address::new(resolve(url, &named.path)?);
        let bytes = self.net.small(&address, named.size, &job.control).map_err(unanswered)?;
        let manifest = accept_release(model, named, &bytes)?;
        wanted(url, manifest)
    }

    fn choose_release<'a>(
        &self,
        job: &Job,
        offered: &'a crate::manifest::CatalogModel,
        offers: Option<&Offers>,
        slot: Option<&Slot>,
    ) -> Option<&'a ReleaseRef> {
        let here = slot.and_then(Slot::chosen).map_or(0, |release| release.number);
        // Damage here says nothing about a release, and somebody may insist.
        let given_up = |refused: &&crate::slot::Refused| !matches!(refused.why, Why::WrongHash | Why::FailingStorage);
        let given_up: Vec<u64> = match slot {
            Some(slot) if !job.options().insist => slot.refused.iter().filter(given_up).map(|r| r.number).collect(),
            _ => Vec::new(),
        };
        let install_id = self.disk.install_id();
        let device = Device {
            install_id: &install_id,
            installed: here,
            floor: slot.map_or(0, |slot| slot.floor),
            refused: &given_up,
            sdk: &self.config.version,
        };
        let later = choose(offered, offers, &device);
        // No later one: the one that is here, whose files may be damaged.
        later.or_else(|| offered.releases.iter().find(|release| release.number == here && here > 0))
    }

    /// The catalogue and the rollout as they are now.
    fn accept(&self, trusted: &TrustedCatalog, control: &Control) -> Result<(Catalog, Option<Offers>), StoreError> {
        let name = state_name(&trusted.url);
        let mut state = self.trust_state(trusted, &name)?;
        let now = self.now();
        let outcome = self.accept_all(trusted, &mut state, control, now);
        // Also when a later step failed: what was accepted is never forgotten, nor what others accepted meanwhile.
        let _turn = self.turn();
        let state = state.merged(&self.trust_state(trusted, &name)?);
        self.disk.put_state(&name, &state.to_bytes())?;
        outcome
    }

    fn accept_all(
        &self,
        trusted: &TrustedCatalog,
        state: &mut TrustState,
        control: &Control,
        now: u64,
    ) -> Result<(Catalog, Option<Offers>), StoreError> {
        let document =
            |path: &str, limit: u64| self.net.small(&Address::new(resolve(&trusted.url, path)?), limit, control);
        for _ in 0..MOST_ROOTS {
            match document(&format!("root/{}.json", state.next_root()), Kind::Root.limit()) {
                Ok(bytes) => accept_root(state, &bytes)?,
                Err(StoreError::NotFound { .. }) => break,
                Err(error) => return Err(error),
            };
        }
        let bytes = self.net.small(&Address::new(trusted.url.clone()), Kind::Catalog.limit(), control)?;
        let catalog = accept_catalog(state, &bytes, now)?;
        let offers = match state.needs_rollout() {
            true => Some(accept_rollout(state, &document(Kind::Rollout.file(), Kind::Rollout.limit())?, now)?),
            false => None,
        };
        Ok((catalog, offers))
    }

    fn trust_state(&self, trusted: &TrustedCatalog, name: &str) -> Result<TrustState, StoreError> {
        let kept = match self.disk.state(name) {
            Ok(kept) => kept,
            // Both copies are damaged: begin again with the root that came with the app.
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        match kept.map(|bytes| TrustState::from_bytes(&bytes)) {
            Some(Ok(mut state)) => {
                state.adopt(&trusted.root)?;
                Ok(state)
            }
            _ => TrustState::pinned(&trusted.root),
        }
    }
}

fn state_name(url: &str) -> String {
    format!("catalog-{}", &Digest::of(url.as_bytes()).to_string()[..32])
}

fn wanted(url: &str, manifest: ReleaseManifest) -> Result<Wanted, StoreError> {
    let files = manifest.release.files.iter().zip(manifest.files).map(|(file, had)| {
        let from = From::Net(Address::new(resolve(url, &had.path)?));
        Ok(WantedFile { file: file.clone(), plan: had.plan, from })
    });
    let files = files.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Wanted { release: manifest.release, files })
}
