//! Ten thousand losses of power in the simulator: see `inkling_store_chaos::disk::history`.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use inkling_store_chaos::disk::history::{self, Tally};

/// Losses per disk.
const LOSSES: u64 = 5;

fn factor() -> u64 {
    std::env::var("INKLING_CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn nothing_confirmed_is_lost_when_the_power_goes() {
    let (first, disks) = (1, 2000 * factor());
    let next = AtomicU64::new(first);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + disks {
                return tally;
            }
            tally += history::run(seed, LOSSES, false).unwrap_or_else(|why| panic!("{why}"));
        }
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| tally += thread.join().unwrap());
    });
    println!("seeds {first} to {}: {tally:?}", first + disks - 1);
    assert_eq!(tally.losses, disks * LOSSES);
    assert!(tally.objects > tally.losses && tally.slots > tally.losses && tally.chunks > tally.losses, "{tally:?}");
}

#[test]
fn the_checker_sees_a_disk_that_lies() {
    let seen = (1..=100).filter(|seed| history::run(*seed, LOSSES, true).is_err()).count();
    println!("{seen} of 100 lying disks were seen");
    assert!(seen > 50, "{seen}");
}
