//! Models by id: installed over bad networks, kept up to date, lent to engines. The facade of `inkling-store`.
//!
//! ```no_run
//! use inkling::store::{DownloadEvent, EnsureOptions, ModelStore, StoreOptions};
//! use inkling::{Engine, EngineConfig, LoadOptions};
//!
//! # fn main() -> Result<(), inkling::Error> {
//! let store = ModelStore::open(StoreOptions::new("models"))?;
//! let source = "owner/repo/qwen3-0.6b-q4_0.gguf".parse()?;
//! let mut download = store.ensure(source, EnsureOptions::default())?;
//! while let Some(event) = download.next()? {
//!     if let DownloadEvent::Downloading(transfer) = event {
//!         println!("{} of {} bytes", transfer.bytes, transfer.total);
//!     }
//! }
//! let engine = Engine::new(EngineConfig::default())?;
//! let loaded = store.load(&engine, download.id(), LoadOptions::default(), |_fraction| {})?;
//! let session = loaded.model.session(Default::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `options` | [`StoreOptions`]: what a store is made of |
//! | `load` | [`ModelStore::load`]: the release to use, tried, given up for the one before it |
//! | `health` | whether a new release says what it should |
//! | `fit` | [`Fit`]: whether a model will run here, before it is fetched |
//! | `sealed` | encrypted models |

mod fit;
mod health;
mod load;
mod options;
mod sealed;

use std::path::Path;
use std::time::Duration;

use inkling_base::CancelToken;
pub use inkling_store::WaitReason;
pub use inkling_store::disk::{ObjectUsage, Usage};
pub use inkling_store::net::options::NetOptions;
pub use inkling_store::slot::{FellBack, Which, Why};
pub use inkling_store::store::{
    COLLECT_AFTER, HandedOver, Installed, NetworkPolicy, Part, Segments, TrustedCatalog, Verified,
};
pub use inkling_store::{
    Digest, DownloadEvent, EnsureOptions, ModelId, NoDigest, NoModelId, Source, SourceText, Transfer,
};

pub use fit::{Fit, Short};
pub use load::{GivenUp, Loaded, StoreLoad};
pub use options::StoreOptions;

use crate::{Engine, Error, KvType};

/// A folder of models. Clones are the same store; when the last one is gone its downloads stop, and what they have
/// fetched stays for the next time.
#[derive(Debug, Clone)]
pub struct ModelStore(pub(crate) inkling_store::Store, pub(crate) options::Kept);

impl ModelStore {
    /// Opens a store, or makes one where there is none. One process at a time has it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] while another process, or another handle, has it;
    /// [`crate::ErrorKind::InvalidInput`] for a folder that cannot be one.
    pub fn open(options: StoreOptions) -> Result<Self, Error> {
        let (config, kept) = options.split();
        Ok(Self(inkling_store::Store::open(config)?, kept))
    }

    /// Sees to it that a model is installed. Returns at once; the download goes on by itself and belongs to the store.
    /// Asking again for the same model gives the same download; asking for one that is there asks nobody, unless
    /// [`EnsureOptions::update`] says so. Who wants an update of what is already being fetched without one gets a download
    /// of his own, which follows; cancelling one of the two leaves the other (but see [`ModelStore::download`]).
    ///
    /// # Errors
    /// What can be known at once: a source that may not be used, an id that is taken by another one.
    pub fn ensure(&self, source: Source, options: EnsureOptions) -> Result<Download, Error> {
        Ok(Download(self.0.ensure(source, options)?))
    }

    /// The download of a model that is on its way. Who has it by the model's id means the model: where an update follows
    /// that was asked for meanwhile, pausing, resuming and cancelling this one do the same to that.
    pub fn download(&self, id: &ModelId) -> Option<Download> {
        self.0.download(id).map(Download)
    }

    /// Looks at the network again: for an app that has learned that it is back.
    pub fn network_changed(&self) {
        self.0.network_changed();
    }

    /// Whether a model will run here with this context (`None` for the usual one), asked before it is fetched: only its
    /// header is.
    pub fn fit(&self, engine: &Engine, source: &Source, context: Option<usize>, kv: KvType) -> Result<Fit, Error> {
        let look = self.0.look(source)?;
        let memory = engine.conditions().free_memory;
        let need = match look.is_readable() {
            true => fit::Need::of(&source.to_string(), look.size(), context, kv, |bytes| Ok(look.head(bytes)?))?
                .at_least(look.ram_min()),
            false => fit::Need::said(look.ram_min(), look.size()),
        };
        Ok(need.verdict(memory, look.to_fetch(), look.room()?))
    }

    /// What a model still needs, in parts of about `bytes` each, for whoever fetches them by other means: a background
    /// session of iOS goes on while the app is gone.
    pub fn segments(&self, source: Source, options: &EnsureOptions, bytes: u64) -> Result<Segments, Error> {
        Ok(self.0.segments(source, options, bytes)?)
    }

    /// Nobody fetches parts of this model any more: what has come stays for the next download, its room is free for who
    /// needs it. Harmless if nobody did.
    pub fn call_off(&self, id: &ModelId) -> Result<(), Error> {
        Ok(self.0.call_off(id)?)
    }

    /// Takes a part that was fetched: the file at `path` holds the bytes of `file` from `from` on. With the last part that
    /// a model lacks, that model is installed. Needs no network.
    pub fn hand_over(&self, file: &Digest, from: u64, path: &Path) -> Result<HandedOver, Error> {
        Ok(self.0.hand_over(file, from, path)?)
    }

    /// All models that are installed.
    pub fn list(&self) -> Result<Vec<Installed>, Error> {
        Ok(self.0.list()?)
    }

    /// Reads every byte of a model's files and compares them with their digests. What is damaged,
    /// [`ModelStore::ensure`] fetches again, and nothing else.
    pub fn verify(&self, id: &ModelId, cancel: &CancelToken, progress: impl Fn(u64, u64)) -> Result<Verified, Error> {
        Ok(self.0.verify(id, cancel, &progress)?)
    }

    /// Keeps a model whatever happens, or no longer.
    pub fn pin(&self, id: &ModelId, pinned: bool) -> Result<(), Error> {
        Ok(self.0.pin(id, pinned)?)
    }

    /// Removes a model, all its releases, and what was downloaded of the next; [`crate::ErrorKind::Busy`] while somebody
    /// reads it.
    pub fn remove(&self, id: &ModelId) -> Result<(), Error> {
        Ok(self.0.remove(id)?)
    }

    /// Goes back to the release before, at the next load. Gives its number.
    pub fn rollback(&self, id: &ModelId) -> Result<u64, Error> {
        Ok(self.0.rollback(id)?)
    }

    /// Removes what nobody needs: files of no release, downloads that nobody went on with for this time, what was
    /// quarantined and no repair needs. Gives the bytes that are free again.
    pub fn gc(&self, age: Duration) -> Result<u64, Error> {
        Ok(self.0.gc(age)?)
    }

    /// What takes how much.
    pub fn usage(&self) -> Result<Usage, Error> {
        Ok(self.0.usage()?)
    }
}

/// A download on its way, or at its end. It belongs to the store: letting go of the handle changes nothing.
#[derive(Debug)]
pub struct Download(inkling_store::Download);

impl Download {
    /// The id of the model.
    pub fn id(&self) -> &ModelId {
        self.0.id()
    }

    /// Waits for the next event; `None` after the last. Progress that nobody read in time is left out.
    ///
    /// # Errors
    /// Why it failed, once.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to hide the error in its items")]
    pub fn next(&mut self) -> Result<Option<DownloadEvent>, Error> {
        Ok(self.0.next()?)
    }

    /// As [`Download::next`]; `None` outside if nothing happened in this time.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Option<DownloadEvent>, Error>> {
        Some(self.0.next_timeout(timeout)?.map_err(Error::from))
    }

    /// As [`Download::next`], for tasks.
    pub fn poll_next(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<Option<DownloadEvent>, Error>> {
        self.0.poll_next(context).map_err(Error::from)
    }

    /// Waits for the end, and gives the model's id.
    pub fn wait(self) -> Result<ModelId, Error> {
        Ok(self.0.wait()?)
    }

    /// Stops it until it is resumed; what has arrived stays.
    pub fn pause(&self) {
        self.0.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.0.resume();
    }

    /// Ends it. What has arrived stays until it is collected, so that asking again goes on there.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Another handle on the same download, which hears all steps from the beginning.
    pub fn again(&self) -> Self {
        Self(self.0.again())
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.0.is_paused()
    }
}
