//! What apps are told: the kind, and a sentence that fits what happened and says what to do.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/model.rs"]
mod model;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig, TrustedCatalog};
use inkling_store::{CHUNK, Digest, Disk, DownloadEvent, Request, Response, Source, Transport, TransportError};
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use model::gguf;
use tempfile::TempDir;

fn config(folder: &Path) -> StoreConfig {
    let mut config = StoreConfig::new(folder);
    config.transport = Arc::new(HttpTransport::default());
    config.net.backoff = Duration::from_millis(2);
    config.keep_free = 0;
    config
}

fn kind_of(store: &Store, source: Source) -> ErrorKind {
    store.ensure(source, EnsureOptions::default()).unwrap().wait().unwrap_err().kind()
}

#[test]
fn what_is_in_use_is_said_with_a_way_out() {
    let folder = TempDir::new().unwrap();
    let (root, local) = (folder.path().join("store"), folder.path().join("m.gguf"));
    std::fs::write(&local, gguf(CHUNK, 1)).unwrap();
    let store = Store::open(config(&root)).unwrap();
    let ErrorKind::Busy { why } = Store::open(config(&root)).unwrap_err().kind() else { panic!() };
    assert!(why.contains(root.to_str().unwrap()) && why.contains("choose another folder"), "{why}");
    assert!(!why.contains("session"), "{why}");
    let m = store.ensure(Source::file(&local).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    let _lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    let kind = store.remove(&m).unwrap_err().kind();
    assert_eq!(kind.to_string(), "m is in use: wait for it, or close what uses it, and try again");
}

#[test]
fn a_folder_that_cannot_be_made_is_the_callers() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let long = folder.path().join("x".repeat(300));
    let mut bad = vec![file.clone(), file.join("below"), long];
    if cfg!(target_os = "linux") {
        bad.push("/proc/nobody/store".into());
    }
    for place in bad {
        let kind = Store::open(config(&place)).unwrap_err().kind();
        let ErrorKind::InvalidInput { why, .. } = &kind else { panic!("{}: {kind:?}", place.display()) };
        assert!(why.contains(place.to_str().unwrap()) && why.contains("choose"), "{why}");
    }
}

#[test]
fn what_is_not_there_is_named_without_its_secrets() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let mut config = config(folder.path());
    config.net.hub = server.base();
    let store = Store::open(config).unwrap();
    for status in [404, 410] {
        server.clear();
        server.rule(Rule::new(Fault::Status(status, None), Phase::Any));
        server.add("/m.gguf", gguf(CHUNK, 2));
        let url = Source::url(&server.url("/m.gguf?sign=secret"), Digest::of(b"m"), CHUNK).unwrap();
        let kind = kind_of(&store, url);
        assert_eq!(kind, ErrorKind::ModelNotFound { what: server.url("/m.gguf") }, "{status}");
        let ErrorKind::ModelNotFound { what } = kind_of(&store, "o/r/m.gguf".parse().unwrap()) else { panic!() };
        assert!(what.contains("o/r/m.gguf") && what.contains(&server.base()), "{what}");
    }
}

#[test]
fn a_whole_that_is_wrong_names_no_chunk() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let bytes = gguf(2 * CHUNK, 3);
    server.add("/m.gguf", bytes.clone());
    let store = Store::open(config(folder.path())).unwrap();
    let source = Source::url(&server.url("/m.gguf"), Digest::of(b"other"), bytes.len() as u64).unwrap();
    let kind = kind_of(&store, source);
    assert!(matches!(kind, ErrorKind::Integrity { chunk: None, .. }), "{kind:?}");
    let sentence = kind.to_string();
    assert!(!sentence.contains("chunk") && sentence.contains("check the digest"), "{sentence}");
}

/// The query of an address may be a signature: it is kept, so that somebody can ask again, and never printed.
#[test]
fn queries_are_kept_and_not_printed() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(CHUNK, 4));
    server.add("/m.gguf", bytes.clone());
    let mut config = config(folder.path());
    config.catalogs = vec![TrustedCatalog { url: server.url("/c.json?secret"), root: Vec::new() }];
    let mut printed = format!("{config:?} {:?}", config.catalogs);
    let source =
        |query: &str| Source::url(&server.url(&format!("/m.gguf?{query}")), Digest::of(&bytes), bytes.len() as u64);
    let (mine, other) = (source("sign=secret").unwrap(), source("sign=secret2").unwrap());
    let mut tell = |what: &dyn std::fmt::Debug| printed += &format!("{what:?}\n");
    let store = Store::open(config.clone()).unwrap();
    server.throttle(512 << 10);
    let mut download = store.ensure(mine.clone(), EnsureOptions::default()).unwrap();
    while !matches!(download.next().unwrap().inspect(|event| tell(event)).unwrap(), DownloadEvent::Downloading(_)) {}
    let error = store.ensure(other.clone(), EnsureOptions::default()).unwrap_err();
    tell(&(error.to_string(), error));
    server.throttle(0);
    download.wait().unwrap();
    let error = store.ensure(other.clone(), EnsureOptions::default()).unwrap().wait().unwrap_err();
    tell(&(error.to_string(), error));
    let listed = store.list().unwrap();
    assert_eq!(listed[0].source.as_str().parse::<Source>().unwrap(), mine);
    tell(&(listed[0].source.to_string(), &listed, &store));
    for unknown in [server.url("/c.json?secret"), server.url("/other.json?secret")] {
        let source = Source::catalog(&unknown, "m".parse().unwrap()).unwrap();
        let ended = store.ensure(source, EnsureOptions::default()).and_then(|download| download.wait().map(|_| ()));
        let error = ended.unwrap_err();
        tell(&(error.to_string(), error));
    }
    let id = listed[0].id.clone();
    drop(store);
    tell(&Disk::open(Arc::clone(&config.vfs), folder.path()).unwrap().slots().unwrap());
    config.only_signed = true;
    let store = Store::open(config.clone()).unwrap();
    let error = store.lend(&id, &CancelToken::new(), &|_, _| {}).unwrap_err();
    tell(&(error.to_string(), error));
    drop(store);
    // Some transports name the address that they were given.
    struct Chatty;
    impl Transport for Chatty {
        fn get(&self, request: &Request) -> Result<Response, TransportError> {
            Err(TransportError { why: format!("no answer from {}", request.url), retryable: false })
        }
    }
    (config.only_signed, config.transport) = (false, Arc::new(Chatty));
    let store = Store::open(config).unwrap();
    store.remove(&id).unwrap();
    let error = store.ensure(mine, EnsureOptions::default()).unwrap().wait().unwrap_err();
    assert!(error.to_string().contains("no answer"), "{error}");
    tell(&(error.to_string(), error.kind(), error));
    assert!(!printed.contains("secret") && printed.contains("m.gguf?…"), "{printed}");
}
