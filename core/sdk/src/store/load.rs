//! Loading from the store: the release to use is lent, tried, and given up for the one before it if it is no good; after
//! the last release, for a smaller model. The app is told.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inkling_gguf::Gguf;
use inkling_session::{Owner, Stats};
use inkling_store::slot::{FellBack, Which, Why};
use inkling_store::store::Lent;
use inkling_store::{ModelId, Role, StoreError};

use super::sealed::{self, Failure};
use super::{ModelStore, health};
use crate::{
    CancelToken, Engine, Error, ErrorKind, FinishReason, Heat, KvType, LoadOptions, Model, ModelSource, WeightCache,
};

/// The part of a load's progress that verifying takes, where something must be verified.
const VERIFYING: f32 = 0.3;

/// A model from the store, and how it came about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// Its id: another one than was asked for if a smaller one had to do.
    pub id: ModelId,
    /// Its release.
    pub release: u64,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// What was given up on the way here: the app should know, and perhaps its user.
    pub given_up: Vec<GivenUp>,
}

/// A release, or a whole model, that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenUp {
    /// The model.
    pub id: ModelId,
    /// The release that is not used any more, and the kind of reason; `None` if the model could not be loaded this time,
    /// which says nothing about the next.
    pub release: Option<FellBack>,
    /// Why, in words.
    pub why: String,
}

/// What is to be loaded.
#[derive(Debug, Clone)]
pub struct StoreLoad {
    /// The model.
    pub id: ModelId,
    /// What will do instead if no release of it can be used, the best first.
    pub alternatives: Vec<ModelId>,
    /// How it is loaded.
    pub options: LoadOptions,
}

impl ModelStore {
    /// Loads an installed model; `progress` is told the part done, 0 to 1. While the model is loaded its file stays,
    /// whatever happens to the store. A new release must first say what its publisher says it says.
    pub fn load(
        &self,
        engine: &Engine,
        id: &ModelId,
        options: LoadOptions,
        progress: impl Fn(f32),
    ) -> Result<Loaded, Error> {
        let load = StoreLoad { id: id.clone(), alternatives: Vec::new(), options };
        self.load_cancellable(engine, &load, &CancelToken::new(), progress)
    }

    /// As [`ModelStore::load`], with models that may take its place; once `cancel` is set, the load ends with
    /// [`ErrorKind::Cancelled`] soon.
    pub fn load_cancellable(
        &self,
        engine: &Engine,
        load: &StoreLoad,
        cancel: &CancelToken,
        progress: impl Fn(f32),
    ) -> Result<Loaded, Error> {
        let mut given_up = Vec::new();
        let mut first = None;
        for id in std::iter::once(&load.id).chain(&load.alternatives) {
            match self.load_one(engine, id, &load.options, cancel, &progress, &mut given_up) {
                Ok(loaded) => {
                    self.told(&loaded.id, &given_up);
                    return Ok(Loaded { given_up, ..loaded });
                }
                Err(error) if another_may_do(error.kind()) => {
                    tracing::warn!(model = %id, %error, "a model cannot be loaded");
                    given_up.push(GivenUp { id: id.clone(), release: None, why: error.to_string() });
                    first.get_or_insert(error);
                }
                Err(error) => {
                    first = Some(error);
                    break;
                }
            }
        }
        // Nobody is told now: whoever loads one of these models next is.
        Err(first.unwrap_or_else(|| ErrorKind::ModelNotFound { what: load.id.to_string() }.into()))
    }

    /// What was given up of other models than the one that is `loaded` is told now.
    fn told(&self, loaded: &ModelId, given_up: &[GivenUp]) {
        let others: BTreeSet<&ModelId> = given_up.iter().map(|given_up| &given_up.id).collect();
        for id in others.into_iter().filter(|id| *id != loaded) {
            let of_it = given_up.iter().filter(|given_up| given_up.id == *id);
            let releases: Vec<FellBack> = of_it.filter_map(|given_up| given_up.release).collect();
            if let Err(error) = self.0.told(id, &releases) {
                tracing::warn!(model = %id, %error, "what was told will be told again");
            }
        }
    }

    fn load_one(
        &self,
        engine: &Engine,
        id: &ModelId,
        options: &LoadOptions,
        cancel: &CancelToken,
        progress: &dyn Fn(f32),
        given_up: &mut Vec<GivenUp>,
    ) -> Result<Loaded, Error> {
        loop {
            let verified = std::cell::Cell::new(0.0);
            let lent = self.0.lend(id, cancel, &|done, total| {
                verified.set(VERIFYING);
                progress(VERIFYING * (done as f64 / total.max(1) as f64) as f32);
            })?;
            for fell in &lent.fell_back {
                // What was given up a moment ago has better words.
                if !given_up.iter().any(|given_up| given_up.id == *id && given_up.release == Some(*fell)) {
                    given_up.push(GivenUp { id: id.clone(), release: Some(*fell), why: words(fell) });
                }
            }
            let lent = Arc::new(lent);
            let start = verified.get();
            let tell = |fraction: f32| progress(start + (1.0 - start) * fraction);
            let number = lent.release.number;
            let (error, why) = match self.try_release(engine, &lent, options, cancel, &tell) {
                Ok(model) => {
                    let on_trial = lent.which == Which::Pending;
                    return Ok(Loaded { model, id: id.clone(), release: number, on_trial, given_up: Vec::new() });
                }
                Err(Failure::Release(error, why)) => (error, why),
                Err(Failure::Other(error)) => return Err(error),
            };
            let words = error.to_string();
            tracing::warn!(model = %id, release = number, %words, "a release is no good");
            lent.bad(why)?;
            let release = Some(FellBack { from: number, why });
            given_up.push(GivenUp { id: id.clone(), release, why: words });
            drop(lent);
            if !self.0.has_release(id)? {
                return Err(error);
            }
        }
    }

    fn try_release(
        &self,
        engine: &Engine,
        lent: &Arc<Lent>,
        options: &LoadOptions,
        cancel: &CancelToken,
        progress: &dyn Fn(f32),
    ) -> Result<Model, Failure> {
        let (file, path) = lent.file(Role::Weights).ok_or_else(|| {
            Failure::Other(StoreError::NotFound { what: format!("the weights of {}", lent.id) }.into())
        })?;
        let mut options = options.clone();
        let borrowed = Arc::new(Borrowed { lent: Arc::clone(lent), counts: AtomicBool::new(false) });
        options.owner = Some(Arc::clone(&borrowed) as Arc<dyn Owner>);
        let source = match &file.sealed {
            None => {
                if options.weight_cache.is_none() {
                    options.weight_cache = Some(WeightCache::Folder(lent.panels().to_owned()));
                }
                ModelSource::file(path)
            }
            Some(key) => {
                // What is prepared from it would lie on the disk in the clear.
                options.weight_cache = Some(WeightCache::Off);
                ModelSource::Memory(self.open_sealed(engine, path, key, cancel)?)
            }
        };
        let on_trial = lent.which == Which::Pending;
        // Golden answers hold for the cache that they were computed with.
        let comparable = options.kv == KvType::default();
        let hot = engine.conditions().thermal.heat >= Heat::Serious;
        let loaded = engine.load_cancellable(source, options, cancel, progress);
        let model = loaded.map_err(|error| judge(error, on_trial))?;
        if on_trial {
            match health::check(&model, &lent.release, comparable, hot).map_err(Failure::Other)? {
                Ok(()) => {}
                Err(unhealthy) => {
                    let location = format!("{} release {}: {}", lent.id, lent.release.number, unhealthy.why);
                    let error = ErrorKind::ModelCorrupt { location }.into();
                    return Err(Failure::Release(error, unhealthy.what));
                }
            }
        }
        lent.came_back().map_err(|error| Failure::Other(error.into()))?;
        borrowed.counts.store(true, Ordering::Release);
        Ok(model)
    }

    /// The plain bytes of an encrypted model.
    fn open_sealed(&self, engine: &Engine, path: &Path, key: &str, cancel: &CancelToken) -> Result<Arc<Gguf>, Failure> {
        let keys = self.1.keys.as_ref().ok_or_else(|| {
            let why = format!("the model is encrypted with the key {key:?}: give the store a key provider");
            Failure::Other(ErrorKind::invalid("keys", why).into())
        })?;
        sealed::open(engine, path, &**keys, cancel)
    }
}

fn words(fell_back: &FellBack) -> String {
    let why = match fell_back.why {
        Why::WrongHash => "its bytes are damaged",
        Why::CrashAtLoad => "loads of it did not come back",
        Why::WrongGolden => "it did not say what it should",
        Why::TooSlow => "it is too slow",
        Why::FailingStorage => "the disk cannot read it any more",
        Why::RolledBack => "it was rolled back",
        Why::Other => "it cannot be used",
    };
    format!("release {}: {why}", fell_back.from)
}

/// Whose fault it is that a file was not loaded. A defect of the engine counts against a release on trial only.
fn judge(error: Error, on_trial: bool) -> Failure {
    match error.kind() {
        ErrorKind::ModelCorrupt { .. } | ErrorKind::UnsupportedModel { .. } => Failure::Release(error, Why::Other),
        ErrorKind::Internal { .. } if on_trial => Failure::Release(error, Why::Other),
        _ => Failure::Other(error),
    }
}

/// Whether a smaller model may do where this one failed.
fn another_may_do(kind: &ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Cancelled | ErrorKind::Busy { .. } | ErrorKind::InvalidInput { .. })
}

/// Holds the file for as long as the model is loaded, and tells the store when it answers.
struct Borrowed {
    lent: Arc<Lent>,
    /// Whether answers count: those to golden prompts do not.
    counts: AtomicBool,
}

impl Owner for Borrowed {
    fn answered(&self, stats: &Stats) {
        let ended_well = stats.generated_tokens > 0 && stats.finish != FinishReason::Cancelled;
        if !ended_well || !self.counts.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.lent.good() {
            tracing::warn!(model = %self.lent.id, %error, "an answer that ended well could not be counted");
        }
    }
}
