//! The downloads that are on their way: who comes first, who waits.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::AT_A_TIME;
use crate::download::Board;
use crate::net::control::Control;
use crate::{Digest, ModelId, Source};

/// Whether a download may use a network that costs money. Where several ask for the same model, the greatest holds: a
/// wish that somebody has said goes before none, and who expressly allows such a network pays for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum NetworkPolicy {
    /// What the others say who want the same model; any network if they say nothing either.
    #[default]
    Unsaid,
    /// Only one whose bytes cost nothing, as Wi-Fi usually does; until there is one, the download waits.
    Unmetered,
    /// Any network, expressly.
    Any,
}

/// How a model is to be had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EnsureOptions {
    /// The id under which it is kept; `None` makes one of the file's name.
    pub id: Option<ModelId>,
    /// Which networks it may use.
    pub network: NetworkPolicy,
    /// Those with greater numbers come first.
    pub priority: i32,
    /// Take a release that failed here before.
    pub insist: bool,
    /// Ask the source whether there is a later release, also if one is installed.
    pub update: bool,
}

/// What a job is to do. Those who ask for its model meanwhile may add to it.
struct Wish {
    options: EnsureOptions,
    /// The source is being asked, or was: too late to ask it for more.
    begun: bool,
}

impl Wish {
    /// Adds what somebody else asks for; `false` if it is too late for some of it.
    fn add(&mut self, other: &EnsureOptions) -> bool {
        self.hurry(other);
        let mine = &mut self.options;
        if self.begun {
            return mine.update >= other.update && mine.insist >= other.insist;
        }
        mine.update |= other.update;
        mine.insist |= other.insist;
        true
    }

    /// The part of it for which it is never too late.
    fn hurry(&mut self, other: &EnsureOptions) {
        self.options.priority = self.options.priority.max(other.priority);
        self.options.network = self.options.network.max(other.network);
    }
}

/// The number of those that are on no list.
const LOOSE: u64 = u64::MAX;

/// A download on its way.
pub(crate) struct Job {
    pub(crate) id: ModelId,
    pub(crate) source: Source,
    wish: Mutex<Wish>,
    pub(crate) control: Control,
    pub(crate) board: Board,
    wanted: Mutex<Vec<Digest>>,
    /// Files that room was made for, and their bytes.
    promised: Mutex<BTreeMap<Digest, u64>>,
    /// Whether it has, or takes, the right to put them together.
    holds: AtomicBool,
    /// Earlier ones come first among equals.
    number: u64,
}

impl Job {
    fn wish(&self) -> MutexGuard<'_, Wish> {
        // Every change under this lock leaves it whole.
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is to do, as far as that is known now.
    pub(crate) fn options(&self) -> EnsureOptions {
        self.wish().options.clone()
    }

    /// As [`Job::options`]; from here on nobody can add an update to it.
    pub(crate) fn begin(&self) -> EnsureOptions {
        let mut wish = self.wish();
        wish.begun = true;
        wish.options.clone()
    }

    /// Files that it works on, once they are known.
    pub(crate) fn wanted(&self) -> Vec<Digest> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_wanted(&self, files: Vec<Digest>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Files that room was made for, and their bytes: they are on their way from then on, also those of which nothing
    /// is on the disk yet.
    pub(crate) fn promised(&self) -> BTreeMap<Digest, u64> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn promise(&self, files: BTreeMap<Digest, u64>) {
        *self.promised.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Holds its files, for as long as what is returned lives.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        struct Held<'a>(&'a AtomicBool);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        self.holds.store(true, Ordering::Release);
        Held(&self.holds)
    }

    /// Whether it is on no list: nobody watches it, and nothing waits for it.
    pub(crate) fn is_loose(&self) -> bool {
        self.number == LOOSE
    }

    fn rank(&self) -> (Reverse<i32>, u64) {
        (Reverse(self.wish().options.priority), self.number)
    }
}

/// All that have not ended.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<List>);

#[derive(Default)]
struct List {
    jobs: Vec<Arc<Job>>,
    next: u64,
}

impl List {
    fn is_behind(&self, job: &Job) -> bool {
        self.jobs.iter().any(|other| other.id == job.id && other.number < job.number)
    }
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, List> {
        // Every change under this lock is one push or one retain.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job for this id, and whether it is new. One that is on its way does what was asked of it and what is asked
    /// now; where it is too late for that, because it has asked its source already and an update is wanted, a new one
    /// follows it. `Err` has the source of a running one if that is another.
    pub(crate) fn join(
        &self,
        id: ModelId,
        source: Source,
        options: EnsureOptions,
        control: impl FnOnce(u64) -> Control,
    ) -> Result<(Arc<Job>, bool), Source> {
        let mut list = self.lock();
        let running: Vec<_> =
            list.jobs.iter().filter(|job| job.id == id && !job.control.is_cancelled()).cloned().collect();
        if let Some(job) = running.last() {
            if job.source != source {
                return Err(job.source.clone());
            }
            // The one before it must end first: who hurries the last hurries all.
            running.iter().for_each(|job| job.wish().hurry(&options));
            if job.wish().add(&options) {
                let rest = list.jobs.clone();
                drop(list);
                // Who comes first may be another one now.
                rest.iter().for_each(|job| job.control.wake());
                return Ok((Arc::clone(job), false));
            }
        }
        let number = list.next;
        list.next += 1;
        let job = Arc::new(Job {
            id,
            source,
            wish: Mutex::new(Wish { options, begun: false }),
            control: control(number),
            board: Board::default(),
            wanted: Mutex::default(),
            promised: Mutex::default(),
            holds: AtomicBool::new(false),
            number,
        });
        list.jobs.push(Arc::clone(&job));
        Ok((job, true))
    }

    /// Whether so many others come before job `number` that it has to wait. One that is paused, or `blocked` by the
    /// network, holds nobody up.
    pub(crate) fn must_wait(&self, number: u64, blocked: impl Fn(&Job) -> bool) -> bool {
        let list = self.lock();
        let Some(job) = list.jobs.iter().find(|job| job.number == number) else { return false };
        let mine = job.rank();
        let first = |other: &&Arc<Job>| {
            let moves = !other.control.is_paused() && !other.control.is_cancelled() && !blocked(other);
            other.rank() < mine && moves && !list.is_behind(other)
        };
        list.jobs.iter().filter(first).count() >= AT_A_TIME
    }

    /// Whether the job that this one would follow still works on the same files.
    pub(crate) fn is_behind(&self, job: &Job) -> bool {
        self.lock().is_behind(job)
    }

    /// Asks whoever holds this file and cannot go on (paused, or by the network, or because others come first) to leave
    /// it to `job`, if that can.
    pub(crate) fn take_over(&self, job: &Job, file: &Digest) {
        // What is on this machine needs no network, and is copied in one go.
        let is_local = |job: &Job| matches!(job.source, Source::File(_));
        let is_stuck = if is_local(job) { job.control.is_paused() } else { job.control.blocked().is_some() };
        if is_stuck {
            return;
        }
        // Not under the lock: whether one can go on is asked of the list, too.
        for other in self.others(job) {
            let holds = other.holds.load(Ordering::Acquire) && other.wanted().contains(file);
            if holds && !is_local(&other) && other.control.blocked().is_some() {
                other.control.stand_aside();
            }
        }
    }

    /// Which networks a job may use.
    pub(crate) fn network_of(&self, number: u64) -> NetworkPolicy {
        let list = self.lock();
        list.jobs
            .iter()
            .find(|job| job.number == number)
            .map_or(NetworkPolicy::Unsaid, |job| job.wish().options.network)
    }

    /// A job that nobody watches and that is not on the list, for a look at a source.
    pub(crate) fn loose(id: ModelId, source: Source, options: EnsureOptions) -> Job {
        Job {
            id,
            source,
            wish: Mutex::new(Wish { options, begun: true }),
            control: Control::new(),
            board: Board::default(),
            wanted: Mutex::default(),
            promised: Mutex::default(),
            holds: AtomicBool::new(false),
            number: LOOSE,
        }
    }

    pub(crate) fn remove(&self, job: &Job) {
        let mut list = self.lock();
        list.jobs.retain(|other| other.number != job.number);
        // Those behind it may go on.
        let rest = list.jobs.clone();
        drop(list);
        rest.iter().for_each(|job| job.control.wake());
    }

    pub(crate) fn of(&self, id: &ModelId) -> Option<Arc<Job>> {
        self.lock().jobs.iter().find(|job| job.id == *id && !job.control.is_cancelled()).cloned()
    }

    pub(crate) fn others(&self, job: &Job) -> Vec<Arc<Job>> {
        self.lock().jobs.iter().filter(|other| other.number != job.number).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.lock().jobs.clone()
    }
}
