//! What this machine can do at most, to hold measured speeds against: multiply-adds of int8 dot products, and bytes
//! read from memory. One line of JSON:
//! `cargo run --release -p inkling-compute-cpu --example limits -- [THREADS]` (without a number: all cores).
#![allow(clippy::unwrap_used)]

use inkling_compute_cpu::Isa;
use inkling_compute_cpu::roofline::limits::{Memory, multiply_adds};

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = std::env::args().nth(1).map_or(cores, |threads| threads.parse().unwrap());
    let peaks: Vec<String> =
        Isa::available().filter_map(|isa| Some(format!("\"{isa}\": {:.1}", multiply_adds(isa, threads)?))).collect();
    let counts = if threads == 1 { vec![1] } else { vec![1, threads] };
    let bandwidth = |huge: bool| {
        let memory = Memory::new(threads, huge).unwrap();
        let figures: Vec<String> =
            counts.iter().map(|&count| format!("\"{count}\": {:.2}", memory.read(count))).collect();
        figures.join(", ")
    };
    println!(
        "{{\"threads\": {threads}, \"dot_gmacs\": {{{}}}, \"read_gb_s\": {{{}}}, \"read_gb_s_small_pages\": {{{}}}}}",
        peaks.join(", "),
        bandwidth(true),
        bandwidth(false)
    );
}
