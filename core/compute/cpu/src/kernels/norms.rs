//! Root-mean-square norm and rotary position embedding.
//!
//! Plain loops over whole lanes, `#[inline(always)]`: `table` puts each into a function with the features of a set,
//! where the compiler makes vectors of them. Sums run over 16 lanes and a fixed tree, products are fused explicitly, so
//! all sets give the same bits. So it is in `elementwise`, `quantize` and `float_panel`.

use super::lanes::LANES;
use super::math::sum_lanes;

#[inline(always)]
fn dot_lanes(a: &[f32], b: &[f32], mut lanes: [f32; LANES]) -> [f32; LANES] {
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for j in 0..LANES {
            lanes[j] = a[j].mul_add(b[j], lanes[j]);
        }
    }
    lanes
}

/// `out = x / √(mean(x²) + epsilon) ⊙ weight`; all of the length of `weight`.
#[inline(always)]
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mut lanes = dot_lanes(x, x, [0.0; LANES]);
    for (lane, x) in lanes.iter_mut().zip(x.as_chunks::<LANES>().1) {
        *lane = x.mul_add(*x, *lane);
    }
    let mean = sum_lanes(lanes) / x.len() as f32;
    let factor = 1.0 / (mean + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * factor * weight;
    }
}

/// Rotates pairs `(i, i + n)`; `n` is the length of `cos` and `sin`.
#[inline(always)]
pub(crate) fn rope_halves(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let n = cos.len();
    let (low, rest) = head.split_at_mut(n);
    for (((a, b), cos), sin) in low.iter_mut().zip(&mut rest[..n]).zip(cos).zip(sin) {
        let (x, y) = (*a, *b);
        *a = x * cos - y * sin;
        *b = x * sin + y * cos;
    }
}

/// Rotates pairs `(2i, 2i + 1)`.
#[inline(always)]
pub(crate) fn rope_interleaved(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    for ((pair, cos), sin) in head.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
        let [x, y] = *pair;
        *pair = [x * cos - y * sin, x * sin + y * cos];
    }
}
