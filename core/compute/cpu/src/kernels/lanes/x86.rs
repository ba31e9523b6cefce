//! Lanes of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::{LANES, Lanes};

/// Two registers of AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256, __m256);

impl Lanes for Pair {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the set is there by the contract.
        let x = unsafe { _mm256_set1_ps(x) };
        Self(x, x)
    }

    #[inline(always)]
    unsafe fn splat_half(from: *const u8) -> Self {
        // SAFETY: a half by the contract.
        unsafe {
            let half = _mm256_broadcastss_ps(one_half(from));
            Self(half, half)
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: 16 floats by the contract.
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const u8) -> Self {
        // SAFETY: 32 bytes by the contract.
        unsafe {
            let (low, high) = (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.add(16).cast()));
            Self(_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: 16 bytes by the contract.
        unsafe { pair_of_bytes(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, high: bool) -> Self {
        // SAFETY: 16 bytes by the contract.
        unsafe { pair_of_bytes(nibbles(from, high)) }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        // SAFETY: it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: room for 16 floats by the contract.
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }

    #[inline(always)]
    unsafe fn halves(self) -> [u16; LANES] {
        let mut halves = [0; LANES];
        let to: *mut u16 = halves.as_mut_ptr();
        // SAFETY: the set is there by the contract; 16 bytes twice.
        unsafe {
            _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0));
            _mm_storeu_si128(to.add(8).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1));
        }
        halves
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        // SAFETY: the set is there by the contract.
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }

    #[inline(always)]
    unsafe fn times_plus(self, other: Self, more: Self) -> Self {
        // SAFETY: the set is there by the contract.
        unsafe { Self(_mm256_fmadd_ps(self.0, other.0, more.0), _mm256_fmadd_ps(self.1, other.1, more.1)) }
    }
}

/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn pair_of_bytes(bytes: __m128i) -> Pair {
    // SAFETY: passed on to the caller.
    unsafe {
        let (low, high) = (_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes)));
        Pair(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
    }
}

/// Nibbles less 8, as bytes.
///
/// # Safety
/// 16 bytes.
#[inline(always)]
unsafe fn nibbles(from: *const u8, high: bool) -> __m128i {
    // SAFETY: passed on to the caller.
    unsafe {
        let bytes = _mm_loadu_si128(from.cast());
        let bytes = if high { _mm_srli_epi16::<4>(bytes) } else { bytes };
        _mm_sub_epi8(_mm_and_si128(bytes, _mm_set1_epi8(15)), _mm_set1_epi8(8))
    }
}

/// A half as a float, in the lowest lane.
///
/// # Safety
/// The machine has F16C, and there is a half.
#[inline(always)]
unsafe fn one_half(from: *const u8) -> __m128 {
    // SAFETY: passed on to the caller.
    unsafe { _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(from.cast::<u16>().read_unaligned()))) }
}

/// One register of AVX-512.
#[derive(Clone, Copy)]
pub(crate) struct Wide(__m512);

impl Lanes for Wide {
    const WIDE: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the set is there by the contract.
        Self(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn splat_half(from: *const u8) -> Self {
        // SAFETY: a half by the contract.
        Self(unsafe { _mm512_broadcastss_ps(one_half(from)) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: 16 floats by the contract.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const u8) -> Self {
        // SAFETY: 32 bytes by the contract.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) })
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: 16 bytes by the contract.
        Self(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) })
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, high: bool) -> Self {
        // SAFETY: 16 bytes by the contract.
        Self(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(nibbles(from, high))) })
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        // SAFETY: it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: room for 16 floats by the contract.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn halves(self) -> [u16; LANES] {
        let mut halves = [0; LANES];
        let to: *mut u16 = halves.as_mut_ptr();
        // SAFETY: the set is there by the contract; 32 bytes.
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0)) }
        halves
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        // SAFETY: the set is there by the contract.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn times_plus(self, other: Self, more: Self) -> Self {
        // SAFETY: the set is there by the contract.
        Self(unsafe { _mm512_fmadd_ps(self.0, other.0, more.0) })
    }
}
