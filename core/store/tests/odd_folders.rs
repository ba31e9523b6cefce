//! Folders that are no store of ours, or not ours now: a typed error, and everything is as it was, inside and beside.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/device.rs"]
mod device;
#[path = "support/model.rs"]
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use device::*;
use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::store::Store;
use inkling_store::{CHUNK, Hasher, Source, StoreError};
use model::gguf;
use tempfile::TempDir;

/// All that is below a folder: names and bytes; of folders, that they are there.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let bytes = if path.is_dir() { None } else { Some(fs::read(&path).unwrap()) };
            if bytes.is_none() {
                open.push(path.clone());
            }
            found.insert(path, bytes);
        }
    }
    found
}

/// A closed store with a model in it, something that is on its way, and what a crash leaves behind.
fn used(root: &Path) {
    let local = root.with_extension("gguf");
    fs::write(&local, gguf(2 * CHUNK, 1)).unwrap();
    let store = open(root);
    install(&store, Source::file(&local).unwrap());
    drop(store);
    let staging = root.join("v1/staging").join("a".repeat(64));
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("data"), "bytes of a later version").unwrap();
    fs::write(root.join("v1/slots/other.slot.tmp"), "half a record of a later version").unwrap();
}

fn refused(root: &Path) -> StoreError {
    Store::open(config(root)).unwrap_err()
}

#[test]
fn a_file_is_no_folder() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("models");
    fs::write(&file, "a letter").unwrap();
    let before = snapshot(place.path());
    for root in [file.clone(), file.join("below")] {
        let error = refused(&root);
        assert!(matches!(error, StoreError::NoStore { .. }), "{error:?}");
    }
    assert_eq!(snapshot(place.path()), before);
}

/// A marker as a later version of this library may write it.
fn later_marker() -> Vec<u8> {
    let payload = br#"{"layout":"v1","install":"00000000000000000000000000000007"}"#;
    let mut bytes = b"inkling\nstore   ".to_vec();
    bytes.extend_from_slice(&2_u32.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let mut hasher = Hasher::new();
    hasher.update(&bytes);
    hasher.update(payload);
    bytes.extend_from_slice(&hasher.finish().0);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_store_of_another_version_is_left_as_it_is() {
    for copies in [&["STORE", "STORE.copy"][..], &["STORE"], &["STORE.copy"]] {
        let place = TempDir::new().unwrap();
        let root = place.path().join("store");
        used(&root);
        for copy in copies {
            fs::write(root.join("v1").join(copy), later_marker()).unwrap();
        }
        let before = snapshot(place.path());
        // It says so as often as it is asked.
        for _ in 0..2 {
            let error = refused(&root);
            let StoreError::NoStore { why, .. } = &error else { panic!("{copies:?}: {error:?}") };
            assert!(why.contains("another version") && why.contains("update this library"), "{why}");
            let mut after = snapshot(place.path());
            // Who has the lock says who he is.
            after.insert(root.join("v1/LOCK"), before[&root.join("v1/LOCK")].clone());
            assert_eq!(after, before, "{copies:?}");
        }
    }
    let place = TempDir::new().unwrap();
    let root = place.path().join("store");
    used(&root);
    fs::create_dir(root.join("v2")).unwrap();
    let before = snapshot(place.path());
    assert!(matches!(refused(&root), StoreError::NoStore { why, .. } if why.contains("v2")));
    assert_eq!(snapshot(place.path()), before);
}

/// A file system that may be read only, if this process may mount one.
struct ReadOnly(TempDir);

impl ReadOnly {
    fn new(fill: impl FnOnce(&Path)) -> Option<Self> {
        let place = TempDir::new().unwrap();
        let mount = |options: &str| {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place.path());
            mount.output().is_ok_and(|output| output.status.success())
        };
        mount("size=16m").then(|| fill(place.path()))?;
        let place = Self(place);
        let mut again = Command::new("mount");
        again.args(["-o", "remount,ro"]).arg(place.0.path());
        assert!(again.status().unwrap().success());
        Some(place)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn what_cannot_be_written_is_no_store() {
    let Some(place) = ReadOnly::new(|place| used(&place.join("store"))) else {
        println!("skipped: only root may mount a file system");
        return;
    };
    let before = snapshot(place.0.path());
    for root in ["store", "new", "new/below"] {
        let error = refused(&place.0.path().join(root));
        let StoreError::NoStore { why, .. } = &error else { panic!("{root}: {error:?}") };
        assert!(why.contains("cannot be written") && why.contains("choose a folder"), "{why}");
        let kind = error.kind();
        assert!(matches!(&kind, ErrorKind::InvalidInput { .. }), "{kind:?}");
    }
    assert_eq!(snapshot(place.0.path()), before);
}

/// This test program once more, as another process that does one of the things below.
fn other_process(what: &str, root: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "the_other_process", "--nocapture", "--ignored"]);
    child.env("INKLING_OTHER", what).env("INKLING_OTHER_ROOT", root);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("holds it") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the other process ended");
    }
    (child, out)
}

#[test]
#[ignore = "is started by the others"]
fn the_other_process() {
    let Some(root) = std::env::var_os("INKLING_OTHER_ROOT") else { return };
    let what = std::env::var("INKLING_OTHER").unwrap();
    let store = open(Path::new(&root));
    let lent = (what == "reads").then(|| store.lend(&id("store"), &CancelToken::new(), &|_, _| {}).unwrap());
    // A reader does not keep the store open.
    let store = (what == "opens").then_some(store);
    println!("holds it");
    let _ = std::io::stdin().read_line(&mut String::new());
    drop((lent, store));
}

#[test]
fn a_store_that_another_process_has_is_busy() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("store");
    used(&root);
    let (mut child, _out) = other_process("opens", &root);
    let before = snapshot(place.path());
    let error = refused(&root);
    let StoreError::Locked { by, .. } = &error else { panic!("{error:?}") };
    assert!(by.contains(&child.id().to_string()), "{by}");
    assert!(matches!(error.kind(), ErrorKind::Busy { .. }));
    assert_eq!(snapshot(place.path()), before);
    // However it ends.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lent_bytes(&open(&root), &id("store")), gguf(2 * CHUNK, 1));
}

#[test]
fn what_another_process_reads_stays() {
    let place = TempDir::new().unwrap();
    let root = place.path().join("store");
    used(&root);
    let (mut child, _out) = other_process("reads", &root);
    let mut config = config(&root);
    config.budget = Some(5 * CHUNK / 2);
    let store = Store::open(config).unwrap();
    assert!(matches!(store.remove(&id("store")).unwrap_err(), StoreError::InUse { .. }));
    let local = place.path().join("new.gguf");
    fs::write(&local, gguf(2 * CHUNK, 2)).unwrap();
    let full = store.ensure(Source::file(&local).unwrap(), Default::default()).unwrap().wait().unwrap_err();
    assert!(matches!(full.kind(), ErrorKind::StorageFull { .. }), "{full:?}");
    assert!(store.list().unwrap()[0].complete);
    child.kill().unwrap();
    child.wait().unwrap();
    // Now it may go.
    install(&store, Source::file(&local).unwrap());
    assert_eq!(store.list().unwrap().iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["new"]);
}
