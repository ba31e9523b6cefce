//! Which release of a model is used, which is on trial, which is there to fall back to: a state machine without any
//! input or output, so that every sequence of crashes and verdicts can be tried.
//!
//! ```text
//! offer ──► pending ──five good──► active ──next one proven──► previous
//!              │                     │                           ▲  │
//!              └── bad, or three ────┴── the same: ──────────────┼──┘ takes its place
//!                  loads without       refused                   rollback
//!                  a verdict: refused
//! ```
//!
//! The caller keeps these rules. It writes the slot to disk after [`Slot::begin`] and *before* it loads, so that a load
//! that kills the process was counted. It says when a load came back ([`Slot::came_back`]), because what kills the process
//! later is mostly not the model: phones end suspended apps without a word. It reports [`Slot::good`] only for a
//! generation that ended well. It takes back a load that ended in order without any verdict ([`Slot::withdraw`]), and says
//! when the app was told what was given up ([`Slot::told`]), and
//! when a model was let go of in order ([`Slot::closed`]); where that is not said [`MOST_UNCLEAN`] times, all bytes are
//! verified again, because a page that the disk cannot read kills the process too.

mod file;

use serde::{Deserialize, Serialize};

use crate::{Digest, ModelId, Release, SourceText, StoreError};

pub use file::NoSlot;

/// Loads of one release without a verdict, after which it is refused.
pub const MOST_ATTEMPTS: u32 = 3;
/// Uses of a model that ended with the process, after which its bytes are verified again.
pub const MOST_UNCLEAN: u32 = 5;
/// Good generations after which a release on trial is proven.
pub const GOOD_ENOUGH: u32 = 5;
/// Refused releases that are remembered, and those that nobody was told of; the oldest are forgotten.
pub const MOST_REFUSED: usize = 64;

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name, and that of the slot's file.
    pub id: ModelId,
    /// How often the slot was written.
    pub generation: u64,
    /// Where the model comes from, in words that only the resolver of sources understands.
    #[serde(default)]
    pub source: SourceText,
    /// The proven release.
    #[serde(default)]
    pub active: Option<Release>,
    /// The one before it.
    #[serde(default)]
    pub previous: Option<Release>,
    /// The one on trial: it is chosen while it is there.
    #[serde(default)]
    pub pending: Option<Release>,
    /// Loads begun of the chosen release that nobody reported on yet.
    #[serde(default)]
    pub attempts: u32,
    /// Uses of the model, the present one included, that did not end in order since its bytes were verified.
    #[serde(default)]
    pub unclean: u32,
    /// Good generations of the pending release.
    #[serde(default)]
    pub good: u32,
    /// No release with a smaller number is taken any more.
    #[serde(default)]
    pub floor: u64,
    /// Never evicted.
    #[serde(default)]
    pub pinned: bool,
    /// When it was last used, in seconds since 1970.
    #[serde(default)]
    pub last_used: u64,
    /// Releases that failed. They are not taken again unless somebody insists.
    #[serde(default)]
    pub refused: Vec<Refused>,
    /// What was given up, of which the app has not been told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<FellBack>,
}

/// A release that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub number: u64,
    /// Its weights: a corrected release may have the same number.
    pub weights: Option<Digest>,
    /// What happened.
    pub why: Why,
}

/// Why a release is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its bytes are not those that were published, and fetching them again did not help.
    WrongHash,
    /// Loads of it did not come back.
    CrashAtLoad,
    /// It says other words than its publisher's.
    WrongGolden,
    /// It is slower than it may be.
    TooSlow,
    /// The disk cannot read it any more.
    FailingStorage,
    /// Somebody chose the release before it.
    RolledBack,
    /// Anything else that makes it unusable.
    Other,
}

/// Which of the slot's releases was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// The proven one.
    Active,
    /// The one on trial.
    Pending,
    /// The one before the active one, which has just failed; it is the active one now.
    Previous,
}

/// What to load.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The release.
    pub release: Release,
    /// Which of the slot's.
    pub which: Which,
    /// The release that was given up to come here, if one was.
    pub fell_back: Option<FellBack>,
    /// The load before this one did not come back: verify every byte before trusting any.
    pub suspicious: bool,
}

/// A release that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FellBack {
    /// Its number.
    pub from: u64,
    /// What was wrong with it.
    pub why: Why,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It was there already.
    Already,
    /// It is on trial from now on.
    Pending,
}

/// Why a slot does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// A release from before the last proven one's floor.
    #[error("release {number} is older than {floor}, the oldest that may still be used")]
    BelowFloor {
        /// Its number.
        number: u64,
        /// The floor.
        floor: u64,
    },
    /// A release that failed here before.
    #[error("release {number} failed here before ({why:?})")]
    Refused {
        /// Its number.
        number: u64,
        /// What happened.
        why: Why,
    },
    /// A number that stands for other files already.
    #[error("there is another release with the number {number}")]
    SameNumber {
        /// The number.
        number: u64,
    },
    /// A release that cannot be kept.
    #[error("the release cannot be used: {0}")]
    Unsound(&'static str),
    /// There is nothing to go back to.
    #[error("there is no earlier release to go back to")]
    NothingBefore,
    /// Every release failed, or none was ever there. A smaller model may do.
    #[error("no release of the model can be used{}", refusals(.0))]
    NothingUsable(Vec<Refused>),
}

fn refusals(refused: &[Refused]) -> String {
    refused.iter().map(|r| format!("; release {}: {:?}", r.number, r.why)).collect()
}

impl From<SlotError> for StoreError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::NothingUsable(_) => Self::NotFound { what: error.to_string() },
            _ => Self::Invalid { field: "release", why: error.to_string() },
        }
    }
}

impl Slot {
    /// A slot without any release.
    pub fn new(id: ModelId, source: impl Into<SourceText>) -> Self {
        Self {
            id,
            generation: 0,
            source: source.into(),
            active: None,
            previous: None,
            pending: None,
            attempts: 0,
            unclean: 0,
            good: 0,
            floor: 0,
            pinned: false,
            last_used: 0,
            refused: Vec::new(),
            untold: Vec::new(),
        }
    }

    /// The release that the next load takes, unless it was tried too often.
    pub fn chosen(&self) -> Option<&Release> {
        self.pending.as_ref().or(self.active.as_ref())
    }

    /// Digests of all files that the slot needs.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        let releases = [&self.active, &self.previous, &self.pending].into_iter().flatten();
        releases.flat_map(|release| release.files.iter().map(|file| file.sha256))
    }

    /// Why this release is refused, if it is.
    pub fn refusal(&self, release: &Release) -> Option<Why> {
        let weights = release.weights().map(|file| file.sha256);
        let same = |r: &&Refused| r.number == release.number && r.weights == weights;
        self.refused.iter().rev().find(same).map(|r| r.why)
    }

    /// Puts a release, whose files are installed, on trial. `insist` takes one that failed before.
    ///
    /// # Errors
    /// Below the floor, refused, another one of the same number, or unsound. Nothing has changed then.
    pub fn offer(&mut self, release: Release, insist: bool) -> Result<Offered, SlotError> {
        file::sound(&release).map_err(SlotError::Unsound)?;
        let number = release.number;
        if number < self.floor {
            return Err(SlotError::BelowFloor { number, floor: self.floor });
        }
        for known in [&self.active, &self.pending].into_iter().flatten() {
            if known.number == number {
                return if known.files == release.files {
                    Ok(Offered::Already)
                } else {
                    Err(SlotError::SameNumber { number })
                };
            }
        }
        if let Some(why) = self.refusal(&release) {
            if !insist {
                return Err(SlotError::Refused { number, why });
            }
            self.refused.retain(|r| r.number != number);
        }
        self.pending = Some(release);
        (self.attempts, self.unclean, self.good) = (0, 0, 0);
        Ok(Offered::Pending)
    }

    /// Chooses what to load and counts the attempt. The slot must be on disk before the load begins.
    ///
    /// # Errors
    /// [`SlotError::NothingUsable`]; the slot may have changed and should be written all the same.
    pub fn begin(&mut self, now: u64) -> Result<Choice, SlotError> {
        let mut fell_back = None;
        let mut suspicious = self.attempts > 0 || self.unclean >= MOST_UNCLEAN;
        let mut which = Which::Active;
        while let Some(chosen) = self.chosen() {
            if self.attempts < MOST_ATTEMPTS {
                break;
            }
            let (from, why) = (chosen.number, Why::CrashAtLoad);
            which = if self.pending.is_some() { Which::Active } else { Which::Previous };
            self.give_up(why);
            fell_back = Some(self.remember(FellBack { from, why }));
            suspicious = true;
        }
        if self.pending.is_some() {
            which = Which::Pending;
        }
        let Some(release) = self.chosen().cloned() else {
            return Err(SlotError::NothingUsable(self.refused.clone()));
        };
        suspicious |= which == Which::Previous;
        self.attempts += 1;
        self.unclean = if suspicious { 1 } else { self.unclean.saturating_add(1) };
        self.last_used = self.last_used.max(now);
        Ok(Choice { release, which, fell_back, suspicious })
    }

    /// A load that ended in order, of which nothing is known but that it did not crash.
    pub fn withdraw(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
        self.unclean = self.unclean.saturating_sub(1);
    }

    /// The load of release `number` came back: whatever ends the process from now on, the load was not it.
    pub fn came_back(&mut self, number: u64) {
        if self.chosen().is_some_and(|release| release.number == number) {
            self.attempts = 0;
        }
    }

    /// The model was let go of in order.
    pub fn closed(&mut self) {
        self.unclean = 0;
    }

    /// A generation of release `number` that ended well. True if it proved the release on trial: it is active now.
    pub fn good(&mut self, number: u64, now: u64) -> bool {
        if self.chosen().is_none_or(|release| release.number != number) {
            return false; // It was replaced while it ran.
        }
        self.last_used = self.last_used.max(now);
        self.attempts = 0;
        if self.pending.is_none() {
            return false;
        }
        self.good += 1;
        if self.good < GOOD_ENOUGH {
            return false;
        }
        self.good = 0;
        let Some(proven) = self.pending.take() else { return false };
        // Only now: a floor that rises before the release is proven leaves nothing to fall back to.
        self.floor = self.floor.max(proven.floor.min(proven.number));
        self.previous = self.active.replace(proven).filter(|old| old.number >= self.floor);
        true
    }

    /// Release `number` failed. Gives what was given up; `None` if that is no longer one of the slot's.
    pub fn bad(&mut self, number: u64, why: Why) -> Option<FellBack> {
        let is = |release: &Option<Release>| release.as_ref().is_some_and(|release| release.number == number);
        if is(&self.pending) || (self.pending.is_none() && is(&self.active)) {
            self.give_up(why);
        } else if is(&self.active) {
            // One is on trial: its count goes on.
            let (pending, attempts, good) = (self.pending.take(), self.attempts, self.good);
            self.give_up(why);
            (self.pending, self.attempts, self.good) = (pending, attempts, good);
        } else if let Some(release) = self.previous.take_if(|release| release.number == number) {
            self.refuse(&release, why);
        } else {
            return None;
        }
        Some(self.remember(FellBack { from: number, why }))
    }

    /// The app was told of these.
    pub fn told(&mut self, these: &[FellBack]) {
        self.untold.retain(|fell| !these.contains(fell));
    }

    fn remember(&mut self, fell: FellBack) -> FellBack {
        self.told(&[fell]);
        if self.untold.len() >= MOST_REFUSED {
            self.untold.remove(0);
        }
        self.untold.push(fell);
        fell
    }

    /// Goes back by hand: to the active release if one is on trial, else to the previous one. The newer one is refused
    /// until somebody insists. Gives the number of the release that is chosen now.
    pub fn rollback(&mut self) -> Result<u64, SlotError> {
        let usable = |slot: &Self| slot.previous.as_ref().is_some_and(|release| slot.refusal(release).is_none());
        if self.pending.is_some() && self.active.is_some() {
            self.give_up(Why::RolledBack);
        } else if self.pending.is_none() && self.active.is_some() && usable(self) {
            std::mem::swap(&mut self.active, &mut self.previous);
            if let Some(newer) = self.previous.clone() {
                self.refuse(&newer, Why::RolledBack);
            }
            self.attempts = 0;
        } else {
            return Err(SlotError::NothingBefore);
        }
        self.chosen().map(|release| release.number).ok_or(SlotError::NothingBefore)
    }

    /// Forgets every release, and nothing else: what was refused and the floor stay.
    pub fn evicted(&mut self) {
        (self.active, self.previous, self.pending) = (None, None, None);
        (self.attempts, self.unclean, self.good) = (0, 0, 0);
    }

    /// Refuses the chosen release and lets the next one take its place.
    fn give_up(&mut self, why: Why) {
        if let Some(release) = self.pending.take() {
            self.refuse(&release, why);
        } else if let Some(release) = self.active.take() {
            self.refuse(&release, why);
            // One that was only rolled back worked once: better than nothing.
            let usable = |slot: &Self, old: &Release| matches!(slot.refusal(old), None | Some(Why::RolledBack));
            self.active = self.previous.take().filter(|old| usable(self, old));
        }
        (self.attempts, self.unclean, self.good) = (0, 0, 0);
    }

    fn refuse(&mut self, release: &Release, why: Why) {
        let refused = Refused { number: release.number, weights: release.weights().map(|file| file.sha256), why };
        self.refused.retain(|r| (r.number, r.weights) != (refused.number, refused.weights));
        if self.refused.len() >= MOST_REFUSED {
            self.refused.remove(0);
        }
        self.refused.push(refused);
    }
}
