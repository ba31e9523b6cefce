//! Everything at once: models come, are activated, lent, verified, collected and removed by several threads. And the count
//! of attempts, on every way out.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/model.rs"]
mod model;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use inkling_base::CancelToken;
use inkling_store::slot::{MOST_ATTEMPTS, Why};
use inkling_store::store::{EnsureOptions, Lent, Store, StoreConfig};
use inkling_store::{CHUNK, Digest, ModelId, Role, Source, StoreError};
use inkling_store_chaos::disk::Random;
use model::gguf;
use tempfile::TempDir;

fn open(folder: &Path) -> Store {
    let mut config = StoreConfig::new(folder);
    config.keep_free = 0;
    Store::open(config).unwrap()
}

/// What may be said to somebody whose model others remove, collect and replace at the same time.
fn is_fair(error: &StoreError) -> bool {
    match error {
        StoreError::Shared(error) => is_fair(error),
        StoreError::Cancelled | StoreError::NotFound { .. } | StoreError::InUse { .. } => true,
        // A repair that was begun and left is told as damage until somebody ensures the model.
        StoreError::Damaged { .. } => true,
        _ => false,
    }
}

#[test]
fn threads_that_want_opposite_things_leave_a_sound_store() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("store"));
    // Of three models two are the same file.
    let files = [gguf(2 * CHUNK, 1), gguf(2 * CHUNK, 1), gguf(CHUNK, 2)];
    let sources: Vec<(ModelId, Source)> = (0..files.len())
        .map(|at| {
            let path = folder.path().join(format!("m{at}.gguf"));
            fs::write(&path, &files[at]).unwrap();
            (format!("m{at}").parse().unwrap(), Source::file(&path).unwrap())
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(4);
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u64)
            .map(|seed| {
                let (store, sources, files) = (&store, &sources, &files);
                scope.spawn(move || {
                    let (mut random, mut count) = (Random::new(seed), [0_u32; 5]);
                    while Instant::now() < until {
                        let at = random.index(sources.len());
                        let (id, source) = &sources[at];
                        let what = random.index(5);
                        let outcome = match what {
                            0 => {
                                let mut options = EnsureOptions::default();
                                options.update = random.chance(30);
                                store.ensure(source.clone(), options).and_then(|download| {
                                    if random.chance(20) {
                                        download.cancel();
                                    }
                                    download.wait().map(drop)
                                })
                            }
                            1 => store.remove(id),
                            2 => store.gc(Duration::ZERO).map(drop),
                            3 => store.verify(id, &CancelToken::new(), &|_, _| {}).map(|verified| {
                                // Files may go while they are looked for; none may be wrong.
                                assert!(verified.damaged.iter().all(|(_, chunks)| chunks.is_empty()));
                            }),
                            _ => store.lend(id, &CancelToken::new(), &|_, _| {}).map(|lent| {
                                assert_eq!(fs::read(lent.file(Role::Weights).unwrap().1).unwrap(), files[at]);
                            }),
                        };
                        match outcome {
                            Ok(()) => count[what] += 1,
                            Err(error) => assert!(is_fair(&error), "{what}: {error:?}"),
                        }
                    }
                    count
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold([0; 5], |mut sum, count| {
            sum.iter_mut().zip(count).for_each(|(sum, count)| *sum += count);
            sum
        })
    });
    println!("ensured, removed, collected, verified, lent: {counts:?}");
    assert!(counts.iter().all(|&count| count >= 5), "{counts:?}");
    for (at, (id, source)) in sources.iter().enumerate() {
        store.ensure(source.clone(), EnsureOptions::default()).unwrap().wait().unwrap();
        let lent = store.lend(id, &CancelToken::new(), &|_, _| {}).unwrap();
        assert_eq!(fs::read(lent.file(Role::Weights).unwrap().1).unwrap(), files[at]);
    }
    for (id, _) in &sources {
        store.remove(id).unwrap();
    }
    store.gc(Duration::ZERO).unwrap();
    assert_eq!(store.usage().unwrap().total, 0);
}

/// A model that was installed and never loaded.
fn fresh(folder: &Path) -> (Store, ModelId) {
    let local = folder.join("m.gguf");
    fs::write(&local, gguf(2 * CHUNK, 3)).unwrap();
    let store = open(&folder.join("store"));
    let m = store.ensure(Source::file(&local).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    (store, m)
}

fn lend(store: &Store, m: &ModelId) -> Result<Lent, StoreError> {
    store.lend(m, &CancelToken::new(), &|_, _| {})
}

#[test]
fn loads_that_end_in_order_are_not_counted() {
    let folder = TempDir::new().unwrap();
    let (store, m) = fresh(folder.path());
    let object = folder.path().join("store/v1/objects").join(Digest::of(&gguf(2 * CHUNK, 3)).to_string());
    for _ in 0..3 * MOST_ATTEMPTS {
        // Let go of, withdrawn, cancelled while its bytes are read again, and refused because they are damaged.
        drop(lend(&store, &m).unwrap());
        lend(&store, &m).unwrap().withdraw().unwrap();
        let bytes = fs::read(&object).unwrap();
        fs::write(&object, &bytes).unwrap();
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(matches!(store.lend(&m, &cancel, &|_, _| {}).unwrap_err(), StoreError::Cancelled));
        let mut broken = bytes.clone();
        broken[9] ^= 1;
        fs::write(&object, &broken).unwrap();
        assert!(matches!(lend(&store, &m).unwrap_err(), StoreError::Damaged { chunk: 0, .. }));
        fs::write(&object, &bytes).unwrap();
        store.verify(&m, &CancelToken::new(), &|_, _| {}).unwrap();
    }
    assert!(lend(&store, &m).unwrap().fell_back.is_empty());
}

#[test]
fn loads_that_do_not_come_back_are_counted_however_others_end() {
    let folder = TempDir::new().unwrap();
    let (store, m) = fresh(folder.path());
    for _ in 1..MOST_ATTEMPTS {
        std::mem::forget(lend(&store, &m).unwrap());
        // It ended in order, and says nothing about the one that did not.
        drop(lend(&store, &m).unwrap());
    }
    // One that came back wipes the slate.
    let lent = lend(&store, &m).unwrap();
    lent.came_back().unwrap();
    drop(lent);
    for _ in 0..MOST_ATTEMPTS {
        std::mem::forget(lend(&store, &m).unwrap());
    }
    // There is none before it, so nothing is left.
    assert!(matches!(lend(&store, &m).unwrap_err(), StoreError::NotFound { .. }));
    assert!(!store.has_release(&m).unwrap());
}

#[test]
fn a_verdict_counts_once() {
    let folder = TempDir::new().unwrap();
    let (store, m) = fresh(folder.path());
    let lent = lend(&store, &m).unwrap();
    lent.bad(Why::WrongGolden).unwrap();
    lent.bad(Why::TooSlow).unwrap();
    lent.withdraw().unwrap();
    lent.came_back().unwrap();
    drop(lent);
    let error = lend(&store, &m).unwrap_err();
    assert!(error.to_string().contains("WrongGolden") && !error.to_string().contains("TooSlow"), "{error}");
}
