//! The way in: an engine loads models.

use std::path::PathBuf;
use std::sync::Arc;

use inkling_base::{Conditions, Signals, SystemSignals};
use inkling_compute::{Backend, LoadPlan, Prepared, WeightCache, Weights};
use inkling_compute_cpu::Isa;
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, read_spec, report};

use crate::{BackendChoice, CancelToken, Error, ErrorKind, LoadOptions, Model, ModelSource};

/// What an engine is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// What runs the models.
    pub backend: BackendChoice,
    /// The instruction set that the CPU back end uses, for comparisons; `None` takes the best that the machine has.
    pub isa: Option<Isa>,
    /// Where packed weights are kept: beside each model, unless told otherwise. [`LoadOptions::weight_cache`] can say
    /// otherwise for one model.
    pub weight_cache: WeightCache,
    /// Who says how hot the device is, how full its battery, how much memory can still be had: the system where it
    /// does, unless the app knows better.
    pub signals: Arc<dyn Signals>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            backend: BackendChoice::default(),
            isa: None,
            weight_cache: WeightCache::default(),
            signals: Arc::new(SystemSignals),
        }
    }
}

impl EngineConfig {
    /// Run models on this.
    pub fn backend(mut self, backend: BackendChoice) -> Self {
        self.backend = backend;
        self
    }

    /// Use this instruction set, and not the best that the machine has.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Keep packed weights there.
    pub fn weight_cache(mut self, cache: WeightCache) -> Self {
        self.weight_cache = cache;
        self
    }

    /// Ask this about the device.
    pub fn signals(mut self, signals: Arc<dyn Signals>) -> Self {
        self.signals = signals;
        self
    }
}

/// Loads models. Cheap to make; an app needs one.
pub struct Engine {
    pub(crate) backend: Box<dyn Backend>,
    weight_cache: WeightCache,
    signals: Arc<dyn Signals>,
}

impl Engine {
    /// An engine whose back end can run here; [`crate::ErrorKind::BackendUnavailable`] says why not.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let backend = config.backend.backend(config.isa)?;
        backend.probe()?;
        Ok(Self { backend, weight_cache: config.weight_cache, signals: config.signals })
    }

    /// What the device says of itself now.
    pub fn conditions(&self) -> Conditions {
        self.signals.conditions()
    }

    /// Loads a model; `progress` is told the part done, 0 to 1.
    pub fn load(&self, source: ModelSource, options: LoadOptions, progress: impl Fn(f32)) -> Result<Model, Error> {
        self.load_cancellable(source, options, &CancelToken::new(), progress)
    }

    /// As [`Engine::load`]; once `cancel` is set, the load ends with [`crate::ErrorKind::Cancelled`] soon.
    pub fn load_cancellable(
        &self,
        source: ModelSource,
        options: LoadOptions,
        cancel: &CancelToken,
        progress: impl Fn(f32),
    ) -> Result<Model, Error> {
        let options = self.with_cache(options);
        let file = self.open(&source, &options)?;
        Ok(Model(inkling_session::Model::load(file, &*self.backend, &options, cancel, &progress)?))
    }

    /// Packs the weights of a model into their file without loading it, so that its first load is as fast as any
    /// later one. For whoever installs a model; what could not be done is among the warnings, and a load will do it.
    pub fn prepare(
        &self,
        source: &ModelSource,
        options: LoadOptions,
        cancel: &CancelToken,
        progress: impl Fn(f32),
    ) -> Result<Prepared, Error> {
        options.validate()?;
        let options = self.with_cache(options);
        let file = source.open()?;
        let spec = Arc::new(read_spec(&file, &SpecOptions { context: options.context })?);
        let plan = LoadPlan {
            threads: options.threads_on(&self.backend.probe()?),
            max_batch: options.batch,
            max_outputs: options.outputs,
            weight_cache: options.weight_cache.as_ref().unwrap_or(&self.weight_cache),
            cancel,
            progress: &progress,
        };
        Ok(self.backend.prepare(spec, Weights::new(file), &plan)?)
    }

    /// The file that holds the packed weights of a model, or would hold them; `None` if there is to be none. It belongs
    /// to the model: whoever deletes one deletes both.
    pub fn weight_file(&self, source: &ModelSource) -> Result<Option<PathBuf>, Error> {
        Ok(self.weight_cache.file(&*source.open()?))
    }

    /// The options with this engine's cache, unless they name one.
    pub(crate) fn with_cache(&self, mut options: LoadOptions) -> LoadOptions {
        options.weight_cache.get_or_insert_with(|| self.weight_cache.clone());
        options
    }

    /// Opens a file, and refuses it if what it needs does not fit into the memory that is free: one full context, and
    /// the weights where they are not mapped from a file that the system may drop.
    pub(crate) fn open(&self, source: &ModelSource, options: &LoadOptions) -> Result<Arc<Gguf>, Error> {
        options.validate()?;
        let file = source.open()?;
        let model = report(&file, &SpecOptions { context: options.context });
        let made_for = model.spec.as_ref().map_or(0, |spec| spec.context);
        if let Some(need) = model.memory(made_for.min(options.usual_context()), options.kv) {
            let cache = options.weight_cache.as_ref().unwrap_or(&WeightCache::Off);
            let owned = if cache.file(&file).is_some() { 0 } else { need.weight_bytes };
            let need_bytes = need.kv_bytes.saturating_add(owned);
            if let Some(have_bytes) = self.signals.free_memory().filter(|have| *have < need_bytes) {
                return Err(ErrorKind::OutOfMemory { need_bytes, have_bytes }.into());
            }
        }
        Ok(file)
    }
}
