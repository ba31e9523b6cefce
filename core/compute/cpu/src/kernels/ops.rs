//! Float work, written once in plain Rust over whole lanes and compiled for every instruction set.
//!
//! These functions are `#[inline(always)]`; `vector_ops!` puts each into a function with the features of a set,
//! where the compiler turns the loops into that set's vectors. Sums run over 16 lanes and a fixed tree and products
//! are fused explicitly, so all sets give the same bits.

use inkling_compute::{Activation, KvType};

use super::math::{exp, f16_to_f32, gelu_tanh, silu, sum_lanes, tanh};
use crate::activations::BlockMeta;
use crate::format::{BLOCK, FloatFormat, PANEL_ROWS};

/// Lanes of a sum.
const LANES: usize = 16;

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
            sum,
            half_sums: sums,
            padding: 0,
        };
    }
}

/// `gate = activation(gate) ⊙ up`.
#[inline(always)]
pub(crate) fn activate(activation: Activation, gate: &mut [f32], up: &[f32]) {
    match activation {
        Activation::Silu => gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = silu(*gate) * up),
        Activation::GeluTanh => gate.iter_mut().zip(up).for_each(|(gate, up)| *gate = gelu_tanh(*gate) * up),
    }
}

/// `x = cap · tanh(x / cap)`.
#[inline(always)]
pub(crate) fn softcap(x: &mut [f32], cap: f32) {
    x.iter_mut().for_each(|x| *x = cap * tanh(*x / cap));
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

/// Dot products of `query` with `rows` keys that lie `query.len()` apart, a multiple of 16.
#[inline(always)]
pub(crate) fn scores(query: &[f32], keys: &[f32], out: &mut [f32]) {
    let width = query.len();
    let mut rows = keys.chunks_exact(width * 4);
    let mut outs = out.chunks_exact_mut(4);
    for (keys, out) in (&mut rows).zip(&mut outs) {
        let (a, b) = keys.split_at(width * 2);
        let ((k0, k1), (k2, k3)) = (a.split_at(width), b.split_at(width));
        let mut lanes = [[0.0; LANES]; 4];
        let chunks = query.as_chunks::<LANES>().0.iter();
        let keys01 = k0.as_chunks::<LANES>().0.iter().zip(k1.as_chunks::<LANES>().0);
        let keys23 = k2.as_chunks::<LANES>().0.iter().zip(k3.as_chunks::<LANES>().0);
        for ((q, (k0, k1)), (k2, k3)) in chunks.zip(keys01).zip(keys23) {
            for j in 0..LANES {
                lanes[0][j] = q[j].mul_add(k0[j], lanes[0][j]);
                lanes[1][j] = q[j].mul_add(k1[j], lanes[1][j]);
                lanes[2][j] = q[j].mul_add(k2[j], lanes[2][j]);
                lanes[3][j] = q[j].mul_add(k3[j], lanes[3][j]);
            }
        }
        for (out, lanes) in out.iter_mut().zip(lanes) {
            *out = sum_lanes(lanes);
        }
    }
    for (key, out) in rows.remainder().chunks_exact(width).zip(outs.into_remainder()) {
        *out = sum_lanes(dot_lanes(query, key, [0.0; LANES]));
    }
}

/// One step of the online softmax: `scores` become weights relative to the new maximum; returns the factor for what
/// was summed before. `state` is the maximum so far and the sum of weights.
#[inline(always)]
pub(crate) fn softmax_step(scores: &mut [f32], state: &mut [f32; 2]) -> f32 {
    let [old, sum] = *state;
    let new = scores.iter().fold(old, |max, &score| if score > max { score } else { max });
    let factor = if new == old { 1.0 } else { exp(old - new) };
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for j in 0..LANES {
            chunk[j] = exp(chunk[j] - new);
            lanes[j] += chunk[j];
        }
    }
    for (score, lane) in rest.iter_mut().zip(&mut lanes) {
        *score = exp(*score - new);
        *lane += *score;
    }
    *state = [new, sum.mul_add(factor, sum_lanes(lanes))];
    factor
}

/// `acc = acc · factor + Σ weights[i] · values[i]`; rows of `values` lie `acc.len()` apart, a multiple of 16.
#[inline(always)]
pub(crate) fn accumulate(weights: &[f32], values: &[f32], factor: f32, acc: &mut [f32]) {
    let width = acc.len();
    let (wide, rest) = acc.as_chunks_mut::<{ 4 * LANES }>();
    for (index, acc) in wide.iter_mut().enumerate() {
        *acc = weighted_sum(weights, &values[index * 4 * LANES..], width, factor, *acc);
    }
    let done = width - rest.len();
    for (index, acc) in rest.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        *acc = weighted_sum(weights, &values[done + index * LANES..], width, factor, *acc);
    }
}

#[inline(always)]
fn weighted_sum<const N: usize>(
    weights: &[f32],
    values: &[f32],
    width: usize,
    factor: f32,
    mut acc: [f32; N],
) -> [f32; N] {
    acc.iter_mut().for_each(|acc| *acc *= factor);
    for (weight, values) in weights.iter().zip(values.chunks(width)) {
        if let Some(values) = values.first_chunk::<N>() {
            for j in 0..N {
                acc[j] = weight.mul_add(values[j], acc[j]);
            }
        }
    }
    acc
}

/// Reads `rows` rows of `width` elements of a cache page into rows of `stride` floats.
#[inline(always)]
pub(crate) fn load_rows(
    widen: impl Fn(&[u8], &mut [f32]),
    kind: KvType,
    bytes: &[u8],
    width: usize,
    out: &mut [f32],
    stride: usize,
) {
    let Some(row_bytes) = kind.row_bytes(width) else { return };
    for (bytes, out) in bytes.chunks_exact(row_bytes).zip(out.chunks_exact_mut(stride)) {
        let out = &mut out[..width];
        match kind {
            KvType::F16 => widen(bytes, out),
            KvType::Q8_0 => {
                for (block, out) in bytes.as_chunks::<34>().0.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
                    let scale = f16_to_f32(u16::from_le_bytes([block[0], block[1]]));
                    for (out, &code) in out.iter_mut().zip(&block[2..]) {
                        *out = scale * f32::from(code as i8);
                    }
                }
            }
            // `KvType::F32`; `new_cache` lets nothing else through.
            _ => {
                for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *out = f32::from_le_bytes(*bytes);
                }
            }
        }
    }
}

/// Writes one row to a cache page.
#[inline(always)]
pub(crate) fn store_row(kind: KvType, row: &[f32], bytes: &mut [u8]) {
    match kind {
        KvType::F16 => {
            for (bytes, x) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(row) {
                *bytes = half::f16::from_f32(*x).to_le_bytes();
            }
        }
        KvType::Q8_0 => {
            for (block, row) in bytes.as_chunks_mut::<34>().0.iter_mut().zip(row.as_chunks::<BLOCK>().0) {
                let largest = row.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                let scale = half::f16::from_f32(largest / 127.0);
                let inverse = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
                let (head, codes) = block.split_at_mut(2);
                head.copy_from_slice(&scale.to_le_bytes());
                for (code, x) in codes.iter_mut().zip(row) {
                    *code = (x * inverse).round_ties_even() as i8 as u8;
                }
            }
        }
        _ => {
            for (bytes, x) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(row) {
                *bytes = x.to_le_bytes();
            }
        }
    }
}

/// Chains of additions a row, taken in turn by the columns of a matrix: enough to hide the latency of an addition.
const CHAINS: usize = 4;
/// Columns of a float panel that are widened at a time.
const STRIP: usize = 64;
/// Vectors that share a widened strip.
const TILE: usize = 16;

/// `out[v][row] = Σ panel[column][row] · x[v][column]` for a panel of floats. `x` has rows of `stride` floats.
#[inline(always)]
pub(crate) fn float_panel(
    widen: impl Fn(&[u8], &mut [f32]),
    format: FloatFormat,
    panel: &[u8],
    x: &[f32],
    stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    let mut strip = [0.0_f32; STRIP * PANEL_ROWS];
    let strip_bytes = strip.len() * format.bytes();
    for (x, out) in x.chunks(stride * TILE).zip(out.chunks_mut(out_stride * TILE)) {
        let mut sums = [[[0.0_f32; PANEL_ROWS]; CHAINS]; TILE];
        for (index, bytes) in panel.chunks(strip_bytes).enumerate() {
            let columns = bytes.len() / format.bytes() / PANEL_ROWS;
            let strip = &mut strip[..columns * PANEL_ROWS];
            match format {
                FloatFormat::F16 => widen(bytes, strip),
                FloatFormat::BF16 => {
                    for (out, bytes) in strip.iter_mut().zip(bytes.as_chunks::<2>().0) {
                        *out = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                    }
                }
                FloatFormat::F32 => {
                    for (out, bytes) in strip.iter_mut().zip(bytes.as_chunks::<4>().0) {
                        *out = f32::from_le_bytes(*bytes);
                    }
                }
            }
            for (x, sums) in x.chunks_exact(stride).zip(&mut sums) {
                let mut own = *sums;
                let x = &x[index * STRIP..][..columns];
                let (turns, rest) = strip.as_chunks::<{ CHAINS * PANEL_ROWS }>();
                let (x_turns, x_rest) = x.as_chunks::<CHAINS>();
                for (weights, x) in turns.iter().zip(x_turns) {
                    for chain in 0..CHAINS {
                        for row in 0..PANEL_ROWS {
                            own[chain][row] = weights[chain * PANEL_ROWS + row].mul_add(x[chain], own[chain][row]);
                        }
                    }
                }
                for ((weights, x), own) in rest.as_chunks::<PANEL_ROWS>().0.iter().zip(x_rest).zip(&mut own) {
                    for row in 0..PANEL_ROWS {
                        own[row] = weights[row].mul_add(*x, own[row]);
                    }
                }
                *sums = own;
            }
        }
        for ((out, sums), _) in out.chunks_mut(out_stride).zip(&sums).zip(x.chunks_exact(stride)) {
            for (row, out) in out[..PANEL_ROWS].iter_mut().enumerate() {
                *out = (sums[0][row] + sums[1][row]) + (sums[2][row] + sums[3][row]);
            }
        }
    }
}

/// f16 to f32 in plain code, for sets without an instruction for it.
#[inline(always)]
pub(crate) fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *out = f16_to_f32(u16::from_le_bytes(*bytes));
    }
}
