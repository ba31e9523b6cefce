//! A slot as a file. What is read is checked: a slot that keeps no rule of the state machine is none.

use super::{GOOD_ENOUGH, MOST_ATTEMPTS, MOST_REFUSED, Slot};
use crate::disk::checked::SLOT;
use crate::plan::LARGEST_FILE;
use crate::{Release, Role};

/// Bytes that are no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the slot cannot be read: {0}")]
pub struct NoSlot(pub String);

/// The most bytes of the text that says where a model comes from.
const LONGEST_SOURCE: usize = 1 << 16;
/// The most files of a release.
const MOST_FILES: usize = 64;

impl Slot {
    /// The slot as a file.
    ///
    /// # Errors
    /// If it is no sound slot, or too large: such a file would not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NoSlot> {
        self.check().map_err(|why| NoSlot(why.to_owned()))?;
        let payload = serde_json::to_vec(self).map_err(|error| NoSlot(error.to_string()))?;
        let bytes = SLOT.encode(&payload);
        SLOT.decode(&bytes).map_err(|_| NoSlot("it is too large".to_owned()))?;
        Ok(bytes)
    }

    /// The slot in a file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoSlot> {
        let payload = SLOT.decode(bytes).map_err(|error| NoSlot(error.to_string()))?;
        let slot: Self = serde_json::from_slice(payload).map_err(|error| NoSlot(error.to_string()))?;
        slot.check().map_err(|why| NoSlot(why.to_owned()))?;
        Ok(slot)
    }

    /// Which rule it breaks, if any.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let releases = || [&self.active, &self.previous, &self.pending].into_iter().flatten();
        releases().try_for_each(sound)?;
        let is_same = |a: &Option<Release>, b: &Option<Release>| {
            a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| a.number == b.number)
        };
        if releases().any(|release| release.number < self.floor) {
            Err("a release is below the floor")
        } else if self.attempts > MOST_ATTEMPTS || self.good >= GOOD_ENOUGH {
            Err("it counts too far")
        } else if self.good > 0 && self.pending.is_none() {
            Err("it counts for a release that is not there")
        } else if is_same(&self.active, &self.pending) || is_same(&self.active, &self.previous) {
            Err("two releases have the same number")
        } else if self.refused.len().max(self.untold.len()) > MOST_REFUSED
            || self.source.as_str().len() > LONGEST_SOURCE
        {
            Err("it is too large")
        } else {
            Ok(())
        }
    }
}

/// Whether a release can be kept.
pub(super) fn sound(release: &Release) -> Result<(), &'static str> {
    let mut total = 0_u64;
    for file in &release.files {
        if file.size > LARGEST_FILE {
            return Err("a file is larger than any model");
        }
        total += file.size;
        if total > LARGEST_FILE {
            return Err("it is larger than any model");
        }
    }
    if release.files.iter().filter(|file| file.role == Role::Weights).count() != 1 {
        Err("it must have weights, once")
    } else if release.files.len() > MOST_FILES {
        Err("it has too many files")
    } else if !release.least_speed.is_finite() {
        Err("its speed is no number")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Why;

    /// Slots of versions that knew less are read, and those of versions that know more; the version of the format is for
    /// what cannot be.
    #[test]
    fn other_versions_slots_are_read() {
        let mut slot = Slot::new("m".parse().unwrap(), "somewhere");
        let payload = |slot: &Slot| SLOT.decode(&slot.to_bytes().unwrap()).unwrap().to_vec();
        let before = String::from_utf8(payload(&slot)).unwrap();
        assert!(!before.contains("untold"));
        assert_eq!(Slot::from_bytes(&SLOT.encode(before.as_bytes())).unwrap(), slot);
        let later = before.replacen('{', r#"{"later":[1],"#, 1);
        assert_eq!(Slot::from_bytes(&SLOT.encode(later.as_bytes())).unwrap(), slot);
        slot.untold = vec![crate::slot::FellBack { from: 3, why: Why::TooSlow }];
        assert_eq!(Slot::from_bytes(&slot.to_bytes().unwrap()).unwrap(), slot);
        slot.untold = vec![slot.untold[0]; MOST_REFUSED + 1];
        assert!(slot.to_bytes().is_err());
    }
}
