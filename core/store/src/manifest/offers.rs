//! `rollout.json`: to how many devices each release is offered.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::envelope::Kind;
use super::{check_format, untrusted};
use crate::{ModelId, StoreError};

/// All devices, in basis points.
pub const ALL: u32 = 10_000;
/// The most offers.
const MOST_OFFERS: usize = 10_000;

/// How far each release has been rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// Of the format: 1.
    pub format: u64,
    /// Later ones are greater.
    pub version: u64,
    /// When it is not trusted any longer, in seconds since 1970.
    pub expires: u64,
    /// The oldest catalogue that this goes with: whoever has an older one is being kept from a newer.
    pub catalog: u64,
    /// The releases. One that is not named is offered to nobody.
    pub offers: Vec<Offer>,
}

/// To whom one release is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The model.
    pub model: ModelId,
    /// The release.
    pub release: u64,
    /// Of ten thousand devices, so many.
    pub basis_points: u32,
    /// Which of them: the same seed chooses the same ones.
    pub seed: String,
    /// Nobody new gets it. Those who have it keep it.
    pub halted: bool,
}

impl Offers {
    /// From the payload of an envelope, whose signatures are not this function's business.
    pub fn read(payload: &[u8]) -> Result<Self, StoreError> {
        let at = Kind::Rollout.file();
        let offers: Self = super::read(at, payload, Kind::Rollout.limit())?;
        check_format(at, offers.format, &[])?;
        offers.check().map_err(|why| untrusted(at, why))?;
        Ok(offers)
    }

    /// The offer of a release.
    pub fn offer(&self, model: &ModelId, release: u64) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.model == *model && offer.release == release)
    }

    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        let mut seen = BTreeSet::new();
        if self.version == 0 {
            return Err("versions are counted from 1");
        }
        if self.offers.len() > MOST_OFFERS {
            return Err("there are more than 10,000 offers");
        }
        self.offers.iter().try_for_each(|offer| {
            if offer.basis_points > ALL {
                Err("an offer is to at most 10,000 basis points")
            } else if offer.release == 0 {
                Err("releases are counted from 1")
            } else if offer.seed.len() > 100 || offer.seed.chars().any(char::is_control) {
                Err("a seed has at most 100 bytes and no control characters")
            } else if !seen.insert((&offer.model, offer.release)) {
                Err("a release is offered twice")
            } else {
                Ok(())
            }
        })
    }
}
