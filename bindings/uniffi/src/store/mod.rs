//! The model store: models by id, downloaded over the platform's own HTTP, verified, updated, undone.
//!
//! | file | what |
//! |---|---|
//! | `options` | what a store is made of, and what the platform brings |
//! | `download` | [`FfiDownload`]: a download, pulled by its watcher |
//! | `verify` | [`FfiVerify`]: a verification that can be cancelled |
//! | `facts` | records: what is installed, what fits, what is used |

mod download;
mod facts;
mod options;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use inkling::ErrorKind;
use inkling::store::{EnsureOptions, ModelId, ModelStore, NetworkPolicy, Source, StoreLoad};

pub use download::{FfiDownload, FfiDownloadEvent, FfiWait};
pub use facts::{
    FfiDamaged, FfiFit, FfiGivenUp, FfiHandedOver, FfiInstalled, FfiOrigin, FfiPart, FfiSegments, FfiStoreUsage,
    FfiVerified,
};
pub use options::{FfiCatalog, FfiEnsureOptions, FfiKeyProvider, FfiStoreOptions, FfiStoreServices};
pub use verify::FfiVerify;

use crate::engine::start_load;
use crate::guard::guard;
use crate::{FfiEngine, FfiError, FfiLoad, FfiLoadOptions, FfiProgress};

/// A folder of models. One process at a time has it open.
#[derive(Debug, uniffi::Object)]
pub struct FfiStore(ModelStore);

fn id(text: &str) -> Result<ModelId, FfiError> {
    text.parse().map_err(|error: inkling::store::NoModelId| FfiError::invalid("id", &error.to_string()))
}

fn source(text: &str) -> Result<Source, FfiError> {
    Ok(text.parse::<Source>().map_err(inkling::Error::from)?)
}

fn ensure_options(options: FfiEnsureOptions) -> Result<EnsureOptions, FfiError> {
    let mut inner = EnsureOptions::default();
    inner.id = options.id.as_deref().map(id).transpose()?;
    inner.network = match options.unmetered_only {
        None => NetworkPolicy::Unsaid,
        Some(true) => NetworkPolicy::Unmetered,
        Some(false) => NetworkPolicy::Any,
    };
    (inner.priority, inner.insist, inner.update) = (options.priority, options.insist, options.update);
    Ok(inner)
}

#[uniffi::export]
impl FfiStore {
    /// Opens a store, or makes one where there is none.
    #[uniffi::constructor]
    pub fn new(options: FfiStoreOptions, services: FfiStoreServices) -> Result<Arc<Self>, FfiError> {
        guard(|| Ok(Arc::new(Self(ModelStore::open(options::inner(options, services)?)?))))
    }

    /// Sees to it that a model is installed. Returns at once; the download goes on by itself.
    pub fn ensure(&self, source: String, options: FfiEnsureOptions) -> Result<Arc<FfiDownload>, FfiError> {
        guard(|| Ok(FfiDownload::new(self.0.ensure(self::source(&source)?, ensure_options(options)?)?)))
    }

    /// The download of a model that is on its way; steering it steers all downloads of that model.
    pub fn download(&self, id: String) -> Result<Option<Arc<FfiDownload>>, FfiError> {
        guard(|| Ok(self.0.download(&self::id(&id)?).map(FfiDownload::new)))
    }

    /// Looks at the network again: the app has learned that it changed.
    pub fn network_changed(&self) -> Result<(), FfiError> {
        guard(|| {
            self.0.network_changed();
            Ok(())
        })
    }

    /// Whether a model will run here, asked before it is fetched. Blocks while its header is fetched.
    pub fn fit(
        &self,
        engine: Arc<FfiEngine>,
        source: String,
        context: Option<u32>,
        kv: Option<String>,
    ) -> Result<FfiFit, FfiError> {
        guard(|| {
            let kv = kv.map_or_else(|| Ok(inkling::KvType::default()), |kv| inkling::parse_kv_type(&kv))?;
            let context = context.map(|context| context as usize);
            Ok(self.0.fit(engine.inner(), &self::source(&source)?, context, kv)?.into())
        })
    }

    /// All models that are installed.
    pub fn list(&self) -> Result<Vec<FfiInstalled>, FfiError> {
        guard(|| Ok(self.0.list()?.into_iter().map(FfiInstalled::from).collect()))
    }

    /// Begins to read every byte of a model's files, on a thread of its own, and to compare them with their digests.
    /// `progress` hears the part done.
    pub fn verify(&self, id: String, progress: Option<Arc<dyn FfiProgress>>) -> Result<Arc<FfiVerify>, FfiError> {
        guard(|| {
            let (id, store) = (self::id(&id)?, self.0.clone());
            FfiVerify::start(progress, move |cancel, tell| {
                let part = |done: u64, total: u64| tell((done as f64 / total.max(1) as f64) as f32);
                Ok(store.verify(&id, cancel, part)?.into())
            })
        })
    }

    /// Keeps a model whatever happens, or no longer.
    pub fn pin(&self, id: String, pinned: bool) -> Result<(), FfiError> {
        guard(|| Ok(self.0.pin(&self::id(&id)?, pinned)?))
    }

    /// Removes a model and all its releases; `Busy` while somebody reads it.
    pub fn remove(&self, id: String) -> Result<(), FfiError> {
        guard(|| Ok(self.0.remove(&self::id(&id)?)?))
    }

    /// Goes back to the release before, at the next load. Gives its number.
    pub fn rollback(&self, id: String) -> Result<u64, FfiError> {
        guard(|| Ok(self.0.rollback(&self::id(&id)?)?))
    }

    /// Removes what nobody needs, and downloads that nobody went on with for so many seconds. Gives the bytes that are
    /// free again.
    pub fn gc(&self, age_seconds: u64) -> Result<u64, FfiError> {
        guard(|| Ok(self.0.gc(Duration::from_secs(age_seconds))?))
    }

    /// What takes how much.
    pub fn usage(&self) -> Result<FfiStoreUsage, FfiError> {
        guard(|| Ok(self.0.usage()?.into()))
    }

    /// What a model still needs, in parts of about so many bytes, for a system that fetches while the app sleeps. Blocks
    /// while the source is asked.
    pub fn segments(&self, source: String, options: FfiEnsureOptions, bytes: u64) -> Result<FfiSegments, FfiError> {
        guard(|| Ok(self.0.segments(self::source(&source)?, &ensure_options(options)?, bytes)?.into()))
    }

    /// Nobody fetches parts of this model any more: what has come stays for the next download, its room is free for who
    /// needs it. Harmless if nobody did.
    pub fn call_off(&self, id: String) -> Result<(), FfiError> {
        guard(|| Ok(self.0.call_off(&self::id(&id)?)?))
    }

    /// Takes a part that was fetched: the file at `path` holds the bytes of `file` from `from` on. With the last part that
    /// a model lacks, that model is installed. Needs no network.
    pub fn hand_over(&self, file: String, from: u64, path: String) -> Result<FfiHandedOver, FfiError> {
        guard(|| {
            let file = file.parse().map_err(|error: inkling::store::NoDigest| {
                FfiError::from(inkling::Error::from(ErrorKind::invalid("file", error.to_string())))
            })?;
            Ok(self.0.hand_over(&file, from, path.as_ref())?.into())
        })
    }

    /// Begins to load an installed model on a thread of its own. `alternatives` may take its place if no release of it
    /// can be used; the model's `origin` says which it is.
    pub fn load(
        &self,
        engine: Arc<FfiEngine>,
        id: String,
        alternatives: Vec<String>,
        options: FfiLoadOptions,
        progress: Option<Arc<dyn FfiProgress>>,
    ) -> Result<Arc<FfiLoad>, FfiError> {
        guard(|| {
            let alternatives = alternatives.iter().map(|id| self::id(id)).collect::<Result<_, _>>()?;
            let load = StoreLoad { id: self::id(&id)?, alternatives, options: options.into_options()? };
            let store = self.0.clone();
            start_load(progress, move |cancel, tell| {
                let loaded = store.load_cancellable(engine.inner(), &load, cancel, tell)?;
                let origin = FfiOrigin::from(&loaded);
                Ok((loaded.model, Some(origin)))
            })
        })
    }
}
