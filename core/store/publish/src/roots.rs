//! Whose signatures count, and since when.

use std::path::Path;

use super::folder::{Folder, Outcome};
use inkling_store::StoreError;
use inkling_store::manifest::{Keyring, Kind, Root, SecretKey};

/// Who signs what from now on, and until when that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Who signs roots and catalogues.
    pub release: Keyring,
    /// Who signs rollouts; `None` for no rollouts: every release is for all at once.
    pub rollout: Option<Keyring>,
    /// When the root expires, in seconds since 1970. Devices that have not seen its successor by then trust nothing.
    pub expires: u64,
}

impl Roles {
    fn root(&self, version: u64) -> Root {
        let (release, rollout) = (self.release.clone(), self.rollout.clone());
        let expires = self.expires;
        Root { format: 1, version, expires, release, rollout, catalog_floor: 0, rollout_floor: 0 }
    }
}

/// Makes the first root of a folder, with the secret halves of as many release keys as must sign. The file `root.json`
/// is what apps are built with.
pub fn init(folder: &Path, roles: &Roles, keys: &[SecretKey]) -> Result<Outcome, StoreError> {
    let here = Folder(folder);
    let root = roles.root(1);
    checked(&root)?;
    if here.envelope(Kind::Root)?.is_some() {
        let (there, _) = here.root()?;
        // Made a while ago, with an expiry counted from then.
        if there == (Root { expires: there.expires, ..root }) {
            return Ok(Outcome::Unchanged);
        }
        let why = format!("{} has another root already: rotate it", folder.display());
        return Err(StoreError::Invalid { field: "folder", why });
    }
    here.put(Kind::Root, 1, &root, &[&root.release], keys)
}

/// Makes the next root: other keys, another threshold, or only a later expiry. It needs as many of the old release keys
/// as had to sign before, and as many of the new ones as have to now.
///
/// When a role's keys change, its versions count on from the newest that is in this folder: what a thief signed above is
/// forgotten, what is below stays old. The catalogue and the rollout must then be signed anew, by those who can now;
/// [`renew`](super::renew) does.
pub fn rotate(folder: &Path, roles: &Roles, keys: &[SecretKey]) -> Result<Outcome, StoreError> {
    let here = Folder(folder);
    let (old, _) = here.root()?;
    let mut root = roles.root(old.version.saturating_add(1));
    let catalog = here.catalog()?.map_or(0, |catalog| catalog.version);
    let rollout = here.rollout()?.map_or(0, |rollout| rollout.version);
    // What is served now was signed by those who are replaced: only the next one counts.
    let floor = |changed: bool, newest: u64, floor: u64| if changed { newest.saturating_add(1) } else { floor };
    root.catalog_floor = floor(old.release != root.release, catalog, old.catalog_floor);
    root.rollout_floor = floor(old.rollout != root.rollout, rollout, old.rollout_floor);
    checked(&root)?;
    let same = Root { version: old.version, ..root.clone() };
    if same == old {
        return Ok(Outcome::Unchanged);
    }
    here.put(Kind::Root, root.version, &root, &[&old.release, &root.release], keys)
}

fn checked(root: &Root) -> Result<(), StoreError> {
    root.check().map_err(|why| StoreError::Invalid { field: "keys", why: why.to_owned() })
}
