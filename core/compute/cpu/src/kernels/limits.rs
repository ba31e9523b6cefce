//! What the machine can do at most, for the tables of [`crate::roofline`]: multiply-adds of bytes without any other
//! work, and reading without using what was read.

use crate::isa::Isa;

/// Independent chains of multiply-adds: more than the latency of one needs.
const CHAINS: usize = 12;

/// Does `rounds` rounds of dot products of bytes, as fast as `isa` can; returns the multiply-adds done.
/// 0 for a set without such an instruction.
pub(crate) fn multiply_adds(isa: Isa, rounds: u64) -> u64 {
    match isa.require() {
        // SAFETY: `require` has checked that this machine has the set.
        #[cfg(target_arch = "x86_64")]
        Ok(Isa::Avx512) => unsafe { x86::vnni(rounds) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Ok(Isa::Avx2) => unsafe { x86::maddubs(rounds) },
        _ => 0,
    }
}

/// Reads everything; the result is of no meaning.
pub(crate) fn read(isa: Isa, bytes: &[u8]) -> u64 {
    match isa.require() {
        // SAFETY: `require` has checked that this machine has the set.
        #[cfg(target_arch = "x86_64")]
        Ok(Isa::Avx512) => unsafe { x86::read_64(bytes) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Ok(Isa::Avx2) => unsafe { x86::read_32(bytes) },
        _ => bytes.as_chunks::<8>().0.iter().fold(0, |all, eight| all ^ u64::from_le_bytes(*eight)),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::CHAINS;

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn vnni(rounds: u64) -> u64 {
        let (x, y) = (black_box(_mm512_set1_epi8(3)), black_box(_mm512_set1_epi8(1)));
        let mut sums = [_mm512_setzero_si512(); CHAINS];
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm512_dpbusd_epi32(*sum, x, y));
        }
        black_box(sums);
        rounds * CHAINS as u64 * 64
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn maddubs(rounds: u64) -> u64 {
        let x = black_box(_mm256_set1_epi8(3));
        let mut ys = [black_box(_mm256_set1_epi8(1)); 2];
        let mut sums = [_mm256_setzero_si256(); CHAINS];
        for _ in 0..rounds {
            // A new operand each round, or the product would be computed once.
            ys[0] = _mm256_xor_si256(ys[0], ys[1]);
            sums.iter_mut().enumerate().for_each(|(index, sum)| {
                let y = if index % 2 == 0 { ys[0] } else { ys[1] };
                *sum = _mm256_add_epi16(_mm256_maddubs_epi16(x, y), *sum);
            });
            ys.swap(0, 1);
        }
        black_box(sums);
        rounds * CHAINS as u64 * 32
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn read_64(bytes: &[u8]) -> u64 {
        let mut all = [_mm512_setzero_si512(); 8];
        for lines in bytes.as_chunks::<512>().0 {
            for (all, line) in all.iter_mut().zip(lines.as_chunks::<64>().0) {
                // SAFETY: 64 bytes.
                *all = _mm512_xor_si512(*all, unsafe { _mm512_loadu_si512(line.as_ptr().cast()) });
            }
        }
        let all = all.into_iter().fold(_mm512_setzero_si512(), |a, b| _mm512_xor_si512(a, b));
        _mm512_reduce_or_epi64(all) as u64
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn read_32(bytes: &[u8]) -> u64 {
        let mut all = [_mm256_setzero_si256(); 8];
        for lines in bytes.as_chunks::<256>().0 {
            for (all, line) in all.iter_mut().zip(lines.as_chunks::<32>().0) {
                // SAFETY: 32 bytes.
                *all = _mm256_xor_si256(*all, unsafe { _mm256_loadu_si256(line.as_ptr().cast()) });
            }
        }
        let all = all.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_xor_si256(a, b));
        _mm256_extract_epi64::<0>(all) as u64
    }
}
