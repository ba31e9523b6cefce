//! Room that was promised: downloads at the same time share one budget and one disk, also before any byte has come.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/simulated.rs"]
mod simulated;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use inkling_base::{Classify, ErrorKind};
use inkling_store::store::{EnsureOptions, Store, StoreConfig};
use inkling_store::{CHUNK, Digest, Disk, FilePlan, ModelId, Source, StoreError, Vfs};
use inkling_store_chaos::disk::{Call, Hook, Hooked, Random, SimVfs};
use simulated::{file, ids};

const KEEP_FREE: u64 = 10_000;
/// More than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Gate {
    closed: Option<Digest>,
    is_waited_at: bool,
}

/// Whoever begins to put one file together is held up.
struct Doorman {
    /// How often a plan was opened.
    plans: AtomicUsize,
    gate: Mutex<Gate>,
    changed: Condvar,
}

impl Doorman {
    fn new(closed: Digest) -> Arc<Self> {
        let gate = Mutex::new(Gate { closed: Some(closed), is_waited_at: false });
        Arc::new(Self { plans: AtomicUsize::new(0), gate, changed: Condvar::new() })
    }

    /// Waits until somebody is held up.
    fn wait(&self) {
        let gate = self.gate.lock().unwrap();
        let (gate, _) = self.changed.wait_timeout_while(gate, LONG, |gate| !gate.is_waited_at).unwrap();
        assert!(gate.is_waited_at);
    }

    fn open_gate(&self) {
        self.gate.lock().unwrap().closed = None;
        self.changed.notify_all();
    }
}

impl Hook for Doorman {
    fn before(&self, call: Call<'_>) -> io::Result<()> {
        match call {
            Call::Open(path, _) => {
                self.plans.fetch_add(usize::from(path.ends_with("plan")), Ordering::Relaxed);
            }
            Call::CreateDir(path) => {
                let mut gate = self.gate.lock().unwrap();
                if gate.closed.is_some_and(|digest| path.ends_with(Path::new("staging").join(digest.to_string()))) {
                    gate.is_waited_at = true;
                    self.changed.notify_all();
                    drop(self.changed.wait_timeout_while(gate, LONG, |gate| gate.closed.is_some()).unwrap());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn store(vfs: Arc<dyn Vfs>, budget: Option<u64>) -> Store {
    let mut config = StoreConfig::new("/store");
    (config.vfs, config.keep_free, config.budget) = (vfs, KEEP_FREE, budget);
    config.inspector = Arc::new(|_, _| Ok(()));
    Store::open(config).unwrap()
}

fn ensure(store: &Store, source: &Source) -> Result<ModelId, StoreError> {
    store.ensure(source.clone(), EnsureOptions::default()).unwrap().wait()
}

/// Of two downloads at the same time, of which one fits, the second is refused while nothing of the first is there.
fn one_of_two(budget: Option<u64>, capacity: Option<u64>) {
    let (vfs, mut random) = (SimVfs::new(), Random::new(1));
    let (one, two) = (random.bytes(3 * CHUNK as usize), random.bytes(3 * CHUNK as usize));
    let (first, second) = (file(&vfs, "one.gguf", &one), file(&vfs, "two.gguf", &two));
    let doorman = Doorman::new(Digest::of(&one));
    let store = store(Arc::new(Hooked::new(vfs.clone(), Arc::clone(&doorman))), budget);
    vfs.limit(capacity.map(|more| vfs.used() + more), None);
    let download = store.ensure(first, EnsureOptions::default()).unwrap();
    doorman.wait();
    // What it was promised is not there for others: neither in what is told nor in what is given.
    let room = store.look(&second).unwrap().room().unwrap();
    assert!(room < 2 * CHUNK, "{room}");
    let refused = ensure(&store, &second).unwrap_err();
    let ErrorKind::StorageFull { need_bytes, have_bytes } = refused.kind() else { panic!("{refused}") };
    assert!(have_bytes < need_bytes);
    doorman.open_gate();
    download.wait().unwrap();
    assert_eq!(ids(&store), ["one"]);
    // A promise ends with its download.
    store.remove(&"one".parse().unwrap()).unwrap();
    ensure(&store, &second).unwrap();
    assert_eq!(ids(&store), ["two"]);
    assert!(budget.is_none_or(|budget| store.usage().unwrap().total <= budget));
}

#[test]
fn two_downloads_share_one_budget() {
    one_of_two(Some(4 * CHUNK), None);
}

#[test]
fn two_downloads_share_one_disk() {
    one_of_two(None, Some(4 * CHUNK));
}

#[test]
fn a_folder_without_a_plan_is_not_a_beginning() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(2));
    let (old, new) = (random.bytes(2 * CHUNK as usize), random.bytes(3 * CHUNK as usize));
    let (old, source) = (file(&vfs, "old.gguf", &old), file(&vfs, "new.gguf", &new));
    let budget = 4 * CHUNK;
    let store = store(Arc::new(vfs.clone()), Some(budget));
    ensure(&store, &old).unwrap();
    // A process was killed after it made the folder.
    let folder = store.folder().join("v1/staging").join(Digest::of(&new).to_string());
    vfs.create_dir_all(&folder).unwrap();
    ensure(&store, &source).unwrap();
    assert_eq!(ids(&store), ["new"]);
    assert!(store.usage().unwrap().total <= budget);
}

/// Whoever counts what will come asks for one number of each plan, and some plans have megabytes.
#[test]
fn plans_are_read_once() {
    let (vfs, mut random) = (SimVfs::new(), Random::new(3));
    let bytes = random.bytes(3000);
    let doorman = Doorman::new(Digest::of(&bytes));
    doorman.open_gate();
    let disk = Disk::open(Arc::new(Hooked::new(vfs.clone(), Arc::clone(&doorman))), Path::new("/store")).unwrap();
    let plan = FilePlan::plain(Digest::of(&bytes), bytes.len() as u64);
    drop(disk.stage(&plan).unwrap());
    let planned = |size: u64| {
        assert_eq!(disk.staging_size(&plan.sha256).planned, size);
        assert!(disk.usage().unwrap().staging >= size);
        doorman.plans.load(Ordering::Relaxed)
    };
    let read = planned(3000);
    assert_eq!([planned(3000), planned(3000)], [read, read]);
    // Another plan is read again; none is none.
    disk.discard(&plan.sha256).unwrap();
    assert_eq!(planned(0), read);
    let shorter = FilePlan::plain(plan.sha256, 2000);
    drop(disk.stage(&shorter).unwrap());
    planned(2000);
}
