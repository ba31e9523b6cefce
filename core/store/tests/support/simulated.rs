//! Models on a simulated disk.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use inkling_store::store::Store;
use inkling_store::{Open, Source, Vfs};
use inkling_store_chaos::disk::SimVfs;

/// A file on the simulated disk, beside the store.
pub(crate) fn file(vfs: &SimVfs, name: &str, bytes: &[u8]) -> Source {
    let path = PathBuf::from("/models").join(name);
    vfs.create_dir_all(Path::new("/models")).unwrap();
    vfs.open(&path, Open::Create).unwrap().write_at(0, bytes).unwrap();
    Source::file(&path).unwrap()
}

/// What is installed.
pub(crate) fn ids(store: &Store) -> Vec<String> {
    store.list().unwrap().iter().map(|model| model.id.to_string()).collect()
}
