//! Plain Rust: the twin of every kernel, and the fallback of machines without any known set.

use crate::activations::QuantView;
use crate::format::{BLOCK, Codes, IntFormat, LEVELS, PANEL_ROWS, Scales, Shape, with_shape};
use crate::kernels::lanes::Plain;
use crate::kernels::math::f16_to_f32;
use crate::kernels::table::table;

table!(TABLE in plain, int_panels: int_panels, widen: widen_f16, lanes: Plain);

/// See `Kernels::int_panels`.
///
/// # Safety
/// None is needed; the table's type asks for it.
unsafe fn int_panels(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    _scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    for (index, panel) in panels.chunks_exact((panels.len() / count.max(1)).max(1)).enumerate() {
        with_shape!(format, S => one_panel::<S>(panel, x, &mut out[index * PANEL_ROWS..], stride));
    }
}

/// One block of a panel as plain numbers.
struct Block {
    codes: [[i32; BLOCK]; PANEL_ROWS],
    scales: [[f32; PANEL_ROWS]; 2],
    mins: [[f32; PANEL_ROWS]; 2],
}

fn one_panel<S: Shape>(panel: &[u8], x: QuantView<'_>, out: &mut [f32], stride: usize) {
    let vectors = x.count();
    let blocks = x.columns / BLOCK;
    for out in out.chunks_mut(stride).take(vectors) {
        out[..PANEL_ROWS].fill(0.0);
    }
    let mut plain =
        Block { codes: [[0; BLOCK]; PANEL_ROWS], scales: [[0.0; PANEL_ROWS]; 2], mins: [[0.0; PANEL_ROWS]; 2] };
    for block in 0..blocks {
        let chunk = &panel[block / S::CHUNK_BLOCKS * S::CHUNK_BYTES..][..S::CHUNK_BYTES];
        read_block::<S>(chunk, block % S::CHUNK_BLOCKS, &mut plain);
        for (vector, out) in out.chunks_mut(stride).take(vectors).enumerate() {
            let codes = &x.codes[vector * x.columns + block * BLOCK..][..BLOCK];
            let meta = &x.meta[vector * blocks + block];
            for part in 0..S::PARTS {
                let columns = if S::HALVES { part * 16..part * 16 + 16 } else { 0..BLOCK };
                let scaled_sum = if S::HALVES { meta.scaled_halves[part] } else { meta.scaled_sum };
                for (row, out) in out[..PANEL_ROWS].iter_mut().enumerate() {
                    let weights = &plain.codes[row][columns.clone()];
                    let dot: i32 = weights.iter().zip(&codes[columns.clone()]).map(|(w, &a)| w * i32::from(a)).sum();
                    *out = (dot as f32).mul_add(plain.scales[part][row] * meta.scale, *out);
                    if S::MINS {
                        *out = plain.mins[part][row].mul_add(scaled_sum, *out);
                    }
                }
            }
        }
    }
}

fn read_block<S: Shape>(chunk: &[u8], block: usize, plain: &mut Block) {
    for part in 0..S::PARTS {
        for row in 0..PANEL_ROWS {
            plain.scales[part][row] = read_scale::<S>(chunk, block, part, 0, row);
            if S::MINS {
                plain.mins[part][row] = read_scale::<S>(chunk, block, part, 1, row);
            }
        }
    }
    let codes = &chunk[S::HEAD_BYTES + block * S::CODE_BYTES..][..S::CODE_BYTES];
    for (row, plain) in plain.codes.iter_mut().enumerate() {
        for (k, plain) in plain.iter_mut().enumerate() {
            let at = |k: usize| codes[k / 4 * 64 + row * 4 + k % 4];
            let nibble = || if k < 16 { at(k) & 15 } else { at(k - 16) >> 4 };
            *plain = match S::CODES {
                Codes::Nibbles => i32::from(nibble()) - S::OFFSET,
                Codes::Levels => i32::from(LEVELS[usize::from(nibble())]),
                Codes::Signed => i32::from(at(k) as i8),
                Codes::Unsigned => i32::from(at(k)) - S::OFFSET,
            };
        }
    }
}

/// The scale (`kind` 0) or minimum (`kind` 1) of a row in a part of a block.
fn read_scale<S: Shape>(chunk: &[u8], block: usize, part: usize, kind: usize, row: usize) -> f32 {
    let wide = &chunk[kind * S::WIDE_BYTES..];
    let half = || f16_to_f32(u16::from_le_bytes([wide[row * 2], wide[row * 2 + 1]]));
    match S::SCALES {
        Scales::Half => half(),
        Scales::Super => {
            let small = &chunk[S::KINDS * S::WIDE_BYTES + kind * S::SMALL_BYTES..];
            half() * f32::from(small[(block * S::PARTS + part) * PANEL_ROWS + row] as i8)
        }
        Scales::Float => {
            let at = (part * PANEL_ROWS + row) * 4;
            f32::from_le_bytes([wide[at], wide[at + 1], wide[at + 2], wide[at + 3]])
        }
    }
}

/// f16 to f32.
///
/// # Safety
/// None is needed; other sets have one.
unsafe fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    crate::kernels::float_panel::widen_f16(bytes, out);
}
