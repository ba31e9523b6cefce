//! Processes that are killed. A parent serves models, starts children that work on one store, ends each with SIGKILL at a
//! random moment, or a random while after it began something, and looks at the folder with code of its own before the next
//! one opens it. Between two children it publishes releases, replaces files, damages what is installed, serves old
//! catalogues again.
//!
//! | file | what |
//! |---|---|
//! | [`child`], [`watch`] | the process that is killed, and how it says what it does |
//! | [`aim`], [`life`] | when it is killed |
//! | [`look`] | the checker: the folder, byte by byte |
//! | [`words`] | the checker: what the child said must be true |
//! | [`opened`], [`overlay`] | the checker: the store opens, loads, takes nothing old |
//! | [`models`], [`catalog`], [`keys`] | what is served |
//! | [`damage`] | what the parent damages |
//! | [`tally`] | what happened |

pub mod aim;
pub mod catalog;
pub mod child;
pub mod damage;
pub mod keys;
pub mod life;
pub mod look;
pub mod models;
pub mod opened;
pub mod overlay;
pub mod tally;
pub mod watch;
pub mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Random;
use crate::server::{Fault, Phase, Rule, Server};
use aim::Aim;
use damage::Damage;
use life::Told;
use look::{Compared, Seen, chosen};
use models::Models;
use opened::{Opened, Replaying};
pub use tally::Tally;

/// What may be fetched again because of one kill.
pub const MOST_AGAIN: u64 = 64 << 20;
/// The largest share of a file that an update may fetch that changes a tenth of it and its template.
const MOST_OF_UPDATE: f64 = 0.25;
/// Kills after which all objects are read again, changed or not.
const READ_ALL: u64 = 20;

/// How the loop runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that is started as `PROGRAM child …`.
    pub program: PathBuf,
    /// Where the store is.
    pub folder: PathBuf,
    /// How many.
    pub kills: u64,
    /// Of all that is random.
    pub seed: u64,
    /// The longest that a child lives.
    pub longest: Duration,
    /// Sizes of the models that are served by address.
    pub sizes: Vec<u64>,
    /// Sizes of the models that are signed; every second one is encrypted.
    pub signed: Vec<u64>,
}

/// Kills.
///
/// # Errors
/// The promise that was broken, with the number of the kill.
pub fn run(options: &Options, told: &mut dyn FnMut(&Tally)) -> Result<Tally, String> {
    let mut parent = Parent::new(options)?;
    while parent.tally.kills < options.kills {
        let number = parent.tally.kills;
        parent.round().map_err(|why| format!("seed {}, kill {number}: {why}", options.seed))?;
        told(&parent.tally);
    }
    let (tally, seed) = (parent.tally, options.seed);
    if tally.most_again > MOST_AGAIN {
        return Err(format!("seed {seed}: {} bytes were fetched again after one kill\n{tally}", tally.most_again));
    }
    let missed = tally.missed();
    if options.kills >= tally::LONG && (!missed.is_empty() || tally.updates == 0) {
        return Err(format!("seed {seed}: no kill hit {missed:?}, {} updates were counted\n{tally}", tally.updates));
    }
    Ok(tally)
}

struct Parent<'a> {
    options: &'a Options,
    server: Server,
    models: Models,
    store: PathBuf,
    list: PathBuf,
    random: Random,
    tally: Tally,
    damage: Damage,
    compared: Compared,
    before: Seen,
    network: Arc<Replaying>,
}

impl<'a> Parent<'a> {
    fn new(options: &'a Options) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        std::fs::create_dir_all(&options.folder).map_err(text)?;
        let models = Models::make(&options.folder, &options.sizes, &options.signed, options.seed)?;
        let server = Server::of_folder(&models.catalog.folder, 0).map_err(text)?;
        models.serve(&server);
        let (store, list) = (options.folder.join("store"), options.folder.join("models.txt"));
        std::fs::write(&list, models.list(&server, &options.folder)?).map_err(text)?;
        Ok(Self {
            options,
            server,
            models,
            store,
            list,
            random: Random::new(options.seed),
            tally: Tally::default(),
            damage: Damage::default(),
            compared: Compared::default(),
            before: Seen::default(),
            network: Arc::default(),
        })
    }

    /// One child, and what it leaves.
    fn round(&mut self) -> Result<(), String> {
        let damaged = self.damage.all().next().copied();
        let aim = aim::next(self.options, &self.models, &self.before, damaged, &mut self.random);
        self.prepare(&aim)?;
        let replayed = self.replay();
        let has_faults = self.set_faults();
        let counts = self.models.counts(&self.server);
        let told = Told {
            program: &self.options.program,
            store: &self.store,
            list: &self.list,
            seed: self.random.number(),
            first: &aim.first,
        };
        let began = Instant::now();
        let words = life::live_and_die(&told, &aim.death)?;
        self.tally.lived += began.elapsed();
        self.server.clear();
        self.server.throttle(0);
        ["/catalog.json", "/rollout.json"].iter().for_each(|path| self.server.remove(path));
        let tally = &mut self.tally;
        tally.kills += 1;
        tally.calls += words.iter().filter(|line| line.as_str() == "done").count() as u64;
        let doing = words::doing(&words);
        *tally.phases.entry(words::phase(&doing).to_owned()).or_default() += 1;
        *tally.during.entry(doing).or_default() += 1;

        if std::env::var("INKLING_CHAOS_WORDS").is_ok_and(|what| what == "all") {
            eprintln!("{} {:?} {:?} {words:?}", tally.kills, aim.first, aim.death);
        }
        let hurt: Vec<String> =
            self.damage.all().filter_map(|file| Some(self.models.files.get(file)?.id.to_string())).collect();
        tally.refused += words::judge(&words, &|id| hurt.iter().any(|hurt| hurt == id), replayed)?;
        if tally.kills.is_multiple_of(READ_ALL) || tally.kills == self.options.kills {
            self.compared.forget();
        }
        let seen = look::at(&self.store.join("v1"), &self.models, &mut self.damage, &mut self.compared)?;
        words::confirmed(&words, &seen, &self.models)?;
        words::is_no_older(&self.before, &seen)?;
        tally.objects += seen.objects;
        tally.compared += seen.compared;
        tally.slots += seen.slots.len() as u64;
        tally.chunks += seen.chunks;
        (tally.damaged, tally.repaired) = (self.damage.done, self.damage.repaired);
        for (file, count) in &self.models.counts(&self.server) {
            let bytes = count - counts.get(file).copied().unwrap_or(0);
            tally.served += bytes;
            if !has_faults && let Some(again) = look::again(file, bytes, &words, &self.before, &seen, &self.models) {
                tally.counted += 1;
                tally.again += again;
                if again > MOST_AGAIN / 2 && std::env::var_os("INKLING_CHAOS_WORDS").is_some() {
                    eprintln!("kill {}: {again} of {bytes} of {file} again: {words:?}", tally.kills);
                }
                tally.most_again = tally.most_again.max(again);
            }
        }
        self.before = seen;
        let began = Instant::now();
        let outcome = self.open();
        self.tally.opened += began.elapsed();
        outcome
    }

    /// What changes before a child starts.
    fn prepare(&mut self, aim: &Aim) -> Result<(), String> {
        if let Some(at) = aim.release {
            self.models.release(at, &self.before.stored)?;
            self.tally.releases += 1;
        }
        let signed = self.random.index(self.models.catalog.models.len());
        match self.random.below(100) {
            0..10 => self.models.renew(&self.server),
            10..14 => self.models.catalog.offer(signed)?,
            14..16 => self.models.catalog.rotate()?,
            _ => {}
        }
        if let Some((file, known)) = aim.hurt.and_then(|file| Some((file, self.models.files.get(&file)?)))
            && self.before.installed.contains(&file)
        {
            let path = self.store.join("v1/objects").join(file.to_string());
            self.damage.hurt(&path, file, known, &mut self.random)?;
        }
        Ok(())
    }

    /// Sometimes serves an older catalogue; `Some(true)` if it is older than one that was accepted.
    fn replay(&mut self) -> Option<bool> {
        let history = &self.models.catalog.history;
        if history.len() < 2 || !self.random.chance(8) {
            return None;
        }
        let old = &history[self.random.index(history.len() - 1)];
        self.server.add("/catalog.json", Arc::clone(&old.catalog));
        self.server.add("/rollout.json", Arc::clone(&old.rollout));
        Some(old.catalog_version < self.before.trust[1])
    }

    fn set_faults(&mut self) -> bool {
        let random = &mut self.random;
        self.server.throttle([0, 0, 200 << 20, 30 << 20, 4 << 20][random.index(5)]);
        if random.chance(75) {
            return false;
        }
        // Nothing that changes bytes: without digests of chunks only the end would tell, and so would the checker.
        let faults = [
            Fault::Reset(random.below(3 << 20)),
            Fault::Truncate(random.below(1 << 20)),
            Fault::Status(503, Some("0".to_owned())),
            Fault::Hangup,
            Fault::WrongRange,
        ];
        for _ in 0..1 + random.below(3) {
            let fault = faults[random.index(faults.len())].clone();
            self.server.rule(Rule::new(fault, Phase::Any).times(1 + random.below(3) as u32));
        }
        true
    }

    /// Opens the store as users do.
    fn open(&mut self) -> Result<(), String> {
        if !self.store.join("v1").exists() {
            return Ok(()); // Killed before there was one.
        }
        let root = std::fs::read(self.options.folder.join("root.json")).map_err(|error| error.to_string())?;
        let opened = Opened::open(&self.store, &self.server.url("/catalog.json"), &root, &self.network)?;
        self.tally.loads += opened.load_all(&self.before, &self.damage)?;
        let replayed = opened.replay(&self.models.catalog.history, &self.before, &mut self.random)?;
        self.tally.replays += u64::from(replayed);
        if self.random.chance(15) { self.update(&opened) } else { Ok(()) }
    }

    /// An update that nobody disturbs fetches what has changed and little more.
    fn update(&mut self, opened: &Opened) -> Result<(), String> {
        let at = self.random.index(self.models.catalog.models.len());
        let model = &self.models.catalog.models[at];
        let Some(slot) = self.before.slots.get(model.id.as_str()) else { return Ok(()) };
        if chosen(slot) == Some(model.number) {
            self.models.release(at, &self.before.stored)?;
            self.tally.releases += 1;
        }
        let model = &self.models.catalog.models[at];
        let id = model.id.as_str();
        let is_hurt =
            self.damage.all().any(|file| self.models.files.get(file).is_some_and(|known| known.id == model.id));
        // Only from the release before: what has changed since older ones is more.
        let is_next = chosen(slot) == Some(model.number - 1) && model.for_all;
        if !is_next || is_hurt || self.before.stored.contains(&model.weights) {
            return Ok(());
        }
        let Some(known) = self.models.files.get(&model.weights) else { return Ok(()) };
        let before = self.server.count(&known.path).bytes;
        if opened.undisturbed(id)? != model.number {
            return Ok(()); // It was given up here before, say.
        }
        let (fetched, bytes) = (self.server.count(&known.path).bytes - before, known.bytes.len() as u64);
        let share = fetched as f64 / bytes as f64;
        let tally = &mut self.tally;
        tally.updates += 1;
        tally.update_fetched += fetched;
        tally.update_bytes += bytes;
        tally.update_share = tally.update_share.max(share);
        if share > MOST_OF_UPDATE {
            return Err(format!("an update of {id} fetched {fetched} of {bytes} bytes"));
        }
        Ok(())
    }
}
