//! Room: what is asked for before a download, what goes for it, and the numbers that are told when it is not enough.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/model.rs"]
mod model;
#[path = "support/simulated.rs"]
mod simulated;

use std::io;
use std::path::Path;
use std::sync::Arc;

use inkling_base::{Classify, ErrorKind};
use inkling_store::disk::{Awaited, Settings};
use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig};
use inkling_store::{CHUNK, Digest, Disk, DownloadEvent, FilePlan, Landing, ModelId, Release, Source, StoreError};
use inkling_store_chaos::disk::{Random, SimVfs};
use inkling_store_chaos::server::Server;
use model::gguf;
use simulated::{file, ids};
use tempfile::TempDir;

const KEEP_FREE: u64 = 10_000;
const ROOT: &str = "/store";

fn disk(vfs: &SimVfs) -> Disk {
    let settings = Settings { keep_free: KEEP_FREE, hash_ahead: false, ..Settings::default() };
    Disk::open_with(Arc::new(vfs.clone()), Path::new(ROOT), settings).unwrap()
}

/// A store on the simulated disk, which takes any file for a model.
fn store(vfs: &SimVfs) -> Store {
    let mut config = StoreConfig::new(ROOT);
    (config.vfs, config.keep_free) = (Arc::new(vfs.clone()), KEEP_FREE);
    config.inspector = Arc::new(|_, _| Ok(()));
    Store::open(config).unwrap()
}

fn ensure(store: &Store, source: Source) -> Result<ModelId, StoreError> {
    store.ensure(source, EnsureOptions::default()).unwrap().wait()
}

/// Why somebody else fetches a file.
fn awaited() -> Awaited {
    let release: Release = serde_json::from_str(r#"{ "number": 1, "files": [] }"#).unwrap();
    Awaited { id: "m".parse().unwrap(), source: "".into(), insist: false, release }
}

/// The first chunk of a file arrives, and nobody goes on with it.
fn begin(vfs: &SimVfs, bytes: &[u8]) {
    let disk = disk(vfs);
    let staging = disk.stage(&FilePlan::plain(Digest::of(bytes), bytes.len() as u64)).unwrap();
    staging.put(0, &bytes[..CHUNK as usize]).unwrap();
    staging.checkpoint().unwrap();
}

#[test]
fn what_others_will_still_take_is_not_there() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(1));
    let disk = disk(&vfs);
    let (one, two) = (random.bytes(2 * CHUNK as usize), random.bytes(CHUNK as usize));
    let plan = |bytes: &[u8]| FilePlan::plain(Digest::of(bytes), bytes.len() as u64);
    let first = disk.stage(&plan(&one)).unwrap();
    first.put(0, &one[..CHUNK as usize]).unwrap();
    // Each fits alone.
    vfs.limit(Some(vfs.used() + CHUNK + CHUNK / 2), None);
    let error = disk.stage(&plan(&two)).err().unwrap();
    let StoreError::Full { need, have, .. } = error else { panic!("{error}") };
    assert_eq!((need, have), (2 * CHUNK + KEEP_FREE, CHUNK + CHUNK / 2));
    assert_eq!(disk.staged().unwrap(), [Digest::of(&one)]);
    // What nobody goes on with takes nothing more.
    drop(first);
    disk.stage(&plan(&two)).unwrap();
}

#[test]
fn a_download_that_goes_on_makes_room_for_its_rest() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(2));
    let (old, new) = (random.bytes(2 * CHUNK as usize), random.bytes(4 * CHUNK as usize));
    let (old, source) = (file(&vfs, "old.gguf", &old), file(&vfs, "new.gguf", &new));
    ensure(&store(&vfs), old).unwrap();
    begin(&vfs, &new);
    vfs.limit(Some(vfs.used() + 2 * CHUNK), None);
    let store = store(&vfs);
    ensure(&store, source).unwrap();
    assert_eq!(ids(&store), ["new"]);
}

#[test]
fn what_nobody_wants_goes_before_any_release() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(3));
    let size = 2 * CHUNK as usize;
    let (old, left, new) = (random.bytes(size), random.bytes(size), random.bytes(size));
    ensure(&store(&vfs), file(&vfs, "old.gguf", &old)).unwrap();
    begin(&vfs, &left);
    let source = file(&vfs, "new.gguf", &new);
    vfs.limit(Some(vfs.used() + CHUNK + CHUNK / 2), None);
    let store = store(&vfs);
    ensure(&store, source).unwrap();
    assert_eq!(ids(&store), ["new", "old"]);
    assert_eq!(store.usage().unwrap().staging, 0);
}

#[test]
fn what_a_background_session_fetches_stays() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let mut config = StoreConfig::new(folder.path().join("store"));
    (config.transport, config.keep_free) = (Arc::new(HttpTransport::default()), 0);
    config.budget = Some(5 * CHUNK);
    let store = Store::open(config).unwrap();
    let url = |name: &str, bytes: &[u8]| {
        server.add(name, bytes.to_vec());
        Source::url(&server.url(name), Digest::of(bytes), bytes.len() as u64).unwrap()
    };
    let (old, new, parts) = (gguf(2 * CHUNK - 9000, 1), gguf(2 * CHUNK - 9000, 2), gguf(2 * CHUNK - 9000, 3));
    ensure(&store, url("/old.gguf", &old)).unwrap();
    let source = url("/parts.gguf", &parts);
    store.segments(source.clone(), &EnsureOptions::default(), 4 * CHUNK).unwrap();
    let room = store.look(&url("/new.gguf", &new)).unwrap().room().unwrap();
    assert!((2 * CHUNK..=3 * CHUNK + 9064).contains(&room), "{room}");
    ensure(&store, url("/new.gguf", &new)).unwrap();
    assert_eq!(ids(&store), ["new"]);
    assert!(store.usage().unwrap().staging > CHUNK);
    // Once the store itself has gone on with it and was told to stop, nobody waits for parts any more.
    server.throttle(100 << 10);
    let mut download = store.ensure(source, EnsureOptions::default()).unwrap();
    while !matches!(download.next().unwrap(), Some(DownloadEvent::Downloading(_))) {}
    download.cancel();
    download.wait().unwrap_err();
    server.throttle(0);
    ensure(&store, url("/old.gguf", &old)).unwrap();
    assert_eq!(ids(&store), ["new", "old"]);
}

#[test]
fn what_a_background_session_will_still_bring_is_not_there() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(6));
    let (parts, small) = (random.bytes(2 * CHUNK as usize), random.bytes(CHUNK as usize));
    let plan = |bytes: &[u8]| FilePlan::plain(Digest::of(bytes), bytes.len() as u64);
    let disk = disk(&vfs);
    disk.stage(&plan(&parts)).unwrap().await_parts(&awaited()).unwrap();
    // Each fits alone.
    let free = 2 * CHUNK + CHUNK / 2;
    vfs.limit(Some(vfs.used() + free), None);
    let error = disk.stage(&plan(&small)).err().unwrap();
    let StoreError::Full { need, have, .. } = error else { panic!("{error}") };
    assert_eq!((need, have), (3 * CHUNK + KEEP_FREE, free));
    // It goes on itself, whoever was to bring it.
    drop(disk.stage(&plan(&parts)).unwrap());
}

#[test]
fn what_has_arrived_need_not_come_again() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(10 * CHUNK, 4));
    server.add("/m.gguf", bytes.clone());
    server.throttle(2 << 20);
    let mut config = StoreConfig::new(folder.path());
    (config.transport, config.keep_free) = (Arc::new(HttpTransport::default()), 0);
    config.budget = Some(bytes.len() as u64 + CHUNK);
    let store = Store::open(config).unwrap();
    let source = Source::url(&server.url("/m.gguf"), Digest::of(&bytes), bytes.len() as u64).unwrap();
    assert_eq!(store.look(&source).unwrap().to_fetch(), bytes.len() as u64);
    let mut download = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    while !matches!(download.next().unwrap(), Some(DownloadEvent::Downloading(t)) if t.bytes >= 4 * CHUNK) {}
    download.cancel();
    download.wait().unwrap_err();
    let staging = folder.path().join("v1/staging").join(Digest::of(&bytes).to_string());
    // It is noted when the download ends, at the latest.
    let look = store.look(&source).unwrap();
    let rest = bytes.len() as u64 - look.to_fetch();
    assert!((CHUNK..bytes.len() as u64).contains(&rest), "{rest} in {}", staging.display());
    // The budget, too, is not asked for what is there.
    let room = look.room().unwrap();
    assert!(room >= look.to_fetch() && room <= bytes.len() as u64 + CHUNK - rest, "{room}");
}

#[test]
fn a_full_disk_is_told_with_its_numbers() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(5));
    let bytes = random.bytes(3 * CHUNK as usize);
    let source = file(&vfs, "m.gguf", &bytes);
    let store = store(&vfs);
    // It says that there is enough, as a disk does on which others write at the same time.
    vfs.limit(Some(vfs.used() + CHUNK + CHUNK / 2), Some(3 * CHUNK + 2 * KEEP_FREE));
    let error = ensure(&store, source).unwrap_err();
    let ErrorKind::StorageFull { need_bytes, have_bytes } = error.kind() else { panic!("{error}") };
    assert_eq!(need_bytes, 2 * CHUNK + KEEP_FREE);
    assert_eq!(have_bytes, need_bytes - 1);
    // One that nobody counted for.
    let folder = TempDir::new().unwrap();
    let full = StoreError::io("writing", &folder.path().join("x/y"))(io::ErrorKind::StorageFull.into());
    let ErrorKind::StorageFull { need_bytes, have_bytes } = full.kind() else { panic!("{full}") };
    assert!(have_bytes > 0 && need_bytes > have_bytes);
}
