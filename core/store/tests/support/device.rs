//! A store against a server, as several test files need it.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test file uses its part of it")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inkling_base::{CancelToken, Network, Signals};
use inkling_store::WaitReason;
use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig};
use inkling_store::{Digest, DownloadEvent, ModelId, Role, Source};
use inkling_store_chaos::server::Server;

/// A signal that a test can switch.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    pub(crate) offline: AtomicBool,
    pub(crate) metered: AtomicBool,
}

impl Signals for Switch {
    fn network(&self) -> Network {
        Network {
            online: Some(!self.offline.load(Ordering::Relaxed)),
            metered: Some(self.metered.load(Ordering::Relaxed)),
        }
    }
}

pub(crate) fn config(folder: &Path) -> StoreConfig {
    let mut config = StoreConfig::new(folder);
    config.transport = Arc::new(HttpTransport::default());
    config.net.backoff = Duration::from_millis(2);
    config.keep_free = 0;
    config
}

pub(crate) fn open(folder: &Path) -> Store {
    Store::open(config(folder)).unwrap()
}

pub(crate) fn url(server: &Server, path: &str, bytes: &[u8]) -> Source {
    Source::url(&server.url(path), Digest::of(bytes), bytes.len() as u64).unwrap()
}

pub(crate) fn id(text: &str) -> ModelId {
    text.parse().unwrap()
}

pub(crate) fn install(store: &Store, source: Source) -> ModelId {
    store.ensure(source, EnsureOptions::default()).unwrap().wait().unwrap()
}

pub(crate) fn lent_bytes(store: &Store, id: &ModelId) -> Vec<u8> {
    let lent = store.lend(id, &CancelToken::new(), &|_, _| {}).unwrap();
    fs::read(lent.file(Role::Weights).unwrap().1).unwrap()
}

/// The latest event of a download.
pub(crate) fn download_event(download: &inkling_store::Download) -> Option<DownloadEvent> {
    let mut again = download.again();
    let mut last = None;
    while let Some(event) = again.next_timeout(Duration::from_millis(1)) {
        last = event.unwrap();
        if last.is_none() {
            break;
        }
    }
    last
}

/// Waits until a download has told that it waits for this reason.
pub(crate) fn until_waiting(download: &inkling_store::Download, reason: &WaitReason) {
    let mut again = download.again();
    loop {
        match again.next().unwrap().unwrap() {
            DownloadEvent::Waiting(why) if why == *reason => return,
            DownloadEvent::Ready(_) => panic!("it did not wait"),
            _ => {}
        }
    }
}
