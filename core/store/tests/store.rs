//! The whole store against a server: install, go on, pause, repair, update, undo, evict, lend.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/device.rs"]
mod device;
#[path = "support/model.rs"]
mod model;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use device::*;
use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::WaitReason;
use inkling_store::slot::{GOOD_ENOUGH, Which, Why};
use inkling_store::store::{EnsureOptions, NetworkPolicy, Store};
use inkling_store::{CHUNK, Digest, DownloadEvent, Role, Source, StoreError};
use inkling_store_chaos::disk::FailingVfs;
use inkling_store_chaos::server::{Fault, Phase, Rule, Server};
use model::gguf;
use tempfile::TempDir;

#[test]
fn a_model_is_installed_and_lent() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(5 * CHUNK + 77, 1));
    server.add("/m/tiny.gguf", bytes.clone());
    let store = open(folder.path());
    let mut download = store.ensure(url(&server, "/m/tiny.gguf", &bytes), EnsureOptions::default()).unwrap();
    let mut steps = Vec::new();
    while let Some(event) = download.next().unwrap() {
        let step = match event {
            DownloadEvent::Resolving => "resolving",
            DownloadEvent::Downloading(transfer) => {
                assert!(transfer.bytes <= transfer.total && transfer.total == bytes.len() as u64);
                "downloading"
            }
            DownloadEvent::Verifying { .. } => "verifying",
            DownloadEvent::Activating => "activating",
            DownloadEvent::Ready(_) => "ready",
            other => panic!("{other:?}"),
        };
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    assert_eq!(steps, ["resolving", "downloading", "verifying", "activating", "ready"]);
    let tiny = id("tiny");
    let listed = store.list().unwrap();
    assert_eq!((&listed[0].id, listed[0].release, listed[0].on_trial, listed[0].complete), (&tiny, 1, true, true));
    assert_eq!(lent_bytes(&store, &tiny), bytes);
    // What is there is not asked for again.
    let before = server.total().requests;
    assert_eq!(install(&store, url(&server, "/m/tiny.gguf", &bytes)), tiny);
    assert_eq!(server.total().requests, before);
}

#[test]
fn hubs_files_and_ids() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(CHUNK, 2));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    server.add_hub("o/r", "Some Model.gguf", "main", Some(commit), bytes.clone());
    let local = folder.path().join("Local.gguf");
    fs::write(&local, gguf(2 * CHUNK, 3)).unwrap();
    let mut config = config(&folder.path().join("store"));
    config.net.hub = server.base();
    let store = Store::open(config).unwrap();
    // Spaces are percent-encoded on the way.
    server.add_hub("o/r", "Some%20Model.gguf", "main", Some(commit), bytes.clone());
    assert_eq!(install(&store, "o/r/Some Model.gguf".parse().unwrap()), id("some-model"));
    assert_eq!(install(&store, Source::file(&local).unwrap()), id("local"));
    assert_eq!(lent_bytes(&store, &id("local")), fs::read(&local).unwrap());
    assert_eq!(lent_bytes(&store, &id("some-model")), bytes);
    // An id stands for one source.
    let mut options = EnsureOptions::default();
    options.id = Some(id("local"));
    let error = store.ensure(url(&server, "/x", &bytes), options).unwrap().wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidInput { field, .. } if field == "id"), "{error}");
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn what_is_no_model_takes_nobodys_place() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let junk = vec![7; 3000];
    server.add("/junk.gguf", junk.clone());
    let store = open(folder.path());
    for _ in 0..2 {
        let error =
            store.ensure(url(&server, "/junk.gguf", &junk), EnsureOptions::default()).unwrap().wait().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ModelCorrupt { .. }), "{error}");
    }
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_wrong_file_is_never_installed() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let (bytes, other) = (gguf(2 * CHUNK, 4), gguf(2 * CHUNK, 5));
    server.add("/m.gguf", other);
    let store = open(folder.path());
    let error = store.ensure(url(&server, "/m.gguf", &bytes), EnsureOptions::default()).unwrap().wait().unwrap_err();
    // Nobody knows which of its bytes are wrong.
    assert!(matches!(error.kind(), ErrorKind::Integrity { chunk: None, .. }), "{error}");
    server.add("/m.gguf", bytes.clone());
    assert_eq!(install(&store, url(&server, "/m.gguf", &bytes)), id("m"));
}

#[test]
fn a_cancelled_download_goes_on_where_it_was() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(12 * CHUNK, 6));
    server.add("/m.gguf", bytes.clone());
    server.throttle(2 << 20);
    let store = open(folder.path());
    let source = url(&server, "/m.gguf", &bytes);
    let mut download = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    // The same download, for whoever asks meanwhile.
    let other = store.ensure(source.clone(), EnsureOptions::default()).unwrap();
    loop {
        match download.next().unwrap().unwrap() {
            DownloadEvent::Downloading(transfer) if transfer.bytes >= 7 * CHUNK => break,
            DownloadEvent::Ready(_) => panic!("it was not slow enough"),
            _ => {}
        }
    }
    download.cancel();
    assert!(matches!(other.wait().unwrap_err().kind(), ErrorKind::Cancelled));
    let before = server.total().bytes;
    drop(store);
    server.throttle(0);
    let store = open(folder.path());
    assert_eq!(install(&store, source), id("m"));
    let again = server.total().bytes - before;
    assert!(again <= bytes.len() as u64 - 2 * CHUNK, "{again} of {} bytes were fetched again", bytes.len());
    assert_eq!(lent_bytes(&store, &id("m")), bytes);
}

#[test]
fn downloads_wait_for_the_network_they_may_use() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(CHUNK, 7));
    server.add("/m.gguf", bytes.clone());
    let switch = Arc::new(Switch { offline: AtomicBool::new(true), metered: AtomicBool::new(true) });
    let mut config = config(folder.path());
    config.signals = switch.clone();
    let store = Store::open(config).unwrap();
    let mut options = EnsureOptions::default();
    options.network = NetworkPolicy::Unmetered;
    let mut download = store.ensure(url(&server, "/m.gguf", &bytes), options).unwrap();
    let mut until = |reason: WaitReason| loop {
        if download.next().unwrap().unwrap() == DownloadEvent::Waiting(reason.clone()) {
            return;
        }
    };
    until(WaitReason::NoNetwork);
    switch.offline.store(false, Ordering::Relaxed);
    store.network_changed();
    until(WaitReason::Metered);
    assert_eq!(server.total().requests, 0);
    switch.metered.store(false, Ordering::Relaxed);
    store.network_changed();
    assert_eq!(download.wait().unwrap(), id("m"));
}

#[test]
fn pauses_hold_and_the_important_come_first() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let store = open(folder.path());
    let mut paused = Vec::new();
    server.throttle(1 << 20);
    for number in 0..4_u8 {
        let bytes = gguf(2 * CHUNK, number);
        let path = format!("/m{number}.gguf");
        server.add(&path, bytes.clone());
        let mut options = EnsureOptions::default();
        options.priority = i32::from(number);
        paused.push(store.ensure(url(&server, &path, &bytes), options).unwrap());
    }
    // Two at a time: of four, the last two.
    let mut queued = paused[0].again();
    loop {
        match queued.next().unwrap().unwrap() {
            DownloadEvent::Waiting(WaitReason::Queued) => break,
            DownloadEvent::Ready(_) => panic!("the least important did not wait"),
            _ => {}
        }
    }
    paused[3].pause();
    server.throttle(0);
    for download in paused.drain(..3) {
        download.wait().unwrap();
    }
    let last = paused.pop().unwrap();
    assert!(last.is_paused() && !last.has_ended());
    last.resume();
    last.wait().unwrap();
    assert_eq!(store.list().unwrap().len(), 4);
}

#[test]
fn damage_is_found_and_two_chunks_are_fetched() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(20 * CHUNK, 8));
    server.add("/m.gguf", bytes.clone());
    let (source, m) = (url(&server, "/m.gguf", &bytes), id("m"));
    let store = open(folder.path());
    install(&store, source.clone());
    assert!(store.verify(&m, &CancelToken::new(), &|_, _| {}).unwrap().damaged.is_empty());
    let path = folder.path().join("v1/objects").join(Digest::of(&bytes).to_string());
    let mut broken = bytes.clone();
    broken[5 * CHUNK as usize + 9] ^= 16;
    fs::write(&path, &broken).unwrap();
    // The file changed, so it is not trusted any more, and there is nothing to fall back to.
    let error = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Integrity { chunk: Some(5), .. }), "{error}");
    assert!(!store.list().unwrap()[0].complete);
    let before = server.total().bytes;
    install(&store, source);
    let fetched = server.total().bytes - before;
    assert!(fetched <= 2 * CHUNK, "{fetched}");
    assert_eq!(lent_bytes(&store, &m), bytes);
}

#[test]
fn updates_prove_themselves_and_can_be_undone() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let local = folder.path().join("m.gguf");
    let source = Source::file(&local).unwrap();
    let store = open(&folder.path().join("store"));
    let (one, two, m) = (gguf(CHUNK, 1), gguf(CHUNK, 2), id("m"));
    let good = |times: u32| {
        for _ in 0..times {
            store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap().good().unwrap();
        }
    };
    let mut update = EnsureOptions::default();
    update.update = true;
    fs::write(&local, &one).unwrap();
    install(&store, source.clone());
    good(GOOD_ENOUGH);
    assert!(!store.list().unwrap()[0].on_trial);
    fs::write(&local, &two).unwrap();
    store.ensure(source.clone(), update.clone()).unwrap().wait().unwrap();
    let listed = store.list().unwrap().remove(0);
    assert_eq!((listed.release, listed.on_trial, listed.previous), (2, true, Some(1)));
    let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    assert_eq!(lent.which, Which::Pending);
    lent.bad(Why::WrongGolden).unwrap();
    drop(lent);
    assert_eq!(lent_bytes(&store, &m), one);
    // It failed here: it is not taken again by itself, but if somebody insists.
    let error = store.ensure(source.clone(), update.clone()).unwrap().wait().unwrap_err();
    assert!(matches!(error, StoreError::Shared(_)) && error.to_string().contains("failed here"), "{error}");
    update.insist = true;
    store.ensure(source, update).unwrap().wait().unwrap();
    good(GOOD_ENOUGH);
    assert_eq!(lent_bytes(&store, &m), two);
    assert_eq!(store.rollback(&m).unwrap(), 1);
    assert_eq!(lent_bytes(&store, &m), one);
    drop(server);
}

#[test]
fn three_loads_that_do_not_come_back_bring_the_release_before() {
    let folder = TempDir::new().unwrap();
    let local = folder.path().join("m.gguf");
    let (root, m) = (folder.path().join("store"), id("m"));
    fs::write(&local, gguf(CHUNK, 1)).unwrap();
    let store = open(&root);
    install(&store, Source::file(&local).unwrap());
    for _ in 0..GOOD_ENOUGH {
        store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap().good().unwrap();
    }
    fs::write(&local, gguf(CHUNK, 2)).unwrap();
    let mut update = EnsureOptions::default();
    update.update = true;
    store.ensure(Source::file(&local).unwrap(), update).unwrap().wait().unwrap();
    for launch in 0..4 {
        let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
        if launch < 3 {
            assert_eq!((lent.release.number, lent.fell_back.len()), (2, 0));
            // A crash: nobody says anything.
            std::mem::forget(lent);
        } else {
            assert_eq!((lent.release.number, lent.fell_back[0].from, lent.fell_back[0].why), (1, 2, Why::CrashAtLoad));
        }
    }
}

#[test]
fn a_disk_that_begins_to_fail_costs_one_release() {
    let folder = TempDir::new().unwrap();
    let (root, local, m) = (folder.path().join("store"), folder.path().join("m.gguf"), id("m"));
    let disk = Arc::new(FailingVfs::default());
    let mut config = config(&root);
    config.vfs = disk.clone();
    let store = Store::open(config).unwrap();
    let mut update = EnsureOptions::default();
    update.update = true;
    let two = gguf(3 * CHUNK, 2);
    for bytes in [&gguf(3 * CHUNK, 1), &two] {
        fs::write(&local, bytes).unwrap();
        store.ensure(Source::file(&local).unwrap(), update.clone()).unwrap().wait().unwrap();
        for _ in 0..GOOD_ENOUGH {
            store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap().good().unwrap();
        }
    }
    // A mapped page that cannot be read kills the process: the load never says how it went.
    std::mem::forget(store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap());
    disk.hook().read(Some(root.join("v1/objects").join(Digest::of(&two).to_string())));
    let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    assert_eq!(lent.release.number, 1);
    assert_eq!((lent.fell_back[0].from, lent.fell_back[0].why), (2, Why::FailingStorage));
    drop(lent);
    // Written anew, to another place on the disk, it is taken again.
    disk.hook().read(None);
    store.gc(Duration::ZERO).unwrap();
    store.ensure(Source::file(&local).unwrap(), update).unwrap().wait().unwrap();
    assert_eq!(lent_bytes(&store, &m), two);
}

#[test]
fn a_lent_model_does_not_keep_its_store_open() {
    let folder = TempDir::new().unwrap();
    let (root, local) = (folder.path().join("store"), folder.path().join("m.gguf"));
    fs::write(&local, gguf(CHUNK, 1)).unwrap();
    let store = open(&root);
    let m = install(&store, Source::file(&local).unwrap());
    for round in 0..GOOD_ENOUGH {
        let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
        assert_eq!(lent.which, Which::Pending, "{round}");
        lent.good().unwrap();
    }
    let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    drop(store);
    lent.withdraw().unwrap();
    let store = open(&root);
    assert!(!store.list().unwrap()[0].on_trial);
    assert!(matches!(store.remove(&m).unwrap_err().kind(), ErrorKind::Busy { .. }));
    drop(lent);
    store.remove(&m).unwrap();
}

#[test]
fn what_is_lent_stays() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("store"));
    let local = folder.path().join("m.gguf");
    fs::write(&local, gguf(CHUNK, 1)).unwrap();
    let m = install(&store, Source::file(&local).unwrap());
    let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    assert!(matches!(store.remove(&m).unwrap_err().kind(), ErrorKind::Busy { .. }));
    store.gc(Duration::ZERO).unwrap();
    assert!(lent.file(Role::Weights).unwrap().1.exists());
    drop(lent);
    store.remove(&m).unwrap();
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(store.remove(&m).unwrap_err().kind(), ErrorKind::ModelNotFound { .. }));
    assert_eq!(store.usage().unwrap().total, 0);
}

#[test]
fn the_budget_evicts_the_longest_unused() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder.path().join("store"));
    config.budget = Some(3 * CHUNK + CHUNK / 2);
    let store = Store::open(config).unwrap();
    for number in 0..4_u8 {
        let local = folder.path().join(format!("m{number}.gguf"));
        fs::write(&local, gguf(CHUNK - 4096, number)).unwrap();
        install(&store, Source::file(&local).unwrap());
        if number == 0 {
            store.pin(&id("m0"), true).unwrap();
        }
        assert!(store.usage().unwrap().total <= 3 * CHUNK + CHUNK / 2);
    }
    let left: Vec<_> = store.list().unwrap().iter().map(|model| model.id.to_string()).collect();
    assert!(left.contains(&"m0".to_owned()) && left.contains(&"m3".to_owned()) && left.len() == 3, "{left:?}");
    let large = folder.path().join("large.gguf");
    fs::write(&large, gguf(5 * CHUNK, 9)).unwrap();
    let error = store.ensure(Source::file(&large).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StorageFull { need_bytes, .. } if need_bytes > 0), "{error}");
    assert!(store.list().unwrap().iter().any(|model| model.id == id("m0")));
}

#[test]
fn background_sessions_hand_over_parts() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(9 * CHUNK + 5, 11));
    server.add("/m.gguf", bytes.clone());
    let root = folder.path().join("store");
    let source = url(&server, "/m.gguf", &bytes);
    let parts = open(&root).segments(source.clone(), &EnsureOptions::default(), 4 * CHUNK).unwrap().parts;
    assert_eq!(parts.iter().map(|part| part.length).sum::<u64>(), bytes.len() as u64);
    for part in parts.iter().rev() {
        assert!(part.request.headers.iter().any(|(name, value)| {
            name == "Range" && *value == format!("bytes={}-{}", part.from, part.from + part.length - 1)
        }));
        // The app was gone in between, and there is no network.
        let path = folder.path().join("part");
        fs::write(&path, &bytes[part.from as usize..(part.from + part.length) as usize]).unwrap();
        assert_eq!(open(&root).hand_over(&part.file, part.from, &path).unwrap().bytes, part.length);
    }
    let before = server.total().bytes;
    let store = open(&root);
    install(&store, source);
    assert_eq!(server.total().bytes, before);
    assert_eq!(lent_bytes(&store, &id("m")), bytes);
    assert!(matches!(
        store.hand_over(&Digest::of(b"x"), 0, &root).unwrap_err().kind(),
        ErrorKind::ModelNotFound { .. }
    ));
}

#[test]
fn a_faulty_server_delays_and_nothing_else() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(10 * CHUNK, 12));
    server.add("/m.gguf", bytes.clone());
    server.rule(Rule::new(Fault::Reset(100_000), Phase::First).times(1));
    server.rule(Rule::new(Fault::Status(503, None), Phase::Middle).times(2));
    server.rule(Rule::new(Fault::Truncate(10), Phase::Last).times(1));
    let store = open(folder.path());
    install(&store, url(&server, "/m.gguf", &bytes));
    assert_eq!(lent_bytes(&store, &id("m")), bytes);
}

#[test]
fn odd_stores_are_refused_with_reasons() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(Store::open(config(&file)).unwrap_err(), StoreError::NoStore { .. }));
    let foreign = folder.path().join("foreign");
    fs::create_dir_all(foreign.join("v2")).unwrap();
    assert!(matches!(Store::open(config(&foreign)).unwrap_err(), StoreError::NoStore { .. }));
    let root = folder.path().join("store");
    let store = open(&root);
    assert!(matches!(Store::open(config(&root)).unwrap_err().kind(), ErrorKind::Busy { .. }));
    drop(store);
    open(&root);
    let mut signed = config(&folder.path().join("signed"));
    signed.only_signed = true;
    let store = Store::open(signed).unwrap();
    let error = store.ensure(Source::file(&file).unwrap(), EnsureOptions::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidInput { field, .. } if field == "source"));
}

#[test]
fn an_interrupted_repair_goes_on() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(6 * CHUNK, 21));
    server.add("/m.gguf", bytes.clone());
    let (source, m, store) = (url(&server, "/m.gguf", &bytes), id("m"), open(folder.path()));
    install(&store, source.clone());
    let path = folder.path().join("v1/objects").join(Digest::of(&bytes).to_string());
    let mut broken = bytes.clone();
    broken[7] ^= 1;
    fs::write(&path, &broken).unwrap();
    assert!(!store.verify(&m, &CancelToken::new(), &|_, _| {}).unwrap().damaged.is_empty());
    server.rule(Rule::new(Fault::Status(404, None), Phase::Any));
    store.ensure(source.clone(), EnsureOptions::default()).unwrap().wait().unwrap_err();
    server.clear();
    let before = server.total().bytes;
    install(&store, source);
    assert!(server.total().bytes - before <= 2 * CHUNK);
    assert_eq!(lent_bytes(&store, &m), bytes);
}

#[test]
fn removing_one_model_leaves_what_arrived_of_others() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let (one, two) = (gguf(CHUNK, 22), gguf(8 * CHUNK, 23));
    server.add("/one.gguf", one.clone());
    server.add("/two.gguf", two.clone());
    let store = open(folder.path());
    let first = install(&store, url(&server, "/one.gguf", &one));
    server.throttle(2 << 20);
    let mut download = store.ensure(url(&server, "/two.gguf", &two), EnsureOptions::default()).unwrap();
    while !matches!(download.next().unwrap().unwrap(), DownloadEvent::Downloading(t) if t.bytes >= 2 * CHUNK) {}
    download.cancel();
    download.wait().unwrap_err();
    server.throttle(0);
    store.remove(&first).unwrap();
    let before = server.total().bytes;
    let second = install(&store, url(&server, "/two.gguf", &two));
    assert!(server.total().bytes - before <= two.len() as u64 - CHUNK);
    // A download that runs ends with its model, and leaves nothing.
    store.remove(&second).unwrap();
    server.throttle(1 << 20);
    let running = store.ensure(url(&server, "/two.gguf", &two), EnsureOptions::default()).unwrap();
    while !matches!(download_event(&running), Some(DownloadEvent::Downloading(_))) {}
    store.remove(&second).unwrap();
    assert!(matches!(running.wait().unwrap_err().kind(), ErrorKind::Cancelled));
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.usage().unwrap().total, 0);
}

#[test]
fn a_record_that_is_lost_costs_no_download() {
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(3 * CHUNK, 24));
    server.add("/m.gguf", bytes.clone());
    let (source, store) = (url(&server, "/m.gguf", &bytes), open(folder.path()));
    let m = install(&store, source.clone());
    for entry in fs::read_dir(folder.path().join("v1/slots")).unwrap() {
        fs::write(entry.unwrap().path(), "junk").unwrap();
    }
    assert!(matches!(
        store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap_err().kind(),
        ErrorKind::ModelNotFound { .. }
    ));
    let before = server.total().bytes;
    install(&store, source);
    assert_eq!(server.total().bytes, before);
    assert_eq!(lent_bytes(&store, &m), bytes);
    store.remove(&m).unwrap();
}

#[test]
fn those_who_wait_for_wifi_hold_nobody_up() {
    let (folder, server) = (TempDir::new().unwrap(), Server::start().unwrap());
    let switch = Arc::new(Switch { offline: AtomicBool::new(false), metered: AtomicBool::new(true) });
    let mut config = config(folder.path());
    config.signals = switch;
    let store = Store::open(config).unwrap();
    let ensure = |number: u8, network: NetworkPolicy, priority: i32| {
        let bytes = gguf(CHUNK, number);
        let path = format!("/w{number}.gguf");
        server.add(&path, bytes.clone());
        let mut options = EnsureOptions::default();
        (options.network, options.priority) = (network, priority);
        store.ensure(url(&server, &path, &bytes), options).unwrap()
    };
    let waiting = [ensure(30, NetworkPolicy::Unmetered, i32::MAX), ensure(31, NetworkPolicy::Unmetered, 5)];
    ensure(32, NetworkPolicy::Any, i32::MIN).wait().unwrap();
    assert!(waiting.iter().all(|download| !download.has_ended()));
}

#[test]
fn what_was_refused_goes_when_room_is_needed() {
    let (folder, server, junk, bytes) =
        (TempDir::new().unwrap(), Server::start().unwrap(), vec![7; 2 << 20], gguf(2 * CHUNK, 55));
    server.add("/junk.gguf", junk.clone());
    server.add("/m.gguf", bytes.clone());
    let mut config = config(folder.path());
    config.budget = Some(3 * CHUNK);
    let store = Store::open(config).unwrap();
    let refused = store.ensure(url(&server, "/junk.gguf", &junk), EnsureOptions::default()).unwrap().wait();
    assert!(matches!(refused.unwrap_err().kind(), ErrorKind::ModelCorrupt { .. }));
    // Who asks again need not fetch it again.
    let before = server.total().bytes;
    store.ensure(url(&server, "/junk.gguf", &junk), EnsureOptions::default()).unwrap().wait().unwrap_err();
    assert_eq!(server.total().bytes, before);
    install(&store, url(&server, "/m.gguf", &bytes));
    assert!(store.usage().unwrap().objects.iter().all(|object| object.is_used));
}

#[test]
fn what_was_given_up_is_told_with_the_next_loan() {
    let folder = TempDir::new().unwrap();
    let (root, local, m) = (folder.path().join("store"), folder.path().join("m.gguf"), id("m"));
    let (one, two) = (gguf(3 * CHUNK, 60), gguf(CHUNK, 61));
    let (store, source) = (open(&root), Source::file(&local).unwrap());
    fs::write(&local, &one).unwrap();
    install(&store, source.clone());
    for _ in 0..GOOD_ENOUGH {
        store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap().good().unwrap();
    }
    fs::write(&local, &two).unwrap();
    let mut update = EnsureOptions::default();
    update.update = true;
    store.ensure(source, update).unwrap().wait().unwrap();
    // The new one is damaged, and the old one has to be read again.
    let object = |bytes: &[u8]| root.join("v1/objects").join(Digest::of(bytes).to_string());
    let mut broken = two.clone();
    broken[77] ^= 1;
    fs::write(object(&two), &broken).unwrap();
    fs::write(object(&one), &one).unwrap();
    let cancel = CancelToken::new();
    let stop = |_, total: u64| {
        if total == one.len() as u64 {
            cancel.cancel();
        }
    };
    assert!(matches!(store.lend(&m, &cancel, &stop).unwrap_err(), StoreError::Cancelled));
    // Also by another process, until a load came back: only then the app can have heard of it.
    drop(store);
    for (expected, comes_back) in [(vec![2], false), (vec![2], true), (vec![], true)] {
        let store = open(&root);
        let lent = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap();
        assert_eq!(lent.fell_back.iter().map(|fell| fell.from).collect::<Vec<_>>(), expected);
        assert_eq!(lent.release.number, 1);
        if comes_back {
            lent.came_back().unwrap();
        }
    }
}

#[test]
fn the_rate_and_the_time_that_remains_are_told() {
    const RATE: u64 = 2 << 20;
    let (folder, server, bytes) = (TempDir::new().unwrap(), Server::start().unwrap(), gguf(6 * CHUNK, 70));
    server.add("/m.gguf", bytes.clone());
    server.throttle(RATE);
    let mut config = config(folder.path());
    config.net.connections = 1;
    let store = Store::open(config).unwrap();
    let mut download = store.ensure(url(&server, "/m.gguf", &bytes), EnsureOptions::default()).unwrap();
    let mut told = Vec::new();
    while let Some(event) = download.next().unwrap() {
        if let DownloadEvent::Downloading(transfer) = event {
            told.push(transfer);
        }
    }
    // The first of them know nothing yet.
    assert!(told[0].rate < 1.0 && told[0].remaining.is_none_or(|rest| rest > Duration::from_secs(1)), "{:?}", told[0]);
    let middle: Vec<_> = told.iter().filter(|transfer| (2 * CHUNK..4 * CHUNK).contains(&transfer.bytes)).collect();
    assert!(!middle.is_empty(), "{told:?}");
    for transfer in middle {
        // A busy machine is slower than the server, never much faster.
        let rate = transfer.rate / RATE as f64;
        assert!((0.1..1.5).contains(&rate), "{transfer:?}");
        let rest = (transfer.total - transfer.bytes) as f64 / transfer.rate;
        let remaining = transfer.remaining.unwrap().as_secs_f64();
        assert!((remaining - rest).abs() <= 1.0 + rest / 4.0, "{transfer:?}: {rest} s");
    }
}

#[test]
fn a_store_that_became_stricter_lends_nothing_unsigned() {
    let folder = TempDir::new().unwrap();
    let (root, local) = (folder.path().join("store"), folder.path().join("m.gguf"));
    fs::write(&local, gguf(CHUNK, 71)).unwrap();
    let m = install(&open(&root), Source::file(&local).unwrap());
    let mut signed = config(&root);
    signed.only_signed = true;
    let store = Store::open(signed).unwrap();
    let error = store.lend(&m, &CancelToken::new(), &|_, _| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidInput { field, .. } if field == "id"), "{error}");
    drop(store);
    // It is still there for whoever is less strict.
    assert_eq!(lent_bytes(&open(&root), &m), fs::read(&local).unwrap());
}

#[test]
fn an_update_that_does_not_fit_does_not_take_the_model_it_is_for() {
    let folder = TempDir::new().unwrap();
    let local = folder.path().join("m.gguf");
    let mut config = config(&folder.path().join("store"));
    config.budget = Some(5 * CHUNK / 2);
    let store = Store::open(config).unwrap();
    let (one, two) = (gguf(CHUNK, 72), gguf(2 * CHUNK, 73));
    fs::write(&local, &one).unwrap();
    let source = Source::file(&local).unwrap();
    let m = install(&store, source.clone());
    fs::write(&local, &two).unwrap();
    let mut update = EnsureOptions::default();
    update.update = true;
    let error = store.ensure(source, update).unwrap().wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StorageFull { .. }), "{error}");
    assert_eq!(lent_bytes(&store, &m), one);
}
