//! Every kernel against its scalar twin, on ragged shapes, bit for bit.

use inkling_compute::{Activation, KvType};
use proptest::prelude::*;

use super::{Kernels, scratch_bytes};
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
    fn int_panels(seed in any::<u64>(), vectors in 1_usize..23, chunks in 1_usize..5, count in 1_usize..3, gap in 0_usize..3) {
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
    fn attention(seed in any::<u64>(), width in 1_usize..10, rows in 1_usize..33) {
        let stride = width * 16;
        let (query, keys) = (values(seed, stride), values(seed ^ 1, rows * stride));
        let run = |kernels: Kernels| {
            let (mut weights, mut state, mut acc) = (vec![0.0; rows], [f32::NEG_INFINITY, 0.0], vec![0.25; stride]);
            let mut factors = vec![];
            for query in [&query, &keys] {
                kernels.scores(&query[..stride], &keys, &mut weights);
                let factor = kernels.softmax_step(&mut weights, &mut state);
                kernels.accumulate(&weights, &keys, factor, &mut acc);
                factors.push(factor);
            }
            [weights, acc, factors, state.to_vec()].concat()
        };
        let expected = run(scalar());
        for (isa, kernels) in twins() {
            prop_assert!(same(&run(kernels), &expected), "{isa}");
        }
    }

    #[test]
    fn cache_rows(seed in any::<u64>(), blocks in 1_usize..5, rows in 1_usize..33) {
        let width = blocks * BLOCK;
        let x = values(seed, rows * width);
        for kind in KvType::ALL {
            let row_bytes = kind.row_bytes(width).unwrap();
            let run = |kernels: Kernels| {
                let (mut page, mut back) = (vec![0; rows * row_bytes], vec![0.0; rows * (width + 3)]);
                for (row, x) in x.chunks_exact(width).enumerate() {
                    kernels.store_row(kind, x, &mut page[row * row_bytes..][..row_bytes]);
                }
                kernels.load_rows(kind, &page, width, &mut back, width + 3);
                (page, back)
            };
            let expected = run(scalar());
            for (row, x) in x.chunks_exact(width).enumerate() {
                for (x, back) in x.iter().zip(&expected.1[row * (width + 3)..]) {
                    let close = if kind == KvType::Q8_0 { 8.0 / 127.0 } else { x.abs() / 1024.0 };
                    prop_assert!((x - back).abs() <= close, "{kind:?} {x} {back}");
                }
            }
            for (isa, kernels) in twins() {
                let got = run(kernels);
                prop_assert!(got.0 == expected.0 && same(&got.1, &expected.1), "{isa} {kind:?}");
            }
        }
    }
}

#[test]
fn quantised_vectors_are_close_and_their_sums_are_right() {
    let x = values(7, 4096);
    let (codes, meta) = quantised(scalar(), &x);
    for ((x, codes), meta) in x.chunks(BLOCK).zip(codes.chunks(BLOCK)).zip(&meta) {
        let total = |codes: &[i8]| codes.iter().map(|&code| i32::from(code)).sum::<i32>();
        assert_eq!([meta.sum, meta.half_sums[0], meta.half_sums[1]], [codes, &codes[..16], &codes[16..]].map(total));
        assert_eq!(meta.scaled_sum, meta.scale * meta.sum as f32);
        assert!(codes.iter().any(|code| code.abs() == 127));
        for (x, &code) in x.iter().zip(codes) {
            assert!((x - meta.scale * f32::from(code)).abs() <= meta.scale * 0.500_01);
        }
    }
    let (codes, meta) = quantised(scalar(), &[0.0; BLOCK]);
    assert!(codes.iter().all(|&code| code == 0) && meta[0] == BlockMeta::default());
}
