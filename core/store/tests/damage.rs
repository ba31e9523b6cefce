//! Flipped bits and truncations in every kind of file: found, located, repaired with what is necessary.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::disk::Settings;
use inkling_store::{Chunks, Digest, Disk, FilePlan, Landing, ModelId, Slot, Staging};
use inkling_store_chaos::disk::{Random, SimVfs};

const CHUNK: usize = 1500;
const FLIPS: usize = 10_000;
const CUTS: usize = 1_000;

struct World {
    vfs: SimVfs,
    installed: Vec<u8>,
    /// On its way, with digests of chunks and without.
    coming: [(Vec<u8>, FilePlan); 2],
    slot: Slot,
    install_id: [u8; 16],
}

fn open(vfs: &SimVfs) -> Disk {
    let settings = Settings { keep_free: 0, hash_ahead: false, ..Settings::default() };
    Disk::open_with(Arc::new(vfs.clone()), Path::new("/store"), settings).unwrap()
}

fn plan(bytes: &[u8], known: bool) -> FilePlan {
    let ends = (1..=bytes.len().div_ceil(CHUNK)).map(|index| (index * CHUNK).min(bytes.len()) as u64).collect();
    let digests = if known { bytes.chunks(CHUNK).map(Digest::of).collect() } else { Vec::new() };
    let size = bytes.len() as u64;
    FilePlan { sha256: Digest::of(bytes), size, chunks: Chunks::new(size, ends, digests).unwrap() }
}

fn put(staging: &Staging, bytes: &[u8], chunks: impl IntoIterator<Item = usize>) {
    for chunk in chunks {
        let (start, length) = staging.plan().chunks.range(chunk);
        staging.put(chunk, &bytes[start as usize..(start + length) as usize]).unwrap();
    }
}

fn id() -> ModelId {
    "model".parse().unwrap()
}

fn no(_: u64, _: u64) {}

fn world() -> World {
    let (vfs, mut random) = (SimVfs::new(), Random::new(11));
    let disk = open(&vfs);
    let installed = random.bytes(20 * CHUNK + 77);
    let staging = disk.stage(&plan(&installed, true)).unwrap();
    put(&staging, &installed, staging.missing());
    staging.finish(&CancelToken::new(), &mut no).unwrap();
    assert_eq!(disk.verify(&Digest::of(&installed), &CancelToken::new(), &mut no).unwrap(), []);
    let coming = [true, false].map(|known| {
        let bytes = random.bytes(16 * CHUNK);
        let plan = plan(&bytes, known);
        let staging = disk.stage(&plan).unwrap();
        put(&staging, &bytes, 0..9);
        staging.checkpoint().unwrap();
        put(&staging, &bytes, 9..12);
        staging.checkpoint().unwrap();
        (bytes, plan)
    });
    let mut slot = Slot::new(id(), "somewhere");
    disk.put_slot(&mut slot).unwrap();
    disk.put_state("root", b"what is trusted").unwrap();
    let install_id = disk.install_id();
    drop(disk);
    World { vfs, installed, coming, slot, install_id }
}

/// Kinds of files, by their places.
fn kind(path: &Path) -> Option<&'static str> {
    let text = path.to_str()?;
    let name = path.file_name()?.to_str()?;
    Some(match name {
        "LOCK" | "ballast" => return None, // They say nothing.
        "STORE" | "STORE.copy" => "marker",
        "trusted" => "trusted",
        "data" => "arrived",
        "plan" => "plan",
        "have" | "have.copy" => "record of what has arrived",
        _ if text.contains("/slots/") => "slot",
        _ if text.contains("/trust/") => "state",
        _ if name.ends_with(".chunks") => "chunk table",
        _ => "object",
    })
}

/// Damages one file of a copy of the world, opens it, and sees that everything is found and made good. Gives chunks that
/// had to be fetched again.
fn survive(world: &World, path: &Path, damage: impl FnOnce(&mut Vec<u8>)) -> usize {
    let vfs = world.vfs.fork();
    let mut first = usize::MAX;
    let mut lost = 0;
    vfs.damage(path, |bytes| {
        let before = bytes.clone();
        damage(bytes);
        first = before.iter().zip(bytes.iter()).position(|(a, b)| a != b).unwrap_or(bytes.len());
        lost = before.len() - bytes.len();
    });
    let kind = kind(path).unwrap();
    let disk = open(&vfs);
    assert_eq!(disk.install_id(), world.install_id, "{}", path.display());
    assert_eq!(disk.slots().unwrap(), std::slice::from_ref(&world.slot));
    assert_eq!(disk.state("root").unwrap().unwrap(), b"what is trusted");
    let digest = Digest::of(&world.installed);
    assert_eq!(disk.trusts(&digest), kind != "trusted" && (kind != "object" || lost == 0), "{kind}");
    // The chunks that the damage touched: one where a bit flipped, all behind the cut.
    let touched: Vec<usize> = match lost {
        0 => vec![first / CHUNK],
        _ => (first / CHUNK..=(first + lost - 1) / CHUNK).collect(),
    };
    let bad = disk.verify(&digest, &CancelToken::new(), &mut no).unwrap();
    let bad: Vec<usize> = bad.iter().map(|bad| bad.index).collect();
    assert_eq!(bad, if kind == "object" { touched.clone() } else { vec![] }, "{kind}");
    let mut fetched = bad.len();
    if !bad.is_empty() {
        let bad = disk.verify(&digest, &CancelToken::new(), &mut no).unwrap();
        let staging = disk.begin_repair(&plan(&world.installed, true), &bad, &CancelToken::new()).unwrap();
        assert_eq!(staging.missing(), touched);
        put(&staging, &world.installed, touched.clone());
        staging.finish(&CancelToken::new(), &mut no).unwrap();
    }
    assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut no).unwrap(), []);
    assert!(disk.trusts(&digest) && disk.chunks(&digest).is_ok());
    for (bytes, plan) in &world.coming {
        let is_here = kind == "arrived" && path.to_str().unwrap().contains(&plan.sha256.to_string());
        let staging = disk.stage(plan).unwrap();
        let missing = staging.missing();
        // What is missing was missing, or was damaged.
        assert!(
            missing.iter().all(|chunk| *chunk >= 12 || (is_here && touched.contains(chunk))),
            "{kind}: {missing:?}"
        );
        fetched += missing.iter().filter(|chunk| **chunk < 12).count();
        put(&staging, bytes, missing);
        if staging.finish(&CancelToken::new(), &mut no).is_err() {
            assert!(is_here);
            let missing = staging.missing();
            assert_eq!(missing, touched, "{kind}");
            fetched += missing.len();
            put(&staging, bytes, missing);
            staging.finish(&CancelToken::new(), &mut no).unwrap();
        }
        let files: BTreeMap<PathBuf, Vec<u8>> = vfs.files().into_iter().collect();
        assert_eq!(&files[&disk.object(&plan.sha256).unwrap().unwrap().path], bytes);
    }
    // Both copies are whole again.
    drop(disk);
    let disk = open(&vfs);
    assert!(disk.gc(Duration::from_secs(1_000_000), Duration::from_secs(9999)).is_ok());
    drop(disk);
    let now: BTreeMap<PathBuf, Vec<u8>> = vfs.files().into_iter().collect();
    for (other, bytes) in world.vfs.files() {
        if matches!(self::kind(&other), Some("slot" | "state" | "marker" | "object")) {
            assert_eq!(now[&other], bytes, "{}", other.display());
        }
    }
    fetched
}

fn places(world: &World) -> BTreeMap<&'static str, Vec<(PathBuf, usize)>> {
    let mut places: BTreeMap<&str, Vec<(PathBuf, usize)>> = BTreeMap::new();
    for (path, bytes) in world.vfs.files() {
        if let Some(kind) = kind(&path) {
            places.entry(kind).or_default().push((path, bytes.len()));
        }
    }
    assert_eq!(places.len(), 9, "{places:?}");
    places
}

#[test]
fn flipped_bits_are_found_located_and_repaired() {
    let (world, mut random) = (world(), Random::new(21));
    let places = places(&world);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (kind, files) in places.iter().cycle().take(FLIPS) {
        let (path, length) = &files[random.index(files.len())];
        let bit = random.index(length * 8);
        let fetched = survive(&world, path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let count = counts.entry(kind).or_default();
        *count = (count.0 + 1, count.1.max(fetched));
    }
    println!("{FLIPS} flips, seed 21; by kind, with the most chunks that one cost: {counts:?}");
    assert!(counts.values().all(|(_, most)| *most <= 2), "{counts:?}");
}

#[test]
fn truncations_are_found_located_and_repaired() {
    let (world, mut random) = (world(), Random::new(22));
    let places = places(&world);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, (kind, files)) in places.iter().cycle().take(CUTS).enumerate() {
        let (path, length) = &files[random.index(files.len())];
        // Half of them cut at most a chunk away; the others anything.
        let most = if at % 2 == 0 { CHUNK.min(*length) } else { *length };
        let left = length - 1 - random.index(most);
        let fetched = survive(&world, path, |bytes| bytes.truncate(left));
        let behind = (length - 1) / CHUNK - left / CHUNK + 1;
        let is_data = matches!(*kind, "object" | "arrived");
        assert!(fetched <= if is_data { behind } else { 0 }, "{kind}: {fetched} chunks");
        assert!(most > CHUNK || fetched <= 2);
        let count = counts.entry(kind).or_default();
        *count = (count.0 + 1, count.1.max(fetched));
    }
    println!("{CUTS} truncations, seed 22; by kind, with the most chunks that one cost: {counts:?}");
}

#[test]
fn chunks_that_the_disk_cannot_read_are_told() {
    let world = world();
    let digest = Digest::of(&world.installed);
    let path = PathBuf::from(format!("/store/v1/objects/{digest}"));
    for chunk in 0..20 {
        let vfs = world.vfs.fork();
        let at = (chunk * CHUNK + 3) as u64;
        vfs.fail_reads(&path, at..at + 1);
        let disk = open(&vfs);
        let bad = disk.verify(&digest, &CancelToken::new(), &mut no).unwrap();
        assert_eq!(bad.iter().map(|bad| (bad.index, bad.failing_storage)).collect::<Vec<_>>(), [(chunk, true)]);
        assert!(!disk.trusts(&digest));
        let staging = disk.begin_repair(&plan(&world.installed, true), &bad, &CancelToken::new()).unwrap();
        assert_eq!(staging.missing(), [chunk]);
        put(&staging, &world.installed, [chunk]);
        // It is another file, on other places of the disk.
        staging.finish(&CancelToken::new(), &mut no).unwrap();
        assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut no).unwrap(), []);
    }
}
