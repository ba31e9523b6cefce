//! Fetching from a server that behaves: what lands, what is asked for, what is told.
#![allow(clippy::unwrap_used)]

#[path = "support/landing.rs"]
mod landing;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inkling_base::{Classify, ErrorKind, SystemClock};
use inkling_store::http::HttpTransport;
use inkling_store::{
    Address, Body, CHUNK, Control, HubFile, Net, NetOptions, Request, Response, StoreError, Traffic, Transport,
    TransportError, WaitReason,
};
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use landing::{Memory, random};

fn net(server: &Server, options: NetOptions) -> Net {
    let options = NetOptions { hub: server.base(), backoff: Duration::from_millis(5), seed: 1, ..options };
    Net::new(Arc::new(HttpTransport::default()), Arc::new(SystemClock::default()), options).unwrap()
}

fn quiet(_: &Traffic) {}

#[test]
fn a_file_lands_whole() {
    let server = Server::start().unwrap();
    for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 37 * CHUNK + 123] {
        let bytes = random(size as usize, size);
        server.add("/m.gguf", bytes.clone());
        let landing = Memory::of(&bytes, size % 2 == 0);
        let (new, landed) = (AtomicU64::new(0), AtomicU64::new(0));
        let watch = |traffic: &Traffic| {
            new.fetch_add(traffic.bytes_new, Ordering::Relaxed);
            landed.fetch_add(traffic.landed_new, Ordering::Relaxed);
        };
        let before = server.count("/m.gguf").bytes;
        net(&server, NetOptions::default())
            .fetch(&Address::new(server.url("/m.gguf")), &landing, &Control::new(), &watch)
            .unwrap();
        assert!(landing.bytes() == bytes, "{size}");
        assert_eq!((new.into_inner(), landed.into_inner()), (size, size));
        assert_eq!(server.count("/m.gguf").bytes - before, size);
    }
}

#[test]
fn only_what_is_missing_is_asked_for() {
    let server = Server::start().unwrap();
    let bytes = random(20 * CHUNK as usize + 5, 1);
    server.add("/m", bytes.clone());
    let landing = Memory::of(&bytes, true);
    for chunk in [0, 1, 5, 6, 7, 19] {
        landing.have(chunk, &bytes);
    }
    let net = net(&server, NetOptions::default());
    net.fetch(&Address::new(server.url("/m")), &landing, &Control::new(), &quiet).unwrap();
    assert!(landing.bytes() == bytes);
    assert_eq!(server.count("/m").bytes, 14 * CHUNK + 5);
}

#[test]
fn a_hub_names_digest_size_and_commit() {
    let server = Server::start().unwrap();
    let bytes = random(3 * CHUNK as usize, 2);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    server.add_hub("o/r", "m.gguf", "main", Some(commit), bytes.clone());
    let net = net(&server, NetOptions::default());
    let file = HubFile::new("o/r", "m.gguf", "main").unwrap();
    let resolved = net.resolve(&file, &Control::new()).unwrap();
    let landing = Memory::of(&bytes, false);
    assert_eq!((resolved.size, resolved.commit.as_deref()), (3 * CHUNK, Some(commit)));
    assert!(resolved.address.url.contains(commit));
    assert_eq!(resolved.sha256, inkling_store::Digest::of(&bytes));
    net.fetch(&resolved.address, &landing, &Control::new(), &quiet).unwrap();
    assert!(landing.bytes() == bytes);
    assert_eq!(net.head_of(&resolved.address, 1000, &Control::new()).unwrap(), bytes[..1000]);
    let missing = net.resolve(&HubFile::new("o/r", "other", "main").unwrap(), &Control::new()).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

#[test]
fn small_files_are_small() {
    let server = Server::start().unwrap();
    server.add("/c.json", b"{}".to_vec());
    let net = net(&server, NetOptions::default());
    let address = Address::new(server.url("/c.json"));
    assert_eq!(net.small(&address, 2, &Control::new()).unwrap(), b"{}");
    assert!(net.small(&address, 1, &Control::new()).unwrap_err().to_string().contains("more than the 1 bytes"));
    assert_eq!(net.head_of(&address, 100, &Control::new()).unwrap(), b"{}");
    server.rule(Rule::new(Fault::Endless, Phase::Any));
    assert!(net.small(&address, 1000, &Control::new()).unwrap_err().to_string().contains("more than"));
    assert_eq!(net.head_of(&address, 1000, &Control::new()).unwrap().len(), 2);
}

#[test]
fn pause_resume_and_cancel_work_at_once() {
    let server = Server::start().unwrap();
    let bytes = random(6 * CHUNK as usize, 3);
    server.add("/m", bytes.clone());
    server.throttle(2 << 20);
    let net = net(&server, NetOptions { connections: 2, ..NetOptions::default() });
    let landing = Memory::of(&bytes, true);
    let control = Control::new();
    let told = Mutex::new(Vec::new());
    let address = Address::new(server.url("/m"));
    std::thread::scope(|scope| {
        let watch = |traffic: &Traffic| {
            let mut told = told.lock().unwrap();
            if told.last() != Some(&traffic.wait) {
                told.push(traffic.wait.clone());
            }
        };
        let (net, landing, control, address) = (&net, &landing, &control, &address);
        let fetching = scope.spawn(move || net.fetch(address, landing, control, &watch));
        while server.total().bytes < CHUNK {
            std::thread::sleep(Duration::from_millis(5));
        }
        control.pause();
        std::thread::sleep(Duration::from_millis(300));
        let paused = server.total().bytes;
        std::thread::sleep(Duration::from_millis(200));
        assert!(server.total().bytes <= paused + (64 << 10), "bytes come though it is paused");
        control.resume();
        server.throttle(0);
        fetching.join().unwrap().unwrap();
    });
    assert!(landing.bytes() == bytes);
    assert!(told.lock().unwrap().contains(&Some(WaitReason::Paused)));

    // A server that never answers does not hold up who cancels.
    server.rule(Rule::new(Fault::Silent, Phase::Any));
    let landing = Memory::of(&bytes, true);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| net.fetch(&address, &landing, &control, &quiet));
        std::thread::sleep(Duration::from_millis(50));
        control.cancel();
        assert!(matches!(fetching.join().unwrap(), Err(StoreError::Cancelled)));
    });
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(net.small(&address, 1, &control), Err(StoreError::Cancelled)));
}

/// A transport that takes a body that breaks off for one that has ended.
struct BreaksOff;

struct Half(bool);

impl Body for Half {
    fn read(&mut self, _: usize) -> Result<Vec<u8>, TransportError> {
        Ok(if std::mem::replace(&mut self.0, true) { Vec::new() } else { b"half".to_vec() })
    }
}

impl Transport for BreaksOff {
    fn get(&self, _: &Request) -> Result<Response, TransportError> {
        let headers = vec![("Content-Length".to_owned(), "8".to_owned())];
        Ok(Response { status: 200, headers, body: Box::new(Half(false)) })
    }
}

#[test]
fn a_document_that_breaks_off_is_none() {
    let options = NetOptions { attempts: 2, backoff: Duration::from_millis(1), ..NetOptions::default() };
    let net = Net::new(Arc::new(BreaksOff), Arc::new(SystemClock::default()), options).unwrap();
    let error = net.small(&Address::new("https://a.example/catalog.json"), 100, &Control::new()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Network { retryable: true, .. }), "{error}");
}
