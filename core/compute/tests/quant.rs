//! The block formats: equal to another implementation to the bit, encoders near enough, no bytes that panic.
#![allow(clippy::unwrap_used)]

use inkling_compute::quant::{FORMATS, dequantize, quantize};
use inkling_gguf::TensorType;
use proptest::prelude::*;

/// Made by `scripts/quant-golden.py`, which describes it.
const GOLDEN: &str = include_str!("golden/quant.txt");
const GOLDEN_BLOCKS: usize = 512;

/// Offsets of the high bytes of a format's float fields.
fn float_fields(kind: TensorType) -> &'static [usize] {
    match kind {
        TensorType::F32 => &[3],
        TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q4_K | TensorType::Q5_K => &[1, 3],
        TensorType::Q2_K => &[81, 83],
        TensorType::Q3_K => &[109],
        TensorType::Q6_K => &[209],
        _ => &[1],
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Blocks of random codes with finite scales.
fn random_blocks(kind: TensorType, seed: u64, count: usize) -> Vec<u8> {
    let size = kind.block_bytes() as usize;
    let mut state = seed;
    let mut bytes: Vec<u8> =
        (0..(count * size).div_ceil(8)).flat_map(|_| splitmix(&mut state).to_le_bytes()).take(count * size).collect();
    for block in bytes.chunks_exact_mut(size) {
        float_fields(kind).iter().for_each(|&at| block[at] &= 0xBF);
    }
    bytes
}

fn decoded(kind: TensorType, bytes: &[u8]) -> Vec<f32> {
    let elements = bytes.len() / kind.block_bytes() as usize * kind.block_elements() as usize;
    let mut out = vec![f32::NAN; elements];
    dequantize(kind, bytes, &mut out).unwrap();
    out
}

fn encoded(kind: TensorType, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0xAA; kind.row_bytes(values.len() as u64).unwrap() as usize];
    quantize(kind, values, &mut bytes).unwrap();
    bytes
}

fn bits(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |digest, &byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[test]
fn decoders_give_the_bits_of_another_implementation() {
    let mut seen = Vec::new();
    for line in GOLDEN.lines() {
        let [name, block, first, digest]: [&str; 4] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let kind: TensorType = name.parse().unwrap();
        let bytes = random_blocks(kind, kind.number().into(), GOLDEN_BLOCKS);
        let size = kind.block_bytes() as usize;
        assert_eq!(hex(&bytes[..size]), block, "{name}: the test and the script make the same bytes");
        assert_eq!(hex(&bits(&decoded(kind, &bytes[..size]))), first, "{name}: first block");
        assert_eq!(format!("{:016x}", fnv(&bits(&decoded(kind, &bytes)))), digest, "{name}: all blocks");
        seen.push(kind);
    }
    assert_eq!(seen, FORMATS);
}

/// The root of the mean squared error that rounding to the nearest code may make on values spread evenly over
/// -1..1, with some room: half a step at the coarsest, a step being 2 over the number of codes.
fn error_bound(kind: TensorType) -> f64 {
    match kind {
        TensorType::F32 => 0.0,
        TensorType::F16 => 2e-4,
        TensorType::BF16 => 2e-3,
        TensorType::Q8_0 => 3e-3,
        TensorType::Q6_K => 1.2e-2,
        TensorType::Q5_0 | TensorType::Q5_1 | TensorType::Q5_K => 2.5e-2,
        TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4_K | TensorType::IQ4_NL | TensorType::IQ4_XS => 6e-2,
        TensorType::Q3_K => 0.11,
        _ => 0.24,
    }
}

#[test]
fn encoders_are_within_half_a_step() {
    for kind in FORMATS {
        let mut state = 7;
        let values: Vec<f32> =
            (0..4096).map(|_| (splitmix(&mut state) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        let back = decoded(kind, &encoded(kind, &values));
        let squares: f64 = values.iter().zip(&back).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let error = (squares / values.len() as f64).sqrt();
        assert!(error <= error_bound(kind), "{kind}: {error}");
        assert!(kind == TensorType::F32 || error > error_bound(kind) / 8.0, "{kind}: {error}: the bound is too loose");
    }
}

#[test]
fn zeros_stay_zeros() {
    for kind in FORMATS {
        assert_eq!(decoded(kind, &encoded(kind, &[0.0; 512])), [0.0; 512], "{kind}");
    }
}

#[test]
fn lengths_that_do_not_match_are_errors() {
    for kind in FORMATS {
        let elements = kind.block_elements() as usize;
        let size = kind.block_bytes() as usize;
        for (bytes, out) in [(size, 2 * elements), (2 * size, elements), (size + 1, elements), (size, elements + 1)] {
            assert!(dequantize(kind, &vec![0; bytes], &mut vec![0.0; out]).is_err(), "{kind}");
            assert!(quantize(kind, &vec![0.0; out], &mut vec![0; bytes]).is_err(), "{kind}");
        }
    }
    assert!(dequantize(TensorType::IQ1_S, &[0; 50], &mut [0.0; 256]).is_err());
    assert!(quantize(TensorType::IQ1_S, &[0.0; 256], &mut [0; 50]).is_err());
}

fn format() -> impl Strategy<Value = TensorType> {
    proptest::sample::select(&FORMATS)
}

proptest! {
    /// Any bytes decode, any values (NaN and infinities too) encode.
    #[test]
    fn nothing_panics(kind in format(), seed: u64, special in proptest::collection::vec(any::<f32>(), 256)) {
        let mut state = seed;
        let bytes: Vec<u8> = (0..kind.row_bytes(256).unwrap()).map(|_| splitmix(&mut state) as u8).collect();
        prop_assert_eq!(decoded(kind, &bytes).len(), 256);
        prop_assert_eq!(decoded(kind, &encoded(kind, &special)).len(), 256);
    }

    /// No element moves by more than the range of its block over the number of steps (with the rounding of the
    /// scales themselves), whatever the range is.
    #[test]
    fn the_error_scales_with_the_block(
        kind in format(),
        values in proptest::collection::vec(-1.0_f32..1.0, 256),
        magnitude in -8_i32..8,
    ) {
        let values: Vec<f32> = values.iter().map(|value| value * 2.0_f32.powi(magnitude)).collect();
        let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let back = decoded(kind, &encoded(kind, &values));
        let bound = 4.0 * error_bound(kind) as f32 * most;
        for (value, back) in values.iter().zip(&back) {
            prop_assert!((value - back).abs() <= bound, "{} became {}, bound {}", value, back, bound);
        }
    }
}
