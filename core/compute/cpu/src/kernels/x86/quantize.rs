//! Activations to signed bytes: the same bits as the plain code gives.
//!
//! `vcvtps2dq` rounds a product to even as the plain code does by adding 1.5 · 2^23. A NaN has no size and the code 0:
//! its conversion is `i32::MIN`, whose low byte is 0, and packing takes low bytes here.
//!
//! No closures over vectors here: they would be functions without the features, which are called, not inlined.

use std::arch::x86_64::*;

use crate::activations::BlockMeta;
use crate::format::BLOCK;

/// Scale and inverse of a block whose largest element is of this size.
#[inline(always)]
fn scales(largest: f32) -> (f32, f32) {
    // So small that its inverse might not be finite: as good as 0.
    let largest = if largest > 1e-30 { largest } else { 0.0 };
    (largest / 127.0, if largest > 0.0 { 127.0 / largest } else { 0.0 })
}

#[inline(always)]
fn block_meta(scale: f32, [first, last]: [i32; 2]) -> BlockMeta {
    let sum = first + last;
    BlockMeta {
        scale,
        scaled_sum: scale * sum as f32,
        scaled_halves: [scale * first as f32, scale * last as f32],
        moved: -128 * sum,
        moved_halves: [-128 * first, -128 * last],
        padding: 0,
    }
}

/// See `quantize::quantize`.
///
/// # Safety
/// The machine has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in crate::kernels) unsafe fn avx512(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
    let blocks = x.as_chunks::<BLOCK>().0;
    for ((x, codes), meta) in blocks.iter().zip(codes.as_chunks_mut::<BLOCK>().0).zip(meta) {
        // SAFETY: 32 floats in, 32 bytes out.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(16)));
            let largest = _mm512_max_ps(size(low), size(high));
            let largest = _mm256_max_ps(_mm512_castps512_ps256(largest), _mm512_extractf32x8_ps::<1>(largest));
            let (scale, inverse) = scales(largest_of_8(largest));
            let inverse = _mm512_set1_ps(inverse);
            let low = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)));
            let high = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(high, inverse)));
            let bytes = _mm256_set_m128i(high, low);
            _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes);
            let fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
            *meta = block_meta(scale, sums_of_4(fours));
        }
    }
}

/// See `quantize::quantize`.
///
/// # Safety
/// The machine has the features.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::kernels) unsafe fn avx2(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
    let blocks = x.as_chunks::<BLOCK>().0;
    for ((x, codes), meta) in blocks.iter().zip(codes.as_chunks_mut::<BLOCK>().0).zip(meta) {
        // SAFETY: 32 floats in, 32 bytes out.
        unsafe {
            let mut eights = [_mm256_setzero_ps(); 4];
            for (index, eight) in eights.iter_mut().enumerate() {
                *eight = _mm256_loadu_ps(x.as_ptr().add(index * 8));
            }
            let mut largest = _mm256_setzero_ps();
            for x in eights {
                let size = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
                // Of a NaN and a number it takes the second operand.
                largest = _mm256_max_ps(size, largest);
            }
            let (scale, inverse) = scales(largest_of_8(largest));
            let inverse = _mm256_set1_ps(inverse);
            let mut wide = [_mm256_setzero_si256(); 4];
            for (wide, x) in wide.iter_mut().zip(eights) {
                let rounded = _mm256_cvtps_epi32(_mm256_mul_ps(x, inverse));
                *wide = _mm256_and_si256(rounded, _mm256_set1_epi32(0xff));
            }
            // Packing goes by halves of 128 bits, so the fours come as 0 2 4 6 1 3 5 7.
            let words = [_mm256_packus_epi32(wide[0], wide[1]), _mm256_packus_epi32(wide[2], wide[3])];
            let bytes = _mm256_packus_epi16(words[0], words[1]);
            let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
            _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes);
            let twos = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
            let fours = _mm256_madd_epi16(twos, _mm256_set1_epi16(1));
            *meta = block_meta(scale, sums_of_4(fours));
        }
    }
}

/// Sizes; that of a NaN is 0.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn size(x: __m512) -> __m512 {
    _mm512_maskz_andnot_ps(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(x, x), _mm512_set1_ps(-0.0), x)
}

#[target_feature(enable = "avx2")]
#[inline]
fn largest_of_8(x: __m256) -> f32 {
    let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
}

/// Sums of the first and the last four.
#[target_feature(enable = "avx2")]
#[inline]
fn sums_of_4(x: __m256i) -> [i32; 2] {
    let x = _mm256_add_epi32(x, _mm256_shuffle_epi32::<0b01_00_11_10>(x));
    let x = _mm256_add_epi32(x, _mm256_shuffle_epi32::<0b10_11_00_01>(x));
    [_mm256_extract_epi32::<0>(x), _mm256_extract_epi32::<4>(x)]
}
