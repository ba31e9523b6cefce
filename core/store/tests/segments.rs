//! What is handed to a background session of the system, which follows redirects by itself: no secret for a foreign host.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use inkling_base::{Classify, ErrorKind};
use inkling_store::store::{EnsureOptions, Part, Store, StoreConfig};
use inkling_store::{Body, CHUNK, Digest, Request, Response, StoreError, Transport, TransportError};
use tempfile::TempDir;

const SIZE: u64 = 3 * CHUNK + 7;
const HUB: &str = "https://hub.example/o/r/resolve/main/m.gguf";

/// A hub that redirects to another address, or serves the file itself.
struct Hub {
    to: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

struct Nothing;

impl Body for Nothing {
    fn read(&mut self, _: usize) -> Result<Vec<u8>, TransportError> {
        Ok(Vec::new())
    }
}

impl Transport for Hub {
    fn get(&self, request: &Request) -> Result<Response, TransportError> {
        self.asked.lock().unwrap().push(request.url.clone());
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

fn parts(to: Option<&'static str>) -> Result<Vec<Part>, StoreError> {
    parts_with(to, Some("secret"))
}

fn parts_with(to: Option<&'static str>, token: Option<&str>) -> Result<Vec<Part>, StoreError> {
    let folder = TempDir::new().unwrap();
    let hub = Arc::new(Hub { to, asked: Mutex::default() });
    let mut config = StoreConfig::new(folder.path());
    (config.transport, config.keep_free) = (hub.clone(), 0);
    config.net.hub = "https://hub.example".to_owned();
    config.net.token = token.map(str::to_owned);
    config.net.hub_domains = vec!["cdn.example".to_owned()];
    let segments =
        Store::open(config).unwrap().segments("o/r/m.gguf".parse().unwrap(), &EnsureOptions::default(), CHUNK);
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

#[test]
fn where_nothing_is_secret_nobody_is_asked() {
    for part in parts_with(Some("https://eu.cdn.example/blob?sign=1"), None).unwrap() {
        assert_eq!((part.request.url.as_str(), header(&part, "Authorization")), (HUB, None));
    }
}
