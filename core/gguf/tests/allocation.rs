//! No file makes the reader allocate more than its own size plus 64 MiB, at any time.
//!
//! One test in its own program, because the allocator counts for the whole program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::Raw;
use inkling_gguf::{Gguf, limits, part_path};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: both methods pass their arguments on unchanged to the system's allocator, whose contract is the same, and
// otherwise only count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`, and all memory came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// Opens a file and returns how much more than its size was allocated at the peak.
#[track_caller]
fn excess(path: &Path, name: &str, file: Vec<u8>, accepted: bool) -> isize {
    let bytes = file.len();
    std::fs::write(path, file).unwrap();
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let model = Gguf::open(path);
    let peak = PEAK.load(Relaxed) - before;
    let said =
        model.as_ref().map_or_else(|error| error.to_string(), |model| format!("{} tensors", model.tensors().len()));
    println!("{name}: {bytes} bytes of file, {peak} allocated: {said}");
    assert_eq!(model.is_ok(), accepted, "{name}: {said}");
    peak as isize - bytes as isize
}

#[test]
fn allocation_is_bounded_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let check = |name: &str, raw: Raw, accepted: bool| {
        let excess = excess(&path, name, raw.0, accepted);
        assert!(excess <= 64 * MIB as isize, "{name}: {excess} bytes more than the file's");
    };

    let mut raw = Raw::header(3, limits::MAX_TENSORS, 0);
    for index in 0..limits::MAX_TENSORS {
        raw = raw.tensor(&format!("{index}"), &[], 24, index * 32);
    }
    check("as many tensors as may be", raw.data(limits::MAX_TENSORS as usize * 32), true);

    let mut raw = Raw::header(3, 0, limits::MAX_KEYS);
    for index in 0..limits::MAX_KEYS {
        raw = raw.key(&format!("{index}"), 0).u8(0);
    }
    check("as many keys as may be", raw, true);

    let mut raw = Raw::header(3, 0, limits::MAX_KEYS);
    for index in 0..limits::MAX_KEYS {
        raw = raw.key(&format!("{index:01000}"), 9).u32(8).u64(0);
    }
    check("long keys with empty arrays", raw, true);

    let mut raw = Raw::header(3, 0, 1).key("nested", 9).u32(9).u64(limits::MAX_NESTED_ARRAYS);
    for _ in 0..limits::MAX_NESTED_ARRAYS {
        raw = raw.u32(0).u64(1).u8(0);
    }
    check("as many nested arrays as may be", raw, true);

    let mut raw = Raw::header(3, 0, 1).key("tokens", 9).u32(8).u64(8 << 20);
    raw.0.resize(raw.0.len() + (64 << 20), 0);
    check("eight million empty strings", raw, true);

    let mut raw = Raw::header(3, 0, 1).key("bools", 9).u32(7).u64(60 << 20);
    raw.0.resize(raw.0.len() + (60 << 20), 1);
    check("sixty million bools", raw, true);

    let mut raw = Raw::header(3, 0, 1).key("bytes", 9).u32(1).u64(60 << 20);
    raw.0.resize(raw.0.len() + (60 << 20), 1);
    check("sixty million bytes", raw, true);

    // Two parts that are within the limit each, and not together.
    let part = |number: u32| {
        let count = limits::MAX_TENSORS / 2 + 1;
        let mut raw = Raw::header(3, count, 2).key_u32("split.no", number).key_u32("split.count", 2);
        for index in 0..count {
            raw = raw.tensor(&format!("{number}.{index}"), &[], 24, index * 32);
        }
        raw.data(count as usize * 32).0
    };
    let stem = folder.path().join("split");
    std::fs::write(part_path(&stem, 2, 2), part(1)).unwrap();
    let over = excess(&part_path(&stem, 1, 2), "too many tensors in two parts", part(0), false);
    assert!(over <= 64 * MIB as isize, "{over} bytes more than the first part's");

    for (name, raw) in [
        ("a count of tensors without tensors", Raw::header(3, limits::MAX_TENSORS, 0)),
        ("a count of keys without keys", Raw::header(3, 0, limits::MAX_KEYS)),
        ("a string of 200 MiB in a small file", Raw::header(3, 0, 1).key("s", 8).u64(200 << 20).u8(0)),
        ("an array of 60 million u64 in a small file", Raw::header(3, 0, 1).key("a", 9).u32(10).u64(60 << 20)),
        ("60 million strings in a small file", Raw::header(3, 0, 1).key("a", 9).u32(8).u64(60 << 20)),
        ("60 million arrays in a small file", Raw::header(3, 0, 1).key("a", 9).u32(9).u64(60 << 20)),
        ("a tensor of 2^62 bytes", Raw::header(3, 1, 0).tensor("w", &[1 << 62], 24, 0).data(32)),
    ] {
        let excess = excess(&path, name, raw.0, false);
        assert!(excess <= MIB as isize, "{name}: {excess} bytes for nothing");
    }
}
