//! The folder of the store on a real file system: opening, staging, finishing, resuming, verifying, repairing, leasing.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use inkling_base::CancelToken;
use inkling_store::disk::{Held, Settings};
use inkling_store::{Chunks, Digest, Disk, FilePlan, Landing, ModelId, Slot, StoreError, SystemVfs};
use inkling_store_chaos::disk::FailingVfs;

const CHUNK: usize = 4096;

fn settings() -> Settings {
    Settings { checkpoint_bytes: 8 * CHUNK as u64, keep_free: 0, ..Settings::default() }
}

fn open(root: &Path) -> Disk {
    Disk::open_with(Arc::new(SystemVfs), root, settings()).unwrap()
}

/// Bytes that look random, the same for each seed.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|at| Digest::of(&[seed.to_le_bytes(), at.to_le_bytes()].concat()).0);
    blocks.take(len).collect()
}

fn plan(bytes: &[u8], digests: bool) -> FilePlan {
    let ends = (1..=bytes.len().div_ceil(CHUNK)).map(|index| (index * CHUNK).min(bytes.len()) as u64).collect();
    let known = if digests { bytes.chunks(CHUNK).map(Digest::of).collect() } else { Vec::new() };
    let chunks = Chunks::new(bytes.len() as u64, ends, known).unwrap();
    FilePlan { sha256: Digest::of(bytes), size: bytes.len() as u64, chunks }
}

fn put(staging: &dyn Landing, bytes: &[u8], index: usize) -> Result<(), StoreError> {
    let (start, length) = staging.plan().chunks.range(index);
    staging.put(index, &bytes[start as usize..(start + length) as usize])
}

fn install(disk: &Disk, bytes: &[u8]) -> Digest {
    let staging = disk.stage(&plan(bytes, true)).unwrap();
    staging.missing().into_iter().for_each(|index| put(&staging, bytes, index).unwrap());
    staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap().digest
}

#[test]
fn a_file_arrives_and_is_verified() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    for (seed, digests) in [(1, true), (2, false)] {
        let content = bytes(seed, 37 * CHUNK + 5);
        let plan = plan(&content, digests);
        let staging = disk.stage(&plan).unwrap();
        staging.hash_ahead();
        assert!(matches!(disk.stage(&plan), Err(StoreError::InUse { .. })));
        assert_eq!(staging.missing().len(), 38);
        assert!(matches!(staging.finish(&CancelToken::new(), &mut |_, _| {}), Err(StoreError::Invalid { .. })));
        std::thread::scope(|scope| {
            for part in 0..4 {
                let (staging, content) = (&staging, &content);
                scope.spawn(move || {
                    (0..38).rev().filter(|i| i % 4 == part).for_each(|i| put(staging, content, i).unwrap())
                });
            }
        });
        let mut told = Vec::new();
        let object = staging.finish(&CancelToken::new(), &mut |done, all| told.push((done, all))).unwrap();
        assert_eq!(told.last(), Some(&(plan.size, plan.size)));
        assert_eq!(std::fs::read(&object.path).unwrap(), content);
        assert_eq!(disk.object(&plan.sha256).unwrap().unwrap(), object);
        assert_eq!(disk.chunks(&plan.sha256).unwrap(), plan.chunks);
        assert!(disk.staged().unwrap().is_empty() && disk.stage(&plan).is_err());
        assert!(!disk.trusts(&plan.sha256));
        assert_eq!(disk.verify(&plan.sha256, &CancelToken::new(), &mut |_, _| {}).unwrap(), []);
        assert!(disk.trusts(&plan.sha256));
    }
}

#[test]
fn damaged_chunks_do_not_land() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(1, 3 * CHUNK);
    let staging = disk.stage(&plan(&content, true)).unwrap();
    assert!(matches!(staging.put(1, &content[..CHUNK]), Err(StoreError::Damaged { chunk: 1, .. })));
    assert!(matches!(staging.put(3, &content[..CHUNK]), Err(StoreError::Invalid { .. })));
    assert!(matches!(staging.put(0, &content[..CHUNK - 1]), Err(StoreError::Invalid { .. })));
    assert_eq!(staging.missing(), [0, 1, 2]);
}

#[test]
fn a_whole_that_is_wrong_never_becomes_an_object() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(1, 9 * CHUNK);
    let sent = bytes(2, 9 * CHUNK);
    let staging = disk.stage(&plan(&content, false)).unwrap();
    (0..9).for_each(|index| put(&staging, &sent, index).unwrap());
    let finish = || staging.finish(&CancelToken::new(), &mut |_, _| {});
    assert!(matches!(finish(), Err(StoreError::WrongDigest { got, .. }) if got == Digest::of(&sent)));
    assert_eq!(staging.missing().len(), 9);
    // Damage on this disk costs only the chunk.
    (0..9).for_each(|index| put(&staging, &content, index).unwrap());
    let data = root.path().join(format!("v1/staging/{}/data", Digest::of(&content)));
    let mut damaged = content.clone();
    damaged[5 * CHUNK] ^= 1;
    std::thread::sleep(std::time::Duration::from_millis(100)); // The thread has hashed the good bytes by now.
    drop(staging);
    std::fs::write(&data, &damaged).unwrap();
    let staging = disk.stage(&plan(&content, false)).unwrap();
    let finish = || staging.finish(&CancelToken::new(), &mut |_, _| {});
    if staging.missing().is_empty() {
        assert!(matches!(finish(), Err(StoreError::WrongDigest { .. })));
    }
    assert_eq!(staging.missing(), [5]);
    put(&staging, &content, 5).unwrap();
    finish().unwrap();
}

#[test]
fn a_download_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let content = bytes(1, 30 * CHUNK);
    for digests in [true, false] {
        let plan = plan(&content, digests);
        {
            let disk = open(root.path());
            let staging = disk.stage(&plan).unwrap();
            (0..11).for_each(|index| put(&staging, &content, index).unwrap());
        }
        let disk = open(root.path());
        assert_eq!(disk.stage(&plan).unwrap().missing(), (11..30).collect::<Vec<_>>());
        // One copy of the record is enough; without any nothing is believed.
        let record = |name: &str| disk.folder().join(format!("staging/{}/{name}", plan.sha256));
        std::fs::write(record("have"), b"?").unwrap();
        assert_eq!(disk.stage(&plan).unwrap().missing().len(), 19);
        std::fs::write(record("have"), b"?").unwrap();
        std::fs::write(record("have.copy"), b"?").unwrap();
        assert_eq!(disk.stage(&plan).unwrap().missing().len(), 30);
        disk.discard(&plan.sha256).unwrap();
    }
}

#[test]
fn another_cut_keeps_what_it_can() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(1, 20 * CHUNK);
    let staging = disk.stage(&plan(&content, false)).unwrap();
    (0..10).for_each(|index| put(&staging, &content, index).unwrap());
    drop(staging);
    // The same cut with digests, then one of twice the size.
    let known = plan(&content, true);
    assert_eq!(disk.stage(&known).unwrap().missing(), (10..20).collect::<Vec<_>>());
    let ends = (1..=10).map(|index| (index * 2 * CHUNK) as u64).collect();
    let digests = content.chunks(2 * CHUNK).map(Digest::of).collect();
    let wide = FilePlan { chunks: Chunks::new(known.size, ends, digests).unwrap(), ..known.clone() };
    assert_eq!(disk.stage(&wide).unwrap().missing(), [5, 6, 7, 8, 9]);
    assert_eq!(disk.stage(&plan(&content, false)).unwrap().missing().len(), 20);
}

#[test]
fn unchanged_chunks_come_from_what_is_installed() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let old = bytes(1, 40 * CHUNK);
    let old_digest = install(&disk, &old);
    let mut new = old.clone();
    new[7 * CHUNK + 3] ^= 1;
    new.extend_from_slice(b"more");
    let staging = disk.stage(&plan(&new, true)).unwrap();
    assert_eq!(staging.take_from(&[Digest::of(b"?"), old_digest], &CancelToken::new()).unwrap(), 39 * CHUNK as u64);
    assert_eq!(staging.missing(), [7, 40]);
    [7, 40].into_iter().for_each(|index| put(&staging, &new, index).unwrap());
    let object = staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(std::fs::read(object.path).unwrap(), new);
}

#[test]
fn files_from_elsewhere_are_taken_in_segments() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(&root.path().join("store"));
    let content = bytes(1, 10 * CHUNK + 100);
    let staging = disk.stage(&plan(&content, true)).unwrap();
    let segment = root.path().join("segment");
    std::fs::write(&segment, &content[CHUNK + 10..5 * CHUNK]).unwrap();
    let taken = staging.put_file(&segment, CHUNK as u64 + 10, &CancelToken::new(), &mut |_| {}).unwrap();
    assert_eq!((taken, staging.missing()), (3 * CHUNK as u64, vec![0, 1, 5, 6, 7, 8, 9, 10]));
    let mut wrong = content.clone();
    wrong[6 * CHUNK] ^= 1;
    std::fs::write(&segment, &wrong).unwrap();
    staging.put_file(&segment, 0, &CancelToken::new(), &mut |_| {}).unwrap();
    assert_eq!(staging.missing(), [6]);
    assert!(matches!(staging.put_file(&segment, u64::MAX, &CancelToken::new(), &mut |_| {}), Ok(0)));
}

#[test]
fn damage_is_located_and_only_it_is_fetched_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(1, 25 * CHUNK);
    let digest = install(&disk, &content);
    let lease = disk.lease(&digest).unwrap();
    let reader = std::fs::File::open(lease.path()).unwrap();
    let mut damaged = content.clone();
    damaged[12 * CHUNK + 7] ^= 16;
    std::fs::write(lease.path(), &damaged).unwrap();
    let bad = disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(bad.iter().map(|bad| (bad.index, bad.failing_storage)).collect::<Vec<_>>(), [(12, false)]);
    let staging = disk.begin_repair(&plan(&content, true), &bad, &CancelToken::new()).unwrap();
    assert_eq!(disk.object(&digest).unwrap(), None);
    assert_eq!(staging.missing(), [12]);
    drop(staging);
    // Interrupted, and gone on with by somebody who knows no digests of chunks.
    drop(disk);
    let disk = open(root.path());
    let staging = disk.stage(&plan(&content, false)).unwrap();
    assert_eq!(staging.missing(), [12]);
    put(&staging, &content, 12).unwrap();
    let object = staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(std::fs::read(&object.path).unwrap(), content);
    // The reader keeps the file that it has.
    let mut kept = Vec::new();
    std::io::Read::read_to_end(&mut { reader }, &mut kept).unwrap();
    assert_eq!(kept, damaged);
    assert!(disk.usage().unwrap().quarantine > content.len() as u64);
    drop((lease, staging));
    disk.gc(std::time::Duration::ZERO, std::time::Duration::from_secs(3600)).unwrap();
    assert_eq!(disk.usage().unwrap().quarantine, 0);
}

#[test]
fn a_lost_table_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(1, 3 << 20);
    let digest = install(&disk, &content);
    let table = root.path().join(format!("v1/objects/{digest}.chunks"));
    let before = std::fs::read(&table).unwrap();
    std::fs::write(&table, &before[..before.len() - 1]).unwrap();
    assert_eq!(disk.chunks(&digest).unwrap().len(), 3);
    assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap(), []);
    std::fs::remove_file(&table).unwrap();
    std::fs::write(disk.object(&digest).unwrap().unwrap().path, b"x").unwrap();
    assert!(matches!(disk.chunks(&digest), Err(StoreError::WrongDigest { .. })));
    assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap().len(), 1);
}

#[test]
fn slots_and_states_survive_the_loss_of_a_copy() {
    let root = tempfile::tempdir().unwrap();
    let id: ModelId = "a.model".parse().unwrap();
    let install_id = {
        let disk = open(root.path());
        let mut slot = Slot::new(id.clone(), "somewhere");
        disk.put_slot(&mut slot).unwrap();
        let mut stale = slot.clone();
        slot.pinned = true;
        disk.put_slot(&mut slot).unwrap();
        assert!(matches!(disk.put_slot(&mut stale), Err(StoreError::InUse { .. })));
        disk.put_state("root.keys", b"one").unwrap();
        disk.put_state("root.keys", b"two").unwrap();
        assert!(disk.put_state("../x", b"").is_err());
        disk.install_id()
    };
    for file in ["slots/a.model.slot", "slots/a.model.copy", "trust/root.keys.state", "trust/root.keys.copy", "STORE"] {
        let path = root.path().join("v1").join(file);
        let good = std::fs::read(&path).unwrap();
        for damaged in [None, Some(&good[1..]), Some(&b""[..])] {
            match damaged {
                None => std::fs::remove_file(&path).unwrap(),
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            }
            let disk = open(root.path());
            assert!(disk.slot(&id).unwrap().unwrap().pinned);
            assert_eq!(disk.state("root.keys").unwrap().unwrap(), b"two");
            assert_eq!(disk.install_id(), install_id);
            assert_eq!(std::fs::read(&path).unwrap(), good, "{file}");
        }
    }
    let disk = open(root.path());
    for file in ["slots/a.model.slot", "slots/a.model.copy"] {
        std::fs::write(root.path().join("v1").join(file), b"?").unwrap();
    }
    assert!(matches!(disk.slot(&id), Err(StoreError::Damaged { .. })));
    assert_eq!((disk.slots().unwrap().len(), disk.damaged_slots().unwrap()), (0, vec![id.clone()]));
    assert!(disk.remove_slot(&id).unwrap() && disk.slot(&id).unwrap().is_none());
}

#[test]
fn what_is_no_store_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let try_open = |path: &Path| Disk::open(Arc::new(SystemVfs), path);
    let file = folder.path().join("file");
    std::fs::write(&file, b"mine").unwrap();
    assert!(matches!(try_open(&file), Err(StoreError::NoStore { .. })));
    assert!(matches!(try_open(&file.join("x")), Err(StoreError::NoStore { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let later = folder.path().join("later");
    std::fs::create_dir_all(later.join("v2")).unwrap();
    assert!(matches!(try_open(&later), Err(StoreError::NoStore { why, .. }) if why.contains("v2")));
    assert!(!later.join("v1").exists());
    let store = folder.path().join("store");
    let disk = try_open(&store).unwrap();
    assert!(
        matches!(try_open(&store), Err(StoreError::Locked { by, .. }) if by.contains(&std::process::id().to_string()))
    );
    drop(disk);
    try_open(&store).unwrap();
}

/// Bytes that an object is counted as.
fn usage_of(disk: &Disk, digest: &Digest) -> u64 {
    let usage = disk.usage().unwrap();
    usage.objects.iter().filter(|object| object.digest == *digest).map(|object| object.bytes + object.panels).sum()
}

#[test]
fn leased_pinned_and_needed_models_stay() {
    use inkling_store::disk::EvictPolicy;
    use inkling_store::{Release, ReleaseFile, Role};
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let ids: Vec<ModelId> = ["a", "b", "c", "d"].map(|id| id.parse().unwrap()).to_vec();
    let mut digests = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let content = bytes(at as u64, 10 * CHUNK);
        let sha256 = install(&disk, &content);
        let file = ReleaseFile {
            role: Role::Weights,
            name: "w".to_owned(),
            required: true,
            size: content.len() as u64,
            sha256,
            sealed: None,
        };
        let release = serde_json::from_value::<Release>(serde_json::json!({ "number": 1, "files": [file] })).unwrap();
        let (slot, _) = disk
            .change_slot(id, |slot| {
                slot.last_used = at as u64;
                slot.pinned = at == 1;
                Ok(slot.offer(release, false)?)
            })
            .unwrap();
        assert!(slot.generation > 0);
        digests.push(sha256);
    }
    std::fs::write(disk.panels(&digests[2]).unwrap().join("panels"), [0; 9999]).unwrap();
    let lease = disk.lease(&digests[0]).unwrap();
    assert!(disk.is_leased(&digests[0]) && !disk.is_leased(&digests[1]));
    let unmeetable = EvictPolicy {
        budget: 1,
        keep_free: 0,
        hysteresis: 0.1,
        need: 0,
        keep: vec![ids[3].clone()],
        coming: Vec::new(),
    };
    // What would not be enough stays: slots, objects, what has arrived of other files and what is in quarantine.
    let left = vec![5; 3000];
    let staging = disk.stage(&FilePlan::plain(Digest::of(&left), left.len() as u64)).unwrap();
    drop(staging);
    std::fs::write(disk.folder().join("quarantine/x"), [0; 99]).unwrap();
    let before = (disk.slots().unwrap(), disk.usage().unwrap());
    assert!(before.1.staging > 0 && before.1.quarantine > 0);
    assert!(matches!(disk.evict(&unmeetable), Err(StoreError::Full { .. })));
    let unmeetable_disk = EvictPolicy { budget: u64::MAX, keep_free: 1 << 60, ..unmeetable.clone() };
    assert!(matches!(disk.evict(&unmeetable_disk), Err(StoreError::Full { .. })));
    assert_eq!((disk.slots().unwrap(), disk.usage().unwrap()), before);
    // What fits if all goes that may does go, to the last byte.
    let stays: u64 = [0, 1, 3].iter().map(|&at| usage_of(&disk, &digests[at])).sum();
    let policy = EvictPolicy { budget: stays, ..unmeetable };
    assert!(disk.evict(&EvictPolicy { budget: stays - 1, ..policy.clone() }).is_err());
    assert_eq!((disk.slots().unwrap(), disk.usage().unwrap()), before);
    disk.evict(&policy).unwrap();
    assert_eq!(disk.usage().unwrap().total, stays);
    let there: Vec<bool> = digests.iter().map(|digest| disk.object(digest).unwrap().is_some()).collect();
    assert_eq!(there, [true, true, false, true]);
    assert!(!disk.folder().join(format!("panels/{}", digests[2])).exists());
    assert!(disk.slot(&ids[2]).unwrap().unwrap().chosen().is_none());
    drop(lease);
    let roomy = EvictPolicy { budget: 1 << 40, need: 1 << 20, ..policy.clone() };
    assert_eq!(disk.evict(&roomy).unwrap(), Default::default());
    let stays: u64 = [1, 3].iter().map(|&at| usage_of(&disk, &digests[at])).sum();
    disk.evict(&EvictPolicy { budget: stays, ..policy }).unwrap();
    assert!(disk.object(&digests[0]).unwrap().is_none());
    assert!(matches!(disk.lease(&digests[0]), Err(StoreError::NotFound { .. })));
    // What nobody names goes with the collection, once it is old.
    disk.remove_slot(&ids[3]).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(disk.gc(now, hour).unwrap(), 0);
    assert!(disk.gc(now + 2 * hour, hour).unwrap() > 0);
    assert!(disk.object(&digests[3]).unwrap().is_none() && disk.object(&digests[1]).unwrap().is_some());
}

#[test]
#[ignore = "writes a gigabyte and measures"]
fn opening_a_large_object_is_cheap() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let (chunk, count) = (vec![7_u8; 1 << 20], 1024);
    let mut hasher = inkling_store::Hasher::new();
    (0..count).for_each(|_| hasher.update(&chunk));
    let digest = hasher.finish();
    let staging = disk.stage(&FilePlan::plain(digest, (count as u64) << 20)).unwrap();
    (0..count).for_each(|index| staging.put(index, &chunk).unwrap());
    staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    disk.trust(&digest).unwrap();
    let mut times: Vec<_> = (0..101)
        .map(|_| {
            let began = std::time::Instant::now();
            assert!(disk.object(&digest).unwrap().is_some() && disk.trusts(&digest));
            let lease = disk.lease(&digest).unwrap();
            let took = began.elapsed();
            drop(lease);
            took
        })
        .collect();
    times.sort();
    println!("found, trusted and leased in {:?} (median), {:?} at most", times[50], times[100]);
    assert!(times[50] < std::time::Duration::from_millis(5));
}

/// A publisher who signs chunks that do not make up the file whose digest he gives takes nobody else's name.
#[test]
fn chunks_that_contradict_the_whole_take_no_others_name() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let (right, wrong) = (bytes(1, 5 * CHUNK + 9), bytes(2, 5 * CHUNK + 9));
    let mine = plan(&right, false);
    let liar = inkling_store::FilePlan { sha256: mine.sha256, ..plan(&wrong, true) };
    let install = |plan: &inkling_store::FilePlan, content: &[u8]| {
        let staging = disk.stage(plan).unwrap();
        staging.missing().into_iter().for_each(|index| put(&staging, content, index).unwrap());
        staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap()
    };
    let cancel = CancelToken::new();
    install(&liar, &wrong);
    // He has what he said; nobody loads it, and nobody else is given it.
    assert!(disk.holds(&liar, &cancel).unwrap() == Held::Installed && !disk.trusts(&liar.sha256));
    let verified = disk.verify(&liar.sha256, &cancel, &mut |_, _| {});
    assert!(matches!(verified, Err(StoreError::WrongDigest { want, .. }) if want == mine.sha256), "{verified:?}");
    assert!(disk.holds(&mine, &cancel).unwrap() == Held::Not && disk.object(&mine.sha256).unwrap().is_none());
    assert_eq!(std::fs::read(install(&mine, &right).path).unwrap(), right);
    assert_eq!([&liar, &mine].map(|plan| disk.holds(plan, &cancel).unwrap()), [Held::Installed; 2]);
    // What is only damaged stays, to be repaired; the table still tells which chunk it is.
    let honest = plan(&wrong, true);
    let path = install(&honest, &wrong).path;
    let mut damaged = wrong.clone();
    damaged[3 * CHUNK] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    assert_eq!(disk.holds(&plan(&wrong, false), &cancel).unwrap(), Held::Damaged);
    let bad = disk.verify(&honest.sha256, &cancel, &mut |_, _| {}).unwrap();
    assert_eq!(bad.iter().map(|bad| bad.index).collect::<Vec<_>>(), [3]);
}

/// Chunks that an earlier process left are read again before the file is installed, also where nothing else is.
#[test]
fn what_was_left_is_read_again_before_it_is_installed() {
    let root = tempfile::tempdir().unwrap();
    let content = bytes(1, 12 * CHUNK);
    let plan = plan(&content, true);
    {
        let disk = open(root.path());
        let staging = disk.stage(&plan).unwrap();
        (0..4).for_each(|index| put(&staging, &content, index).unwrap());
        staging.checkpoint().unwrap();
        (4..6).for_each(|index| put(&staging, &content, index).unwrap());
    }
    let data = root.path().join(format!("v1/staging/{}/data", plan.sha256));
    let mut left = std::fs::read(&data).unwrap();
    left[2 * CHUNK + 1] ^= 1;
    std::fs::write(&data, &left).unwrap();
    let disk = open(root.path());
    let staging = disk.stage(&plan).unwrap();
    staging.missing().into_iter().for_each(|index| put(&staging, &content, index).unwrap());
    let finish = || staging.finish(&CancelToken::new(), &mut |_, _| {});
    assert!(matches!(finish(), Err(StoreError::Damaged { chunk: 2, .. })));
    assert_eq!(staging.missing(), [2]);
    put(&staging, &content, 2).unwrap();
    assert_eq!(std::fs::read(finish().unwrap().path).unwrap(), content);
}

/// Another file of the same size and time is not the one that was verified, nor is the same file after a change.
#[test]
fn trust_ends_with_the_inode_the_size_and_the_time_each() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(30, 3 * CHUNK);
    let digest = install(&disk, &content);
    let path = disk.object(&digest).unwrap().unwrap().path;
    let verify = || assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap(), []);
    let modified = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let set = |time| std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    verify();
    assert!(disk.trusts(&digest));
    let before = modified();

    // Put in its place by somebody who keeps times, as tools that restore a backup do.
    let aside = root.path().join("aside");
    let mut other = content.clone();
    other[5] ^= 1;
    std::fs::write(&aside, &other).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    set(before);
    assert_eq!((modified(), std::fs::metadata(&path).unwrap().len()), (before, content.len() as u64));
    assert!(!disk.trusts(&digest), "another inode");

    std::fs::write(&path, &content).unwrap();
    verify();
    let before = modified();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(content.len() as u64 - 1).unwrap();
    set(before);
    assert!(!disk.trusts(&digest), "another size");

    std::fs::write(&path, &content).unwrap();
    verify();
    set(modified() + std::time::Duration::from_nanos(4_000));
    assert!(!disk.trusts(&digest), "another time");
    verify();
    assert!(disk.trusts(&digest));
    // It is known after the store was closed, and nothing is believed that was not verified.
    drop(disk);
    assert!(open(root.path()).trusts(&digest));
    assert!(!open(root.path()).trusts(&Digest::of(b"another")));
}

#[test]
fn the_collector_takes_no_repair_and_nothing_that_waits_for_its_slot() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let (content, id) = (bytes(31, 8 * CHUNK), "model".parse::<ModelId>().unwrap());
    let digest = install(&disk, &content);
    let later = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() * 2;
    let collect = || disk.gc(later, std::time::Duration::ZERO).unwrap();
    // Whoever installed it is about to write its slot.
    collect();
    assert!(disk.object(&digest).unwrap().is_some());
    let file = serde_json::json!({
        "role": "weights", "name": "w", "required": true, "size": content.len(), "sha256": digest,
    });
    let release = serde_json::from_value(serde_json::json!({ "number": 1, "files": [file] })).unwrap();
    disk.change_slot(&id, |slot| Ok(slot.offer(release, false)?)).unwrap();
    let path = disk.object(&digest).unwrap().unwrap().path;
    let mut damaged = content.clone();
    damaged[3 * CHUNK] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let bad = disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap();
    drop(disk.begin_repair(&plan(&content, true), &bad, &CancelToken::new()).unwrap());
    collect();
    let staging = disk.stage(&plan(&content, true)).unwrap();
    assert_eq!(staging.missing(), [3]);
    put(&staging, &content, 3).unwrap();
    staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    drop(staging);
    // What nobody will name, because whoever wanted it has failed, goes.
    let other = install(&disk, &bytes(32, 2 * CHUNK));
    disk.let_go([&other]);
    collect();
    assert!(disk.object(&other).unwrap().is_none() && disk.object(&digest).unwrap().is_some());
}

#[test]
fn after_a_sync_that_failed_only_the_record_is_believed() {
    let root = tempfile::tempdir().unwrap();
    let vfs = Arc::new(FailingVfs::default());
    // Nothing is noted but when it is asked for.
    let disk = Disk::open_with(vfs.clone(), root.path(), Settings { checkpoint_bytes: 1 << 30, ..settings() }).unwrap();
    let content = bytes(33, 8 * CHUNK);
    let plan = plan(&content, true);
    let staging = disk.stage(&plan).unwrap();
    (0..3).for_each(|index| put(&staging, &content, index).unwrap());
    staging.checkpoint().unwrap();
    (3..6).for_each(|index| put(&staging, &content, index).unwrap());
    vfs.hook().sync();
    assert!(matches!(staging.checkpoint(), Err(StoreError::Io { .. })));
    // The next one would succeed, and note what the disk has lost.
    assert!(staging.checkpoint().is_err());
    assert!(put(&staging, &content, 6).is_err());
    assert!(staging.finish(&CancelToken::new(), &mut |_, _| {}).is_err());
    drop(staging);
    let staging = disk.stage(&plan).unwrap();
    assert_eq!(staging.missing(), [3, 4, 5, 6, 7]);
    (3..8).for_each(|index| put(&staging, &content, index).unwrap());
    let object = staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(std::fs::read(object.path).unwrap(), content);
}

#[test]
fn what_arrives_is_noted_on_the_way() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(34, 40 * CHUNK);
    let staging = disk.stage(&plan(&content, true)).unwrap();
    for index in 0..40 {
        put(&staging, &content, index).unwrap();
        // Whatever ends the process now costs at most twice the bytes after which a record is due.
        let noted = disk.staged_bytes(&staging.plan().sha256);
        let lost = (index as u64 + 1) * CHUNK as u64 - noted;
        assert!(lost <= 2 * settings().checkpoint_bytes, "{lost} bytes after chunk {index}");
    }
}

#[test]
fn a_file_that_became_longer_is_damaged() {
    let root = tempfile::tempdir().unwrap();
    let disk = open(root.path());
    let content = bytes(35, 3 * CHUNK);
    let digest = install(&disk, &content);
    let verify = || disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(verify(), []);
    let path = disk.object(&digest).unwrap().unwrap().path;
    std::fs::write(&path, [&content[..], b"x"].concat()).unwrap();
    assert_eq!(verify().iter().map(|bad| bad.index).collect::<Vec<_>>(), [2]);
    assert!(!disk.trusts(&digest));
}

#[test]
fn each_installation_has_its_own_number() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(one.path()).install_id();
    assert_eq!(open(one.path()).install_id(), first);
    // Rollouts are decided by it.
    assert_ne!(open(two.path()).install_id(), first);
}
