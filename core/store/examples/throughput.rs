//! How fast a file gets from a server on this machine into the store, beside curl into a file.
//!
//! ```sh
//! cargo build --release -p inkling-store-chaos --bin chaos-server
//! cargo run --release -p inkling-store --features http --example throughput -- [MEGABYTES] [ROUNDS] [FOLDER]
//! ```
//!
//! Rounds are interleaved, each in another order, and medians taken. Three more lines say what bounds the rest: the
//! network side alone (chunks are dropped), curl when what it wrote is synced as a store has to, and SHA-256 on one core,
//! through which every byte goes once. `ONLY=25` takes only lines 0, 3 and 4 (bits), `CONNECTIONS=n` as many requests at
//! a time. `SERVER=nginx` takes nginx, if it is installed, in place of this project's own server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use inkling_base::{CancelToken, SystemClock};
use inkling_store::http::HttpTransport;
use inkling_store::{
    Address, CHUNK, Chunks, Control, Digest, Disk, FilePlan, Hasher, Landing, Net, NetOptions, StoreError, SystemVfs,
    Traffic,
};

/// A landing that drops what lands.
struct Nowhere(FilePlan);

impl Landing for Nowhere {
    fn plan(&self) -> &FilePlan {
        &self.0
    }
    fn missing(&self) -> Vec<usize> {
        (0..self.0.chunks.len()).collect()
    }
    fn put(&self, _: usize, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Server(Child, u16);

impl Server {
    fn of(folder: &Path) -> Self {
        if std::env::var("SERVER").is_ok_and(|name| name == "nginx") { Self::nginx(folder) } else { Self::own(folder) }
    }

    fn own(folder: &Path) -> Self {
        let here = std::env::current_exe().unwrap();
        let binary = here.parent().unwrap().parent().unwrap().join("chaos-server");
        let mut child =
            Command::new(&binary).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{}: {error}: build it first (see the top of this file)", binary.display()),
            );
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, line.trim().parse().unwrap())
    }

    /// As Debian sets it up, but for one process that reads what this one may.
    fn nginx(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, here) = (folder.join("nginx.conf"), folder.display());
        let text = format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log stderr; events {{}}\n\
             http {{ sendfile on; tcp_nopush on; access_log off;\n\
             server {{ listen 127.0.0.1:{port}; root {here}; }} }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("nginx").arg("-c").arg(&config).arg("-e").arg("stderr").spawn();
        let server = Self(child.expect("nginx is needed"), port);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file of bytes that look like chance, and its plan.
fn write_file(path: &Path, size: u64) -> FilePlan {
    let mut file = std::fs::File::create(path).unwrap();
    let (mut whole, mut digests, mut state) = (Hasher::new(), Vec::new(), 1_u64);
    let chunks = Chunks::plain(size);
    for index in 0..chunks.len() {
        let mut bytes = Vec::with_capacity(CHUNK as usize);
        while (bytes.len() as u64) < chunks.range(index).1 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
        }
        bytes.truncate(chunks.range(index).1 as usize);
        whole.update(&bytes);
        digests.push(Digest::of(&bytes));
        file.write_all(&bytes).unwrap();
    }
    file.sync_all().unwrap();
    FilePlan { sha256: whole.finish(), size, chunks: chunks.with_digests(digests).unwrap() }
}

fn net() -> Net {
    let usual = NetOptions::default();
    let options = NetOptions { connections: number("CONNECTIONS", usual.connections as u64) as usize, ..usual };
    Net::new(Arc::new(HttpTransport::default()), Arc::new(SystemClock::default()), options).unwrap()
}

/// Seconds of processor time of this process, the programs that it has run and the server, where Linux tells.
fn processor_time(server: &Server) -> f64 {
    let of = |id: u32, fields: &[usize]| {
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let rest: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.iter().filter_map(|&field| rest.get(field)?.parse::<f64>().ok()).sum::<f64>() / 100.0
    };
    of(std::process::id(), &[11, 12, 13, 14]) + of(server.0.id(), &[11, 12])
}

/// A number from the environment, for trying things out.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn fetch(url: &str, landing: &dyn Landing) {
    net().fetch(&Address::new(url), landing, &Control::new(), &|_: &Traffic| {}).unwrap();
}

fn curl(url: &str, to: &Path, sync: bool) {
    let status = Command::new("curl").args(["-sS", "--fail", "-o"]).arg(to).arg(url).status().expect("curl is needed");
    assert!(status.success());
    if sync {
        std::fs::File::open(to).unwrap().sync_all().unwrap();
    }
}

fn store(url: &str, folder: &Path, plan: &FilePlan) {
    let disk = Disk::open(Arc::new(SystemVfs), folder).unwrap();
    let staging = disk.stage(plan).unwrap();
    staging.hash_ahead();
    fetch(url, &staging);
    staging.finish(&CancelToken::new(), &mut |_, _| {}).unwrap();
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let argument = |index: usize| std::env::args().nth(index);
    let size = argument(1).map_or(1000, |text| text.parse::<u64>().unwrap()) * 1_000_000;
    let rounds = argument(2).map_or(5, |text| text.parse::<usize>().unwrap());
    let parent = argument(3).map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let plan = write_file(&folder.path().join("m.gguf"), size);
    let plain = FilePlan::plain(plan.sha256, size);
    let server = Server::of(folder.path());
    let url = format!("http://127.0.0.1:{}/m.gguf", server.1);

    let names =
        ["curl", "curl, then fsync", "network alone", "store, chunks known", "store, plain URL", "SHA-256, one core"];
    let mut times = vec![(Vec::new(), Vec::new()); names.len()];
    let block = vec![7; 1 << 20];
    let only = number("ONLY", u64::MAX);
    let mut chance = 1_u64;
    for _ in 0..rounds {
        // In another order each time: what one leaves to the system's memory and disk is felt by the next.
        let mut order: Vec<usize> = (0..names.len()).collect();
        for place in (1..order.len()).rev() {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(place, (chance >> 33) as usize % (place + 1));
        }
        for index in order {
            if only >> index & 1 == 0 {
                continue;
            }
            let times = &mut times[index];
            let to = folder.path().join("to");
            // Nobody pays for what the one before him left to the disk.
            let _ = Command::new("sync").status();
            let busy = processor_time(&server);
            let start = Instant::now();
            match index {
                0 | 1 => curl(&url, &to, index == 1),
                2 => fetch(&url, &Nowhere(plan.clone())),
                3 => store(&url, &to, &plan),
                4 => store(&url, &to, &plain),
                _ => {
                    let mut hasher = Hasher::new();
                    (0..size / block.len() as u64).for_each(|_| hasher.update(&block));
                    hasher.finish();
                }
            }
            times.0.push(start.elapsed().as_secs_f64());
            times.1.push(processor_time(&server) - busy);
            // Not in the time of the next: what was written is removed, and nothing is left to be written back.
            let _ = if index < 2 { std::fs::remove_file(&to) } else { std::fs::remove_dir_all(&to) };
        }
    }
    println!(
        "{} MB, {} requests at a time, medians of {rounds} interleaved rounds",
        size / 1_000_000,
        net().options().connections
    );
    let first = median(&mut times[0].0.clone());
    for (name, times) in names.iter().zip(&mut times) {
        let (time, busy) = (median(&mut times.0), median(&mut times.1));
        let (rate, ratio) = (size as f64 / 1e6 / time, 100.0 * first / time);
        println!("{name:20} {time:7.3} s {rate:7.0} MB/s  {ratio:5.1} % of curl  {busy:6.2} s on processors");
    }
}
