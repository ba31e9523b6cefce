//! The way in: an engine loads models.

use std::sync::Arc;

use inkling_compute::Backend;
use inkling_compute_cpu::Isa;
use inkling_gguf::Gguf;
use inkling_models::{SpecOptions, report};

use crate::{BackendChoice, CancelToken, Error, LoadOptions, Model, ModelSource, memory};

/// What an engine is made of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EngineConfig {
    /// What runs the models.
    pub backend: BackendChoice,
    /// The instruction set that the CPU back end uses, for comparisons; `None` takes the best that the machine has.
    pub isa: Option<Isa>,
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
}

/// Loads models. Cheap to make; an app needs one.
pub struct Engine {
    pub(crate) backend: Box<dyn Backend>,
}

impl Engine {
    /// An engine whose back end can run here; [`crate::ErrorKind::BackendUnavailable`] says why not.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let backend = config.backend.backend(config.isa)?;
        backend.probe()?;
        Ok(Self { backend })
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
        let file = self.open(&source, &options)?;
        Ok(Model::load(file, &*self.backend, &options, cancel, &progress)?)
    }

    /// Opens a file, and refuses it if one full context of it does not fit into the memory that is free.
    pub(crate) fn open(&self, source: &ModelSource, options: &LoadOptions) -> Result<Arc<Gguf>, Error> {
        options.validate()?;
        let file = source.open()?;
        let model = report(&file, &SpecOptions { context: options.context });
        let made_for = model.spec.as_ref().map_or(0, |spec| spec.context);
        if let Some(need) = model.memory(made_for.min(options.usual_context()), options.kv) {
            memory::require(need.kv_bytes)?;
        }
        Ok(file)
    }
}
