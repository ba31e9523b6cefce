//! The integer products beside what the machine can do, as a table:
//! `cargo run --release -p inkling-compute-cpu --example roofline -- [ISA|best] [THREADS] [FORMAT…]`.
//!
//! `512`: products with 512 vectors, in multiply-adds and as a part of the machine's peak; `1`: with one vector, in
//! bytes of weights and as a part of the read bandwidth; `2 4 8`: what so many vectors cost, in products with one.
#![allow(clippy::unwrap_used)]

use inkling_compute_cpu::Isa;
use inkling_compute_cpu::roofline::{PROMPT, Roofline};
use inkling_gguf::TensorType;

const FORMATS: [TensorType; 6] =
    [TensorType::Q4_0, TensorType::Q4_1, TensorType::Q4_K, TensorType::Q6_K, TensorType::Q8_0, TensorType::IQ4_XS];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let isa = arguments.next().filter(|isa| isa != "best").map_or_else(Isa::detect, |isa| isa.parse().unwrap());
    let threads = arguments.next().map_or(2, |threads| threads.parse().unwrap());
    let named: Vec<String> = arguments.collect();
    let wanted = |kind: &TensorType| named.is_empty() || named.iter().any(|name| name == kind.name());

    let mut roofline = Roofline::new(isa, threads).unwrap();
    let limits = roofline.limits();
    println!(
        "{isa}, {} threads; peak {:.0} GMAC/s of int8, reading {:.1} GB/s",
        roofline.threads(),
        limits.multiply_adds,
        limits.read
    );
    println!("| format | bytes/weight | {PROMPT}: GMAC/s | of peak | 1: GB/s | of read | 2 | 4 | 8 |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for kind in FORMATS.into_iter().filter(wanted) {
        let m = roofline.measure(kind).unwrap();
        println!(
            "| {} | {:.3} | {:.0} | {:.0} % | {:.1} | {:.0} % | {:.2} | {:.2} | {:.2} |",
            kind.name(),
            m.weight_bytes,
            m.multiply_adds,
            100.0 * m.multiply_adds / limits.multiply_adds,
            m.read,
            100.0 * m.read / m.read_limit,
            m.batches[0],
            m.batches[1],
            m.batches[2]
        );
    }
}
