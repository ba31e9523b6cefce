//! Loading models and looking into files.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use inkling::{CancelToken, Engine, EngineConfig, Model, ModelInfo, ModelSource, WeightCache};

use crate::guard::{guard, guard_poll};
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
    let handle = Arc::new(FfiLoad { cancel: CancelToken::new(), state: Arc::default() });
    let (state, cancel) = (Arc::clone(&handle.state), handle.cancel.clone());
    let work = move || {
        let outcome = guard(|| {
            let tell = |fraction| {
                if let Some(progress) = &progress {
                    progress.loaded(fraction);
                }
            };
            let (model, origin) = load(&cancel, &tell)?;
            // A load that was cancelled in its last moment was cancelled all the same.
            if cancel.is_cancelled() {
                Err(inkling::ErrorKind::Cancelled.into())
            } else {
                Ok(FfiModel::new(model, origin))
            }
        });
        // First everything that was borrowed for the load, then the word that it is over.
        drop((load, progress));
        state.settle(outcome);
    };
    let thread = std::thread::Builder::new().name("inkling-load".to_owned()).spawn(work);
    thread.map_err(|error| FfiError::internal(format!("no thread to load on: {error}")))?;
    Ok(handle)
}

/// A running load. Dropping it cancels it.
#[derive(uniffi::Object)]
pub struct FfiLoad {
    cancel: CancelToken,
    state: Arc<LoadState>,
}

#[derive(Default)]
struct LoadState(Mutex<Progress>);

#[derive(Default)]
enum Progress {
    #[default]
    Running,
    Waited(Waker),
    Done(Result<Arc<FfiModel>, FfiError>),
    Taken,
}

impl LoadState {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Every change under this lock is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: Result<Arc<FfiModel>, FfiError>) {
        let before = std::mem::replace(&mut *self.lock(), Progress::Done(outcome));
        if let Progress::Waited(waker) = before {
            waker.wake();
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<Arc<FfiModel>, FfiError>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, Progress::Taken) {
            Progress::Done(outcome) => Poll::Ready(outcome),
            Progress::Taken => Poll::Ready(Err(FfiError::invalid("load", "its model was handed out before"))),
            Progress::Running | Progress::Waited(_) => {
                *state = Progress::Waited(waker.clone());
                Poll::Pending
            }
        }
    }
}

#[uniffi::export]
impl FfiLoad {
    /// Waits for the model, which is handed out once. One caller may wait at a time.
    pub async fn finish(&self) -> Result<Arc<FfiModel>, FfiError> {
        poll_fn(|context| guard_poll(|| self.state.poll(context.waker()))).await
    }

    /// Asks the load to stop; it ends with `Cancelled` soon. Returns at once.
    pub fn cancel(&self) -> Result<(), FfiError> {
        guard(|| {
            self.cancel.cancel();
            Ok(())
        })
    }
}

impl Drop for FfiLoad {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
