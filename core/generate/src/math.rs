//! `exp` and `ln` that give the same bits on every machine.
//!
//! The ones of the standard library come from the platform's `libm` and differ in the last bit between systems, which
//! is enough to move a draw to another token. These use nothing but IEEE additions, multiplications and one
//! division in a fixed order (Rust never contracts them to fused operations), so a seed gives the same text on a
//! phone and on a laptop as long as the logits are the same. Both are within 2 units in the last place.
//! Sampler and log-probs call them.

use std::f64::consts::{LOG2_E, SQRT_2};

/// ln 2 in two parts; the first has enough trailing zeros that its product with an exponent is exact.
const LN2_HI: f64 = 6.931_471_803_691_238e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;

/// 1/13!, 1/12!, … 1/0!: the Taylor series on |r| ≤ ln 2 / 2, whose remainder is below 2⁻⁵⁶.
const EXP: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// e to the power of `x`; 0 below −708 (where the result would be subnormal), infinity above 709.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -708.0 {
        return 0.0;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    // Adding 1.5 · 2⁵² rounds to an integer without a call into libm.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let k = (x * LOG2_E + ROUND) - ROUND;
    let r = (x - k * LN2_HI) - k * LN2_LO;
    let series = EXP.iter().fold(0.0, |sum, coefficient| sum * r + coefficient);
    series * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// The natural logarithm of a positive normal number; −infinity for anything smaller.
pub(crate) fn ln(x: f64) -> f64 {
    if x < f64::MIN_POSITIVE {
        return f64::NEG_INFINITY;
    }
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 · atanh s; |s| ≤ 0.172, so the first term left out (s²³ / 23) is below 2⁻⁵⁹.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..=10).rev().fold(0.0, |sum, i| sum * square + 1.0 / f64::from(2 * i + 1));
    let exponent = exponent as f64;
    exponent * LN2_HI + (2.0 * s * series + exponent * LN2_LO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_libm() {
        let mut x = -700.0;
        while x < 700.0 {
            assert!((exp(x) / f64::exp(x) - 1.0).abs() < 4.5e-16, "exp({x}) = {}", exp(x));
            x += 0.173;
        }
        let mut x = 1e-300;
        while x < 1e300 {
            let (ours, libm) = (ln(x), f64::ln(x));
            assert!((ours - libm).abs() <= 4.5e-16 * libm.abs().max(0.5), "ln({x}) = {ours}, libm {libm}");
            x *= 1.37;
        }
    }

    #[test]
    fn edges() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(1e9), f64::INFINITY);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
    }

    /// The bits are a promise: a change here changes every seeded answer.
    #[test]
    fn bits_are_fixed() {
        let sum = (1..2000).fold(0_u64, |hash, i| {
            let x = f64::from(i) * 0.0173;
            hash.rotate_left(7) ^ exp(-x).to_bits() ^ ln(x).to_bits().rotate_left(32)
        });
        assert_eq!(sum, 970_441_544_185_236_049, "the same in Python");
    }
}
