//! A repair that is cut off anywhere goes on: what was good of the damaged file is not fetched again.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling_base::CancelToken;
use inkling_store::disk::{EvictPolicy, Settings};
use inkling_store::http::HttpTransport;
use inkling_store::store::{EnsureOptions, Store, StoreConfig};
use inkling_store::{
    CHUNK, Chunks, Digest, Disk, FilePlan, Landing, ModelId, Release, ReleaseFile, Role, Source, Staging,
};
use inkling_store_chaos::disk::{Random, SimVfs};
use inkling_store_chaos::server::Server;

const SMALL: usize = 1500;
const COUNT: usize = 20;
const ROOT: &str = "/store";
/// Losses of power at each place.
const LOSSES: u64 = 6;
const LONG_AGO: Duration = Duration::ZERO;
const NOW: Duration = Duration::from_secs(1 << 40);

fn open(vfs: &SimVfs) -> Disk {
    let settings = Settings { keep_free: 0, hash_ahead: false, ..Settings::default() };
    Disk::open_with(Arc::new(vfs.clone()), Path::new(ROOT), settings).unwrap()
}

fn plan(bytes: &[u8], chunk: usize, known: bool) -> FilePlan {
    let ends = (1..=bytes.len().div_ceil(chunk)).map(|index| (index * chunk).min(bytes.len()) as u64).collect();
    let digests = if known { bytes.chunks(chunk).map(Digest::of).collect() } else { Vec::new() };
    let size = bytes.len() as u64;
    FilePlan { sha256: Digest::of(bytes), size, chunks: Chunks::new(size, ends, digests).unwrap() }
}

fn put_missing(staging: &Staging, bytes: &[u8]) -> usize {
    let missing = staging.missing();
    for &chunk in &missing {
        let (start, length) = staging.plan().chunks.range(chunk);
        staging.put(chunk, &bytes[start as usize..(start + length) as usize]).unwrap();
    }
    missing.len()
}

fn no(_: u64, _: u64) {}

fn id() -> ModelId {
    "model".parse().unwrap()
}

/// A disk with one installed file, which a slot names, of which one chunk is damaged.
fn damaged(bytes: &[u8], plan: &FilePlan) -> SimVfs {
    let vfs = SimVfs::new();
    let disk = open(&vfs);
    let staging = disk.stage(plan).unwrap();
    put_missing(&staging, bytes);
    staging.finish(&CancelToken::new(), &mut no).unwrap();
    let (name, sealed) = ("w".to_owned(), None);
    let file = ReleaseFile { role: Role::Weights, name, required: true, size: plan.size, sha256: plan.sha256, sealed };
    let release = serde_json::from_value::<Release>(serde_json::json!({ "number": 1, "files": [file] })).unwrap();
    disk.change_slot(&id(), |slot| Ok(slot.offer(release, false)?)).unwrap();
    assert_eq!(disk.verify(&plan.sha256, &CancelToken::new(), &mut no).unwrap(), []);
    drop(disk);
    damage(&vfs, &plan.sha256, bytes.len() / 2);
    vfs
}

fn damage(vfs: &SimVfs, digest: &Digest, at: usize) {
    vfs.damage(&Path::new(ROOT).join("v1/objects").join(digest.to_string()), |bytes| bytes[at] ^= 1);
}

/// Begins the repair of a copy of this disk, and cuts the power at its `at`th change. Gives the disk as somebody finds it
/// who was only killed, and as others do after losses of power; `None` if there are not that many changes.
fn cut(vfs: &SimVfs, plan: &FilePlan, at: u64) -> Option<Vec<SimVfs>> {
    let begin = |vfs: &SimVfs| {
        let disk = open(vfs);
        let bad = disk.verify(&plan.sha256, &CancelToken::new(), &mut no).unwrap();
        assert_eq!(bad.len(), 1);
        vfs.power_off_after(at);
        let staging = disk.begin_repair(plan, &bad, &CancelToken::new());
        // What a process that goes on would do with it does not happen.
        vfs.power_off_after(1);
        staging.is_ok()
    };
    let killed = vfs.fork();
    if begin(&killed) {
        return None;
    }
    let mut found = vec![killed.fork()];
    for seed in 0..LOSSES {
        let lost = vfs.fork();
        begin(&lost);
        lost.crash(seed);
        found.push(lost);
    }
    Some(found)
}

/// Repairs what there is as a download does, and gives the chunks that had to be fetched.
fn repair(disk: &Disk, bytes: &[u8], plan: &FilePlan) -> usize {
    let staging = if disk.object(&plan.sha256).unwrap().is_some() {
        let bad = disk.verify(&plan.sha256, &CancelToken::new(), &mut no).unwrap();
        disk.begin_repair(plan, &bad, &CancelToken::new()).unwrap()
    } else {
        disk.mend(plan).unwrap()
    };
    staging.take_from(&[], &CancelToken::new()).unwrap();
    let fetched = put_missing(&staging, bytes);
    let object = staging.finish(&CancelToken::new(), &mut no).unwrap();
    assert_eq!(object.size, bytes.len() as u64);
    assert_eq!(disk.verify(&plan.sha256, &CancelToken::new(), &mut no).unwrap(), []);
    fetched
}

#[test]
fn a_repair_that_is_cut_off_anywhere_goes_on() {
    let bytes = Random::new(1).bytes(COUNT * SMALL + 7);
    let plans = [plan(&bytes, SMALL, true), plan(&bytes, SMALL, false), plan(&bytes, SMALL * 2 - 77, false)];
    // Who installed it, and who wants it now: one who knows its chunks, one who does not, one who would cut it otherwise.
    for (first, then) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
        let vfs = damaged(&bytes, &plans[first]);
        let (mut cuts, mut most) = (0, 0);
        for at in 1.. {
            let Some(found) = cut(&vfs, &plans[then], at) else { break };
            cuts += 1;
            for vfs in found {
                let disk = open(&vfs);
                disk.gc(NOW, LONG_AGO).unwrap();
                let fetched = repair(&disk, &bytes, &plans[then]);
                assert!(fetched <= 2, "{first} {then}, cut at {at}: {fetched} chunks fetched");
                most = most.max(fetched);
                // Then nothing is taken from it any more.
                disk.gc(NOW, LONG_AGO).unwrap();
                assert_eq!(disk.usage().unwrap().quarantine, 0);
            }
        }
        println!("installed by {first}, wanted by {then}: {cuts} cuts, {most} chunks fetched at most");
        assert!(cuts > 15, "{cuts}");
    }
}

#[test]
fn what_a_repair_takes_from_goes_before_somebody_gets_nothing() {
    let bytes = Random::new(2).bytes(COUNT * SMALL);
    let plan = plan(&bytes, SMALL, true);
    let vfs = damaged(&bytes, &plan);
    let disk = open(&vfs);
    let bad = disk.verify(&plan.sha256, &CancelToken::new(), &mut no).unwrap();
    drop(disk.begin_repair(&plan, &bad, &CancelToken::new()).unwrap());
    disk.discard(&plan.sha256).unwrap();
    let size = plan.size;
    let policy = |budget: u64| EvictPolicy {
        budget,
        keep_free: 0,
        hysteresis: 0.5,
        need: size,
        keep: vec![id()],
        coming: Vec::new(),
    };
    let kept = disk.usage().unwrap().quarantine;
    assert!(kept > size);
    // While it fits it stays, as it does when what is lacking would be lacking without it.
    disk.evict(&policy(kept + size)).unwrap();
    disk.evict(&policy(size - 1)).unwrap_err();
    assert_eq!(disk.usage().unwrap().quarantine, kept);
    disk.evict(&policy(kept + size - 1)).unwrap();
    assert_eq!(disk.usage().unwrap().total, 0);
    // With its model it goes at once.
    let vfs = damaged(&bytes, &plan);
    let disk = open(&vfs);
    drop(disk.begin_repair(&plan, &bad, &CancelToken::new()).unwrap());
    disk.evict(&EvictPolicy { keep: Vec::new(), ..policy(size) }).unwrap();
    assert_eq!(disk.usage().unwrap().total, 0);
    // While nobody knows what slots name, it stays.
    let vfs = damaged(&bytes, &plan);
    let disk = open(&vfs);
    drop(disk.begin_repair(&plan, &bad, &CancelToken::new()).unwrap());
    disk.discard(&plan.sha256).unwrap();
    for (path, _) in vfs.files().iter().filter(|(path, _)| path.to_string_lossy().contains("/slots/")) {
        vfs.damage(path, |bytes| bytes.truncate(1));
    }
    disk.gc(NOW, LONG_AGO).unwrap();
    assert_eq!(disk.usage().unwrap().quarantine, kept);
}

/// The same through [`Store::ensure`], against a server that counts.
#[test]
fn a_model_whose_repair_was_cut_off_costs_a_chunk() {
    let (server, bytes) = (Server::start().unwrap(), Random::new(3).bytes(5 * CHUNK as usize + 99));
    server.add("/model.gguf", bytes.clone());
    let plain = FilePlan::plain(Digest::of(&bytes), bytes.len() as u64);
    let source = Source::url(&server.url("/model.gguf"), plain.sha256, plain.size).unwrap();
    let ensure = |vfs: &SimVfs| {
        let mut config = StoreConfig::new(ROOT);
        config.transport = Arc::new(HttpTransport::default());
        (config.vfs, config.keep_free) = (Arc::new(vfs.clone()), 0);
        config.inspector = Arc::new(|_, _| Ok(()));
        let store = Store::open(config).unwrap();
        store.ensure(source.clone(), EnsureOptions::default()).unwrap().wait().unwrap();
        assert!(store.list().unwrap()[0].complete);
    };
    let vfs = SimVfs::new();
    ensure(&vfs);
    let vfs = vfs.fork();
    damage(&vfs, &plain.sha256, bytes.len() / 2);
    let mut cuts = 0;
    for at in 1.. {
        let Some(found) = cut(&vfs, &plain, at) else { break };
        cuts += 1;
        // One kill, one loss of power.
        for vfs in found.iter().take(2) {
            let before = server.total().bytes;
            ensure(vfs);
            let fetched = server.total().bytes - before;
            assert!(fetched <= 2 * CHUNK, "cut at {at}: {fetched} bytes fetched");
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 15, "{cuts}");
}
