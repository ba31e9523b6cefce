//! Watching a download and not watching it any more: the download goes on.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::block_on;
use inkling_ffi::{
    FfiDownload, FfiDownloadEvent, FfiEnsureOptions, FfiError, FfiNetwork, FfiNetworkSignal, FfiSignals, FfiStore,
    FfiStoreServices, FfiWait,
};

struct Offline;

impl FfiNetworkSignal for Offline {
    fn network(&self) -> FfiNetwork {
        FfiNetwork { online: Some(false), metered: None }
    }
}

/// A download that waits for ever.
fn waiting(folder: &tempfile::TempDir) -> (Arc<FfiStore>, Arc<FfiDownload>) {
    let options = common::store_options(folder.path());
    let signals = FfiSignals { network: Some(Arc::new(Offline)), ..FfiSignals::default() };
    let store = FfiStore::new(options, FfiStoreServices { signals, ..FfiStoreServices::default() }).unwrap();
    let source = format!("http://127.0.0.1:1/m.gguf#sha256={}&size=7", "ab".repeat(32));
    let download = store.ensure(source, FfiEnsureOptions::default()).unwrap();
    (store, download)
}

/// Reads until it waits.
fn until_it_waits(watcher: &FfiDownload) {
    while watcher.wait().unwrap() != Some(FfiDownloadEvent::Waiting { reason: FfiWait::NoNetwork }) {}
}

#[test]
fn who_leaves_is_woken_and_the_download_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, download) = waiting(&folder);
    let watchers = [download.again().unwrap(), download.again().unwrap()];
    until_it_waits(&watchers[0]);
    until_it_waits(&watchers[1]);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| watchers[0].wait());
        let asleep = scope.spawn(|| block_on(watchers[1].next()));
        thread::sleep(Duration::from_millis(20));
        for watcher in &watchers {
            watcher.leave().unwrap();
            watcher.leave().unwrap();
        }
        for outcome in [blocked.join(), asleep.join()] {
            assert!(matches!(outcome.unwrap(), Err(FfiError::Cancelled { .. })));
        }
    });
    // Not only those who wait already.
    assert!(matches!(watchers[0].wait(), Err(FfiError::Cancelled { .. })));
    let late = watchers[0].again().unwrap();
    until_it_waits(&late);
    assert!(store.download("m".to_owned()).unwrap().is_some());
    download.cancel().unwrap();
    let end = loop {
        match late.wait() {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(FfiError::Cancelled { .. })), "{end:?}");
    assert_eq!(late.wait(), Ok(None));
}
