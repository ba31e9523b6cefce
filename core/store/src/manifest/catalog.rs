//! `catalog.json`: the models and their releases.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::envelope::Kind;
use super::names::check_path;
use super::release::{LARGEST_RELEASE, check_version};
use super::{check_format, untrusted};
use crate::{Digest, ModelId, StoreError};

/// The most models, and the most releases of all together.
const MOST: usize = 20_000;

/// The models that a publisher offers. Fields that this version does not know are ignored, unless the catalogue says
/// that it `needs` them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Of the format: 1.
    pub format: u64,
    /// What a reader must know besides the format. Nothing so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Later ones are greater.
    pub version: u64,
    /// When it is not trusted any longer, in seconds since 1970.
    pub expires: u64,
    /// The models.
    pub models: Vec<CatalogModel>,
}

/// A model and its releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogModel {
    /// Its name.
    pub id: ModelId,
    /// Its releases, in any order.
    pub releases: Vec<ReleaseRef>,
}

/// A release, by the digest of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// Its number; later ones are greater.
    pub number: u64,
    /// The oldest version of this engine that can run it, as "0.1.0"; empty for any.
    #[serde(default)]
    pub sdk_min: String,
    /// Where its document is, from where the catalogue is.
    pub path: String,
    /// Bytes of the document.
    pub size: u64,
    /// Digest of the document.
    pub sha256: Digest,
}

impl Catalog {
    /// From the payload of an envelope, whose signatures are not this function's business.
    pub fn read(payload: &[u8]) -> Result<Self, StoreError> {
        let at = Kind::Catalog.file();
        let catalog: Self = super::read(at, payload, Kind::Catalog.limit())?;
        check_format(at, catalog.format, &catalog.needs)?;
        catalog.check().map_err(|why| untrusted(at, why))?;
        Ok(catalog)
    }

    /// The model of this name.
    pub fn model(&self, id: &ModelId) -> Option<&CatalogModel> {
        self.models.iter().find(|model| model.id == *id)
    }

    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let no = |why: &str| Err(why.to_owned());
        let mut seen = BTreeSet::new();
        if self.version == 0 {
            return no("versions are counted from 1");
        }
        if self.models.len() > MOST || self.models.iter().map(|model| model.releases.len()).sum::<usize>() > MOST {
            return no("it has more than 20,000 models or releases");
        }
        for model in &self.models {
            if !seen.insert((&model.id, 0)) {
                return Err(format!("{} is named twice", model.id));
            }
            for release in &model.releases {
                let no = |why: &str| Err(format!("release {} of {}: {why}", release.number, model.id));
                if release.number == 0 {
                    return no("releases are counted from 1");
                } else if !seen.insert((&model.id, release.number)) {
                    return no("it is named twice");
                } else if release.size == 0 || release.size > LARGEST_RELEASE {
                    return no("its document has an absurd size");
                } else if let Err(why) = check_path(&release.path) {
                    return no(&format!("its path: {why}"));
                }
                check_version(&release.sdk_min).or_else(no)?;
            }
        }
        Ok(())
    }
}
