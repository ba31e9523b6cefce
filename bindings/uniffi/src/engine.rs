//! Loading models and looking into files.

use std::sync::Arc;

use inkling::{CancelToken, Engine, EngineConfig, Model, ModelInfo, ModelSource, WeightCache};

use crate::guard::guard;
use crate::work::Work;
use crate::{FfiConditions, FfiError, FfiLoadOptions, FfiModel, FfiModelInfo, FfiOrigin, FfiSignals};

/// Where packed weights are kept.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum FfiWeightCache {
    /// Nowhere: they are made at every load and held in memory.
    Off,
    /// Beside the model.
    Beside,
    /// In this folder, which is made if need be.
    Folder {
        /// Its path.
        path: String,
    },
}

/// What an engine is made of.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct FfiEngineConfig {
    /// What runs the models: `cpu`, the fast one, or `reference`, the exact and slow one.
    #[uniffi(default = "cpu")]
    pub backend: String,
    /// Where packed weights are kept; `None` is beside the model.
    #[uniffi(default = None)]
    pub weight_cache: Option<FfiWeightCache>,
}

/// Hears how far a load has come.
#[uniffi::export(with_foreign)]
pub trait FfiProgress: Send + Sync {
    /// The part done, 0 to 1. Called on the thread that loads, which waits for it.
    fn loaded(&self, fraction: f32);
}

/// Loads models. Cheap to make; an app needs one.
#[derive(uniffi::Object)]
pub struct FfiEngine(Arc<Engine>);

#[uniffi::export]
impl FfiEngine {
    /// An engine whose back end can run here. What the app does not signal, the system is asked where it tells.
    #[uniffi::constructor]
    pub fn new(config: FfiEngineConfig, signals: FfiSignals) -> Result<Arc<Self>, FfiError> {
        guard(|| {
            let mut inner = EngineConfig::default().backend(config.backend.parse()?);
            inner.weight_cache = match config.weight_cache {
                Some(FfiWeightCache::Off) => WeightCache::Off,
                Some(FfiWeightCache::Folder { path }) => WeightCache::Folder(path.into()),
                Some(FfiWeightCache::Beside) | None => WeightCache::Beside,
            };
            inner.signals = Arc::new(signals);
            Ok(Arc::new(Self(Arc::new(Engine::new(inner)?))))
        })
    }

    /// What the device says of itself now, as the engine hears it.
    pub fn conditions(&self) -> Result<FfiConditions, FfiError> {
        guard(|| Ok(self.0.conditions().into()))
    }

    /// Looks into a file without loading it; one that is damaged is an error, one that is unsupported is described.
    pub fn inspect(&self, path: String) -> Result<FfiModelInfo, FfiError> {
        guard(|| Ok(ModelInfo::of(&ModelSource::file(path))?.into()))
    }

    /// Begins to load a model on a thread of its own.
    pub fn load(
        &self,
        path: String,
        options: FfiLoadOptions,
        progress: Option<Arc<dyn FfiProgress>>,
    ) -> Result<Arc<FfiLoad>, FfiError> {
        guard(|| {
            let options = options.into_options()?;
            let engine = Arc::clone(&self.0);
            start_load(progress, move |cancel, tell| {
                Ok((engine.load_cancellable(ModelSource::file(&path), options.clone(), cancel, tell)?, None))
            })
        })
    }
}

impl FfiEngine {
    pub(crate) fn inner(&self) -> &Engine {
        &self.0
    }
}

/// Loads on a thread of its own.
pub(crate) fn start_load(
    progress: Option<Arc<dyn FfiProgress>>,
    load: impl Fn(&CancelToken, &dyn Fn(f32)) -> Result<(Model, Option<FfiOrigin>), FfiError> + Send + 'static,
) -> Result<Arc<FfiLoad>, FfiError> {
    let work = move |cancel: &CancelToken, tell: &dyn Fn(f32)| {
        let (model, origin) = load(cancel, tell)?;
        Ok(FfiModel::new(model, origin))
    };
    Ok(Arc::new(FfiLoad(Work::start("inkling-load", progress, work)?)))
}

/// A running load. Dropping it cancels it.
#[derive(uniffi::Object)]
pub struct FfiLoad(Work<Arc<FfiModel>>);

#[uniffi::export]
impl FfiLoad {
    /// Waits for the model, which is handed out once. One caller may wait at a time.
    pub async fn finish(&self) -> Result<Arc<FfiModel>, FfiError> {
        self.0.finish().await
    }

    /// Asks the load to stop; it ends with `Cancelled` soon. Returns at once.
    pub fn cancel(&self) -> Result<(), FfiError> {
        self.0.cancel()
    }
}
