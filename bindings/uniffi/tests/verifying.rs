//! Verifying a model: what is found, and stopping it.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use common::{DEMO, block_on};
use inkling_ffi::{FfiEnsureOptions, FfiError, FfiProgress, FfiStore, FfiStoreServices};

/// Says when the first chunk is read, and lets the second be read when it is told to.
struct Gate {
    calls: AtomicUsize,
    reached: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl FfiProgress for Gate {
    fn loaded(&self, _: f32) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
            self.reached.lock().unwrap().send(()).unwrap();
            let _ = self.go.lock().unwrap().recv();
        }
    }
}

fn installed(folder: &tempfile::TempDir) -> Arc<FfiStore> {
    let options = common::store_options(folder.path());
    let store = FfiStore::new(options, FfiStoreServices::default()).unwrap();
    let options = FfiEnsureOptions { id: Some("demo".to_owned()), ..FfiEnsureOptions::default() };
    let download = store.ensure(format!("file:{DEMO}"), options).unwrap();
    while block_on(download.next()).unwrap().is_some() {}
    store
}

#[test]
fn a_verification_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = installed(&folder);
    let verification = store.verify("demo".to_owned(), None).unwrap();
    let found = block_on(verification.finish()).unwrap();
    assert!(found.damaged.is_empty() && found.bytes > 1_000_000);
    assert!(block_on(verification.finish()).is_err());
    for by_dropping in [false, true] {
        let ((reached, at), (go, gone)) = (channel(), channel());
        let gate = Arc::new(Gate { calls: AtomicUsize::new(0), reached: Mutex::new(reached), go: Mutex::new(gone) });
        let verification = store.verify("demo".to_owned(), Some(gate.clone())).unwrap();
        at.recv().unwrap();
        if by_dropping {
            drop(verification);
        } else {
            verification.cancel().unwrap();
            go.send(()).unwrap();
            assert!(matches!(block_on(verification.finish()), Err(FfiError::Cancelled { .. })));
            assert_eq!(gate.calls.load(Ordering::Relaxed), 1);
        }
    }
    // Nothing of it is believed less for that.
    assert!(block_on(store.verify("demo".to_owned(), None).unwrap().finish()).unwrap().damaged.is_empty());
    let unknown = store.verify("none".to_owned(), None).unwrap();
    assert!(matches!(block_on(unknown.finish()), Err(FfiError::ModelNotFound { .. })));
    assert!(matches!(store.verify("A/B".to_owned(), None), Err(FfiError::InvalidInput { .. })));
}
