//! Panels of floats.

use super::math::f16_to_f32;
use crate::format::{FloatFormat, PANEL_ROWS};

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
