//! Processes that are killed. A parent serves models, starts children that work on one store at random, ends each with
//! SIGKILL at a random moment, and looks at the folder with code of its own before the next one opens it.
//!
//! | file | what |
//! |---|---|
//! | [`child`] | the process that is killed |
//! | [`look`] | the checker |
//! | [`models`] | what is served |

pub mod child;
pub mod look;
pub mod models;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::disk::Random;
use crate::server::{Fault, Phase, Rule, Server};
use look::Seen;
use models::Models;

/// What may be fetched again because of one kill.
pub const MOST_AGAIN: u64 = 64 << 20;

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Children that were killed.
    pub kills: u64,
    /// Kills by what the child was doing.
    pub during: BTreeMap<String, u64>,
    /// Calls of children that came back.
    pub calls: u64,
    /// Objects whose bytes were compared.
    pub objects: u64,
    /// Slots that were read.
    pub slots: u64,
    /// Recorded chunks that were compared.
    pub chunks: u64,
    /// Downloads whose bytes were counted, and how many were fetched again after a kill: in all, and at most.
    pub counted: u64,
    /// See `counted`.
    pub again: u64,
    /// See `counted`.
    pub most_again: u64,
    /// Bytes that were served.
    pub served: u64,
}

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
    /// Sizes of the models that are served.
    pub sizes: Vec<u64>,
}

/// Kills.
///
/// # Errors
/// The promise that was broken, with the number of the kill.
pub fn run(options: &Options, told: &mut dyn FnMut(&Tally)) -> Result<Tally, String> {
    let server = Server::start().map_err(|error| error.to_string())?;
    let mut models = Models::make(&options.sizes, options.seed)?;
    models.serve(&server);
    std::fs::create_dir_all(&options.folder).map_err(|error| error.to_string())?;
    let list = options.folder.join("models.txt");
    std::fs::write(&list, models.list(&server)).map_err(|error| error.to_string())?;
    let store = options.folder.join("store");
    let (mut tally, mut random) = (Tally::default(), Random::new(options.seed));
    let mut before = Seen::default();
    while tally.kills < options.kills {
        let number = tally.kills;
        let failed = |why: String| format!("seed {}, kill {number}: {why}", options.seed);
        if random.chance(10) {
            models.renew(&server);
        }
        let has_faults = set_faults(&server, &mut random);
        let counts = models.counts(&server);
        let life = Duration::from_micros(random.below(options.longest.as_micros() as u64));
        let words = live_and_die(&options.program, &store, &list, random.number(), life).map_err(failed)?;
        tally.kills += 1;
        tally.calls += words.iter().filter(|line| line.as_str() == "done").count() as u64;
        *tally.during.entry(doing(&words)).or_default() += 1;
        if let Some(why) = words.iter().find_map(|line| line.strip_prefix("broken ")) {
            return Err(failed(why.to_owned()));
        }
        let seen = look::at(&store.join("v1"), &models).map_err(failed)?;
        look::confirmed(&words, &seen, &models).map_err(failed)?;
        tally.objects += seen.objects;
        tally.slots += seen.slots.len() as u64;
        tally.chunks += seen.chunks;
        let served = models.counts(&server);
        for (file, count) in &served {
            let bytes = count - counts.get(file).copied().unwrap_or(0);
            tally.served += bytes;
            if !has_faults && let Some(again) = look::again(file, bytes, &words, &before, &seen, &models) {
                tally.counted += 1;
                tally.again += again;
                if again > 32 << 20 && std::env::var_os("INKLING_CHAOS_WORDS").is_some() {
                    eprintln!("kill {number}: {again} of {bytes} of {file} again: {words:?}");
                }
                tally.most_again = tally.most_again.max(again);
            }
        }
        before = seen;
        told(&tally);
    }
    if tally.most_again > MOST_AGAIN {
        return Err(format!("seed {}: {} bytes were fetched again after one kill", options.seed, tally.most_again));
    }
    Ok(tally)
}

fn set_faults(server: &Server, random: &mut Random) -> bool {
    server.clear();
    server.throttle([0, 0, 200 << 20, 30 << 20, 4 << 20][random.index(5)]);
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
        server.rule(Rule::new(fault, Phase::Any).times(1 + random.below(3) as u32));
    }
    true
}

/// Starts a child, kills it, and gives what it said.
fn live_and_die(program: &Path, store: &Path, list: &Path, seed: u64, life: Duration) -> Result<Vec<String>, String> {
    let mut command = Command::new(program);
    command.arg("child").arg(store).arg(list).arg(seed.to_string());
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        // A line that was cut off was not said.
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            words.push(line.trim_end().to_owned());
            line.clear();
        }
        words
    });
    std::thread::sleep(life);
    let early = child.try_wait().map_err(|error| error.to_string())?;
    child.kill().map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    let words = reader.join().map_err(|_| "the reader panicked".to_owned())?;
    if let Some(status) = early {
        let last = words.last().cloned().unwrap_or_default();
        return Err(format!("the child ended by itself ({status}); the last that it said: {last}"));
    }
    Ok(words)
}

/// What a child was doing at its end.
fn doing(words: &[String]) -> String {
    let mut doing = "opening".to_owned();
    for word in words {
        if word == "done" {
            doing = "between".to_owned();
        } else if let Some(what) = word.strip_prefix("begin ") {
            doing = what.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(phase) = word.strip_prefix("phase ") {
            let call = doing.split(':').next().unwrap_or_default().to_owned();
            doing = format!("{call}: {phase}");
        }
    }
    doing
}
