//! The cache's contract: lengths, sharing, copying on write, limits.
#![allow(clippy::unwrap_used)]

use inkling_compute::{
    Batch, ComputeError, HostPages, KvCache, KvLayer, KvLayout, KvType, PAGE_POSITIONS, Run, SequenceId,
};

fn cache(positions: usize) -> KvCache {
    let layers = [KvLayer { heads: 2, key_width: 32, value_width: 64 }; 3];
    let layout = KvLayout::new("test", KvType::F16, &layers).unwrap();
    KvCache::new(Box::new(HostPages::new(layout)), positions)
}

fn append(kv: &mut KvCache, sequence: SequenceId, count: usize) -> Result<(), ComputeError> {
    let tokens = vec![0; count];
    let runs = [Run { sequence, start: kv.len(sequence), count }];
    let batch = Batch { tokens: &tokens, runs: &runs };
    kv.prepare(&batch)?;
    kv.commit(&batch);
    Ok(())
}

fn write(kv: &mut KvCache, sequence: SequenceId, position: usize, value: u8) {
    let page = kv.pages(sequence)[position / PAGE_POSITIONS];
    kv.store_mut::<HostPages>().unwrap().page_mut(page)[position % PAGE_POSITIONS] = value;
}

fn read(kv: &KvCache, sequence: SequenceId, position: usize) -> u8 {
    let page = kv.pages(sequence)[position / PAGE_POSITIONS];
    kv.store::<HostPages>().unwrap().page(page)[position % PAGE_POSITIONS]
}

#[test]
fn grows_by_pages_and_shrinks() {
    let mut kv = cache(4 * PAGE_POSITIONS);
    let s = kv.open();
    append(&mut kv, s, 1).unwrap();
    assert_eq!((kv.len(s), kv.pages(s).len()), (1, 1));
    append(&mut kv, s, PAGE_POSITIONS).unwrap();
    assert_eq!((kv.len(s), kv.pages(s).len()), (PAGE_POSITIONS + 1, 2));
    let used = kv.bytes();
    kv.truncate(s, PAGE_POSITIONS);
    assert_eq!((kv.len(s), kv.pages(s).len()), (PAGE_POSITIONS, 1));
    assert_eq!(kv.bytes() * 2, used);
    kv.close(s);
    kv.close(s);
    assert_eq!(kv.bytes(), 0);
}

#[test]
fn fork_shares_until_written() {
    let mut kv = cache(8 * PAGE_POSITIONS);
    let a = kv.open();
    append(&mut kv, a, PAGE_POSITIONS + 3).unwrap();
    write(&mut kv, a, 0, 7);
    write(&mut kv, a, PAGE_POSITIONS + 2, 9);
    let b = kv.fork(a).unwrap();
    assert_eq!(kv.pages(a), kv.pages(b));
    append(&mut kv, b, 1).unwrap();
    assert_eq!(kv.pages(a)[0], kv.pages(b)[0], "a full page stays shared");
    assert_ne!(kv.pages(a)[1], kv.pages(b)[1], "the page that is written is copied");
    assert_eq!(read(&kv, b, PAGE_POSITIONS + 2), 9, "with what it held");
    write(&mut kv, b, PAGE_POSITIONS + 2, 1);
    assert_eq!(read(&kv, a, PAGE_POSITIONS + 2), 9);
    kv.close(a);
    assert_eq!(read(&kv, b, 0), 7, "a shared page outlives its first owner");
}

#[test]
fn full_cache_names_both_numbers_and_changes_nothing() {
    let mut kv = cache(2 * PAGE_POSITIONS);
    let s = kv.open();
    append(&mut kv, s, PAGE_POSITIONS).unwrap();
    let error = append(&mut kv, s, 2 * PAGE_POSITIONS).unwrap_err();
    assert!(matches!(error, ComputeError::CacheFull { limit, used }
        if limit == 2 * PAGE_POSITIONS && used == 3 * PAGE_POSITIONS));
    assert_eq!(kv.len(s), PAGE_POSITIONS);
    append(&mut kv, s, PAGE_POSITIONS).unwrap();
}

#[test]
fn wrong_starts_and_doubled_sequences_are_errors() {
    let mut kv = cache(2 * PAGE_POSITIONS);
    let s = kv.open();
    let late = Batch { tokens: &[0], runs: &[Run { sequence: s, start: 1, count: 1 }] };
    assert!(matches!(kv.prepare(&late), Err(ComputeError::BadBatch { .. })));
    let run = Run { sequence: s, start: 0, count: 1 };
    let twice = Batch { tokens: &[0, 0], runs: &[run, run] };
    assert!(matches!(kv.prepare(&twice), Err(ComputeError::BadBatch { .. })));
    kv.close(s);
    assert!(matches!(append(&mut kv, s, 1), Err(ComputeError::UnknownSequence(_))));
}
