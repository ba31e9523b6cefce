//! How near the integer products come to what the machine can do: the two limits and the kernels, measured in one run.
//!
//! Decoding reads every weight once, so its limit is reading memory; a prompt multiplies each weight with hundreds of
//! vectors, so its limit is the multiply-adds that the instruction set can do. For developers of kernels: the example
//! `roofline` prints what is measured here, and `make bench` shows it.
//!
//! Each number is the best of several rounds: other programs only ever make a round slower.

pub mod limits;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use inkling_compute::ComputeError;
use inkling_gguf::TensorType;

use crate::activations::{BlockMeta, QuantView};
use crate::aligned::AlignedBytes;
use crate::format::{BLOCK, IntFormat, PANEL_ROWS, PanelFormat};
use crate::isa::Isa;
use crate::kernels::{Kernels, MAX_PANELS, scratch_bytes};
use crate::pool::Pool;
use crate::scratch::COLUMN_BLOCK;

/// Vectors of the large product.
pub const PROMPT: usize = 512;
/// The sizes of small batches that are compared with one vector.
pub const BATCHES: [usize; 3] = [2, 4, 8];
/// Bytes of weights that are read: more than any cache holds.
const WEIGHTS: usize = 192 << 20;
/// Columns of the matrix.
const COLUMNS: usize = 1024;
/// Panels that the large product takes: it need not be larger than a cache.
const PROMPT_PANELS: usize = 384;
/// Rounds, of which the best counts.
const TRIES: usize = 7;

/// The machine's limits with some threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Multiply-adds of bytes, in 10⁹ a second; 0 where nobody has written the loop that finds out.
    pub multiply_adds: f64,
    /// Reading memory, in 10⁹ bytes a second.
    pub read: f64,
}

/// What the kernels of a format reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Bytes of a packed weight.
    pub weight_bytes: f64,
    /// Products with [`PROMPT`] vectors: multiply-adds, in 10⁹ a second, unpacking included.
    pub multiply_adds: f64,
    /// Products with one vector: bytes of weights, in 10⁹ a second.
    pub read: f64,
    /// Reading memory without using it, measured in turn with the products: the bandwidth of a machine that others
    /// use too changes from second to second.
    pub read_limit: f64,
    /// What a product with [`BATCHES`] vectors costs, in products with one.
    pub batches: [f64; 3],
}

/// Threads with memory to read.
pub struct Roofline {
    kernels: Kernels,
    pool: Pool,
    weights: AlignedBytes,
    scratch: Vec<Mutex<Worker>>,
}

/// What a thread needs.
struct Worker {
    unpacked: AlignedBytes,
    out: Vec<f32>,
}

impl Roofline {
    /// Fills the memory.
    ///
    /// # Errors
    /// The machine lacks `isa`, or memory.
    pub fn new(isa: Isa, threads: usize) -> Result<Self, ComputeError> {
        let no_memory = || ComputeError::OutOfMemory { need_bytes: WEIGHTS as u64, have_bytes: 0 };
        let kernels = Kernels::new(isa)?;
        let mut weights = AlignedBytes::zeroed(WEIGHTS).ok_or_else(no_memory)?;
        // Any bytes are codes; as f16 these are normal numbers between 2^-14 and 2^-6.
        for (index, pair) in weights.as_mut_slice().chunks_exact_mut(2).enumerate() {
            let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            pair.copy_from_slice(&[mixed as u8, (mixed >> 8) as u8 & 0x1f | 4]);
        }
        let pool = Pool::new(threads);
        let worker = || -> Option<_> {
            let unpacked = AlignedBytes::zeroed(scratch_bytes(COLUMNS))?;
            Some(Mutex::new(Worker { unpacked, out: vec![0.0; COLUMN_BLOCK * MAX_PANELS * PANEL_ROWS] }))
        };
        let scratch = (0..pool.threads()).map(|_| worker()).collect::<Option<_>>().ok_or_else(no_memory)?;
        Ok(Self { kernels, pool, weights, scratch })
    }

    /// Threads that measure.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The limits of this machine. Multiply-adds are those of the best set that it has.
    pub fn limits(&mut self) -> Limits {
        let multiply_adds = limits::multiply_adds(Isa::detect(), self.threads()).unwrap_or_default();
        let time = best_time(|| self.read());
        Limits { multiply_adds, read: WEIGHTS as f64 / time.as_nanos() as f64 }
    }

    /// Reads all weights, each thread its share.
    fn read(&mut self) {
        let weights = self.weights.as_slice();
        self.pool.run(&|worker| {
            let part = weights.len() / worker.count;
            std::hint::black_box(limits::read(&weights[part * worker.index..][..part]));
        });
    }

    /// What the kernels for `kind` reach; `None` if it is not multiplied with quantised vectors.
    pub fn measure(&mut self, kind: TensorType) -> Option<Measured> {
        let Some(PanelFormat::Int(format)) = PanelFormat::of(kind) else { return None };
        let panel_bytes = PanelFormat::Int(format).panel_bytes(COLUMNS);
        let panels = WEIGHTS / panel_bytes;
        let x: Vec<f32> = (0..PROMPT * COLUMNS).map(|i| (i * 7919 % 1001) as f32 / 500.0 - 1.0).collect();
        let (mut codes, mut meta) = (vec![0; x.len()], vec![BlockMeta::default(); x.len() / BLOCK]);
        self.kernels.quantize(&x, &mut codes, &mut meta);
        let all = QuantView { codes: &codes, meta: &meta, columns: COLUMNS };

        let time = best_time(|| self.products(format, PROMPT_PANELS, MAX_PANELS, all));
        let multiply_adds = (PROMPT_PANELS * PANEL_ROWS * COLUMNS * PROMPT) as f64 / time.as_nanos() as f64;
        let (mut read, mut one, mut few) = (Duration::MAX, Duration::MAX, [Duration::MAX; 3]);
        for _ in 0..TRIES {
            read = read.min(timed(|| self.read()));
            one = one.min(timed(|| self.products(format, panels, 2, all.slice(0, 1))));
            for (few, count) in few.iter_mut().zip(BATCHES) {
                *few = (*few).min(timed(|| self.products(format, panels, 2, all.slice(0, count))));
            }
        }
        let batches = few.map(|few| few.as_secs_f64() / one.as_secs_f64());
        Some(Measured {
            weight_bytes: panel_bytes as f64 / (PANEL_ROWS * COLUMNS) as f64,
            multiply_adds,
            read: (panels * panel_bytes) as f64 / one.as_nanos() as f64,
            read_limit: WEIGHTS as f64 / read.as_nanos() as f64,
            batches,
        })
    }

    /// The first `panels` panels with all vectors, `group` panels at a time, each thread an even share of them.
    fn products(&mut self, format: IntFormat, panels: usize, group: usize, x: QuantView<'_>) {
        let (kernels, weights, scratch) = (self.kernels, self.weights.as_slice(), &self.scratch);
        let panel_bytes = PanelFormat::Int(format).panel_bytes(COLUMNS);
        let groups = panels / group;
        self.pool.run(&|worker| {
            let mut own = scratch[worker.index].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let Worker { unpacked, out } = &mut *own;
            for index in worker.index * groups / worker.count..(worker.index + 1) * groups / worker.count {
                let bytes = &weights[index * group * panel_bytes..][..group * panel_bytes];
                for first in (0..x.count()).step_by(COLUMN_BLOCK) {
                    let x = x.slice(first, COLUMN_BLOCK.min(x.count() - first));
                    let (unpacked, stride) = (unpacked.as_mut_slice(), group * PANEL_ROWS);
                    kernels.int_panels(format, bytes, group, x, unpacked, out, stride);
                }
            }
            std::hint::black_box(&*out);
        });
    }
}

fn timed(round: impl FnOnce()) -> Duration {
    let start = Instant::now();
    round();
    start.elapsed()
}

/// The best of some rounds.
fn best_time(mut round: impl FnMut()) -> Duration {
    (0..TRIES).map(|_| timed(&mut round)).min().unwrap_or_default()
}
