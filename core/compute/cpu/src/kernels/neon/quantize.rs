//! Activations to signed bytes: the same as the plain code, which the compiler turns into ten times as many instructions.

use std::arch::aarch64::*;

use crate::activations::BlockMeta;
use crate::format::BLOCK;

/// See `ops::quantize`, with which it agrees to the bit: `fcvtns` rounds a product to even as the plain code does by
/// adding 1.5 · 2^23, and makes 0 of a NaN.
///
/// # Safety
/// None is needed on AArch64; the table's type asks for it.
pub(super) unsafe fn quantize(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
    let blocks = x.as_chunks::<BLOCK>().0;
    for ((x, codes), meta) in blocks.iter().zip(codes.as_chunks_mut::<BLOCK>().0).zip(meta) {
        // SAFETY: 32 floats in, 32 bytes out.
        *meta = unsafe { block(x.as_ptr(), codes.as_mut_ptr()) };
    }
}

/// # Safety
/// `x` points to 32 floats, `codes` to room for 32 bytes.
#[inline(always)]
unsafe fn block(x: *const f32, codes: *mut i8) -> BlockMeta {
    // SAFETY: by the contract.
    unsafe {
        let x: [float32x4_t; 8] = std::array::from_fn(|index| vld1q_f32(x.add(index * 4)));
        let mut largest = x.map(|x| vabsq_f32(x));
        for width in [4, 2, 1] {
            for index in 0..width {
                largest[index] = vmaxnmq_f32(largest[index], largest[index + width]);
            }
        }
        let largest = vmaxnmvq_f32(largest[0]);
        // So small that its inverse might not be finite: as good as 0.
        let largest = if largest > 1e-30 { largest } else { 0.0 };
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let scale = largest / 127.0;
        let mut sums = [0; 2];
        for half in 0..2 {
            let wide: [int32x4_t; 4] =
                std::array::from_fn(|index| vcvtnq_s32_f32(vmulq_n_f32(x[half * 4 + index], inverse)));
            // No code is beyond ±127, so taking the low parts loses nothing.
            let low = vuzp1q_s16(vreinterpretq_s16_s32(wide[0]), vreinterpretq_s16_s32(wide[1]));
            let high = vuzp1q_s16(vreinterpretq_s16_s32(wide[2]), vreinterpretq_s16_s32(wide[3]));
            let bytes = vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
            vst1q_s8(codes.add(half * 16), bytes);
            sums[half] = i32::from(vaddvq_s16(vaddq_s16(low, high)));
        }
        let sum = sums[0] + sums[1];
        BlockMeta {
            scale,
            scaled_sum: scale * sum as f32,
            scaled_halves: sums.map(|sum| scale * sum as f32),
            moved: -128 * sum,
            moved_halves: sums.map(|sum| -128 * sum),
            padding: 0,
        }
    }
}
