//! NEON: 16 rows are four registers, codes are signed bytes.
//!
//! | module | what |
//! |---|---|
//! | `instructions` | the instructions whose intrinsics are unstable |
//! | `load` | codes and scales of a panel into registers, f16 to f32 |
//! | `tile` | products without the matrix extension: with `sdot`, or with widening multiplications |
//! | `matrix`, `matrix_loop` | products with `smmla`, two rows by two vectors at a time |
//! | `quantize` | activations to codes, which the compiler does not turn into vectors well here |
//! | `choose` | dot products or matrix products: which is faster here |
//!
//! With few vectors codes are unpacked in registers, with many a panel is unpacked once, for all of them. `smmla` wants
//! eight columns of two rows beside each other and two vectors; it pays only with many, so that set is the one of `sdot`
//! with few.

mod choose;
mod instructions;
mod load;
mod matrix;
mod matrix_loop;
mod quantize;
mod tile;

use std::arch::aarch64::*;

use crate::activations::QuantView;
use crate::format::{BLOCK, Codes, Expanded, IntFormat, Shape, with_shape};
use crate::kernels::lanes::Quads;
use crate::kernels::operands::Operands;
use crate::kernels::table::{Table, table};
use load::{load_codes, load_scales, widen_f16};

pub(crate) use choose::fastest;
pub(super) use matrix::more_scratch;

table!(
    PLAIN_BASE in plain,
    #[target_feature(enable = "neon")]
    int_panels: int_panels::<false>,
    widen: widen_f16, lanes: Quads
);
table!(
    DOT_BASE in dot,
    #[target_feature(enable = "neon")]
    int_panels: int_panels::<true>,
    widen: widen_f16, lanes: Quads
);
table!(
    MATRIX_BASE in i8mm,
    #[target_feature(enable = "neon")]
    int_panels: int_panels_matrix,
    widen: widen_f16, lanes: Quads
);

/// Without extensions.
pub(super) const PLAIN: Table = Table { quantize: quantize::quantize, ..PLAIN_BASE };
/// With `sdot`.
pub(super) const DOT: Table = Table { quantize: quantize::quantize, ..DOT_BASE };
/// With `sdot` and `smmla`.
pub(super) const MATRIX: Table = Table { quantize: quantize::quantize, ..MATRIX_BASE };

/// With so many vectors a panel is unpacked first.
const UNPACK_FROM: usize = 8;
/// Registers of 16 rows.
const SIDES: usize = 4;

/// See `Kernels::int_panels`.
///
/// # Safety
/// The machine has `sdot` and `smmla`; sizes are as `Kernels::int_panels` checks them.
unsafe fn int_panels_matrix(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        if x.count() < UNPACK_FROM {
            int_panels::<true>(format, panels, count, x, scratch, out, stride);
        } else {
            with_shape!(format, S => matrix::many::<S, { <S as Shape>::MINS }, { <S as Shape>::HALVES }>(
                panels, count, x, scratch, out, stride
            ));
        }
    }
}

/// See `Kernels::int_panels`. NEON is part of every AArch64 target, and the assembly of `sdot` asks for its extension
/// itself, so nothing here needs `#[target_feature]`.
///
/// # Safety
/// With `DOT` the machine has `sdot`; sizes are as `Kernels::int_panels` checks them.
unsafe fn int_panels<const DOT: bool>(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    let vectors = x.count();
    for index in 0..count {
        let operands = Operands::new(panels, panels.len() / count, index, x, out, stride);
        // SAFETY: `Kernels::int_panels` has checked that there are `count` panels, and room for their rows in `out`
        // and for a panel in `scratch`.
        unsafe {
            with_shape!(format, S => {
                type E = Expanded<true, 0, { <S as Shape>::MINS }, { <S as Shape>::HALVES }>;
                const SMALL: bool = matches!(<S as Shape>::CODES, Codes::Nibbles);
                if vectors < UNPACK_FROM {
                    all::<S, DOT, SMALL>(operands, vectors);
                } else {
                    unpack::<S, E>(operands.panel, x.columns / BLOCK, scratch.as_mut_ptr());
                    all::<E, DOT, SMALL>(Operands { panel: scratch.as_ptr(), ..operands }, vectors);
                }
            });
        }
    }
}

/// All vectors, in tiles.
///
/// # Safety
/// As [`tile::tile`], for `vectors` vectors.
unsafe fn all<S: Shape, const DOT: bool, const SMALL: bool>(operands: Operands, vectors: usize) {
    let mut done = 0;
    while done < vectors {
        let operands = operands.skip(done);
        // SAFETY: `done + C <= vectors` in every arm.
        unsafe {
            done += match vectors - done {
                1 => tile::tile::<S, DOT, SMALL, 1, 4>(operands),
                2 | 3 => tile::tile::<S, DOT, SMALL, 2, 4>(operands),
                _ if DOT => tile::tile::<S, DOT, SMALL, 4, 2>(operands),
                _ => tile::tile::<S, DOT, SMALL, 2, 4>(operands),
            };
        }
    }
}

/// Writes the panel of layout `S` as one of layout `E`.
///
/// # Safety
/// `from` points to a panel of `blocks` blocks, `to` to room for it in layout `E`.
unsafe fn unpack<S: Shape, E: Shape>(from: *const u8, blocks: usize, to: *mut u8) {
    // SAFETY: both layouts' constants keep the accesses inside their chunks.
    unsafe {
        for block in 0..blocks {
            let chunk = from.add(block / S::CHUNK_BLOCKS * S::CHUNK_BYTES);
            let inner = block % S::CHUNK_BLOCKS;
            let to = to.add(block * E::CHUNK_BYTES);
            for kind in 0..S::KINDS {
                for part in 0..S::PARTS {
                    let to = to.add(kind * E::WIDE_BYTES + part * 64);
                    for pair in 0..SIDES / 2 {
                        let [low, high] = load_scales::<S>(chunk, inner, part, kind, pair);
                        vst1q_f32(to.add(pair * 32).cast(), low);
                        vst1q_f32(to.add(pair * 32 + 16).cast(), high);
                    }
                }
            }
            let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
            for group in 0..4 {
                for side in 0..SIDES {
                    let to = to.add(E::HEAD_BYTES + group * 64 + side * 16).cast();
                    let [low, high] = load_codes::<S>(codes, group, side).map(load::moved::<S>);
                    vst1q_s8(to, low);
                    vst1q_s8(to.add(256), high);
                }
            }
        }
    }
}
