//! Which model a command runs on, loaded with a progress bar.

use std::path::{Path, PathBuf};

use inkling::developer::Probe;
use inkling::store::{ModelId, ModelStore, StoreOptions};
use inkling::{Engine, EngineConfig, LoadOptions, LoadWarning, Model, ModelSource, WeightCache};

use crate::args::{LoadArgs, ModelArgs};
use crate::output::Failure;
use crate::progress::bar;
use crate::store;

/// The tiny model inside the binary: docs/demo-model.md.
static INSIDE: &[u8] = inkling::include_aligned!("../assets/inkling-demo.gguf");
/// The file that `make model` fetches.
const FETCHED: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model that was named, else the one that `make model` has fetched, else the one inside the binary.
pub(crate) fn source(named: Option<&Path>) -> ModelSource {
    match (named, fetched()) {
        (Some(path), _) => ModelSource::file(path),
        (None, Some(path)) => ModelSource::file(path),
        (None, None) => ModelSource::Static(INSIDE),
    }
}

fn fetched() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(cache.join("inkling/models").join(FETCHED)).filter(|path| path.is_file())
}

/// How to load, from the flags.
pub(crate) fn options(args: &LoadArgs) -> Result<LoadOptions, Failure> {
    let mut options = LoadOptions::default();
    options.context = args.ctx;
    options.threads = args.threads;
    options.kv = inkling::parse_kv_type(&args.kv)?;
    Ok(options)
}

/// Loads the model of `args` for conversations and completions: a file, or the id of a model of the store.
pub(crate) fn load(args: &ModelArgs) -> Result<Model, Failure> {
    load_with(args, options(&args.load)?)
}

/// As [`load`], with these options.
pub(crate) fn load_with(args: &ModelArgs, options: LoadOptions) -> Result<Model, Failure> {
    let engine = engine(&args.load)?;
    let model = match stored(args)? {
        Some((store, id)) => from_store(&engine, &store, &id, options)?,
        None => with_bar(args, |source, progress| engine.load(source, options, progress))?,
    };
    warn(model.warnings());
    Ok(model)
}

/// The store and the id, if what was named is no file but the id of an installed model.
fn stored(args: &ModelArgs) -> Result<Option<(ModelStore, ModelId)>, Failure> {
    let named = args.model.as_deref().filter(|path| !path.exists()).and_then(Path::to_str);
    let Some(id) = named.and_then(|name| name.parse::<ModelId>().ok()) else { return Ok(None) };
    let folder = store::default_folder()?;
    if !store::exists(&folder) {
        return Ok(None);
    }
    let store = ModelStore::open(StoreOptions::new(folder))?;
    let known = store.list()?.into_iter().any(|model| model.id == id);
    Ok(known.then_some((store, id)))
}

fn from_store(engine: &Engine, store: &ModelStore, id: &ModelId, options: LoadOptions) -> Result<Model, Failure> {
    let bar = bar(1000, "loading {wide_bar} {percent}%");
    let loaded = store.load(engine, id, options, |fraction| bar.set_position((fraction * 1000.0) as u64));
    bar.finish_and_clear();
    let loaded = loaded?;
    for given_up in &loaded.given_up {
        eprintln!("warning: {}: {}; another release is used", given_up.id, given_up.why);
    }
    Ok(loaded.model)
}

/// Loads the model of `args` for measurements.
pub(crate) fn load_probe(args: &ModelArgs, options: LoadOptions) -> Result<Probe, Failure> {
    let engine = engine(&args.load)?;
    let probe = with_bar(args, |source, progress| Probe::load(&engine, &source, &options, progress))?;
    warn(probe.warnings());
    Ok(probe)
}

pub(crate) fn engine(args: &LoadArgs) -> Result<Engine, Failure> {
    let cache = match args.weight_cache.to_str() {
        Some("beside") => WeightCache::Beside,
        Some("off") => WeightCache::Off,
        _ => WeightCache::Folder(args.weight_cache.clone()),
    };
    let mut config = EngineConfig::default().backend(args.backend.parse()?).weight_cache(cache);
    config.isa = args.isa.as_deref().map(inkling::parse_isa).transpose()?;
    Ok(Engine::new(config)?)
}

fn warn(warnings: &[LoadWarning]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// Loads with a bar on a terminal, and says which model it is if none was named.
fn with_bar<T>(
    args: &ModelArgs,
    load: impl FnOnce(ModelSource, &dyn Fn(f32)) -> Result<T, inkling::Error>,
) -> Result<T, Failure> {
    let source = source(args.model.as_deref());
    if args.model.is_none() {
        match &source {
            ModelSource::Static(_) => {
                eprintln!("model: the tiny one inside this program (`make model` fetches a real one)")
            }
            _ => eprintln!("model: {FETCHED}"),
        }
    }
    let bar = bar(1000, "loading {wide_bar} {percent}%");
    let result = load(source, &|fraction| bar.set_position((fraction * 1000.0) as u64));
    bar.finish_and_clear();
    Ok(result?)
}
