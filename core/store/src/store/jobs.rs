//! The downloads that are on their way: who comes first, who waits.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::AT_A_TIME;
use crate::download::Board;
use crate::net::control::Control;
use crate::{Digest, ModelId, Source};

/// Whether a download may use a network that costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkPolicy {
    /// Any network.
    #[default]
    Any,
    /// Only one whose bytes cost nothing, as Wi-Fi usually does; until there is one, the download waits.
    Unmetered,
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

/// A download on its way.
pub(crate) struct Job {
    pub(crate) id: ModelId,
    pub(crate) source: Source,
    pub(crate) options: EnsureOptions,
    pub(crate) control: Control,
    pub(crate) board: Board,
    /// Files that it works on, once they are known.
    pub(crate) wanted: Mutex<Vec<Digest>>,
    /// Earlier ones come first among equals.
    number: u64,
}

/// All that have not ended.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<List>);

#[derive(Default)]
struct List {
    jobs: Vec<Arc<Job>>,
    next: u64,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, List> {
        // Every change under this lock is one push or one retain.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job for this id: the one that runs, or a new one, and whether it is new. `Err` has the source of a running
    /// one if that is another.
    pub(crate) fn join(
        &self,
        id: ModelId,
        source: Source,
        options: EnsureOptions,
        control: impl FnOnce(u64) -> Control,
    ) -> Result<(Arc<Job>, bool), Source> {
        let mut list = self.lock();
        if let Some(job) = list.jobs.iter().find(|job| job.id == id && !job.control.is_cancelled()) {
            return if job.source == source { Ok((Arc::clone(job), false)) } else { Err(job.source.clone()) };
        }
        let number = list.next;
        list.next += 1;
        let job = Arc::new(Job {
            id,
            source,
            options,
            control: control(number),
            board: Board::default(),
            wanted: Mutex::default(),
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
        let first = |other: &&Arc<Job>| {
            let rank = |job: &Job| (Reverse(job.options.priority), job.number);
            let moves = !other.control.is_paused() && !other.control.is_cancelled() && !blocked(other);
            rank(other) < rank(job) && moves
        };
        list.jobs.iter().filter(first).count() >= AT_A_TIME
    }

    /// Whether the job that this one would follow still works on the same files.
    pub(crate) fn is_behind(&self, job: &Job) -> bool {
        self.lock().jobs.iter().any(|other| other.id == job.id && other.number < job.number)
    }

    /// A job that nobody watches and that is not on the list, for a look at a source.
    pub(crate) fn loose(id: ModelId, source: Source) -> Job {
        Job {
            id,
            source,
            options: EnsureOptions::default(),
            control: Control::new(),
            board: Board::default(),
            wanted: Mutex::default(),
            number: u64::MAX,
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

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.lock().jobs.clone()
    }
}
