//! `root.json`: which keys count.

use serde::{Deserialize, Serialize};

use super::envelope::Kind;
use super::keys::Keyring;
use super::{check_format, untrusted};
use crate::StoreError;

/// Which keys sign what. Every change makes a new version, signed by those who could sign before and those who can now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Of the format: 1.
    pub format: u64,
    /// Counted from 1.
    pub version: u64,
    /// When nothing that hangs on this root is trusted any longer, in seconds since 1970.
    pub expires: u64,
    /// Who signs roots and catalogues.
    pub release: Keyring,
    /// Who signs rollouts; without them there are none, and every release is for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Keyring>,
    /// Older catalogues are refused. When the release keys change, counting starts again from here: so those who stole a
    /// key and signed a catalogue with an enormous version are undone, and what was signed honestly before stays old.
    #[serde(default)]
    pub catalog_floor: u64,
    /// As `catalog_floor`, for rollouts and the rollout keys.
    #[serde(default)]
    pub rollout_floor: u64,
}

impl Root {
    /// From the payload of an envelope, whose signatures are not this function's business.
    pub fn read(payload: &[u8]) -> Result<Self, StoreError> {
        let at = Kind::Root.file();
        let root: Self = super::read(at, payload, Kind::Root.limit())?;
        check_format(at, root.format, &[])?;
        root.check().map_err(|why| untrusted(at, why))?;
        Ok(root)
    }

    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        self.release.check()?;
        if self.version == 0 {
            return Err("versions are counted from 1");
        }
        let Some(rollout) = &self.rollout else { return Ok(()) };
        // What is on a server must not be able to do what only those offline may.
        if rollout.keys.iter().any(|key| self.release.keys.contains(key)) {
            return Err("a key signs for both roles");
        }
        rollout.check()
    }
}
