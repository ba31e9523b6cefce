//! A server that fails at each of a catalogue's documents and at the file behind them: at a first installation, at an
//! update, at a repair. Whatever it does, what is installed is what was signed, what was there before is still there, and
//! afterwards all is well.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;
#[path = "support/model.rs"]
mod model;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::http::{HttpTimeouts, HttpTransport};
use inkling_store::slot::GOOD_ENOUGH;
use inkling_store::store::{EnsureOptions, Lent, Store, StoreConfig, TrustedCatalog};
use inkling_store::{CHUNK, Digest, Open, Request, Response, Role, Source, StoreError, Transport, TransportError, Vfs};
use inkling_store_chaos::disk::SimVfs;
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use inkling_store_publish::{PublishFile, Roles, init, publish, rotate};
use kit::{DAY, key, publication, ring};
use model::gguf;
use tempfile::TempDir;

/// What is right with one server and wrong with another: one path is asked of the second.
struct Fork {
    http: HttpTransport,
    good: String,
    bad: String,
    path: Mutex<Option<String>>,
}

impl Transport for Fork {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let mut request = request.clone();
        let path = request.url.strip_prefix(&self.good).map(str::to_owned);
        if path.is_some() && path == *self.path.lock().unwrap() {
            request.url = format!("{}{}", self.bad, path.unwrap_or_default());
        }
        self.http.get(&request)
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A publisher of two releases, of which the second is signed when it is asked for.
struct World {
    /// The store's folder, another one for each: those who lend find their store by it.
    root: String,
    published: TempDir,
    /// What the app came with.
    app_root: Vec<u8>,
    /// A device that has the first release, proven, and one that has the second, damaged; each case gets a copy.
    has_one: SimVfs,
    has_two: SimVfs,
    good: Server,
    bad: Server,
    one: Vec<u8>,
    two: Vec<u8>,
}

impl World {
    fn new(root: &str) -> Self {
        let published = TempDir::new().unwrap();
        let roles = Roles { release: ring(&[1], 1), rollout: Some(ring(&[2], 1)), expires: now() + 1000 * DAY };
        init(published.path(), &roles, &[key(1)]).unwrap();
        let app_root = fs::read(published.path().join("root.json")).unwrap();
        let good = Server::of_folder(published.path(), 0).unwrap();
        let bad = Server::of_folder(published.path(), 0).unwrap();
        let one = gguf(3 * CHUNK + 100, 1);
        let mut two = one.clone();
        let at = two.len() / 2;
        two[at] ^= 1;
        let world = Self {
            root: root.to_owned(),
            app_root,
            published,
            has_one: SimVfs::new(),
            has_two: SimVfs::new(),
            good,
            bad,
            one,
            two,
        };
        world.publish(1, &world.one);
        let store = world.open(&world.has_one, None);
        world.ensure(&store, false).unwrap();
        for _ in 0..GOOD_ENOUGH {
            store.lend(&"m".parse().unwrap(), &CancelToken::new(), &|_, _| {}).unwrap().good().unwrap();
        }
        drop(store);
        world.publish(2, &world.two);
        let has_two = world.has_one.fork();
        world.ensure(&world.open(&has_two, None), true).unwrap();
        let object = format!("{root}/v1/objects/{}", Digest::of(&world.two));
        // In the chunk that the first release does not have.
        has_two.damage(Path::new(&object), |bytes| bytes[at + 5] ^= 4);
        // A later root, which nobody has seen.
        rotate(world.published.path(), &Roles { expires: now() + 2000 * DAY, ..roles }, &[key(1)]).unwrap();
        Self { has_two, ..world }
    }

    fn publish(&self, number: u64, bytes: &[u8]) {
        let weights = self.published.path().join("weights.gguf");
        fs::write(&weights, bytes).unwrap();
        let files = vec![PublishFile { role: Role::Weights, path: weights.clone(), required: true }];
        publish(&publication(self.published.path(), "m", number, files, &[key(1), key(2)], now())).unwrap();
        fs::remove_file(weights).unwrap();
    }

    /// The documents, in the order in which they are asked for, and the file.
    fn paths(&self) -> Vec<String> {
        let mut releases: Vec<PathBuf> = fs::read_dir(self.published.path().join("releases"))
            .unwrap()
            .flat_map(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect()
                } else {
                    vec![path]
                }
            })
            .collect();
        releases.sort();
        let release = releases.iter().find(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.contains(&Digest::of(&self.two).to_string())
        });
        let release = release.unwrap().strip_prefix(self.published.path()).unwrap().to_str().unwrap().to_owned();
        let file = format!("/files/{}", Digest::of(&self.two));
        vec!["/root/2.json".into(), "/catalog.json".into(), "/rollout.json".into(), format!("/{release}"), file]
    }

    fn open(&self, vfs: &SimVfs, bad: Option<&str>) -> Store {
        let patience = HttpTimeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_millis(150),
            read: Duration::from_millis(150),
        };
        let mut config = StoreConfig::new(&self.root);
        config.vfs = Arc::new(vfs.clone());
        config.inspector = Arc::new(|_, _| Ok(()));
        config.transport = Arc::new(Fork {
            http: HttpTransport::new(patience),
            good: self.good.base(),
            bad: self.bad.base(),
            path: Mutex::new(bad.map(str::to_owned)),
        });
        config.keep_free = 0;
        let net = &mut config.net;
        (net.connections, net.attempts, net.damaged_attempts) = (2, 2, 2);
        (net.backoff, net.longest_backoff) = (Duration::from_millis(1), Duration::from_millis(5));
        (net.stall_window, net.stall_bytes) = (Duration::from_millis(250), 100_000);
        config.catalogs = vec![TrustedCatalog { url: self.good.url("/catalog.json"), root: self.app_root.clone() }];
        Store::open(config).unwrap()
    }

    fn ensure(&self, store: &Store, update: bool) -> Result<(), StoreError> {
        let mut options = EnsureOptions::default();
        options.update = update;
        let source = Source::catalog(&self.good.url("/catalog.json"), "m".parse().unwrap()).unwrap();
        store.ensure(source, options).unwrap().wait().map(drop)
    }
}

fn lent_bytes(vfs: &SimVfs, lent: &Lent) -> Vec<u8> {
    let file = vfs.open(lent.file(Role::Weights).unwrap().1, Open::Read).unwrap();
    let mut bytes = vec![0; file.stat().unwrap().len as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn faults() -> Vec<Fault> {
    let to = |url: &str| Fault::Redirect(url.to_owned());
    vec![
        Fault::Truncate(0),
        Fault::Truncate(100),
        Fault::Reset(100),
        Fault::Whole,
        Fault::WrongRange,
        Fault::WrongTotal,
        Fault::OtherEtag,
        Fault::Flip(3),
        Fault::Flip(200),
        Fault::Drip(5000),
        Fault::Silent,
        Fault::Endless,
        to("https://foreign.example/m"),
        to("http://foreign.example/m"),
        to("file:///etc/passwd"),
        Fault::Loop,
        Fault::Status(401, None),
        Fault::Status(404, None),
        Fault::Status(429, Some("0".to_owned())),
        Fault::Status(500, None),
        Fault::Status(503, None),
        Fault::Gzip,
        Fault::NoRange,
        Fault::NoLength,
        Fault::NoEtag,
        Fault::Hangup,
        Fault::Garbage,
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    First,
    Update,
    Repair,
}

/// One case: gives what came of it.
fn survive(world: &World, when: When, path: &str, fault: &Fault, times: u32) -> Result<(), StoreError> {
    let (case, id) = (format!("{when:?} {path} {fault:?} × {times}"), "m".parse().unwrap());
    let vfs = match when {
        When::First => SimVfs::new(),
        When::Update => world.has_one.fork(),
        When::Repair => world.has_two.fork(),
    };
    world.bad.clear();
    world.bad.rule(Rule::new(fault.clone(), Phase::Any).times(times));
    let store = world.open(&vfs, Some(path));
    let outcome = world.ensure(&store, when == When::Update);
    if let Err(error) = &outcome {
        let kind = error.kind();
        let is_typed =
            matches!(kind, ErrorKind::Network { .. } | ErrorKind::Integrity { .. } | ErrorKind::ModelNotFound { .. });
        assert!(is_typed, "{case}: {kind:?}");
    }
    // A release is there whole or not at all, and what was there stays.
    let lent = store.lend(&id, &CancelToken::new(), &|_, _| {});
    match (&outcome, when) {
        (Ok(()), _) => {
            let lent = lent.unwrap();
            let bytes = lent_bytes(&vfs, &lent);
            // Nobody hears of an update whose documents are kept away without an error.
            let expected = if lent.release.number == 2 { &world.two } else { &world.one };
            assert!(bytes == *expected, "{case}");
            assert!(lent.release.number == 2 || when == When::Update, "{case}");
        }
        (Err(_), When::First) => {
            assert!(matches!(lent.unwrap_err().kind(), ErrorKind::ModelNotFound { .. }), "{case}");
            assert!(store.list().unwrap().is_empty(), "{case}");
        }
        (Err(_), _) => {
            let lent = lent.unwrap();
            assert_eq!(lent.release.number, 1, "{case}");
            assert!(lent_bytes(&vfs, &lent) == world.one, "{case}");
        }
    }
    drop(store);
    // The server comes to its senses.
    world.bad.clear();
    let store = world.open(&vfs, Some(path));
    world.ensure(&store, true).unwrap_or_else(|error| panic!("{case}, afterwards: {error}"));
    let lent = store.lend(&id, &CancelToken::new(), &|_, _| {}).unwrap();
    assert_eq!(lent.release.number, 2, "{case}");
    assert!(lent_bytes(&vfs, &lent) == world.two, "{case}");
    outcome
}

/// All faults at one of the paths; gives how many cases there were, and how many of them ended in an error.
fn faults_at(at: usize) -> (u32, u32) {
    let world = World::new(&format!("/store-{at}"));
    let path = &world.paths()[at];
    let is_file = path.starts_with("/files");
    let size = fs::metadata(world.published.path().join(&path[1..])).map_or(0, |file| file.len());
    let (mut cases, mut errors) = (0, 0);
    for fault in faults() {
        for when in [When::First, When::Update, When::Repair] {
            for times in [u32::MAX, 1] {
                let outcome = survive(&world, when, path, &fault, times);
                cases += 1;
                errors += u32::from(outcome.is_err());
                let passes = match fault {
                    Fault::Truncate(_) | Fault::Reset(_) | Fault::Silent | Fault::Hangup | Fault::Garbage => true,
                    Fault::Status(status, _) => status >= 429,
                    _ => false,
                };
                assert!(times != 1 || !passes || outcome.is_ok(), "{when:?} {path} {fault:?}: {outcome:?}");
                // Documents are believed for their signatures, files for their digests.
                let strikes = matches!(fault, Fault::Flip(byte) if byte < size) && (times != 1 || !is_file);
                assert!(!strikes || outcome.is_err(), "{when:?} {path} {fault:?} was believed");
            }
        }
    }
    (cases, errors)
}

#[test]
fn faults_at_every_document_at_every_time() {
    let counts: Vec<(u32, u32)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..5).map(|at| scope.spawn(move || faults_at(at))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("cases and typed errors of root, catalogue, rollout, release, file: {counts:?}");
    assert!(counts.iter().all(|(_, errors)| *errors > 40));
}

/// Who was shown a later catalogue takes no earlier one, also after a restart.
#[test]
fn what_was_accepted_is_remembered_by_the_store() {
    let world = World::new("/store-replay");
    let vfs = world.has_one.fork();
    let documents = ["catalog.json", "rollout.json"].map(|name| world.published.path().join(name));
    let later = documents.clone().map(|path| fs::read(path).unwrap());
    world.ensure(&world.open(&vfs, None), true).unwrap();
    world.publish(3, &world.one);
    let latest = documents.clone().map(|path| fs::read(path).unwrap());
    world.ensure(&world.open(&vfs, None), true).unwrap();
    for replayed in [[&later[0], &later[1]], [&later[0], &latest[1]], [&latest[0], &later[1]]] {
        documents.iter().zip(replayed).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        let error = world.ensure(&world.open(&vfs, None), true).unwrap_err();
        assert!(error.to_string().contains("the oldest that is accepted"), "{error}");
    }
    documents.iter().zip(&latest).for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    world.ensure(&world.open(&vfs, None), true).unwrap();
}
