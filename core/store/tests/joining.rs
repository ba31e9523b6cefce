//! Several who want the same: who asks again for a model that is on its way, and models that have a file in common.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/device.rs"]
mod device;
#[path = "support/model.rs"]
mod model;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use device::*;
use inkling_base::{Classify, ErrorKind};
use inkling_store::WaitReason;
use inkling_store::store::{EnsureOptions, NetworkPolicy, Store};
use inkling_store::{CHUNK, Digest, DownloadEvent, Source};
use inkling_store_chaos::server::Server;
use model::gguf;
use tempfile::TempDir;

#[test]
fn who_asks_again_may_allow_a_network_that_costs_money() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(CHUNK, 40));
    server.add("/m.gguf", bytes.clone());
    let switch = Arc::new(Switch { offline: AtomicBool::new(false), metered: AtomicBool::new(true) });
    let mut config = config(folder.path());
    config.signals = switch;
    let store = Store::open(config).unwrap();
    let ensure = |network: NetworkPolicy| {
        let mut options = EnsureOptions::default();
        options.network = network;
        store.ensure(url(&server, "/m.gguf", &bytes), options).unwrap()
    };
    let wifi = ensure(NetworkPolicy::Unmetered);
    until_waiting(&wifi, &WaitReason::Metered);
    // Who says nothing about money spends none; nor does a second word for Wi-Fi.
    let (quiet, _same) = (ensure(NetworkPolicy::Unsaid), ensure(NetworkPolicy::Unmetered));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!quiet.has_ended() && server.total().requests == 0);
    ensure(NetworkPolicy::Any).wait().unwrap();
    assert_eq!((wifi.wait().unwrap(), quiet.wait().unwrap()), (id("m"), id("m")));
    store.remove(&id("m")).unwrap();
    // Nobody had said anything about the first; now somebody has.
    server.throttle(512 << 10);
    let quiet = ensure(NetworkPolicy::Unsaid);
    while !matches!(download_event(&quiet), Some(DownloadEvent::Downloading(_))) {}
    ensure(NetworkPolicy::Unmetered);
    until_waiting(&quiet, &WaitReason::Metered);
    ensure(NetworkPolicy::Any);
    quiet.wait().unwrap();
}

#[test]
fn who_asks_again_may_hurry_it() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let store = open(folder.path());
    server.throttle(256 << 10);
    let ensure = |number: u8, priority: i32| {
        let bytes = gguf(CHUNK, number);
        let path = format!("/h{number}.gguf");
        server.add(&path, bytes.clone());
        let mut options = EnsureOptions::default();
        options.priority = priority;
        store.ensure(url(&server, &path, &bytes), options).unwrap()
    };
    let before = [ensure(41, 2), ensure(42, 1)];
    let last = ensure(43, 0);
    until_waiting(&last, &WaitReason::Queued);
    // Less than it has changes nothing, more puts it before the second.
    ensure(43, -7);
    assert_eq!(server.count("/h43.gguf").requests, 0);
    ensure(43, 9);
    until_waiting(&before[1], &WaitReason::Queued);
    server.throttle(0);
    last.wait().unwrap();
    before.into_iter().for_each(|download| drop(download.wait().unwrap()));
}

#[test]
fn an_update_that_is_asked_for_meanwhile_follows() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let (one, two) = (gguf(8 * CHUNK, 44), gguf(2 * CHUNK, 45));
    server.add_hub("o/r", "m.gguf", "main", None, one.clone());
    let mut config = config(folder.path());
    config.net.hub = server.base();
    let store = Store::open(config).unwrap();
    let source: Source = "o/r/m.gguf".parse().unwrap();
    server.throttle(2 << 20);
    let first = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    while !matches!(download_event(&first), Some(DownloadEvent::Downloading(_))) {}
    // The hub has something else by now, and the first has asked it already.
    server.add_hub("o/r", "m.gguf", "main", None, two.clone());
    let mut update = EnsureOptions::default();
    update.update = true;
    let second = store.ensure(source.clone(), update.clone()).unwrap();
    until_waiting(&second, &WaitReason::Queued);
    // The same for all who want an update; who wants none is content with it too.
    let (third, fourth) = (
        store.ensure(source.clone(), update).unwrap(),
        store.ensure(source.clone(), EnsureOptions::default()).unwrap(),
    );
    server.throttle(0);
    first.wait().unwrap();
    second.wait().unwrap();
    assert!(third.has_ended() && fourth.has_ended());
    let listed = store.list().unwrap().remove(0);
    assert_eq!((listed.release, listed.bytes), (2, two.len() as u64));
    assert_eq!(lent_bytes(&store, &id("m")), two);
}

/// A model that is being fetched, and an update of it that was asked for meanwhile.
fn followed(seed: u8) -> (TempDir, Server, Store, [inkling_store::Download; 2]) {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(8 * CHUNK, seed));
    server.add_hub("o/r", "m.gguf", "main", None, bytes);
    let mut config = config(folder.path());
    config.net.hub = server.base();
    let store = Store::open(config).unwrap();
    let source: Source = "o/r/m.gguf".parse().unwrap();
    server.throttle(1 << 20);
    let first = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    while !matches!(download_event(&first), Some(DownloadEvent::Downloading(_))) {}
    let mut update = EnsureOptions::default();
    update.update = true;
    let second = store.ensure(source, update).unwrap();
    until_waiting(&second, &WaitReason::Queued);
    (folder, server, store, [first, second])
}

#[test]
fn who_cancels_one_of_two_leaves_the_other() {
    let (_folder, server, store, [first, second]) = followed(48);
    first.cancel();
    server.throttle(0);
    assert!(matches!(first.wait().unwrap_err().kind(), ErrorKind::Cancelled));
    second.wait().unwrap();
    assert!(store.list().unwrap()[0].complete);
}

#[test]
fn who_cancels_a_model_cancels_all_that_fetch_it() {
    let (_folder, server, store, [first, second]) = followed(49);
    let model = store.download(&id("m")).unwrap();
    model.pause();
    assert!(first.is_paused() && second.is_paused());
    model.resume();
    assert!(!first.is_paused() && !second.is_paused());
    model.again().cancel();
    assert!(store.download(&id("m")).is_none());
    server.throttle(0);
    for download in [first, second, model] {
        assert!(matches!(download.wait().unwrap_err().kind(), ErrorKind::Cancelled));
    }
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn an_update_is_added_to_what_has_not_begun() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let (one, two) = (gguf(CHUNK, 46), gguf(CHUNK, 47));
    server.add_hub("o/r", "m.gguf", "main", None, one.clone());
    let switch = Arc::new(Switch { offline: AtomicBool::new(false), metered: AtomicBool::new(false) });
    let mut config = config(folder.path());
    (config.net.hub, config.signals) = (server.base(), switch.clone());
    let store = Store::open(config).unwrap();
    let source: Source = "o/r/m.gguf".parse().unwrap();
    let m = install(&store, source.clone());
    // It is damaged, so that an ensure without an update has something to do.
    fs::remove_file(folder.path().join("v1/objects").join(Digest::of(&one).to_string())).unwrap();
    switch.offline.store(true, Ordering::Relaxed);
    let first = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    until_waiting(&first, &WaitReason::NoNetwork);
    server.add_hub("o/r", "m.gguf", "main", None, two.clone());
    let mut update = EnsureOptions::default();
    (update.update, update.insist) = (true, true);
    let second = store.ensure(source, update).unwrap();
    switch.offline.store(false, Ordering::Relaxed);
    store.network_changed();
    first.wait().unwrap();
    assert!(second.has_ended());
    second.wait().unwrap();
    assert_eq!(lent_bytes(&store, &m), two);
}

/// Two models of the same bytes, of which the first is on its way.
struct Twins {
    server: Server,
    bytes: Vec<u8>,
    store: Store,
    first: inkling_store::Download,
    _folder: TempDir,
}

impl Twins {
    fn new(seed: u8) -> Self {
        let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(8 * CHUNK, seed));
        server.add("/one.gguf", bytes.clone());
        server.add("/two.gguf", bytes.clone());
        server.throttle(1 << 20);
        let store = open(folder.path());
        let mut first = store.ensure(url(&server, "/one.gguf", &bytes), EnsureOptions::default()).unwrap();
        while !matches!(first.next().unwrap(), Some(DownloadEvent::Downloading(t)) if t.bytes >= 2 * CHUNK) {}
        Self { server, bytes, store, first, _folder: folder }
    }

    fn second(&self) -> inkling_store::Download {
        let second = self.store.ensure(url(&self.server, "/two.gguf", &self.bytes), EnsureOptions::default()).unwrap();
        until_waiting(&second, &WaitReason::Queued);
        second
    }

    /// Bytes of the second's address, which are fewer than all if it went on with what the first had.
    fn rest(&self) -> u64 {
        self.server.count("/two.gguf").bytes
    }
}

#[test]
fn who_wants_what_another_fetches_waits_for_it() {
    let twins = Twins::new(50);
    let second = twins.second();
    twins.server.throttle(0);
    assert_eq!((twins.first.again().wait().unwrap(), second.wait().unwrap()), (id("one"), id("two")));
    assert_eq!(twins.server.count("/two.gguf").bytes, 0);
    for model in ["one", "two"] {
        assert_eq!(lent_bytes(&twins.store, &id(model)), twins.bytes);
    }
    // What one of them needs does not go with the other.
    twins.store.remove(&id("one")).unwrap();
    assert_eq!(lent_bytes(&twins.store, &id("two")), twins.bytes);
}

#[test]
fn who_waited_goes_on_when_the_other_is_cancelled_or_fails() {
    let twins = Twins::new(51);
    let second = twins.second();
    twins.first.cancel();
    twins.server.throttle(0);
    second.wait().unwrap();
    assert!((1..=7 * CHUNK).contains(&twins.rest()), "{}", twins.rest());
    assert_eq!(lent_bytes(&twins.store, &id("two")), twins.bytes);

    let twins = Twins::new(52);
    let second = twins.second();
    // The first's file is another one now, so it fails.
    twins.server.add("/one.gguf", gguf(8 * CHUNK, 53));
    twins.server.hang_up();
    twins.server.throttle(0);
    second.wait().unwrap();
    assert!(twins.first.again().wait().is_err());
    assert!((1..=7 * CHUNK).contains(&twins.rest()), "{}", twins.rest());
    assert_eq!(lent_bytes(&twins.store, &id("two")), twins.bytes);
}

#[test]
fn who_is_paused_leaves_its_files_to_others() {
    let twins = Twins::new(54);
    twins.first.pause();
    let second = twins.second();
    twins.server.throttle(0);
    second.wait().unwrap();
    assert!((1..=7 * CHUNK).contains(&twins.rest()), "{}", twins.rest());
    assert!(twins.first.is_paused() && !twins.first.has_ended());
    let before = twins.server.total().bytes;
    twins.first.resume();
    twins.first.again().wait().unwrap();
    assert_eq!(twins.server.total().bytes, before);
    assert_eq!(lent_bytes(&twins.store, &id("one")), twins.bytes);
}

#[test]
fn who_has_the_file_here_waits_for_no_network() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(8 * CHUNK, 56));
    server.add("/one.gguf", bytes.clone());
    server.throttle(1 << 20);
    let switch = Arc::new(Switch::default());
    let mut config = config(&folder.path().join("store"));
    config.signals = switch.clone();
    let store = Store::open(config).unwrap();
    let mut first = store.ensure(url(&server, "/one.gguf", &bytes), EnsureOptions::default()).unwrap();
    while !matches!(first.next().unwrap(), Some(DownloadEvent::Downloading(t)) if t.bytes >= 2 * CHUNK) {}
    switch.offline.store(true, Ordering::Relaxed);
    store.network_changed();
    until_waiting(&first, &WaitReason::NoNetwork);
    let local = folder.path().join("two.gguf");
    fs::write(&local, &bytes).unwrap();
    assert_eq!(install(&store, Source::file(&local).unwrap()), id("two"));
    assert!(!first.has_ended());
    switch.offline.store(false, Ordering::Relaxed);
    store.network_changed();
    first.wait().unwrap();
    assert_eq!(lent_bytes(&store, &id("one")), bytes);
}
