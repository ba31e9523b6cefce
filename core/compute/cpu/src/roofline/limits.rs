//! What this machine can do at most: multiply-adds of int8 dot products, and bytes read from memory.
//!
//! Both are the best of several short runs, because a limit is what nothing disturbs.

use std::hint::black_box;
use std::time::Instant;

use memmap2::MmapMut;

use crate::isa::Isa;

/// Bytes that a thread reads: more than any cache holds.
const BUFFER: usize = 192 << 20;
/// Times that a limit is measured.
const ROUNDS: usize = 5;
/// Dot-product instructions of a run of a thread.
const DOTS: usize = 120_000_000;

/// A loop of so many dot products.
type Dots = fn(usize) -> i32;

/// The most billions of multiply-adds a second that `threads` threads reach together with the dot products of `isa`;
/// `None` where this machine has no such instruction.
pub fn multiply_adds(isa: Isa, threads: usize) -> Option<f64> {
    let (kernel, per_dot) = dot_kernel(isa.require().ok()?)?;
    let run = || {
        let start = Instant::now();
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(|| black_box(kernel(black_box(DOTS))))));
        });
        (threads * DOTS * per_dot) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    Some((0..ROUNDS).map(|_| run()).fold(0.0, f64::max))
}

/// Memory of some threads, to be read again and again.
pub struct Memory(Vec<MmapMut>);

impl Memory {
    /// Memory for `threads` threads, written once: in pages of 2 MiB if `huge` and where the system gives them. With
    /// pages of 4 KiB the reads of one core wait for translations on some machines.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn new(threads: usize, huge: bool) -> std::io::Result<Self> {
        let buffer = |_| {
            let mut buffer = MmapMut::map_anon(BUFFER)?;
            // Best effort: a system without large pages gives small ones.
            #[cfg(target_os = "linux")]
            let _ = buffer.advise(if huge { memmap2::Advice::HugePage } else { memmap2::Advice::NoHugePage });
            #[cfg(not(target_os = "linux"))]
            let _ = huge;
            buffer.fill(1);
            Ok(buffer)
        };
        (0..threads).map(buffer).collect::<std::io::Result<_>>().map(Self)
    }

    /// The most billions of bytes a second that `threads` threads read, at most those that it was made for.
    pub fn read(&self, threads: usize) -> f64 {
        let buffers = &self.0[..threads.min(self.0.len())];
        let run = || {
            let start = Instant::now();
            std::thread::scope(|scope| {
                buffers.iter().for_each(|buffer| drop(scope.spawn(|| black_box(read(black_box(buffer))))));
            });
            (buffers.len() * BUFFER) as f64 / start.elapsed().as_secs_f64() / 1e9
        };
        (0..2 * ROUNDS).map(|_| run()).fold(0.0, f64::max)
    }
}

/// Reads all of `bytes`; the result is of no meaning.
pub(super) fn read(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the instructions are there.
        return unsafe { x86::read_avx512(bytes) };
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the instructions are there.
        return unsafe { x86::read_avx2(bytes) };
    }
    let (words, _) = bytes.as_chunks::<64>();
    let mut sums = [0_u64; 8];
    for chunk in words {
        for (sum, word) in sums.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *sum ^= u64::from_le_bytes(*word);
        }
    }
    sums.iter().fold(0, |all, sum| all ^ sum)
}

/// A loop of so many int8 dot products, and the multiply-adds of each; `None` where there is no such instruction.
fn dot_kernel(isa: Isa) -> Option<(Dots, usize)> {
    match isa {
        // SAFETY: only the sets that this machine has are asked for.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some((|count| unsafe { x86::dots_avx512(count) }, 64)),
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some((|count| unsafe { x86::dots_avx2(count) }, 32)),
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => Some((|count| unsafe { arm::dots(count) }, 16)),
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    /// Independent sums: more than the instruction's latency hides.
    const SUMS: usize = 12;

    /// `vpdpbusd` on whole registers.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn dots_avx512(count: usize) -> i32 {
        let (x, y) = (_mm512_set1_epi8(3), _mm512_set1_epi8(1));
        let mut sums = [_mm512_setzero_si512(); SUMS];
        for _ in 0..count / SUMS {
            sums.iter_mut().for_each(|sum| *sum = _mm512_dpbusd_epi32(*sum, x, y));
            // SAFETY: no instruction; it keeps the loop from being computed at compile time.
            unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
        }
        _mm512_reduce_add_epi32(sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_add_epi32(a, b)))
    }

    /// What AVX2 has for it: `vpmaddubsw`, `vpmaddwd`, `vpaddd`.
    #[target_feature(enable = "avx2")]
    pub(super) fn dots_avx2(count: usize) -> i32 {
        let mut x = _mm256_set1_epi8(3);
        let (y, ones) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
        let mut sums = [_mm256_setzero_si256(); SUMS];
        for _ in 0..count / SUMS {
            for sum in &mut sums {
                // SAFETY: no instruction; the products are computed each time, as if `x` had changed.
                unsafe { asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones));
            }
        }
        let all = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_add_epi32(a, b));
        _mm256_extract_epi32::<0>(all)
    }

    /// # Safety
    /// The machine has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn read_avx512(bytes: &[u8]) -> u64 {
        let mut sums = [_mm512_setzero_si512(); 8];
        for chunk in bytes.as_chunks::<512>().0 {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 times 64 bytes are in the chunk.
                let value = unsafe { _mm512_loadu_si512(chunk.as_ptr().add(64 * index).cast()) };
                *sum = _mm512_xor_si512(*sum, value);
            }
        }
        _mm512_reduce_add_epi64(sums.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_xor_si512(a, b))) as u64
    }

    /// # Safety
    /// The machine has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn read_avx2(bytes: &[u8]) -> u64 {
        let mut sums = [_mm256_setzero_si256(); 8];
        for chunk in bytes.as_chunks::<256>().0 {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 times 32 bytes are in the chunk.
                let value = unsafe { _mm256_loadu_si256(chunk.as_ptr().add(32 * index).cast()) };
                *sum = _mm256_xor_si256(*sum, value);
            }
        }
        let all = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_xor_si256(a, b));
        _mm256_extract_epi64::<0>(all) as u64
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::arch::asm;

    /// `sdot` on whole registers.
    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn dots(count: usize) -> i32 {
        let (x, y) = (vdupq_n_s8(3), vdupq_n_s8(1));
        let mut sums = [vdupq_n_s32(0); 12];
        for _ in 0..count / 12 {
            for sum in &mut sums {
                // SAFETY: registers only; the instruction is there.
                unsafe {
                    asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) *sum, in(vreg) x, in(vreg) y,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        vaddvq_s32(sums.into_iter().fold(vdupq_n_s32(0), |a, b| vaddq_s32(a, b)))
    }
}
