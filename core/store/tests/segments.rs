//! What is handed to a background session of the system, which follows redirects by itself: no secret for a foreign host.
//! And what a session brings while the store still asks the network.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use inkling_base::{Classify, ErrorKind};
use inkling_store::store::{EnsureOptions, Part, Store, StoreConfig};
use inkling_store::{Body, CHUNK, Digest, Request, Response, StoreError, Transport, TransportError};
use tempfile::TempDir;

const SIZE: u64 = 3 * CHUNK + 7;
const HUB: &str = "https://hub.example/o/r/resolve/main/m.gguf";

/// A hub that redirects to another address, or serves the file itself.
#[derive(Default)]
struct Hub {
    to: Option<&'static str>,
    asked: Mutex<Vec<String>>,
    /// Who asks where the bytes are (the second time; first it is asked what they are) says so, and waits for a word.
    held: Option<(SyncSender<()>, Mutex<Receiver<()>>)>,
}

struct Nothing;

impl Body for Nothing {
    fn read(&mut self, _: usize) -> Result<Vec<u8>, TransportError> {
        Ok(Vec::new())
    }
}

impl Transport for Hub {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        let asked = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.url.clone());
            asked.len()
        };
        if let (Some((held, go_on)), 2) = (&self.held, asked) {
            held.send(()).unwrap();
            go_on.lock().unwrap().recv().unwrap();
        }
        let digest = Digest::of(b"m").to_string();
        let mut headers = vec![("X-Linked-Etag", format!("\"{digest}\"")), ("X-Linked-Size", SIZE.to_string())];
        let status = match (request.url.starts_with("https://hub.example"), self.to) {
            (true, Some(to)) => {
                headers.push(("Location", to.to_owned()));
                302
            }
            _ => {
                headers.extend([("Content-Range", format!("bytes 0-0/{SIZE}")), ("ETag", "\"strong\"".to_owned())]);
                206
            }
        };
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Response { status, headers, body: Box::new(Nothing) })
    }
}

fn store(folder: &Path, hub: Arc<Hub>, token: Option<&str>) -> Store {
    let mut config = StoreConfig::new(folder);
    (config.transport, config.keep_free) = (hub, 0);
    config.net.hub = "https://hub.example".to_owned();
    config.net.token = token.map(str::to_owned);
    config.net.hub_domains = vec!["cdn.example".to_owned()];
    Store::open(config).unwrap()
}

fn parts(to: Option<&'static str>) -> Result<Vec<Part>, StoreError> {
    parts_with(to, Some("secret"))
}

fn parts_with(to: Option<&'static str>, token: Option<&str>) -> Result<Vec<Part>, StoreError> {
    let folder = TempDir::new().unwrap();
    let hub = Arc::new(Hub { to, ..Hub::default() });
    let store = store(folder.path(), hub.clone(), token);
    let segments = store.segments("o/r/m.gguf".parse().unwrap(), &EnsureOptions::default(), CHUNK);
    assert!(hub.asked.lock().unwrap().iter().all(|url| !url.contains("evil")));
    segments.map(|segments| segments.parts)
}

fn header<'a>(part: &'a Part, name: &str) -> Option<&'a str> {
    part.request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_token_does_not_go_where_the_hub_leads() {
    let end = "https://eu.cdn.example/blob?sign=1";
    let parts = parts(Some(end)).unwrap();
    assert_eq!(parts.iter().map(|part| part.length).sum::<u64>(), SIZE);
    for part in &parts {
        assert_eq!(part.request.url, end);
        assert_eq!((header(part, "Authorization"), header(part, "If-Range")), (None, Some("\"strong\"")));
        let range = format!("bytes={}-{}", part.from, part.from + part.length - 1);
        assert_eq!(header(part, "Range"), Some(range.as_str()));
        assert!(!format!("{:?}", part.request.headers).contains("secret"));
    }
}

#[test]
fn a_hub_that_serves_by_itself_hears_its_own_token() {
    for part in parts(None).unwrap() {
        assert_eq!((part.request.url.as_str(), header(&part, "Authorization")), (HUB, Some("Bearer secret")));
    }
}

#[test]
fn a_hub_that_leads_elsewhere_is_not_followed() {
    let error = parts(Some("https://evil.example/blob")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Network { retryable: false, .. }), "{error}");
}

/// Nobody was told of parts, so nothing comes; what somebody was told of before may come all the same.
#[test]
fn who_could_not_be_told_waits_for_nothing() {
    for told in [false, true] {
        let folder = TempDir::new().unwrap();
        let segments = |to| {
            let store = store(folder.path(), Arc::new(Hub { to, ..Hub::default() }), Some("secret"));
            store
                .segments("o/r/m.gguf".parse().unwrap(), &EnsureOptions::default(), CHUNK)
                .map(|found| (found.id, store))
        };
        let before = told.then(|| segments(None).unwrap());
        drop(before);
        let error = segments(Some("https://evil.example/blob")).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Network { .. }), "{error}");
        let store = store(folder.path(), Arc::default(), None);
        assert_eq!(store.remove(&"m".parse().unwrap()).is_ok(), told, "removed, for parts were to come");
    }
}

#[test]
fn where_nothing_is_secret_nobody_is_asked() {
    for part in parts_with(Some("https://eu.cdn.example/blob?sign=1"), None).unwrap() {
        assert_eq!((part.request.url.as_str(), header(&part, "Authorization")), (HUB, None));
    }
}

/// The network may take minutes; what a session of earlier brings meanwhile is taken, for the system keeps it for nobody.
#[test]
fn parts_are_taken_while_the_network_is_asked() {
    let folder = TempDir::new().unwrap();
    let (held, is_held) = sync_channel(1);
    let (let_go, go_on) = sync_channel(1);
    let hub = Arc::new(Hub { held: Some((held, Mutex::new(go_on))), ..Hub::default() });
    let (store, file) = (store(&folder.path().join("store"), hub, Some("secret")), Digest::of(b"m"));
    let asking = {
        let store = store.clone();
        std::thread::spawn(move || store.segments("o/r/m.gguf".parse().unwrap(), &EnsureOptions::default(), CHUNK))
    };
    is_held.recv().unwrap();
    let path = folder.path().join("part");
    std::fs::write(&path, vec![1; CHUNK as usize]).unwrap();
    let handed = store.hand_over(&file, CHUNK, &path);
    // Room stays promised for all of it, with nobody at work.
    let staging = store.usage().unwrap().staging;
    let_go.send(()).unwrap();
    let parts = asking.join().unwrap().unwrap().parts;
    assert_eq!(handed.unwrap().bytes, CHUNK);
    assert!((SIZE..SIZE + 4096).contains(&staging), "{staging}");
    assert_eq!(parts.len(), 4);
}
