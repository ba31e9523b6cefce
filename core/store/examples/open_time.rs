//! What opening an installed model costs in the store: `open_time FOLDER [MEGABYTES]`. A model of that size is installed
//! once; then it is lent again and again, as at every launch of an app, and the median of 50 is printed. The part that
//! waits for the disk (a load is counted and synced before it begins) is measured beside it: one write and sync of a
//! file of a slot's size, twice, as a slot is written.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use inkling_base::CancelToken;
use inkling_gguf::{GgufWriter, TensorType};
use inkling_store::{EnsureOptions, Source, Store, StoreConfig};

const ROUNDS: usize = 50;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("open_time FOLDER [MEGABYTES]"));
    let megabytes: u64 = arguments.next().map_or(1000, |text| text.parse().expect("a number of megabytes"));
    fs::create_dir_all(&folder).unwrap();
    let local = folder.join("large.gguf");
    write_model(&local, megabytes * 1_000_000);
    let store = Store::open(StoreConfig::new(folder.join("store"))).unwrap();
    let id = store.ensure(Source::file(&local).unwrap(), EnsureOptions::default()).unwrap().wait().unwrap();
    let cancel = CancelToken::new();
    let start = Instant::now();
    store.lend(&id, &cancel, &|_, _| {}).unwrap().good().unwrap();
    println!("first load, which verifies: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    for _ in 0..5 {
        store.lend(&id, &cancel, &|_, _| {}).unwrap().good().unwrap();
    }
    let mut lends = Vec::new();
    let mut writes = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let lent = store.lend(&id, &cancel, &|_, _| {}).unwrap();
        lends.push(start.elapsed().as_secs_f64() * 1e3);
        lent.good().unwrap();
        let start = Instant::now();
        write_as_a_slot(&folder);
        writes.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("later loads: median {:.2} ms, worst {:.2} ms", median(&mut lends), lends[ROUNDS - 1]);
    println!("of it, two files written, synced and renamed: median {:.2} ms", median(&mut writes));
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn write_as_a_slot(folder: &Path) {
    for name in ["one", "two"] {
        let (fresh, path) = (folder.join("fresh"), folder.join(name));
        let mut file = File::create(&fresh).unwrap();
        file.write_all(&[7; 1500]).unwrap();
        file.sync_all().unwrap();
        fs::rename(&fresh, &path).unwrap();
        File::open(folder).unwrap().sync_all().unwrap();
    }
}

fn write_model(path: &Path, bytes: u64) {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "test").unwrap();
    writer.tensor("data", TensorType::F32, &[bytes / 32 * 8]).unwrap();
    let mut data = writer.write_to(std::io::BufWriter::new(File::create(path).unwrap())).unwrap();
    let piece: Vec<u8> = (0..1 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut left = bytes / 32 * 32;
    while left > 0 {
        let take = left.min(piece.len() as u64);
        data.push(&piece[..take as usize]).unwrap();
        left -= take;
    }
    data.finish().unwrap();
}
