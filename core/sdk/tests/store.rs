//! Models from the store, loaded and asked: releases that prove themselves, releases that are no good, encrypted ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling::developer::open_store;
use inkling::store::{
    DownloadEvent, EnsureOptions, Fit, ModelId, ModelStore, Short, Source, StoreLoad, StoreOptions, Why,
};
use inkling::{
    CancelToken, CompletionPrompt, Engine, EngineConfig, ErrorKind, GenerationOptions, KvType, LoadOptions, Model,
    ModelSource, SessionConfig, Signals, WeightCache,
};
use inkling_store::manifest::{Keyring, SecretKey};
use inkling_store::seal::KeyProvider;
use inkling_store::{CHUNK, Golden, Role, StoreError};
use inkling_store_chaos::disk::FailingVfs;
use inkling_store_chaos::server::Server;
use inkling_store_publish::{Publication, PublishFile, Roles, init, publish};
use tempfile::TempDir;
use zeroize::Zeroizing;

const YEAR: u64 = 365 * 24 * 3600;

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/inkling-demo.gguf")
}

fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn engine() -> Engine {
    Engine::new(EngineConfig::default()).unwrap()
}

fn answer(model: &Model, prompt: &str, tokens: usize) -> Vec<u32> {
    let options = GenerationOptions::default().greedy().max_tokens(tokens);
    model.complete(CompletionPrompt::Text(prompt.to_owned()), options).unwrap().collect().unwrap().stats.tokens
}

fn golden() -> Golden {
    let mut options = LoadOptions::default();
    options.weight_cache = Some(WeightCache::Off);
    let model = engine().load(ModelSource::file(demo()), options, |_| {}).unwrap();
    let prompt = "Good morning".to_owned();
    Golden { tokens: answer(&model, &prompt, 6), prompt }
}

struct OneKey;

impl KeyProvider for OneKey {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

/// A publisher with a folder on a server.
struct Publisher {
    folder: TempDir,
    server: Server,
    key: SecretKey,
}

impl Publisher {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let key = SecretKey::generate().unwrap();
        let release = Keyring { keys: vec![key.public()], threshold: 1 };
        let roles = Roles { release, rollout: None, expires: now() + YEAR };
        init(folder.path(), &roles, std::slice::from_ref(&key)).unwrap();
        let server = Server::of_folder(folder.path(), 0).unwrap();
        Self { folder, server, key }
    }

    fn publish(&self, number: u64, file: &Path, golden: Vec<Golden>, least_speed: f64, sealed: bool) {
        let keys = std::slice::from_ref(&self.key);
        publish(&Publication {
            folder: self.folder.path(),
            model: id("demo"),
            number,
            files: vec![PublishFile { role: Role::Weights, path: file.to_owned(), required: true }],
            floor: 0,
            ram_min: 0,
            sdk_min: String::new(),
            golden,
            least_speed,
            seal: sealed.then_some(("a-key", &OneKey as &dyn KeyProvider)),
            keys,
            basis_points: 10_000,
            catalog_expires: now() + YEAR,
            rollout_expires: now() + YEAR,
            now: now(),
        })
        .unwrap();
    }

    fn url(&self) -> String {
        self.server.url("/catalog.json")
    }

    fn store(&self, folder: &Path) -> StoreOptions {
        let root = fs::read(self.folder.path().join("root.json")).unwrap();
        StoreOptions::new(folder).catalog(self.url(), root).only_signed().keep_free(0)
    }

    fn update(&self, store: &ModelStore) -> Result<ModelId, inkling::Error> {
        let mut options = EnsureOptions::default();
        options.update = true;
        store.ensure(Source::catalog(&self.url(), id("demo")).unwrap(), options)?.wait()
    }
}

/// The demo model under another name.
fn renamed(folder: &Path) -> PathBuf {
    let mut bytes = fs::read(demo()).unwrap();
    let key = b"general.name";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    // Key, type (4 bytes), length (8 bytes), text.
    let text = at + key.len() + 12;
    bytes[text] = if bytes[text] == b'X' { b'Y' } else { b'X' };
    let path = folder.join("renamed.gguf");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn releases_prove_themselves_and_bad_ones_are_given_up() {
    let (publisher, folder) = (Publisher::new(), TempDir::new().unwrap());
    let store = ModelStore::open(publisher.store(&folder.path().join("store"))).unwrap();
    let (engine, demo_id) = (engine(), id("demo"));
    publisher.publish(1, &demo(), vec![golden()], 0.0, false);
    publisher.update(&store).unwrap();
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    assert_eq!((loaded.release, loaded.on_trial, loaded.given_up.len()), (1, true, 0));
    let session = loaded.model.session(SessionConfig::default()).unwrap();
    for turn in 0..5 {
        assert!(store.list().unwrap()[0].on_trial, "{turn}");
        session.respond("Translate to German: hello", GenerationOptions::default().max_tokens(3)).unwrap();
    }
    assert!(!store.list().unwrap()[0].on_trial);
    // What is packed lies in the store, and the file stays while it is used.
    assert!(store.usage().unwrap().objects[0].panels > 0);
    assert!(matches!(store.remove(&demo_id).unwrap_err().kind(), ErrorKind::Busy { .. }));
    drop((session, loaded));

    let before = publisher.server.total().bytes;
    let mut wrong = golden();
    wrong.tokens[3] ^= 1;
    let other = renamed(folder.path());
    publisher.publish(2, &other, vec![wrong], 0.0, false);
    publisher.update(&store).unwrap();
    let fetched = publisher.server.total().bytes - before;
    assert!(fetched < 2 * CHUNK, "a delta of {fetched} bytes");
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    let given_up = &loaded.given_up[0];
    let fell_back = given_up.release.unwrap();
    assert_eq!((loaded.release, &given_up.id, fell_back.from, fell_back.why), (1, &demo_id, 2, Why::WrongGolden));
    assert!(given_up.why.contains("golden prompt 0: token 3"), "{given_up:?}");

    // Once.
    drop(loaded);
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    assert_eq!((loaded.release, loaded.given_up.len()), (1, 0));

    publisher.publish(3, &other, vec![golden()], 1e9, false);
    publisher.update(&store).unwrap();
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    assert_eq!((loaded.release, loaded.given_up[0].release.unwrap().why), (1, Why::TooSlow));

    publisher.publish(4, &other, vec![golden()], 0.001, false);
    publisher.update(&store).unwrap();
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    assert_eq!((loaded.release, loaded.on_trial), (4, true));
    drop(loaded);
    assert_eq!(store.rollback(&demo_id).unwrap(), 1);
    let loaded = store.load(&engine, &demo_id, LoadOptions::default(), |_| {}).unwrap();
    assert_eq!((loaded.release, loaded.on_trial), (1, false));
}

#[test]
fn a_smaller_model_takes_the_place_of_one_that_cannot_be_used() {
    let folder = TempDir::new().unwrap();
    let store = ModelStore::open(StoreOptions::new(folder.path().join("store")).keep_free(0)).unwrap();
    let (large, small) = (folder.path().join("large.gguf"), folder.path().join("small.gguf"));
    fs::copy(renamed(folder.path()), &large).unwrap();
    fs::copy(demo(), &small).unwrap();
    for path in [&large, &small] {
        store.ensure(Source::file(path).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    }
    let objects = folder.path().join("store/v1/objects");
    let digest = inkling_store::Digest::of(&fs::read(&large).unwrap()).to_string();
    let mut bytes = fs::read(objects.join(&digest)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(objects.join(&digest), bytes).unwrap();
    let load =
        StoreLoad { id: id("large"), alternatives: vec![id("none"), id("small")], options: LoadOptions::default() };
    let loaded = store.load_cancellable(&engine(), &load, &CancelToken::new(), |_| {}).unwrap();
    assert_eq!(loaded.id, id("small"));
    let words = |model: &str| loaded.given_up.iter().find(|g| g.id == id(model)).map(|g| g.why.as_str()).unwrap_or("");
    assert!(words("large").contains("damaged") && words("none").contains("no model at"), "{:?}", loaded.given_up);
    assert_eq!(answer(&loaded.model, "Hello", 3).len(), 3);
    assert!(matches!(store.remove(&id("small")).unwrap_err().kind(), ErrorKind::Busy { .. }));
    // A closed model reads nothing any more, though somebody still holds it.
    loaded.model.close();
    store.remove(&id("small")).unwrap();
    // Asking for it again repairs it.
    store.ensure(Source::file(&large).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    let loaded = store.load_cancellable(&engine(), &load, &CancelToken::new(), |_| {}).unwrap();
    assert_eq!(loaded.id, id("large"));
}

#[test]
fn a_smaller_model_takes_the_place_of_one_that_the_disk_cannot_read() {
    let (folder, disk) = (TempDir::new().unwrap(), Arc::new(FailingVfs::default()));
    let options = StoreOptions::new(folder.path().join("store")).keep_free(0);
    let store = open_store(options, disk.clone()).unwrap();
    let (large, small) = (folder.path().join("large.gguf"), folder.path().join("small.gguf"));
    fs::copy(renamed(folder.path()), &large).unwrap();
    fs::copy(demo(), &small).unwrap();
    for path in [&large, &small] {
        store.ensure(Source::file(path).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    }
    let digest = inkling_store::Digest::of(&fs::read(&large).unwrap()).to_string();
    disk.hook().read(Some(folder.path().join("store/v1/objects").join(&digest)));
    let load = StoreLoad { id: id("large"), alternatives: vec![id("small")], options: LoadOptions::default() };
    let loaded = store.load_cancellable(&engine(), &load, &CancelToken::new(), |_| {}).unwrap();
    assert_eq!(loaded.id, id("small"));
    let told: Vec<_> = loaded.given_up.iter().map(|given_up| &given_up.id).collect();
    assert!(told.contains(&&id("large")), "{:?}", loaded.given_up);
    assert!(
        loaded.given_up.iter().any(|given_up| given_up.why.contains("damaged at chunk 0")),
        "{:?}",
        loaded.given_up
    );
    assert_eq!(answer(&loaded.model, "Hello", 3).len(), 3);
    // Whoever asks for it gets it again, on another place of the disk; the bad place stays out of the way.
    assert!(!store.list().unwrap().iter().any(|model| model.id == id("large") && model.complete));
    let quarantine = folder.path().join("store/v1/quarantine").join(&digest);
    disk.hook().read(Some(quarantine));
    store.ensure(Source::file(&large).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    let loaded = store.load_cancellable(&engine(), &load, &CancelToken::new(), |_| {}).unwrap();
    assert_eq!(loaded.id, id("large"));
}

#[test]
fn encrypted_models_need_their_key_and_nothing_of_them_is_on_the_disk() {
    let (publisher, folder) = (Publisher::new(), TempDir::new().unwrap());
    publisher.publish(1, &demo(), vec![golden()], 0.0, true);
    let root = folder.path().join("store");
    let open = |key: Option<[u8; 32]>| {
        let options = publisher.store(&root);
        ModelStore::open(match key {
            Some(key) => options.keys(move |_| Ok(key)),
            None => options,
        })
        .unwrap()
    };
    publisher.update(&open(None)).unwrap();
    for (key, field) in [(None, "keys"), (Some([8; 32]), "key")] {
        let error = open(key).load(&engine(), &id("demo"), LoadOptions::default(), |_| {}).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidInput { field: found, .. } if found == field), "{error}");
    }
    let store = open(Some([7; 32]));
    let loaded = store.load(&engine(), &id("demo"), LoadOptions::default(), |_| {}).unwrap();
    let expected = golden();
    assert_eq!(answer(&loaded.model, &expected.prompt, 6), expected.tokens);
    let plain = fs::read(demo()).unwrap();
    let needle = &plain[plain.len() / 2..plain.len() / 2 + 64];
    for entry in walk(&root) {
        let bytes = fs::read(&entry).unwrap();
        assert!(!bytes.windows(64).any(|window| window == needle), "{}", entry.display());
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[derive(Debug)]
struct Memory(u64);

impl Signals for Memory {
    fn free_memory(&self) -> Option<u64> {
        Some(self.0)
    }
}

#[test]
fn what_fits_is_known_before_it_is_fetched() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let bytes = fs::read(demo()).unwrap();
    server.add_hub("o/r", "demo.gguf", "main", None, bytes.clone());
    let net = inkling::store::NetOptions { hub: server.base(), ..Default::default() };
    let store = ModelStore::open(StoreOptions::new(folder.path().join("store")).net(net).keep_free(0)).unwrap();
    let source: Source = "o/r/demo.gguf".parse().unwrap();
    let fit = |memory: u64| {
        let engine = Engine::new(EngineConfig::default().signals(Arc::new(Memory(memory)))).unwrap();
        store.fit(&engine, &source, None, KvType::F16).unwrap()
    };
    let Fit::Yes { need_bytes, have_bytes, download_bytes } = fit(8 << 30) else { panic!("{:?}", fit(8 << 30)) };
    assert_eq!((have_bytes, download_bytes), (Some(8 << 30), bytes.len() as u64));
    assert!(need_bytes > bytes.len() as u64 / 2);
    // Only the beginning was fetched, of 4 MB.
    let fetched = || server.count(&format!("/cdn/{}", inkling_store::Digest::of(&bytes))).bytes;
    assert!((100_000..=1 << 20).contains(&fetched()), "{}", fetched());
    let Fit::No { what: Short::Memory, need_bytes: same, have_bytes: 1000, suggestion } = fit(1000) else { panic!() };
    assert_eq!((same, suggestion.as_str()), (need_bytes, "choose a smaller model"));
    assert!(matches!(fit(need_bytes), Fit::Yes { .. }) && matches!(fit(need_bytes - 1), Fit::No { .. }));
    assert!(fetched() <= 6 << 20, "{}", fetched());
    // The store is as it was.
    assert!(store.list().unwrap().is_empty() && store.usage().unwrap().total == 0);
    let mut download = store.ensure(source, EnsureOptions::default()).unwrap();
    let mut ready = false;
    while let Some(event) = download.next().unwrap() {
        ready |= matches!(event, DownloadEvent::Ready(_));
    }
    assert!(ready);
}
