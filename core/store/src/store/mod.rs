//! The store as its users see it: models by id, downloads that go on, files that are lent.
//!
//! | file | what |
//! |---|---|
//! | `config` | [`StoreConfig`]: what a store is made of |
//! | `jobs` | the downloads that are on their way, and who comes first |
//! | `resolve`, `catalog`, `wanted` | what a source has |
//! | `install` | a download from its beginning to its end |
//! | `slots` | how slots are changed, also after the store was closed |
//! | `lend` | [`Lent`]: a model that somebody reads |
//! | `keep` | list, verify, pin, remove, undo, make room |
//! | `segments` | files that a phone's background session fetched |

mod catalog;
mod config;
mod install;
mod jobs;
mod keep;
mod lend;
mod look;
mod resolve;
mod segments;
mod slots;
mod wanted;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub use config::{AT_A_TIME, Inspector, KEEP_FREE, StoreConfig, TrustedCatalog};
pub use jobs::{EnsureOptions, NetworkPolicy};
pub use keep::{COLLECT_AFTER, Installed, Verified};
pub use lend::Lent;
pub use look::Look;
pub use segments::{HandedOver, Part, Segments};

use crate::disk::Disk;
use crate::download::WaitReason;
use crate::download::{DownloadEvent, Seen};
use crate::net::Net;
use crate::net::control::Control;
use crate::slot::Slot;
use crate::{Digest, ModelId, Source, StoreError};
use jobs::{Job, Jobs};

/// A folder of models. Clones are the same store; when the last one is gone its downloads stop, and what they have
/// fetched stays for the next time.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Not held by downloads, so that they do not keep the store open.
    users: Arc<Users>,
}

pub(crate) struct Inner {
    config: StoreConfig,
    disk: Disk,
    net: Net,
    jobs: Jobs,
    /// Held while slots are read, changed and written.
    turn: Mutex<()>,
    /// Held by whoever puts together what somebody else fetches. Taken before `turn`.
    parts: Mutex<()>,
    /// Objects that are known to be damaged.
    suspects: Mutex<BTreeSet<Digest>>,
}

/// How long the end of a store waits for its downloads to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Stops all downloads when the last user is gone.
struct Users {
    inner: Weak<Inner>,
    /// Threads of downloads.
    running: Arc<AtomicUsize>,
}

impl Drop for Users {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.jobs.all().iter().for_each(|job| job.control.cancel());
        }
        // Each holds the store's lock until it has noticed, and somebody may open the store again.
        let until = Instant::now() + PATIENCE;
        while self.running.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.inner.config.folder).finish()
    }
}

impl Store {
    /// Opens a store, or makes one where there is none. One process at a time has it.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::NoStore`], and what is wrong with the configuration.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let net = Net::new(Arc::clone(&config.transport), Arc::clone(&config.clock), config.net.clone())?;
        let settings = crate::disk::Settings { keep_free: config.keep_free, ..crate::disk::Settings::default() };
        let disk = Disk::open_with(Arc::clone(&config.vfs), &config.folder, settings)?;
        // What nobody went on with for a week. That it cannot be removed is no reason not to open.
        if let Err(error) = disk.gc(config.clock.unix(), COLLECT_AFTER) {
            tracing::warn!(%error, "what nobody needs could not be removed");
        }
        let inner = Arc::new(Inner {
            config,
            disk,
            net,
            jobs: Jobs::default(),
            turn: Mutex::default(),
            parts: Mutex::default(),
            suspects: Mutex::default(),
        });
        slots::opened(&inner);
        let users = Arc::new(Users { inner: Arc::downgrade(&inner), running: Arc::default() });
        Ok(Self { inner, users })
    }

    /// Sees to it that a model is installed. Returns at once; the download goes on by itself and belongs to the store.
    /// Asking for one that is there asks nobody, unless [`EnsureOptions::update`] says so.
    ///
    /// Asking again for the same model gives the same download, with the stronger of both wishes: the higher priority,
    /// the greater [`NetworkPolicy`]. Who wants an update of what is being fetched without one gets a download of his
    /// own, which follows the first and goes on with what that has fetched. One that is paused stays so. What is had here
    /// steers this download only: cancelling it leaves one that follows (but see [`Store::download`]).
    ///
    /// # Errors
    /// What can be known at once: a source that may not be used, an id that is taken by another one.
    pub fn ensure(&self, source: Source, options: EnsureOptions) -> Result<Download, StoreError> {
        self.inner.check_source(&source)?;
        let id = options.id.clone().map_or_else(|| source.model_id(), Ok)?;
        let control = |number| self.inner.control(number);
        let joined = self.inner.jobs.join(id.clone(), source, options, control);
        let (job, is_new) = joined.map_err(|other| {
            let why = format!("{id} is on its way from {other}: wait for it, or give this one another id");
            StoreError::Invalid { field: "id", why }
        })?;
        if is_new {
            self.start(&job)?;
        }
        Ok(Download { job, seen: Seen::default(), of_model: None })
    }

    /// The download of a model that is on its way. Who has it by the model's id means the model: where another download of
    /// it follows (see [`Store::ensure`]), pausing, resuming and cancelling this one do the same to that.
    pub fn download(&self, id: &ModelId) -> Option<Download> {
        let job = self.inner.jobs.of(id)?;
        Some(Download { job, seen: Seen::default(), of_model: Some(Arc::downgrade(&self.inner)) })
    }

    /// Looks at the network again: for an app that has learned that it is back.
    pub fn network_changed(&self) {
        self.inner.jobs.all().iter().for_each(|job| job.control.wake());
    }

    fn start(&self, job: &Arc<Job>) -> Result<(), StoreError> {
        let (inner, work, running) = (Arc::clone(&self.inner), Arc::clone(job), Arc::clone(&self.users.running));
        running.fetch_add(1, Ordering::AcqRel);
        let run = move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inner.install(&work)));
            let outcome = outcome.unwrap_or_else(|_| Err(StoreError::Internal("a download panicked".to_owned())));
            inner.jobs.remove(&work);
            // First the store, then the word that it is over: whoever hears it may close and open the store.
            drop(inner);
            running.fetch_sub(1, Ordering::AcqRel);
            work.board.end(outcome);
        };
        let thread = std::thread::Builder::new().name("inkling-download".to_owned()).spawn(run);
        if let Err(error) = thread {
            self.users.running.fetch_sub(1, Ordering::AcqRel);
            self.inner.jobs.remove(job);
            let why = format!("no thread to download on: {error}");
            job.board.end(Err(StoreError::Internal(why.clone())));
            return Err(StoreError::Internal(why));
        }
        Ok(())
    }
}

impl Inner {
    /// What steers a job: its own pause and cancel, the network, and those who come first.
    fn control(self: &Arc<Self>, number: u64) -> Control {
        let inner = Arc::downgrade(self);
        Control::with_gate(Arc::new(move || {
            let inner = inner.upgrade()?;
            let network = inner.config.signals.network();
            if network.online == Some(false) {
                Some(WaitReason::NoNetwork)
            } else if inner.jobs.network_of(number) == NetworkPolicy::Unmetered && network.metered == Some(true) {
                Some(WaitReason::Metered)
            } else {
                let blocked =
                    |other: &Job| other.options().network == NetworkPolicy::Unmetered && network.metered == Some(true);
                inner.jobs.must_wait(number, blocked).then_some(WaitReason::Queued)
            }
        }))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> MutexGuard<'_, ()> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.config.clock.unix().as_secs()
    }

    /// The slot of a model. One of which both copies are damaged is none: what it named is found by its digest when
    /// somebody asks for the model again.
    fn slot(&self, id: &ModelId) -> Result<Option<Slot>, StoreError> {
        match self.disk.slot(id) {
            Err(StoreError::Damaged { .. }) => {
                tracing::warn!(model = %id, "both copies of its record are damaged");
                Ok(None)
            }
            other => other,
        }
    }

    /// Reads a slot, changes it, writes it.
    fn change(
        &self,
        id: &ModelId,
        change: impl FnOnce(Option<Slot>) -> Result<Slot, StoreError>,
    ) -> Result<(), StoreError> {
        let _turn = self.turn();
        let mut slot = change(self.slot(id)?)?;
        self.disk.put_slot(&mut slot)
    }

    /// As [`Inner::change`]; nothing happens if the model was removed meanwhile, or nothing changed.
    fn change_if_there(&self, id: &ModelId, change: impl FnOnce(&mut Slot)) -> Result<(), StoreError> {
        let _turn = self.turn();
        slots::change_slot(&self.disk, id, change)
    }
}

fn invalid(field: &'static str, why: String) -> StoreError {
    StoreError::Invalid { field, why }
}

/// A download on its way, or at its end. It belongs to the store: letting go of the handle changes nothing.
pub struct Download {
    job: Arc<Job>,
    seen: Seen,
    /// Where the other downloads of the model are, if it stands for all of them.
    of_model: Option<Weak<Inner>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Download").field(&self.job.id).finish()
    }
}

impl Download {
    /// The id of the model.
    pub fn id(&self) -> &ModelId {
        &self.job.id
    }

    /// Waits for the next event; `None` after the last. Progress that nobody read in time is left out.
    ///
    /// # Errors
    /// Why it failed, once.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to hide the error in its items")]
    pub fn next(&mut self) -> Result<Option<DownloadEvent>, StoreError> {
        self.job.board.next(&mut self.seen, None).unwrap_or(Ok(None))
    }

    /// As [`Download::next`]; `None` outside if nothing happened in this time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Option<DownloadEvent>, StoreError>> {
        self.job.board.next(&mut self.seen, Some(timeout))
    }

    /// As [`Download::next`], for tasks.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<DownloadEvent>, StoreError>> {
        self.job.board.poll(&mut self.seen, context)
    }

    /// Waits for the end, and gives the model's id.
    pub fn wait(mut self) -> Result<ModelId, StoreError> {
        loop {
            match self.next()? {
                Some(DownloadEvent::Ready(id)) => return Ok(id),
                Some(_) => {}
                // The end is told once a handle, and somebody read it before.
                None => return Ok(self.job.id.clone()),
            }
        }
    }

    /// Stops it until it is resumed; what has arrived stays.
    pub fn pause(&self) {
        self.steer(Control::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.steer(Control::resume);
    }

    /// Ends it. What has arrived stays until it is collected, so that asking again goes on there.
    pub fn cancel(&self) {
        self.steer(Control::cancel);
    }

    fn steer(&self, what: fn(&Control)) {
        let store = self.of_model.as_ref().and_then(Weak::upgrade);
        let others = store.iter().flat_map(|store| store.jobs.others(&self.job));
        // Those that follow first: nothing begins in between.
        others.filter(|other| other.id == self.job.id).for_each(|other| what(&other.control));
        what(&self.job.control);
    }

    /// Another handle on the same download, which hears all steps from the beginning.
    pub fn again(&self) -> Self {
        Self { job: Arc::clone(&self.job), seen: Seen::default(), of_model: self.of_model.clone() }
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.job.control.is_paused()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.job.board.has_ended()
    }
}
