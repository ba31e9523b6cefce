//! Five hundred releases that are no good, of four kinds, on a disk: damaged there, ending the process at each load, said
//! to answer wrong, said to be too slow. Each is given up within three launches, the app is told, and the one before is
//! loaded.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/model.rs"]
mod model;

use std::path::Path;
use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_store::slot::{FellBack, GOOD_ENOUGH, MOST_ATTEMPTS, Which, Why};
use inkling_store::store::{EnsureOptions, Lent, Store, StoreConfig};
use inkling_store::{Digest, Open, Role, Source, Vfs};
use inkling_store_chaos::disk::SimVfs;
use model::gguf;

const RELEASES: u64 = 500;
const KINDS: [Why; 4] = [Why::WrongHash, Why::CrashAtLoad, Why::WrongGolden, Why::TooSlow];

fn open(vfs: &SimVfs) -> Store {
    let mut config = StoreConfig::new("/store");
    (config.vfs, config.keep_free) = (Arc::new(vfs.clone()), 0);
    config.inspector = Arc::new(|_, _| Ok(()));
    Store::open(config).unwrap()
}

fn lend(store: &Store) -> Lent {
    store.lend(&"m".parse().unwrap(), &CancelToken::new(), &|_, _| {}).unwrap()
}

fn read(vfs: &SimVfs, path: &Path) -> Vec<u8> {
    let file = vfs.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; file.stat().unwrap().len as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn five_hundred_bad_releases_are_given_up_within_three_launches() {
    let (vfs, local) = (SimVfs::new(), Path::new("/models/m.gguf"));
    vfs.create_dir_all(Path::new("/models")).unwrap();
    let source = Source::file(local).unwrap();
    // As many different files.
    let bytes_of = |number: u64| {
        let mut bytes = gguf(20_000, (number % 250) as u8);
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    let put = |bytes: &[u8]| {
        let file = vfs.open(local, Open::Create).unwrap();
        file.set_len(0).unwrap();
        file.write_at(0, bytes).unwrap();
    };
    let mut update = EnsureOptions::default();
    update.update = true;
    let good = bytes_of(0);
    put(&good);
    let store = open(&vfs);
    store.ensure(source.clone(), update.clone()).unwrap().wait().unwrap();
    for _ in 0..GOOD_ENOUGH {
        lend(&store).good().unwrap();
    }
    drop(store);
    let mut most = [0; 4];
    for bad in 1..=RELEASES {
        let kind = (bad % 4) as usize;
        let bytes = bytes_of(bad);
        put(&bytes);
        let store = open(&vfs);
        store.ensure(source.clone(), update.clone()).unwrap().wait().unwrap();
        let number = store.list().unwrap()[0].release;
        assert!(number > 1 && store.list().unwrap()[0].on_trial, "{bad}");
        drop(store);
        if KINDS[kind] == Why::WrongHash {
            let object = format!("/store/v1/objects/{}", Digest::of(&bytes));
            let at = (bad * 37) as usize % bytes.len();
            vfs.damage(Path::new(&object), |bytes| bytes[at] ^= 1);
        }
        let (mut launches, mut given_up) = (0, None);
        loop {
            // A launch: the app opens its store and loads the model.
            let store = open(&vfs);
            let lent = lend(&store);
            given_up = given_up.or(lent.fell_back.first().copied());
            if lent.which != Which::Pending {
                assert_eq!(read(&vfs, lent.file(Role::Weights).unwrap().1), good);
                lent.good().unwrap();
                break;
            }
            launches += 1;
            assert!(launches <= 3, "{bad}: {:?}", KINDS[kind]);
            match KINDS[kind] {
                // The process ends in the middle: nobody says anything any more.
                Why::CrashAtLoad => std::mem::forget(lent),
                why => {
                    lent.bad(why).unwrap();
                    given_up = Some(FellBack { from: number, why });
                }
            }
        }
        // Damaged bytes are never loaded at all.
        assert_eq!(given_up, Some(FellBack { from: number, why: KINDS[kind] }), "{bad}");
        most[kind] = most[kind].max(launches);
        let store = open(&vfs);
        let listed = store.list().unwrap().remove(0);
        assert_eq!((listed.release, listed.on_trial, listed.complete), (1, false, true), "{bad}");
    }
    println!("{RELEASES} bad releases; launches with one at most: {most:?} of {KINDS:?}");
    assert_eq!(most, [0, MOST_ATTEMPTS, 1, 1]);
}
