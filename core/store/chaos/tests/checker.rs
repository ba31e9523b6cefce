//! The checker of the kill loop sees what it is there to see: each kind of harm is done once to a sound store.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig, TrustedCatalog};
use inkling_store::{Digest, Source};
use inkling_store_chaos::disk::Random;
use inkling_store_chaos::kill::damage::Damage;
use inkling_store_chaos::kill::look::{self, Compared, Seen};
use inkling_store_chaos::kill::models::Models;
use inkling_store_chaos::kill::opened::Opened;
use inkling_store_chaos::kill::words;
use inkling_store_chaos::server::Server;
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    server: Server,
    models: Models,
    root: Vec<u8>,
    damage: Damage,
    compared: Compared,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let models = Models::make(folder.path(), &[1_300_000], &[2 << 20, 1 << 20], 1).unwrap();
        let server = Server::of_folder(&models.catalog.folder, 0).unwrap();
        models.serve(&server);
        let root = fs::read(models.catalog.folder.join("root/1.json")).unwrap();
        Self { folder, server, models, root, damage: Damage::default(), compared: Compared::default() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn base(&self) -> PathBuf {
        self.store().join("v1")
    }

    /// Installs or updates everything.
    fn install(&self) {
        let mut config = StoreConfig::new(self.store());
        let url = self.server.url("/catalog.json");
        config.transport = Arc::new(HttpTransport::default());
        config.net.hub = self.server.base();
        config.catalogs.push(TrustedCatalog { url, root: self.root.clone() });
        let store = Store::open(config).unwrap();
        for line in self.models.list(&self.server, self.folder.path()).unwrap().lines() {
            let Some(source) = line.strip_prefix("source ") else { continue };
            let mut options = EnsureOptions::default();
            options.update = true;
            store.ensure(source.parse::<Source>().unwrap(), options).unwrap().wait().unwrap();
        }
    }

    fn look(&mut self) -> Result<Seen, String> {
        look::at(&self.base(), &self.models, &mut self.damage, &mut self.compared)
    }

    fn open(&self) -> Opened {
        Opened::open(&self.store(), &self.server.url("/catalog.json"), &self.root, &Arc::default()).unwrap()
    }

    /// The weights of the signed model, and where they are.
    fn object(&self) -> (Digest, PathBuf) {
        let digest = self.models.catalog.models[0].weights;
        (digest, self.base().join("objects").join(digest.to_string()))
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[77_777] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn harm_is_seen_and_repair_is() {
    let mut bench = Bench::new();
    bench.install();
    let seen = bench.look().unwrap();
    // Of the signed release the weights, the template, the adapter; of the sealed one no adapter.
    assert_eq!((seen.slots.len(), seen.objects, seen.compared), (4, 7, 7));
    assert_eq!(bench.open().load_all(&seen, &bench.damage), Ok(4));
    assert_eq!(bench.look().unwrap().objects, 7);

    let (digest, path) = bench.object();
    let right = fs::read(&path).unwrap();
    flip(&path);
    assert!(bench.look().unwrap_err().contains("other bytes"));
    assert!(bench.open().load_all(&seen, &bench.damage).unwrap_err().contains("does not load"));
    fs::write(&path, &right[..right.len() - 1]).unwrap();
    assert!(bench.look().unwrap_err().contains("other bytes"));
    fs::rename(&path, bench.base().join("objects/half")).unwrap();
    assert!(bench.look().unwrap_err().contains("objects holds half"));
    fs::remove_file(bench.base().join("objects/half")).unwrap();
    assert!(bench.look().unwrap_err().contains("not there"));
    fs::write(&path, &right).unwrap();
    bench.look().unwrap();

    // What the parent does itself is no fault of the store's, but one bit more is.
    let known = bench.models.files[&digest].clone();
    bench.damage.hurt(&path, digest, &known, &mut Random::new(3)).unwrap();
    let seen = bench.look().unwrap();
    assert_eq!(bench.open().load_all(&seen, &bench.damage), Ok(3));
    flip(&path);
    bench.look().unwrap_err();
    fs::write(&path, &right).unwrap();
    bench.look().unwrap();
    assert_eq!((bench.damage.done, bench.damage.repaired), (1, 1));
}

#[test]
fn an_update_fetches_little_and_nothing_is_forgotten() {
    let mut bench = Bench::new();
    bench.install();
    let before = bench.look().unwrap();
    let trust = bench.base().join("trust");
    let kept: Vec<_> = fs::read_dir(&trust).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<_> = kept.into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    while !(bench.models.catalog.models[0].for_all && bench.models.catalog.models[0].number > 1) {
        bench.models.release(0, &before.stored).unwrap();
    }
    let weights = bench.models.files[&bench.models.catalog.models[0].weights].clone();
    assert_eq!(bench.open().undisturbed("signed-0").unwrap(), bench.models.catalog.models[0].number);
    let fetched = bench.server.count(&weights.path).bytes;
    assert!(fetched > 0 && fetched < weights.bytes.len() as u64 / 4, "{fetched}");
    // That was in memory.
    assert_eq!(bench.look().unwrap().trust, before.trust);
    bench.install();
    let after = bench.look().unwrap();
    words::is_no_older(&before, &after).unwrap();
    let history = bench.models.catalog.history.clone();
    assert_eq!(bench.open().replay(&history, &after, &mut Random::new(1)), Ok(true));
    for (bytes, path) in kept {
        fs::write(path, bytes).unwrap();
    }
    let forgot = bench.look().unwrap();
    words::is_no_older(&after, &forgot).unwrap_err();
    // For a store that has forgotten them, the old documents of then are the newest.
    let told = bench.open().replay(&history, &after, &mut Random::new(1));
    assert!(told.unwrap_err().contains("older catalogue"));
}

#[test]
fn words_must_be_true() {
    let mut bench = Bench::new();
    bench.install();
    let seen = bench.look().unwrap();
    let said = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words::confirmed(&words, &seen, &bench.models)
    };
    said(&["begin ensure signed-0", "ready signed-0", "done", "begin pin model-0", "pinned model-0 false"]).unwrap();
    said(&["pinned model-0 true"]).unwrap_err();
    said(&["pinned model-0 true", "begin pin model-0"]).unwrap();
    said(&["ready model-7"]).unwrap_err();
    said(&["ready model-7", "begin gc model-0"]).unwrap();
    said(&["removed model-0"]).unwrap_err();
    said(&["rolled signed-0 1"]).unwrap();
    said(&["rolled signed-0 9"]).unwrap_err();
    let judge = |word: &str, hurt: bool, replayed| words::judge(&[word.to_owned()], &|_| hurt, replayed);
    judge("broken model-0: x", true, None).unwrap_err();
    judge("damaged model-0 x", false, None).unwrap_err();
    judge("damaged model-0 x", true, None).unwrap();
    judge("untrusted signed-0 x", false, None).unwrap_err();
    assert_eq!(judge("untrusted signed-0 x", false, Some(true)), Ok(1));
    let words = ["begin update signed-0", "ready signed-0"].map(str::to_owned);
    words::judge(&words, &|_| false, Some(true)).unwrap_err();
    words::judge(&words, &|_| false, None).unwrap();
}
