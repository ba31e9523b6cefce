//! The publisher's side: keys, a signed folder for any static server, rollouts. docs/publishing.md is the manual.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use inkling::developer::publish::{self, Golden, Keyring, Outcome, Publication, PublishFile, Roles, SecretKey, Share};
use inkling::{
    CompletionPrompt, Engine, EngineConfig, Error, ErrorKind, GenerationOptions, LoadOptions, ModelSource, WeightCache,
};
use serde_json::{Value, json};

use crate::output::{Failure, file_error, print, print_json};

const DAY: u64 = 24 * 3600;
/// Tokens of a golden answer: enough to tell another model, few enough to be checked in a second.
const GOLDEN_TOKENS: usize = 16;

#[derive(Debug, Subcommand)]
pub(crate) enum PublishCommand {
    /// Make a key: F, which only you may read, and F.pub
    Keygen {
        /// The file
        file: PathBuf,
    },
    /// Make the root of a folder that a static server will serve; apps are built with its root.json
    Init(RootArgs),
    /// Make the next root: other keys, another threshold, a later expiry
    Rotate(RootArgs),
    /// Put a release of a model into the folder and sign it
    Publish(PublishArgs),
    /// Change to how many devices a release is offered
    Offer(OfferArgs),
    /// Take a release out of the catalogue; devices that have it keep it
    Retire(OfferArgs),
    /// Sign catalogue and rollout anew before they expire
    Renew(SignArgs),
    /// Read the folder as a device would, every byte of it
    Check {
        /// The folder
        folder: PathBuf,
    },
}

/// A folder and who signs in it.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The folder
    pub(crate) folder: PathBuf,
    /// Secret keys that sign; those of roles that are not needed are ignored
    #[arg(long, value_name = "F", required = true)]
    pub(crate) key: Vec<PathBuf>,
    /// Days until the catalogue expires
    #[arg(long, value_name = "N", default_value_t = 90)]
    pub(crate) days: u64,
    /// Days until the rollout expires
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub(crate) rollout_days: u64,
}

#[derive(Debug, Args)]
pub(crate) struct RootArgs {
    /// The folder
    pub(crate) folder: PathBuf,
    /// Public keys that sign roots and catalogues
    #[arg(long, value_name = "F.pub", required = true)]
    pub(crate) release: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threshold: u32,
    /// Public keys that sign rollouts; without one every release is for all devices at once
    #[arg(long, value_name = "F.pub")]
    pub(crate) rollout: Vec<PathBuf>,
    /// Secret keys that sign now
    #[arg(long, value_name = "F", required = true)]
    pub(crate) key: Vec<PathBuf>,
    /// Days until the root expires
    #[arg(long, value_name = "N", default_value_t = 730)]
    pub(crate) days: u64,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) sign: SignArgs,
    /// Files of the release, or one folder of them
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The model's id
    #[arg(long, value_name = "ID")]
    pub(crate) model: String,
    /// The release's number: greater than those before
    #[arg(long, value_name = "N")]
    pub(crate) number: u64,
    /// Once this release is proven on a device, none below this is ever taken there again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) floor: u64,
    /// Bytes of memory below which it is not worth trying
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(crate) ram_min: u64,
    /// The oldest version of the engine that can run it
    #[arg(long, value_name = "V", default_value = "")]
    pub(crate) sdk_min: String,
    /// A prompt whose answer, computed now, devices must give too before they take the release
    #[arg(long, value_name = "PROMPT")]
    pub(crate) golden: Vec<String>,
    /// More such prompts, with tokens that were computed elsewhere: a JSON list of {"prompt": "…", "tokens": [1, 2]}
    #[arg(long, value_name = "F.json")]
    pub(crate) golden_file: Option<PathBuf>,
    /// Tokens a second below which it is too slow to be taken
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub(crate) least_speed: f64,
    /// Encrypt the files with the key of this name, whose 32 bytes are in a file
    #[arg(long, value_name = "NAME=F")]
    pub(crate) seal: Option<String>,
    /// To how many devices of a hundred it is offered at first, where there are rollouts
    #[arg(long, value_name = "X", default_value_t = 100.0)]
    pub(crate) percent: f64,
}

#[derive(Debug, Args)]
pub(crate) struct OfferArgs {
    #[command(flatten)]
    pub(crate) sign: SignArgs,
    /// The model's id
    #[arg(long, value_name = "ID")]
    pub(crate) model: String,
    /// The release
    #[arg(long, value_name = "N")]
    pub(crate) number: u64,
    /// To how many devices of a hundred
    #[arg(long, value_name = "X")]
    pub(crate) percent: Option<f64>,
    /// Nobody new gets it
    #[arg(long, conflicts_with = "go_on")]
    pub(crate) halt: bool,
    /// Undo --halt
    #[arg(long)]
    pub(crate) go_on: bool,
}

pub(super) fn run(command: &PublishCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        PublishCommand::Keygen { file } => {
            let public = publish::keygen(file).map_err(Error::from)?.to_string();
            if as_json { print_json(&json!({ "public": public })) } else { print(&format!("{public}\n")) }
        }
        PublishCommand::Init(args) => root(args, as_json, publish::init),
        PublishCommand::Rotate(args) => root(args, as_json, publish::rotate),
        PublishCommand::Publish(args) => release(args, as_json),
        PublishCommand::Offer(args) => offer(args, as_json),
        PublishCommand::Retire(args) => {
            let (model, keys) = (super::id(&args.model)?, keys(&args.sign.key)?);
            let until = (now() + args.sign.days * DAY, now());
            let catalog = publish::retire(&args.sign.folder, &model, args.number, &keys, until).map_err(Error::from)?;
            report(as_json, &[("catalog.json", catalog)], json!({}))
        }
        PublishCommand::Renew(args) => {
            let until = (now() + args.days * DAY, now() + args.rollout_days * DAY);
            let renewed = publish::renew(&args.folder, &keys(&args.key)?, until, now());
            let (catalog, rollout) = renewed.map_err(Error::from)?;
            let mut outcomes = vec![("catalog.json", catalog)];
            outcomes.extend(rollout.map(|rollout| ("rollout.json", rollout)));
            report(as_json, &outcomes, json!({}))
        }
        PublishCommand::Check { folder } => {
            let found = publish::check(folder, now()).map_err(Error::from)?;
            let (releases, bytes) = (found.releases.len(), found.bytes);
            if as_json {
                return print_json(&json!({ "catalog": found.catalog.version, "releases": releases, "bytes": bytes }));
            }
            print(&format!("catalogue {}, {releases} releases, {bytes} bytes: good\n", found.catalog.version))
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn keys(paths: &[PathBuf]) -> Result<Vec<SecretKey>, Failure> {
    paths.iter().map(|path| Ok(publish::read_secret_key(path).map_err(Error::from)?)).collect()
}

fn ring(paths: &[PathBuf], threshold: u32) -> Result<Keyring, Failure> {
    let keys = paths.iter().map(|path| Ok(publish::read_public_key(path).map_err(Error::from)?));
    Ok(Keyring { keys: keys.collect::<Result<_, Failure>>()?, threshold })
}

fn root(
    args: &RootArgs,
    as_json: bool,
    make: fn(&Path, &Roles, &[SecretKey]) -> Result<Outcome, publish::StoreError>,
) -> Result<(), Failure> {
    let rollout = if args.rollout.is_empty() { None } else { Some(ring(&args.rollout, 1)?) };
    let release = ring(&args.release, args.threshold)?;
    let roles = Roles { release, rollout, expires: now() + args.days * DAY };
    fs::create_dir_all(&args.folder).map_err(|error| file_error("folder", &args.folder, &error))?;
    let outcome = make(&args.folder, &roles, &keys(&args.key)?).map_err(Error::from)?;
    report(as_json, &[("root.json", outcome)], json!({}))
}

fn basis_points(percent: f64) -> Result<u32, Failure> {
    if (0.0..=100.0).contains(&percent) {
        return Ok((percent * 100.0).round() as u32);
    }
    let why = format!("{percent} is not possible: give a number from 0 to 100");
    Err(Failure::Engine(ErrorKind::invalid("percent", why).into()))
}

fn release(args: &PublishArgs, as_json: bool) -> Result<(), Failure> {
    let files = match args.files.as_slice() {
        [folder] if folder.is_dir() => publish::files_in(folder).map_err(Error::from)?,
        files => files.iter().map(|file| file_as_release(file, files.len())).collect::<Result<_, _>>()?,
    };
    let seal = args.seal.as_deref().map(seal_key).transpose()?;
    let published = publish::publish(&Publication {
        folder: &args.sign.folder,
        model: super::id(&args.model)?,
        number: args.number,
        golden: [golden(&files, &args.golden)?, args.golden_file.as_deref().map_or(Ok(Vec::new()), golden_in)?]
            .concat(),
        files,
        floor: args.floor,
        ram_min: args.ram_min,
        sdk_min: args.sdk_min.clone(),
        least_speed: args.least_speed,
        seal: seal.as_ref().map(|(name, key)| (name.as_str(), key as &dyn publish::KeyProvider)),
        keys: &keys(&args.sign.key)?,
        basis_points: basis_points(args.percent)?,
        catalog_expires: now() + args.sign.days * DAY,
        rollout_expires: now() + args.sign.rollout_days * DAY,
        now: now(),
    });
    let published = published.map_err(Error::from)?;
    let mut outcomes = vec![("catalog.json", published.catalog)];
    outcomes.extend(published.rollout.map(|rollout| ("rollout.json", rollout)));
    report(as_json, &outcomes, json!({ "release": published.release.number, "bytes": published.bytes }))
}

/// A file alone is the weights; among several, each is what its name says.
fn file_as_release(path: &Path, count: usize) -> Result<PublishFile, Failure> {
    if count == 1 {
        return Ok(PublishFile { role: publish::Role::Weights, path: path.to_owned(), required: true });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let known = publish::files_in(folder).map_err(Error::from)?;
    let found = known.into_iter().find(|file| file.path.file_name() == path.file_name());
    found.ok_or_else(|| {
        let why = format!("{} is neither a GGUF file nor a template (.jinja)", path.display());
        Failure::Engine(ErrorKind::invalid("files", why).into())
    })
}

/// What the model answers to the prompts, on this machine.
fn golden(files: &[PublishFile], prompts: &[String]) -> Result<Vec<Golden>, Failure> {
    let Some(weights) = files.iter().find(|file| file.role == publish::Role::Weights) else { return Ok(Vec::new()) };
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::new(EngineConfig::default().weight_cache(WeightCache::Off))?;
    let model = engine.load(ModelSource::file(&weights.path), LoadOptions::default(), |_| {})?;
    let ask = |prompt: &String| {
        let options = GenerationOptions::default().greedy().max_tokens(GOLDEN_TOKENS);
        model.complete(CompletionPrompt::Text(prompt.clone()), options)?.collect()
    };
    let answer = |prompt: &String| {
        let answer = ask(prompt).map_err(|error| about(prompt, error))?;
        Ok(Golden { prompt: prompt.clone(), tokens: answer.stats.tokens })
    };
    prompts.iter().map(answer).collect()
}

/// What another implementation answered, or another machine.
fn golden_in(path: &Path) -> Result<Vec<Golden>, Failure> {
    let bytes = fs::read(path).map_err(|error| file_error("golden-file", path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let why = format!("{} is no list of prompts with their tokens: {error}", path.display());
        Failure::Engine(ErrorKind::invalid("golden-file", why).into())
    })
}

/// What is wrong with a golden prompt names it; anything else is said as it is.
fn about(prompt: &str, error: Error) -> Failure {
    let why = match error.kind() {
        ErrorKind::InvalidInput { why, .. } => why.clone(),
        ErrorKind::ContextOverflow { .. } => error.to_string(),
        _ => return error.into(),
    };
    let start: String = prompt.chars().take(60).collect();
    let shown = if start.len() < prompt.len() { start + "…" } else { start };
    Failure::Engine(ErrorKind::invalid("golden", format!("the prompt {shown:?}: {why}")).into())
}

/// A key of a name, from a file.
fn seal_key(text: &str) -> Result<(String, publish::FileKey), Failure> {
    let usage = || ErrorKind::invalid("seal", "write NAME=FILE, where the file has the 32 bytes of the key");
    let (name, path) = text.split_once('=').ok_or_else(|| Failure::Engine(usage().into()))?;
    let bytes = fs::read(path).map_err(|error| file_error("seal", Path::new(path), &error))?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| Failure::Engine(usage().into()))?;
    Ok((name.to_owned(), publish::FileKey::new(name, key)))
}

fn offer(args: &OfferArgs, as_json: bool) -> Result<(), Failure> {
    let share = Share {
        basis_points: args.percent.map(basis_points).transpose()?,
        halted: (args.halt || args.go_on).then_some(args.halt),
        seed: None,
    };
    let (model, keys) = (super::id(&args.model)?, keys(&args.sign.key)?);
    let until = (now() + args.sign.rollout_days * DAY, now());
    let outcome = publish::set_rollout(&args.sign.folder, (&model, args.number), &share, &keys, until);
    report(as_json, &[("rollout.json", outcome.map_err(Error::from)?)], json!({}))
}

/// What became of each document.
fn report(as_json: bool, outcomes: &[(&str, Outcome)], mut facts: Value) -> Result<(), Failure> {
    let words = |outcome: &Outcome| match outcome {
        Outcome::Unchanged => "unchanged".to_owned(),
        Outcome::Written { version } => format!("version {version} written"),
        Outcome::Pending { version, missing } => {
            format!("version {version} waits in pending/ for {missing} more signatures")
        }
    };
    if as_json {
        for (file, outcome) in outcomes {
            facts[*file] = json!(words(outcome));
        }
        return print_json(&facts);
    }
    print(&outcomes.iter().map(|(file, outcome)| format!("{file}: {}\n", words(outcome))).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_that_cannot_be_asked_is_named() {
        let say = |error: ErrorKind| match about("What is\nthis?", error.into()) {
            Failure::Engine(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let full = ErrorKind::ContextOverflow { limit: 8, used: 9 };
        assert!(say(full.clone()).starts_with(&format!("golden: the prompt \"What is\\nthis?\": {full}")));
        let said = say(ErrorKind::invalid("prompt", "it is empty: write something"));
        assert_eq!(said, "golden: the prompt \"What is\\nthis?\": it is empty: write something");
        let memory = ErrorKind::OutOfMemory { need_bytes: 2, have_bytes: 1 };
        assert_eq!(say(memory.clone()), memory.to_string());
    }
}
