//! A disk that fills up at any byte: a typed error with numbers, what is installed stays usable, the space comes back.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use inkling_base::{CancelToken, Classify, ErrorKind};
use inkling_store::disk::Settings;
use inkling_store::{Digest, Disk, FilePlan, Landing, ModelId, Release, Slot, StoreError, SystemVfs, Vfs};
use inkling_store_chaos::disk::{Random, SimVfs};

fn settings() -> Settings {
    Settings { keep_free: 0, checkpoint_bytes: 20_000, hash_ahead: false, ..Settings::default() }
}

fn open(vfs: Arc<dyn Vfs>, root: &Path) -> Disk {
    Disk::open_with(vfs, root, settings()).unwrap()
}

fn release(number: u64, bytes: &[u8]) -> Release {
    let file = serde_json::json!({
        "role": "weights", "name": "w", "required": true, "size": bytes.len(), "sha256": Digest::of(bytes),
    });
    serde_json::from_value(serde_json::json!({ "number": number, "files": [file] })).unwrap()
}

fn download(disk: &Disk, bytes: &[u8]) -> Result<(), StoreError> {
    let size = bytes.len() as u64;
    let ends = (1..=bytes.len().div_ceil(4096)).map(|index| (index as u64 * 4096).min(size)).collect();
    let chunks = inkling_store::Chunks::new(size, ends, Vec::new()).unwrap();
    let staging = disk.stage(&FilePlan { sha256: Digest::of(bytes), size, chunks })?;
    for chunk in staging.missing() {
        let (start, length) = staging.plan().chunks.range(chunk);
        staging.put(chunk, &bytes[start as usize..(start + length) as usize])?;
    }
    staging.finish(&CancelToken::new(), &mut |_, _| {}).map(drop)
}

fn activate(disk: &Disk, id: &ModelId, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
    disk.change_slot(id, |slot: &mut Slot| {
        slot.offer(release(number, bytes), false)?;
        let _ = (0..5).any(|_| slot.good(number, 1));
        Ok(())
    })
    .map(drop)
}

/// The active model loads: its slot is written before, its bytes are right.
fn loads(disk: &Disk, id: &ModelId, bytes: &[u8]) {
    let (_, choice) = disk.change_slot(id, |slot| Ok(slot.begin(2)?)).unwrap();
    let digest = choice.release.files[0].sha256;
    assert_eq!(digest, Digest::of(bytes));
    assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap(), []);
    disk.change_slot(id, |slot| {
        slot.withdraw();
        Ok(())
    })
    .unwrap();
}

fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Full { need, have, .. } if have < need)
        && matches!(error.kind(), ErrorKind::StorageFull { .. })
}

#[test]
fn the_disk_fills_up_at_any_byte() {
    let (mut random, id) = (Random::new(5), "model".parse::<ModelId>().unwrap());
    let (old, new) = (random.bytes(60_000), random.bytes(90_000));
    let (base, root) = (SimVfs::new(), Path::new("/store"));
    let disk = open(Arc::new(base.clone()), root);
    download(&disk, &old).unwrap();
    activate(&disk, &id, 1, &old).unwrap();
    loads(&disk, &id, &old);
    drop(disk);
    let used = base.used();
    let (mut failed, mut installed) = (0, 0);
    for step in 0..300 {
        let vfs = base.fork();
        let room = step * 350;
        // It says that there is much, as a disk does on which others write at the same time.
        vfs.limit(Some(used + room), Some(1 << 30));
        let disk = open(Arc::new(vfs.clone()), root);
        let outcome = download(&disk, &new).and_then(|()| activate(&disk, &id, 2, &new));
        match &outcome {
            Ok(()) => {
                installed += 1;
                loads(&disk, &id, &new);
                continue;
            }
            Err(error) => assert!(is_full(error), "{room}: {error:?}"),
        }
        failed += 1;
        loads(&disk, &id, &old);
        // It may be given back, and then it is all back.
        disk.discard(&Digest::of(&new)).unwrap();
        disk.gc(std::time::Duration::MAX / 4, std::time::Duration::ZERO).unwrap();
        drop(disk);
        let disk = open(Arc::new(vfs.clone()), root);
        assert!(disk.object(&Digest::of(&new)).unwrap().is_none());
        // A slot's numbers may have a digit more, in both copies.
        assert!(vfs.used() <= used + 16, "{room}: {} of {used} bytes", vfs.used());
        loads(&disk, &id, &old);
        vfs.limit(None, None);
        download(&disk, &new).unwrap();
        activate(&disk, &id, 2, &new).unwrap();
        loads(&disk, &id, &new);
    }
    println!("full at {failed} offsets; {installed} had room enough");
    assert!(failed >= 200 && installed > 0);
}

#[test]
fn what_will_not_fit_is_not_begun() {
    let (vfs, root) = (SimVfs::new(), Path::new("/store"));
    let disk = open(Arc::new(vfs.clone()), root);
    let bytes = Random::new(1).bytes(50_000);
    vfs.limit(Some(vfs.used() + 40_000), None);
    let before = vfs.files().len();
    let error = download(&disk, &bytes).unwrap_err();
    assert!(matches!(error, StoreError::Full { need: 50_000, have: 40_000, .. }), "{error}");
    assert_eq!(vfs.files().len(), before);
    // What is there already need not be had again.
    vfs.limit(Some(vfs.used() + 60_000), None);
    let plan = FilePlan::plain(Digest::of(&bytes), 50_000);
    let staging = disk.stage(&plan).unwrap();
    staging.put(0, &bytes).unwrap();
    drop(staging);
    vfs.limit(Some(vfs.used()), None);
    assert!(disk.stage(&plan).unwrap().missing().is_empty());
}

/// A folder on a small file system of its own, if this process may make one.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_real_disk_fills_up() {
    let Some(small) = Small::new() else {
        println!("skipped: only root may mount a small file system");
        return;
    };
    let (mut random, id) = (Random::new(6), "model".parse::<ModelId>().unwrap());
    let (old, new) = (random.bytes(200_000), random.bytes(900_000));
    let root = small.0.path().join("store");
    let disk = open(Arc::new(SystemVfs), &root);
    download(&disk, &old).unwrap();
    activate(&disk, &id, 1, &old).unwrap();
    let filler = small.0.path().join("filler");
    let mut failed = 0;
    for step in 0..220 {
        let _ = std::fs::remove_file(&filler);
        let free = SystemVfs.free_space(small.0.path()).unwrap();
        let staging = FilePlan::plain(Digest::of(&new), new.len() as u64);
        // Others fill the disk after the download has begun.
        let staging = disk.stage(&staging).unwrap();
        let rest = SystemVfs.free_space(small.0.path()).unwrap().saturating_sub(step * 4096);
        std::fs::write(&filler, vec![1; rest as usize]).unwrap();
        let put = staging.put(0, &new);
        drop(staging);
        let outcome = put.and_then(|()| download(&disk, &new));
        if let Err(error) = &outcome {
            assert!(is_full(error), "{error:?}");
            failed += 1;
        }
        loads(&disk, &id, &old);
        let _ = std::fs::remove_file(&filler);
        if outcome.is_ok() {
            let later = std::time::Duration::from_secs(1 << 40);
            drop(disk.gc(later, std::time::Duration::ZERO));
            break;
        }
        disk.discard(&Digest::of(&new)).unwrap();
        let again = SystemVfs.free_space(small.0.path()).unwrap();
        // But for the ballast, which went for the slot.
        assert!(again + 4096 >= free, "{again} of {free} bytes came back");
    }
    println!("full at {failed} offsets of a real file system");
    assert!(failed >= 200);
}

#[test]
fn a_repair_that_does_not_fit_moves_nothing() {
    let (vfs, root, bytes) = (SimVfs::new(), Path::new("/store"), Random::new(8).bytes(50_000));
    let disk = open(Arc::new(vfs.clone()), root);
    download(&disk, &bytes).unwrap();
    let digest = Digest::of(&bytes);
    vfs.damage(&root.join(format!("v1/objects/{digest}")), |bytes| bytes[7] ^= 1);
    let bad = disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap();
    let plan = FilePlan { sha256: digest, size: 50_000, chunks: disk.chunks(&digest).unwrap() };
    let before = vfs.files();
    vfs.limit(Some(vfs.used() + 20_000), None);
    let full = disk.begin_repair(&plan, &bad, &CancelToken::new()).err().unwrap();
    assert!(is_full(&full), "{full:?}");
    assert_eq!(vfs.files(), before);
    vfs.limit(None, None);
    let staging = disk.begin_repair(&plan, &bad, &CancelToken::new()).unwrap();
    assert_eq!(staging.missing(), [0]);
    staging.put(0, &bytes[..4096]).unwrap();
    staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
    assert_eq!(disk.verify(&digest, &CancelToken::new(), &mut |_, _| {}).unwrap(), []);
}
