//! A folder as a device sees it.

use std::path::Path;

use super::files::measure;
use super::folder::{Folder, read};
use inkling_store::manifest::release::LARGEST_RELEASE;
use inkling_store::manifest::{Catalog, Kind, Offers, ReleaseManifest, resolve};
use inkling_store::trust::{accept_catalog, accept_release, accept_rollout};
use inkling_store::{StoreError, TrustState};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The catalogue.
    pub catalog: Catalog,
    /// The rollout, where there are rollouts.
    pub rollout: Option<Offers>,
    /// All releases.
    pub releases: Vec<ReleaseManifest>,
    /// Bytes of all files that were read and compared.
    pub bytes: u64,
}

/// Reads everything in a folder as a device would that was built with its `root.json`, and compares every file with its
/// digests. What a device would refuse is an error here.
pub fn check(folder: &Path, now: u64) -> Result<Checked, StoreError> {
    let here = Folder(folder);
    let missing = |what: &str| StoreError::NotFound { what: format!("{what} in {}", folder.display()) };
    let file = |kind: Kind| read(&here.path(kind), kind.limit())?.ok_or_else(|| missing(kind.file()));
    let mut state = TrustState::pinned(&file(Kind::Root)?)?;
    let catalog = accept_catalog(&mut state, &file(Kind::Catalog)?, now)?;
    let rollout = match state.needs_rollout() {
        true => Some(accept_rollout(&mut state, &file(Kind::Rollout)?, now)?),
        false => None,
    };
    let (mut releases, mut bytes) = (Vec::new(), 0);
    for model in &catalog.models {
        for named in &model.releases {
            let document = read(&folder.join(&named.path), LARGEST_RELEASE)?.ok_or_else(|| missing(&named.path))?;
            let release = accept_release(&model.id, named, &document)?;
            for file in &release.files {
                // A path that a device could not follow.
                resolve("https://example.com/catalog.json", &file.path)?;
                let found = measure(&folder.join(&file.path), &file.plan.chunks, None)?;
                if let Some(index) =
                    (0..found.chunks.len()).find(|&index| found.chunks.digest(index) != file.plan.chunks.digest(index))
                {
                    return Err(StoreError::Damaged { file: file.path.clone(), chunk: index as u64 });
                }
                if found != file.plan {
                    return Err(StoreError::WrongDigest { want: file.plan.sha256, got: found.sha256 });
                }
                bytes += found.size;
            }
            releases.push(release);
        }
    }
    Ok(Checked { catalog, rollout, releases, bytes })
}
