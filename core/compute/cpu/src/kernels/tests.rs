//! Every kernel against its scalar twin, on ragged shapes, bit for bit.

use std::ops::Range;

use inkling_compute::{Activation, KvType, PAGE_POSITIONS};
use proptest::prelude::*;

use super::{CHUNK, Kernels, MAX_PANELS, ROW_STRIDE, float_bytes, scratch_bytes};
use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, FloatFormat, IntFormat, PANEL_ROWS, PanelFormat};
use crate::isa::Isa;
use crate::tests_support::{bytes, values};

const FORMATS: [IntFormat; 11] = [
    IntFormat::Nibble,
    IntFormat::NibbleMin,
    IntFormat::NibbleSuperMin,
    IntFormat::NibbleSuperMinHalf,
    IntFormat::NibbleSuperHalf,
    IntFormat::Level,
    IntFormat::LevelSuper,
    IntFormat::Byte,
    IntFormat::ByteMin,
    IntFormat::ByteSuperMin,
    IntFormat::ByteSuperHalf,
];

fn twins() -> impl Iterator<Item = (Isa, Kernels)> {
    Isa::available().filter(|&isa| isa != Isa::Scalar).map(|isa| (isa, Kernels::new(isa).unwrap()))
}

fn scalar() -> Kernels {
    Kernels::new(Isa::Scalar).unwrap()
}

/// NaNs may differ in their payload.
fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
}

/// Random panels. Any bytes are a valid panel; scales are made finite, so that results can be compared.
fn panels(format: IntFormat, count: usize, columns: usize, seed: u64) -> Vec<u8> {
    let mut all = bytes(seed, count * PanelFormat::Int(format).panel_bytes(columns));
    for chunk in all.chunks_exact_mut(format.chunk_bytes()) {
        for half in chunk[..64].chunks_exact_mut(2) {
            half[1] &= 0xbf;
        }
    }
    all
}

fn quantised(kernels: Kernels, x: &[f32]) -> (Vec<i8>, Vec<BlockMeta>) {
    let (mut codes, mut meta) = (vec![0; x.len()], vec![BlockMeta::default(); x.len() / BLOCK]);
    kernels.quantize(x, &mut codes, &mut meta);
    (codes, meta)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn int_panels(seed in any::<u64>(), vectors in 1_usize..23, chunks in 1_usize..5, count in 1_usize..=MAX_PANELS, gap in 0_usize..3) {
        for format in FORMATS {
            let columns = chunks * format.chunk_blocks() * BLOCK;
            let panels = panels(format, count, columns, seed);
            let (codes, meta) = quantised(scalar(), &values(seed ^ 1, vectors * columns));
            let x = QuantView { codes: &codes, meta: &meta, columns };
            let stride = count * PANEL_ROWS + gap;
            let mut scratch = vec![0; scratch_bytes(columns)];
            let mut expected = vec![0.5; vectors * stride];
            scalar().int_panels(format, &panels, count, x, &mut scratch, &mut expected, stride);
            for (isa, kernels) in twins() {
                let mut got = vec![0.5; vectors * stride];
                kernels.int_panels(format, &panels, count, x, &mut scratch, &mut got, stride);
                prop_assert!(same(&got, &expected), "{isa} {format:?}");
            }
            // One vector at a time gives the same.
            for vector in 0..vectors {
                let mut alone = vec![0.5; stride];
                for (_, kernels) in twins() {
                    kernels.int_panels(format, &panels, count, x.slice(vector, 1), &mut scratch, &mut alone, stride);
                    prop_assert!(same(&alone, &expected[vector * stride..][..stride]));
                }
            }
        }
    }

    #[test]
    fn float_panel(seed in any::<u64>(), vectors in 1_usize..35, columns in 1_usize..200, gap in 0_usize..3) {
        for format in [FloatFormat::F32, FloatFormat::F16, FloatFormat::BF16] {
            let mut panel = bytes(seed, columns * PANEL_ROWS * format.bytes());
            // No infinities: the top exponent bit of each element is cleared.
            panel.iter_mut().skip(format.bytes() - 1).step_by(format.bytes()).for_each(|byte| *byte &= 0xbf);
            let x_stride = columns + gap;
            let x = values(seed ^ 1, vectors * x_stride);
            let stride = PANEL_ROWS + gap;
            let mut expected = vec![0.5; vectors * stride];
            scalar().float_panel(format, &panel, &x, x_stride, &mut expected, stride);
            for (isa, kernels) in twins() {
                let mut got = vec![0.5; vectors * stride];
                kernels.float_panel(format, &panel, &x, x_stride, &mut got, stride);
                prop_assert!(same(&got, &expected), "{isa} {format:?}");
            }
        }
    }

    #[test]
    fn vectors(seed in any::<u64>(), len in 1_usize..150, epsilon in 1e-6_f32..1e-5) {
        let (x, y) = (values(seed, len), values(seed ^ 1, len));
        let padded = values(seed ^ 2, len.next_multiple_of(BLOCK));
        let even = &x[..len / 2 * 2];
        let run = |kernels: Kernels| {
            let mut out = vec![vec![0.0; len]; 4];
            kernels.rms_norm(&x, &y, epsilon, &mut out[0]);
            for (index, activation) in [Activation::Silu, Activation::GeluTanh].into_iter().enumerate() {
                out[1 + index].copy_from_slice(&x);
                kernels.activate(activation, &mut out[1 + index], &y);
            }
            out[3].copy_from_slice(&x);
            kernels.softcap(&mut out[3], 1.5);
            for interleaved in [false, true] {
                let mut head = even.to_vec();
                kernels.rope(interleaved, &mut head, &y[..len / 2], &x[..len / 2]);
                out.push(head);
            }
            (out, quantised(kernels, &padded))
        };
        let (expected, codes) = run(scalar());
        for (isa, kernels) in twins() {
            let (got, got_codes) = run(kernels);
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                prop_assert!(same(got, expected), "{isa} function {index}");
            }
            prop_assert!(got_codes == codes, "{isa}");
        }
    }

    #[test]
    fn attention(seed in any::<u64>(), blocks in 1_usize..4, rows in 1_usize..30, first in 0_usize..40, window in 1_usize..50) {
        let width = blocks * BLOCK;
        let (queries, keys) = (values(seed, rows * ROW_STRIDE), values(seed ^ 1, PAGE_POSITIONS * width));
        // Rows that see a window of the page, each one position further.
        let seen: Vec<_> = (0..rows)
            .map(|row| (first + row).saturating_sub(window).min(PAGE_POSITIONS)..(first + row).min(PAGE_POSITIONS))
            .collect();
        for kind in KvType::ALL {
            let (key_page, value_page) = pages_by(scalar(), kind, width, &keys);
            let run = |kernels: Kernels, kind, keys: &[u8], values: &[u8], rows: Range<usize>| {
                let mut scores = vec![0.0; rows.len() * ROW_STRIDE];
                let (mut sums, mut merged) = (vec![0.25; rows.len() * width], vec![0.0; width]);
                let queries = &queries[rows.start * ROW_STRIDE..];
                // The elements of a head in two parts.
                kernels.scores(kind, queries, rows.len(), BLOCK, keys, keys.as_ptr(), false, &mut scores);
                let keys = &keys[kind.row_bytes(BLOCK).unwrap() * PAGE_POSITIONS..];
                if width > BLOCK {
                    kernels.scores(kind, &queries[BLOCK..], rows.len(), width - BLOCK, keys, keys.as_ptr(), true, &mut scores);
                }
                let unweighted = scores.clone();
                let mut state = [f32::NEG_INFINITY, 0.0];
                for (scores, seen) in scores.chunks_mut(ROW_STRIDE).zip(&seen[rows.clone()]) {
                    if !seen.is_empty() {
                        let scores = scores.first_chunk_mut::<CHUNK>().unwrap();
                        let part = kernels.softmax(scores, seen.clone(), Some(3.0));
                        kernels.merge(&mut state, &mut merged, part, &queries[..width]);
                    }
                }
                kernels.accumulate(kind, &scores, values, values.as_ptr(), width, &seen[rows.clone()], &mut sums);
                (unweighted, sums, [&merged[..], &state].concat())
            };
            let expected = run(scalar(), kind, &key_page, &value_page, 0..rows);
            for (isa, kernels) in twins() {
                let got = run(kernels, kind, &key_page, &value_page, 0..rows);
                prop_assert!(same(&got.0, &expected.0) && same(&got.1, &expected.1) && same(&got.2, &expected.2), "{isa} {kind:?}");
                // Turned to floats first, it is the same.
                let (mut wide_keys, mut wide_values) = (vec![0.0; PAGE_POSITIONS * width], vec![0.0; PAGE_POSITIONS * width]);
                kernels.widen_keys(kind, &key_page, width, &mut wide_keys);
                kernels.widen_values(kind, &value_page, PAGE_POSITIONS, width, &mut wide_values, width);
                let got = run(kernels, KvType::F32, float_bytes(&wide_keys), float_bytes(&wide_values), 0..rows);
                prop_assert!(same(&got.0, &expected.0) && same(&got.1, &expected.1), "{isa} {kind:?} widened");
                // And so it is for one row alone.
                let got = run(kernels, kind, &key_page, &value_page, rows - 1..rows);
                prop_assert!(same(&got.0, &expected.0[(rows - 1) * ROW_STRIDE..]), "{isa} {kind:?} alone");
                prop_assert!(same(&got.1, &expected.1[(rows - 1) * width..]), "{isa} {kind:?} alone");
            }
        }
    }

    #[test]
    fn cache_rows(seed in any::<u64>(), blocks in 1_usize..5, ragged in 0_usize..32) {
        let width = blocks * BLOCK;
        for (kind, width) in [(KvType::F32, width + ragged), (KvType::F16, width + ragged), (KvType::Q8_0, width), (KvType::Q4_0, width)] {
            let x = values(seed, PAGE_POSITIONS * width);
            let run = |kernels: Kernels| {
                let (keys, values) = pages_by(kernels, kind, width, &x);
                let (mut wide_keys, mut wide_values) = (vec![0.0; x.len()], vec![0.5; PAGE_POSITIONS * (width + 3)]);
                kernels.widen_keys(kind, &keys, width, &mut wide_keys);
                kernels.widen_values(kind, &values, PAGE_POSITIONS, width, &mut wide_values, width + 3);
                (keys, values, wide_keys, wide_values)
            };
            let expected = run(scalar());
            for (row, x) in x.chunks_exact(width).enumerate() {
                for (block, x) in x.chunks(BLOCK).enumerate() {
                    let largest = x.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                    for (k, x) in x.iter().enumerate() {
                        let k = block * BLOCK + k;
                        let close = match kind {
                            KvType::Q8_0 => largest / 254.0 * 1.01,
                            // The end of the range without a code of its own is one step away.
                            KvType::Q4_0 => largest / 8.0 * 1.01,
                            _ => x.abs() / 2048.0,
                        };
                        let (key, value) = (expected.2[k * PAGE_POSITIONS + row], expected.3[row * (width + 3) + k]);
                        prop_assert!(key == value && (x - key).abs() <= close, "{kind:?} {x} {key} {value}");
                    }
                }
            }
            for (isa, kernels) in twins() {
                let got = run(kernels);
                prop_assert!(got.0 == expected.0 && got.1 == expected.1, "{isa} {kind:?}");
                prop_assert!(same(&got.2, &expected.2) && same(&got.3, &expected.3), "{isa} {kind:?}");
            }
        }
    }
}

/// A page of keys and one of values that hold the rows of `x`.
fn pages_by(kernels: Kernels, kind: KvType, width: usize, x: &[f32]) -> (Vec<u8>, Vec<u8>) {
    let row_bytes = kind.row_bytes(width).unwrap();
    let (mut keys, mut values) = (vec![0; PAGE_POSITIONS * row_bytes], vec![0; PAGE_POSITIONS * row_bytes]);
    for (row, x) in x.chunks_exact(width).enumerate() {
        // SAFETY: the page has room for rows of this width, and nobody else has it.
        unsafe { kernels.store_key(kind, x, keys.as_mut_ptr(), row) };
        kernels.store_value(kind, x, &mut values[row * row_bytes..][..row_bytes]);
    }
    (keys, values)
}

#[test]
fn blocks_that_are_not_numbers_quantise_alike() {
    let mut x = values(3, 6 * BLOCK);
    x[5] = f32::NAN;
    x[BLOCK..2 * BLOCK].fill(f32::NAN);
    x[2 * BLOCK + 17] = f32::INFINITY;
    x[3 * BLOCK + 3] = f32::NEG_INFINITY;
    x[4 * BLOCK..5 * BLOCK].iter_mut().for_each(|x| *x *= 1e-33);
    x[5 * BLOCK..].iter_mut().for_each(|x| *x *= 1e38);
    let (codes, meta) = quantised(scalar(), &x);
    let floats = |meta: &[BlockMeta]| -> Vec<f32> {
        meta.iter().flat_map(|m| [m.scale, m.scaled_sum, m.scaled_halves[0], m.scaled_halves[1]]).collect()
    };
    for (isa, kernels) in twins() {
        let (got, got_meta) = quantised(kernels, &x);
        assert_eq!(got, codes, "{isa}");
        assert!(same(&floats(&got_meta), &floats(&meta)), "{isa}");
        for (got, expected) in got_meta.iter().zip(&meta) {
            assert_eq!((got.moved, got.moved_halves), (expected.moved, expected.moved_halves), "{isa}");
        }
    }
}

#[test]
fn quantised_vectors_are_close_and_their_sums_are_right() {
    let x = values(7, 4096);
    let (codes, meta) = quantised(scalar(), &x);
    for ((x, codes), meta) in x.chunks(BLOCK).zip(codes.chunks(BLOCK)).zip(&meta) {
        let total = |codes: &[i8]| codes.iter().map(|&code| i32::from(code)).sum::<i32>();
        let moved = [codes, &codes[..16], &codes[16..]].map(|codes| -128 * total(codes));
        assert_eq!([meta.moved, meta.moved_halves[0], meta.moved_halves[1]], moved);
        assert_eq!(meta.scaled_sum, meta.scale * total(codes) as f32);
        assert!(codes.iter().any(|code| code.abs() == 127));
        for (x, &code) in x.iter().zip(codes) {
            assert!((x - meta.scale * f32::from(code)).abs() <= meta.scale * 0.500_01);
        }
    }
    let (codes, meta) = quantised(scalar(), &[0.0; BLOCK]);
    assert!(codes.iter().all(|&code| code == 0) && meta[0] == BlockMeta::default());
}
