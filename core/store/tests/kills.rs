//! A short kill loop: see `inkling_store_chaos::kill`; `make chaos` runs the long one. This test is its own child.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use inkling_store_chaos::kill::{self, Options};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, store, list, seed, first] = &arguments[..]
        && what == "child"
    {
        return kill::child::run(store.as_ref(), list.as_ref(), seed.parse().unwrap(), first).unwrap();
    }
    // As test programs are asked for their tests.
    if arguments.iter().any(|argument| argument == "--list") {
        return println!("killed_processes_leave_a_sound_store: test");
    }
    let factor: u64 = std::env::var("INKLING_CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        program: std::env::current_exe().unwrap(),
        folder: folder.path().to_owned(),
        kills: 64 * factor,
        seed: 1,
        longest: Duration::from_millis(250),
        sizes: vec![1_300_000, 5 << 20, 20 << 20],
        signed: vec![8 << 20, 3 << 20],
    };
    let tally = kill::run(&options, &mut |_| {}).unwrap_or_else(|why| panic!("{why}"));
    println!("{} kills, seed {}\n{tally}", tally.kills, options.seed);
    assert!(tally.objects > 0 && tally.slots > 0 && tally.calls > 0 && tally.loads > 0, "{tally:?}");
}
