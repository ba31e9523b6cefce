//! What sealing costs: the cipher beside the one that was not taken, and reading a sealed file beside reading and
//! hashing a plain one, from the page cache. Interleaved; medians of the rounds.
//!
//! `cargo run --release -p inkling-store --example seal_speed [MiB] [rounds]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, Key, KeyInit, Nonce};
use chacha20poly1305::ChaCha20Poly1305;
use inkling_store::seal::{KeyProvider, Sealed, seal_file};
use inkling_store::{Hasher, StoreError};
use zeroize::Zeroizing;

const MIB: usize = 1 << 20;

struct OneKey;

impl KeyProvider for OneKey {
    fn key(&self, _: &str) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        Ok(Zeroizing::new([7; 32]))
    }
}

/// Decrypts `count` MiB in pieces of one.
fn cipher<C: AeadInOut + KeyInit>(count: usize) {
    let cipher = C::new(&Key::<C>::try_from(&[7; 32][..]).unwrap());
    let nonce = Nonce::<C>::try_from(&[9; 12][..]).unwrap();
    let sealed = vec![1; MIB];
    let mut opened = sealed.clone();
    let tag = cipher.encrypt_inout_detached(&nonce, b"", (&mut opened[..]).into()).unwrap();
    let sealed = opened.clone();
    for _ in 0..count {
        opened.copy_from_slice(&sealed);
        cipher.decrypt_inout_detached(&nonce, b"", (&mut opened[..]).into(), &tag).unwrap();
    }
}

fn hash(path: &Path) {
    let (mut file, mut hasher, mut buffer) = (File::open(path).unwrap(), Hasher::new(), vec![0; MIB]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    hasher.finish();
}

fn open(path: &Path, out: &mut [u8], threads: usize) {
    let sealed = Sealed::open(File::open(path).unwrap(), path, None, &OneKey).unwrap();
    sealed.read_into(out, threads).unwrap();
}

fn main() {
    let argument =
        |index: usize, default: usize| std::env::args().nth(index).map_or(default, |text| text.parse().unwrap());
    let (count, rounds) = (argument(1, 256), argument(2, 7));
    let folder = tempfile::tempdir().unwrap();
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
    let bytes: Vec<u8> = (0..count * MIB).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(&plain, &bytes).unwrap();
    let mut out = bytes;
    let start = Instant::now();
    seal_file(&plain, &sealed, "key", &OneKey).unwrap();
    println!("sealing, with its sync: {:.0} MB/s", megabytes(count) / start.elapsed().as_secs_f64());
    out.fill(0);

    let work: [(&str, &dyn Fn()); 3] = [
        ("AES-256-GCM, one thread", &|| cipher::<Aes256Gcm>(count)),
        ("ChaCha20-Poly1305, one thread", &|| cipher::<ChaCha20Poly1305>(count)),
        ("reading and hashing the plain file, one thread", &|| hash(&plain)),
    ];
    let opens = [("opening the sealed file, one thread", 1), ("opening the sealed file, two threads", 2)];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); work.len() + opens.len()];
    for _ in 0..rounds {
        for (index, (_, job)) in work.iter().enumerate() {
            let start = Instant::now();
            job();
            times[index].push(start.elapsed().as_secs_f64());
        }
        for (index, (_, threads)) in opens.iter().enumerate() {
            let start = Instant::now();
            open(&sealed, &mut out, *threads);
            times[work.len() + index].push(start.elapsed().as_secs_f64());
        }
    }
    let names = work.iter().map(|(name, _)| *name).chain(opens.iter().map(|(name, _)| *name));
    for (name, mut times) in names.zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.0} MB/s", megabytes(count) / times[times.len() / 2]);
    }
}

fn megabytes(mib: usize) -> f64 {
    (mib * MIB) as f64 / 1e6
}
