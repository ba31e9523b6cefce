//! What it takes to install a model and to update it by delta, for real: memory, bytes from the network, and the result.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;
#[path = "support/peak.rs"]
mod peak;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use inkling_models::synth::{self, Quant, SynthOptions};
use inkling_store::store::{EnsureOptions, Store, StoreConfig, TrustedCatalog};
use inkling_store::{Body, Hasher, Request, Response, Role, Source, Transport, TransportError};
use inkling_store_publish::{PublishFile, Roles, init, publish};
use kit::{DAY, key, publication, ring};
use peak::peak;

/// What the issue allows.
const MOST: usize = 64 << 20;

/// The files of a folder, as a server gives them that holds none of them in memory.
struct Folder {
    root: PathBuf,
    sent: Arc<AtomicU64>,
}

struct Part {
    file: File,
    at: u64,
    end: u64,
    sent: Arc<AtomicU64>,
}

impl Body for Part {
    fn read(&mut self, limit: usize) -> Result<Vec<u8>, TransportError> {
        let mut bytes = vec![0; limit.min(64 << 10).min((self.end - self.at) as usize)];
        self.file.read_exact_at(&mut bytes, self.at).unwrap();
        self.at += bytes.len() as u64;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Transport for Folder {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let name = request.url.strip_prefix("https://models.example/").unwrap();
        let answer = |status, headers: Vec<(&str, String)>, part| {
            let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            Ok(Response { status, headers, body: Box::new(part) })
        };
        let Ok(file) = File::open(self.root.join(name)) else {
            let nothing = Part { file: File::open("/dev/null").unwrap(), at: 0, end: 0, sent: Arc::clone(&self.sent) };
            return answer(404, vec![("Content-Length", "0".to_owned())], nothing);
        };
        let size = file.metadata().unwrap().len();
        let range = request.headers.iter().find(|(name, _)| name == "Range").map(|(_, value)| {
            let (from, to) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (from.parse::<u64>().unwrap(), to.parse::<u64>().unwrap())
        });
        let (at, end) = range.map_or((0, size), |(from, to)| (from, (to + 1).min(size)));
        let mut headers = vec![("Content-Length", (end - at).to_string()), ("ETag", "\"1\"".to_owned())];
        if range.is_some() {
            headers.push(("Content-Range", format!("bytes {at}-{}/{size}", end - 1)));
        }
        answer(if range.is_some() { 206 } else { 200 }, headers, Part { file, at, end, sent: Arc::clone(&self.sent) })
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn digest(path: &Path) -> inkling_store::Digest {
    let (file, mut hasher, mut buffer, mut at) = (File::open(path).unwrap(), Hasher::new(), vec![0; 1 << 16], 0);
    loop {
        let got = file.read_at(&mut buffer, at).unwrap();
        if got == 0 {
            return hasher.finish();
        }
        hasher.update(&buffer[..got]);
        at += got as u64;
    }
}

#[test]
fn an_update_takes_little_memory_and_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (served, weights) = (folder.path().join("served"), folder.path().join("m.gguf"));
    let options = SynthOptions { quant: Quant::Q4_0, ..SynthOptions::default() };
    let size = synth::write("smollm2-135m", &options, &weights, &|_| {}).unwrap().bytes;
    assert!(size > MOST as u64, "{size} bytes would show nothing");
    let keys = [key(1)];
    init(&served, &Roles { release: ring(&[1], 1), rollout: None, expires: now() + 1000 * DAY }, &keys).unwrap();
    let publish = |number| {
        let files = vec![PublishFile { role: Role::Weights, path: weights.clone(), required: true }];
        publish(&publication(&served, "m", number, files, &keys, now())).unwrap();
    };
    publish(1);
    let url = "https://models.example/catalog.json".to_owned();
    let sent = Arc::new(AtomicU64::new(0));
    let mut config = StoreConfig::new(folder.path().join("store"));
    config.transport = Arc::new(Folder { root: served.clone(), sent: Arc::clone(&sent) });
    config.keep_free = 0;
    config.catalogs = vec![TrustedCatalog { url: url.clone(), root: fs::read(served.join("root.json")).unwrap() }];
    let store = Store::open(config).unwrap();
    let source = Source::catalog(&url, "m".parse().unwrap()).unwrap();
    let ensure = || {
        let mut options = EnsureOptions::default();
        options.update = true;
        store.ensure(source.clone(), options).unwrap().wait().unwrap();
    };
    let (installing, ()) = peak(ensure);
    assert!(sent.swap(0, Ordering::Relaxed) >= size);

    // As a fine-tune of a few layers: a stretch of other bytes.
    let changed = 5_u64 << 20;
    let file = File::options().read(true).write(true).open(&weights).unwrap();
    let mut bytes = vec![0; changed as usize];
    file.read_exact_at(&mut bytes, size / 3).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    file.write_all_at(&bytes, size / 3).unwrap();
    drop((file, bytes));
    publish(2);
    let (updating, ()) = peak(ensure);
    let fetched = sent.load(Ordering::Relaxed);
    let (loading, lent) =
        peak(|| store.lend(&"m".parse().unwrap(), &inkling_base::CancelToken::new(), &|_, _| {}).unwrap());
    println!(
        "{size} bytes: at most {installing} held while installing, {updating} while updating by a delta of {fetched} bytes, {loading} while it is verified"
    );
    assert_eq!(lent.release.number, 2);
    assert_eq!(digest(lent.file(Role::Weights).unwrap().1), digest(&weights));
    assert!((changed..changed + (3 << 20)).contains(&fetched), "{fetched}");
    assert!([installing, updating, loading].into_iter().all(|peak| peak < MOST));
}
