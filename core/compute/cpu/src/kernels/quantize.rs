//! Activations to signed bytes.

use super::lanes::LANES;
use crate::activations::BlockMeta;
use crate::format::BLOCK;

/// Quantises `x`, a multiple of 32 long, to blocks of signed bytes.
#[inline(always)]
pub(crate) fn quantize(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
    let blocks = x.as_chunks::<BLOCK>().0;
    for ((x, codes), meta) in blocks.iter().zip(codes.as_chunks_mut::<BLOCK>().0).zip(meta) {
        let mut lanes = [0.0_f32; LANES];
        for j in 0..LANES {
            lanes[j] = x[j].abs().max(x[j + LANES].abs());
        }
        for width in [8, 4, 2, 1] {
            for j in 0..width {
                lanes[j] = lanes[j].max(lanes[j + width]);
            }
        }
        // So small that its inverse might not be finite: as good as 0.
        let largest = if lanes[0] > 1e-30 { lanes[0] } else { 0.0 };
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let scale = largest / 127.0;
        let mut rounded = [0_i32; BLOCK];
        for j in 0..BLOCK {
            // Adding 1.5 · 2^23 rounds to even and leaves the integer in the low bits.
            let shifted = x[j] * inverse + 12_582_912.0;
            rounded[j] = shifted.to_bits() as i32 & 0xff;
            codes[j] = rounded[j] as i8;
        }
        let mut sums = [0_i32; 2];
        for j in 0..LANES {
            sums[0] = sums[0].wrapping_add(i32::from(rounded[j] as i8));
            sums[1] = sums[1].wrapping_add(i32::from(rounded[j + LANES] as i8));
        }
        let sum = sums[0].wrapping_add(sums[1]);
        *meta = BlockMeta {
            scale,
            scaled_sum: scale * sum as f32,
            scaled_halves: [scale * sums[0] as f32, scale * sums[1] as f32],
            moved: sum.wrapping_mul(-128),
            moved_halves: sums.map(|sum| sum.wrapping_mul(-128)),
            padding: 0,
        };
    }
}
