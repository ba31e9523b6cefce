//! Parts that somebody else fetched: with the last one a model is installed, whoever is awake then, without a network.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/device.rs"]
mod device;
mod kit;
#[path = "support/model.rs"]
mod model;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use device::{id, install, lent_bytes, open, url};
use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::store::{EnsureOptions, HandedOver, Part, Store, StoreConfig, TrustedCatalog};
use inkling_store::{CHUNK, Digest, Disk, ModelId, Role, Source, StoreError, SystemVfs};
use inkling_store_chaos::server::Server;
use inkling_store_publish::{PublishFile, Roles, init, publish};
use kit::{DAY, key, publication, ring};
use model::gguf;
use tempfile::TempDir;

/// Longer than a chunk, so that it is no part of the first.
fn template(seed: u8) -> Vec<u8> {
    vec![b'a' + seed; CHUNK as usize + 7]
}

/// A publisher and its server.
struct Publisher {
    folder: TempDir,
    server: Server,
}

impl Publisher {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let roles = Roles { release: ring(&[1], 1), rollout: None, expires: now() + 1000 * DAY };
        init(folder.path(), &roles, &[key(1)]).unwrap();
        let server = Server::of_folder(folder.path(), 0).unwrap();
        Self { folder, server }
    }

    /// A release of weights and a template that need not be there.
    fn publish(&self, model: &str, number: u64, weights: &[u8], template: &[u8]) {
        let sources = TempDir::new().unwrap();
        let file = |role, name: &str, bytes: &[u8], required| {
            let path = sources.path().join(name);
            fs::write(&path, bytes).unwrap();
            PublishFile { role, path, required }
        };
        let files = vec![
            file(Role::Weights, "weights.gguf", weights, true),
            file(Role::Template, "chat.jinja", template, false),
        ];
        publish(&publication(self.folder.path(), model, number, files, &[key(1)], now())).unwrap();
    }

    fn source(&self, model: &str) -> Source {
        Source::catalog(&self.server.url("/catalog.json"), id(model)).unwrap()
    }

    fn trusted(&self) -> TrustedCatalog {
        let root = fs::read(self.folder.path().join("root.json")).unwrap();
        TrustedCatalog { url: self.server.url("/catalog.json"), root }
    }

    fn config(&self, folder: &Path) -> StoreConfig {
        let mut config = device::config(folder);
        (config.catalogs, config.only_signed) = (vec![self.trusted()], true);
        config
    }

    /// A store of a process that the system woke: nobody answers.
    fn asleep(&self, folder: &Path) -> Store {
        let mut config = StoreConfig::new(folder);
        (config.catalogs, config.only_signed, config.keep_free) = (vec![self.trusted()], true, 0);
        Store::open(config).unwrap()
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn options(update: bool) -> EnsureOptions {
    let mut options = EnsureOptions::default();
    options.update = update;
    options
}

/// Hands over what a part would have brought of the file that these bytes are.
fn hand_over(store: &Store, part: &Part, files: &[&[u8]]) -> Result<HandedOver, StoreError> {
    let folder = TempDir::new().unwrap();
    let bytes = files.iter().find(|bytes| Digest::of(bytes) == part.file).unwrap();
    let path = folder.path().join("part");
    fs::write(&path, &bytes[part.from as usize..(part.from + part.length) as usize]).unwrap();
    store.hand_over(&part.file, part.from, &path)
}

fn installed(store: &Store) -> Vec<(String, u64)> {
    store.list().unwrap().into_iter().map(|model| (model.id.to_string(), model.release)).collect()
}

#[test]
fn the_last_part_installs_the_model_wherever_it_comes() {
    let (publisher, weights, template) = (Publisher::new(), gguf(3 * CHUNK, 1), template(1));
    publisher.publish("m", 1, &weights, &template);
    for backwards in [false, true] {
        let device = TempDir::new().unwrap();
        let store = Store::open(publisher.config(device.path())).unwrap();
        let mut parts = store.segments(publisher.source("m"), &options(false), CHUNK).unwrap().parts;
        drop(store);
        if backwards {
            parts.reverse();
        }
        for (at, part) in parts.iter().enumerate() {
            // The app was ended before each.
            let store = publisher.asleep(device.path());
            let handed = hand_over(&store, part, &[&weights, &template]).unwrap();
            let is_last = at + 1 == parts.len();
            assert_eq!((handed.bytes, handed.installed), (part.length, Vec::from_iter(is_last.then(|| id("m")))));
            assert_eq!(installed(&store).len(), usize::from(is_last), "{at}");
        }
        let store = publisher.asleep(device.path());
        assert_eq!(installed(&store), [("m".to_owned(), 1)]);
        assert!(store.list().unwrap()[0].complete && store.list().unwrap()[0].on_trial);
        assert_eq!(lent_bytes(&store, &id("m")), weights);
        assert_eq!(install(&store, publisher.source("m")), id("m"));
        assert_eq!(store.usage().unwrap().staging, 0);
        assert!(matches!(hand_over(&store, &parts[0], &[&weights, &template]), Err(StoreError::NotFound { .. })));
    }
}

/// The app was ended between the last byte and the installation: it need not ask anybody for what it has.
#[test]
fn what_came_is_installed_without_a_network() {
    let (publisher, weights, template) = (Publisher::new(), gguf(3 * CHUNK, 1), template(1));
    publisher.publish("m", 1, &weights, &template);
    for asks_for_segments in [false, true] {
        let device = TempDir::new().unwrap();
        let store = Store::open(publisher.config(device.path())).unwrap();
        let parts = store.segments(publisher.source("m"), &options(false), 9 * CHUNK).unwrap().parts;
        drop(store);
        let disk = Disk::open(Arc::new(SystemVfs), device.path()).unwrap();
        for part in &parts {
            let path = device.path().join("part");
            let bytes = [&weights, &template].into_iter().find(|bytes| Digest::of(bytes) == part.file).unwrap();
            fs::write(&path, bytes).unwrap();
            let staging = disk.resume(&part.file).unwrap().unwrap();
            staging.put_file(&path, 0, &CancelToken::new(), &mut |_| {}).unwrap();
        }
        drop(disk);
        let store = publisher.asleep(device.path());
        assert_eq!(installed(&store), []);
        if asks_for_segments {
            assert_eq!(store.segments(publisher.source("m"), &options(false), CHUNK).unwrap().parts, []);
        } else {
            assert_eq!(install(&store, publisher.source("m")), id("m"));
        }
        assert_eq!(installed(&store), [("m".to_owned(), 1)]);
        assert_eq!((lent_bytes(&store, &id("m")), store.usage().unwrap().staging), (weights.clone(), 0));
    }
}

#[test]
fn a_file_with_nothing_but_its_digest_too() {
    let (device, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(2 * CHUNK + 5, 2));
    let source = url(&server, "/m.gguf", &bytes);
    let parts = open(device.path()).segments(source.clone(), &options(false), CHUNK).unwrap().parts;
    // One that is wrong: nothing is installed, and the download says why or sees to it.
    let wrong = vec![0; bytes.len()];
    for part in &parts {
        let path = device.path().join("part");
        fs::write(&path, &wrong[..part.length as usize]).unwrap();
        let handed = open(device.path()).hand_over(&part.file, part.from, &path).unwrap();
        assert_eq!((handed.bytes, handed.installed), (part.length, vec![]));
    }
    assert_eq!(installed(&open(device.path())), []);
    for part in &parts {
        assert_eq!(hand_over(&open(device.path()), part, &[&bytes]).unwrap().bytes, part.length);
    }
    let store = open(device.path());
    assert_eq!(installed(&store), [("m".to_owned(), 1)]);
    assert_eq!(lent_bytes(&store, &id("m")), bytes);
    assert_eq!(server.total().requests, 0);
}

#[test]
fn an_update_comes_the_same_way_and_an_older_one_does_not() {
    let (publisher, device) = (Publisher::new(), TempDir::new().unwrap());
    let releases = [1, 2, 3].map(|number| gguf(2 * CHUNK, number));
    let template = template(1);
    publisher.publish("m", 1, &releases[0], &template);
    let store = Store::open(publisher.config(device.path())).unwrap();
    install(&store, publisher.source("m"));
    publisher.publish("m", 2, &releases[1], &template);
    let second = store.segments(publisher.source("m"), &options(true), 9 * CHUNK).unwrap().parts;
    publisher.publish("m", 3, &releases[2], &template);
    let third = store.segments(publisher.source("m"), &options(true), 9 * CHUNK).unwrap().parts;
    drop(store);
    // Of the model itself only: the template was there.
    assert_eq!((second.len(), third.len()), (1, 1));
    let store = publisher.asleep(device.path());
    let files = [&releases[1][..], &releases[2][..]];
    assert_eq!(hand_over(&store, &third[0], &files).unwrap().installed, [id("m")]);
    assert_eq!(installed(&store), [("m".to_owned(), 3)]);
    assert_eq!(hand_over(&store, &second[0], &files).unwrap().installed, []);
    assert_eq!(installed(&store), [("m".to_owned(), 3)]);
    assert_eq!(lent_bytes(&store, &id("m")), releases[2]);
}

/// What is there is not asked for again by those who want no update.
#[test]
fn no_update_comes_unasked() {
    let (publisher, device, template) = (Publisher::new(), TempDir::new().unwrap(), template(1));
    publisher.publish("m", 1, &gguf(CHUNK, 1), &template);
    let store = Store::open(publisher.config(device.path())).unwrap();
    install(&store, publisher.source("m"));
    publisher.publish("m", 2, &gguf(CHUNK, 2), &template);
    let before = publisher.server.total().requests;
    assert_eq!(store.segments(publisher.source("m"), &options(false), CHUNK).unwrap().parts, []);
    assert_eq!(publisher.server.total().requests, before);
    assert_ne!(store.segments(publisher.source("m"), &options(true), CHUNK).unwrap().parts, []);
}

#[test]
fn a_file_for_two_models_installs_both() {
    let (publisher, device) = (Publisher::new(), TempDir::new().unwrap());
    let (one, two, template) = (gguf(CHUNK, 1), gguf(CHUNK, 2), template(1));
    publisher.publish("one", 1, &one, &template);
    publisher.publish("two", 1, &two, &template);
    let store = Store::open(publisher.config(device.path())).unwrap();
    let mut parts = Vec::new();
    for model in ["one", "two"] {
        parts.extend(store.segments(publisher.source(model), &options(false), 9 * CHUNK).unwrap().parts);
    }
    drop(store);
    let store = publisher.asleep(device.path());
    let (shared, own): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.file == Digest::of(&template));
    for part in own {
        assert_eq!(hand_over(&store, part, &[&one, &two]).unwrap().installed, Vec::<ModelId>::new());
    }
    assert_eq!(hand_over(&store, shared[0], &[&template]).unwrap().installed, [id("one"), id("two")]);
    assert_eq!(installed(&store), [("one".to_owned(), 1), ("two".to_owned(), 1)]);
}

/// Otherwise it would be back by itself as soon as the system has the rest.
#[test]
fn what_was_removed_does_not_come_back() {
    let (device, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(2 * CHUNK, 3));
    let (store, source) = (open(device.path()), url(&server, "/m.gguf", &bytes));
    let parts = store.segments(source, &options(false), CHUNK).unwrap().parts;
    hand_over(&store, &parts[0], &[&bytes]).unwrap();
    store.remove(&id("m")).unwrap();
    assert!(matches!(hand_over(&store, &parts[1], &[&bytes]), Err(StoreError::NotFound { .. })));
    assert_eq!((installed(&store), store.usage().unwrap().total), (vec![], 0));
    assert!(store.remove(&id("m")).is_err());
}

/// Nobody fetches the rest: the room is for others, and what comes all the same installs nothing.
#[test]
fn what_was_called_off_gives_way() {
    let (device, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(2 * CHUNK, 3));
    let mut config = device::config(device.path());
    config.budget = Some(5 * CHUNK);
    let store = Store::open(config).unwrap();
    let source = url(&server, "/m.gguf", &bytes);
    server.add("/m.gguf", bytes.clone());
    let parts = store.segments(source.clone(), &options(false), CHUNK).unwrap().parts;
    let (last, first) = parts.split_last().unwrap();
    for part in first {
        hand_over(&store, part, &[&bytes]).unwrap();
    }
    store.call_off(&id("m")).unwrap();
    assert_eq!(hand_over(&store, last, &[&bytes]).unwrap(), HandedOver { bytes: last.length, installed: vec![] });
    assert_eq!((installed(&store), server.count("/m.gguf").bytes), (vec![], 0));
    install(&store, source);
    assert_eq!(server.count("/m.gguf").bytes, 0, "what has come stays for the next download");

    store.remove(&id("m")).unwrap();
    let parts = store.segments(url(&server, "/m.gguf", &bytes), &options(false), CHUNK).unwrap().parts;
    store.call_off(&id("m")).unwrap();
    store.call_off(&id("m")).unwrap();
    for (name, seed) in [("/one.gguf", 1), ("/two.gguf", 2)] {
        let bytes = gguf(2 * CHUNK, seed);
        server.add(name, bytes.clone());
        install(&store, url(&server, name, &bytes));
    }
    assert_eq!(installed(&store), [("one".to_owned(), 1), ("two".to_owned(), 1)]);
    assert!(matches!(hand_over(&store, &parts[0], &[&bytes]), Err(StoreError::NotFound { .. })));
}

/// A store that takes signed models only since the last start takes no other one, whenever it was asked for.
#[test]
fn who_became_stricter_meanwhile_is_heard() {
    let (device, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(CHUNK, 4));
    let parts =
        open(device.path()).segments(url(&server, "/m.gguf", &bytes), &options(false), 9 * CHUNK).unwrap().parts;
    let mut config = device::config(device.path());
    config.only_signed = true;
    let store = Store::open(config).unwrap();
    assert_eq!(hand_over(&store, &parts[0], &[&bytes]).unwrap().installed, []);
    assert_eq!(installed(&store), []);
}

/// What the engine cannot use is not installed; the download has the words for it.
#[test]
fn what_cannot_be_used_is_not_installed() {
    let (device, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let bytes = vec![7; CHUNK as usize];
    server.add("/m.gguf", bytes.clone());
    let (store, source) = (open(device.path()), url(&server, "/m.gguf", &bytes));
    let parts = store.segments(source.clone(), &options(false), 9 * CHUNK).unwrap().parts;
    assert_eq!(hand_over(&store, &parts[0], &[&bytes]).unwrap().installed, []);
    assert_eq!(installed(&store), []);
    let error = store.ensure(source, options(false)).unwrap().wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ModelCorrupt { .. }), "{error}");
}

/// Several files are handed over at the same time: one after another, none is refused.
#[test]
fn several_at_a_time() {
    let (device, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(12 * CHUNK, 5));
    let store = Arc::new(open(device.path()));
    let parts = store.segments(url(&server, "/m.gguf", &bytes), &options(false), CHUNK).unwrap().parts;
    let installed = std::thread::scope(|scope| {
        let one = |part| {
            scope.spawn({
                let (store, bytes) = (&store, &bytes);
                move || hand_over(store, part, &[bytes]).unwrap()
            })
        };
        let threads: Vec<_> = parts.iter().map(one).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap().installed).collect::<Vec<_>>()
    });
    assert_eq!(installed, [id("m")]);
}
