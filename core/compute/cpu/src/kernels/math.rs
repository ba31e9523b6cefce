//! Elementary functions as straight-line code that a compiler can vectorise.
//!
//! Accurate to about 1e-6 relative. All of it is ordinary IEEE arithmetic with explicit fused multiply-adds, so every
//! instruction set gives the same bits. `#[inline(always)]`, so that the code is compiled with the features of the
//! kernel that calls it.

/// Below, `exp` gives 0.
const EXP_MIN: f32 = -87.336_54;
/// Above, `exp` stays where it is.
const EXP_MAX: f32 = 88.376_26;
/// Added and taken off, it rounds to an integer, ties to even (2^23 + 2^22).
const ROUND: f32 = 12_582_912.0;

/// `e^x`; 0 below -87.3, finite above 88.3.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = x.clamp(EXP_MIN, EXP_MAX);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with few bits, so that the difference is exact.
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    // Taylor's series up to r^7 on |r| <= ln(2)/2; the rest is below 1e-8.
    let mut p = 1.0 / 5040.0;
    p = r.mul_add(p, 1.0 / 720.0);
    p = r.mul_add(p, 1.0 / 120.0);
    p = r.mul_add(p, 1.0 / 24.0);
    p = r.mul_add(p, 1.0 / 6.0);
    p = r.mul_add(p, 0.5);
    p = r.mul_add(p, 1.0);
    p = r.mul_add(p, 1.0);
    // The integer lies in the low bits of `shifted`; adding it to the exponent multiplies by 2^n.
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()) << 23;
    let y = f32::from_bits(p.to_bits().wrapping_add(power));
    if x < EXP_MIN { 0.0 } else { y }
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`, written as `x · sigmoid(2 …)`, which does not cancel.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    const TWICE_SQRT_2_PI: f32 = 1.595_769_2;
    let cubic = (x * x).mul_add(0.044_715 * x, x);
    x / (1.0 + exp(-TWICE_SQRT_2_PI * cubic))
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let square = x * x;
    // Near 0 the formula below would cancel; the next term of the series is below 3e-8 at 0.3.
    let mut p = 62.0 / 2835.0;
    p = square.mul_add(p, -17.0 / 315.0);
    p = square.mul_add(p, 2.0 / 15.0);
    p = square.mul_add(p, -1.0 / 3.0);
    let near = (square * x).mul_add(p, x);
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if x.abs() < 0.3 { near } else { far }
}

/// Sum of 16 lanes, as a tree.
#[inline(always)]
pub(crate) fn sum_lanes(mut lanes: [f32; 16]) -> f32 {
    for width in [8, 4, 2, 1] {
        for j in 0..width {
            lanes[j] += lanes[j + width];
        }
    }
    lanes[0]
}

/// The largest of 16 lanes.
#[inline(always)]
pub(crate) fn max_lanes(mut lanes: [f32; 16]) -> f32 {
    for width in [8, 4, 2, 1] {
        for j in 0..width {
            lanes[j] = if lanes[j + width] > lanes[j] { lanes[j + width] } else { lanes[j] };
        }
    }
    lanes[0]
}

/// An IEEE half as f32, exactly.
#[inline(always)]
pub(crate) fn f16_to_f32(half: u16) -> f32 {
    let bits = u32::from(half);
    let sign = (bits & 0x8000) << 16;
    // Shifted into place the exponent is 112 too small, for subnormals as well: one multiplication mends both.
    let small = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    let special = f32::from_bits((bits & 0x7fff) << 13 | 0x7f80_0000);
    let magnitude = if bits & 0x7c00 == 0x7c00 { special } else { small };
    f32::from_bits(magnitude.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(range: std::ops::Range<f32>, ours: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        let steps = 200_000;
        (0..steps)
            .map(|i| range.start + (range.end - range.start) * i as f32 / steps as f32)
            .map(|x| {
                let y = exact(f64::from(x));
                (f64::from(ours(x)) - y).abs() / y.abs().max(1e-37)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_accurate() {
        let silu64 = |x: f64| x / (1.0 + (-x).exp());
        let gelu64 = |x: f64| {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / (1.0 + (-2.0 * u).exp())
        };
        assert!(worst(-87.0..88.0, exp, f64::exp) < 2.5e-7);
        assert!(worst(-80.0..80.0, silu, silu64) < 5e-7);
        assert!(worst(-5.0..20.0, gelu_tanh, gelu64) < 5e-6);
        assert!(worst(-12.0..12.0, tanh, f64::tanh) < 5e-7);
    }

    #[test]
    fn edges() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(1e30).is_finite());
        assert_eq!(silu(-1e30).abs(), 1e30 / (1.0 + exp(88.4)));
        assert_eq!((tanh(1e30), tanh(-1e30), tanh(0.0)), (1.0, -1.0, 0.0));
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "{bits:#x}");
        }
    }
}
