//! A panel by a few vectors, without the matrix extension.
//!
//! With `sdot` a lane eats four columns of a row. Without it products are widened to 16 bits and summed there as long
//! as they fit: two of bytes (2 · 128 · 127 < 2^15), all eight of a block's groups of columns where codes are nibbles
//! (8 · 15 · 127 < 2^15). Then neighbours are added into 32 bits, which leaves two partial sums a row until the end.
//!
//! The offset of unsigned nibbles is paid at the start: `Σ (w − o) · a = −o · Σ a + Σ w · a`.
#![allow(clippy::needless_range_loop, reason = "rows and vectors index several arrays at once")]

use std::arch::aarch64::*;

use super::SIDES;
use super::instructions::sdot;
use super::load::{load_codes, load_scales};
use crate::activations::BlockMeta;
use crate::format::{BLOCK, Shape};
use crate::kernels::operands::Operands;

/// Dot products of a block: `[part][vector][register of rows]`.
type Dots<const C: usize, const W: usize> = [[[int32x4_t; W]; C]; 2];

/// One panel by `C` vectors, `W` registers of rows at a time (2 or 4), so that all sums and the dot products of those
/// rows fit into 32 registers; returns `C`. `SMALL`: all codes are nibbles, offset or not.
///
/// # Safety
/// The machine has `sdot` for `DOT`; a panel, `C` vectors and their `C · stride` outputs can be accessed.
pub(super) unsafe fn tile<S: Shape, const DOT: bool, const SMALL: bool, const C: usize, const W: usize>(
    o: Operands,
) -> usize {
    let blocks = o.columns / BLOCK;
    // SAFETY: all reads are inside a panel of whole chunks and C vectors of whole blocks, all writes in `out`.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); SIDES]; C];
        for block in 0..blocks {
            let (chunk, inner) = (block / S::CHUNK_BLOCKS, block % S::CHUNK_BLOCKS);
            let chunk = o.panel.add(chunk * S::CHUNK_BYTES);
            // No loop: with constant indices the compiler keeps the sums in registers.
            add_block::<S, DOT, SMALL, C, W>(&mut sums, &o, chunk, inner, block, 0);
            if W < SIDES {
                add_block::<S, DOT, SMALL, C, W>(&mut sums, &o, chunk, inner, block, W);
            }
        }
        for (c, sums) in sums.iter().enumerate() {
            for (side, sums) in sums.iter().enumerate() {
                vst1q_f32(o.out.add(c * o.stride + side * 4), *sums);
            }
        }
    }
    C
}

/// Adds the products of `W` registers of rows from `first` on and a block.
///
/// # Safety
/// As [`tile`]; `chunk` points to the chunk that holds the block, as its block `inner`.
#[inline(always)]
unsafe fn add_block<S: Shape, const DOT: bool, const SMALL: bool, const C: usize, const W: usize>(
    sums: &mut [[float32x4_t; SIDES]; C],
    o: &Operands,
    chunk: *const u8,
    inner: usize,
    block: usize,
    first: usize,
) {
    let blocks = o.columns / BLOCK;
    // SAFETY: inside the panel and the vectors by the layout's constants.
    unsafe {
        let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
        let vectors = o.codes.add(block * BLOCK);
        let meta = o.meta.add(block);
        let mut dots = start::<S, C, W>(meta, blocks);
        if DOT {
            add_dots::<S, C, W>(&mut dots, codes, first, vectors, o.columns);
        } else if SMALL {
            add_small_products::<S, C, W>(&mut dots, codes, first, vectors, o.columns);
        } else {
            add_products::<S, C, W>(&mut dots, codes, first, vectors, o.columns);
        }
        for (part, dots) in dots.iter().enumerate().take(S::PARTS) {
            for pair in 0..W / 2 {
                let scales = load_scales::<S>(chunk, inner, part, 0, first / 2 + pair);
                let mins = if S::MINS { load_scales::<S>(chunk, inner, part, 1, first / 2 + pair) } else { scales };
                for c in 0..C {
                    let meta = &*meta.add(c * blocks);
                    for side in 0..2 {
                        let sum = &mut sums[c][first + pair * 2 + side];
                        let both = vmulq_n_f32(scales[side], meta.scale);
                        *sum = vfmaq_f32(*sum, vcvtq_f32_s32(dots[c][pair * 2 + side]), both);
                        if S::MINS {
                            let scaled_sum = if S::HALVES { meta.scaled_halves[part] } else { meta.scaled_sum };
                            *sum = vfmaq_n_f32(*sum, mins[side], scaled_sum);
                        }
                    }
                }
            }
        }
    }
}

/// Nothing, or what pays for the offset of unsigned codes.
///
/// # Safety
/// `meta` points to the metadata of a block of the first of `C` vectors that lie `blocks` apart.
#[inline(always)]
unsafe fn start<S: Shape, const C: usize, const W: usize>(meta: *const BlockMeta, blocks: usize) -> Dots<C, W> {
    // SAFETY: by the contract.
    unsafe {
        let mut dots = [[[vdupq_n_s32(0); W]; C]; 2];
        if S::OFFSET != 0 {
            for (part, dots) in dots.iter_mut().enumerate().take(S::PARTS) {
                for (c, dots) in dots.iter_mut().enumerate() {
                    let meta = &*meta.add(c * blocks);
                    let moved = if S::HALVES { meta.moved_halves[part] } else { meta.moved };
                    // Offsets are powers of two, so the shift is exact.
                    *dots = [vdupq_n_s32(moved >> (128 / S::OFFSET).trailing_zeros()); W];
                }
            }
        }
        dots
    }
}

/// Adds the products of a block with `sdot`.
///
/// # Safety
/// The machine has it; `codes` points to the codes of a block, `vectors` to those of `C` vectors that lie `columns`
/// apart.
#[inline(always)]
unsafe fn add_dots<S: Shape, const C: usize, const W: usize>(
    dots: &mut Dots<C, W>,
    codes: *const u8,
    first: usize,
    vectors: *const i8,
    columns: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut lows = [vdupq_n_s8(0); C];
        let mut highs = lows;
        for c in 0..C {
            lows[c] = vld1q_s8(vectors.add(c * columns));
            highs[c] = vld1q_s8(vectors.add(c * columns + 16));
        }
        add_group::<S, 0, C, W>(dots, codes, first, &lows, &highs);
        add_group::<S, 1, C, W>(dots, codes, first, &lows, &highs);
        add_group::<S, 2, C, W>(dots, codes, first, &lows, &highs);
        add_group::<S, 3, C, W>(dots, codes, first, &lows, &highs);
    }
}

/// One group of four columns and the one 16 columns further.
///
/// # Safety
/// As [`add_dots`].
#[inline(always)]
unsafe fn add_group<S: Shape, const G: usize, const C: usize, const W: usize>(
    dots: &mut Dots<C, W>,
    codes: *const u8,
    first: usize,
    lows: &[int8x16_t; C],
    highs: &[int8x16_t; C],
) {
    for side in 0..W {
        // SAFETY: passed on to the caller.
        unsafe {
            let [low, high] = load_codes::<S>(codes, G, first + side);
            for c in 0..C {
                dots[0][c][side] = sdot::<G>(dots[0][c][side], low, lows[c]);
            }
            let part = S::PARTS - 1;
            for c in 0..C {
                dots[part][c][side] = sdot::<G>(dots[part][c][side], high, highs[c]);
            }
        }
    }
}

/// Four codes of a vector, four times.
///
/// # Safety
/// `at` points to four codes.
#[inline(always)]
unsafe fn four(at: *const i8) -> int8x16_t {
    // SAFETY: by the contract.
    unsafe { vreinterpretq_s8_s32(vdupq_n_s32(at.cast::<i32>().read_unaligned())) }
}

/// Adds the products of a block of nibbles.
///
/// # Safety
/// As [`add_dots`], but for the instruction.
#[inline(always)]
unsafe fn add_small_products<S: Shape, const C: usize, const W: usize>(
    dots: &mut Dots<C, W>,
    codes: *const u8,
    first: usize,
    vectors: *const i8,
    columns: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        let last = S::PARTS - 1;
        let mut products = [[[[vdupq_n_s16(0); 2]; W]; C]; 2];
        for group in 0..4 {
            for c in 0..C {
                let at = vectors.add(c * columns + group * 4);
                let inputs = [four(at), four(at.add(16))];
                for side in 0..W {
                    let codes = load_codes::<S>(codes, group, first + side);
                    for ((part, codes), inputs) in [0, last].into_iter().zip(codes).zip(inputs) {
                        let [low, high] = &mut products[part][c][side];
                        *low = vmlal_s8(*low, vget_low_s8(codes), vget_low_s8(inputs));
                        *high = vmlal_high_s8(*high, codes, inputs);
                    }
                }
            }
        }
        for (dots, products) in dots.iter_mut().zip(products).take(S::PARTS) {
            for (dots, products) in dots.iter_mut().zip(products) {
                for (dots, [low, high]) in dots.iter_mut().zip(products) {
                    *dots = vaddq_s32(*dots, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
                }
            }
        }
    }
}

/// Adds the products of a block of bytes.
///
/// # Safety
/// As [`add_small_products`].
#[inline(always)]
unsafe fn add_products<S: Shape, const C: usize, const W: usize>(
    dots: &mut Dots<C, W>,
    codes: *const u8,
    first: usize,
    vectors: *const i8,
    columns: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        for half in 0..2 {
            // Two partial sums a row: the first and the second pair of every four columns.
            let mut pairs = [[[vdupq_n_s32(0); 2]; W]; C];
            for group in [0, 2] {
                for c in 0..C {
                    let at = vectors.add(c * columns + half * 16 + group * 4);
                    let (a, b) = (four(at), four(at.add(4)));
                    for side in 0..W {
                        let one = load_codes::<S>(codes, group, first + side)[half];
                        let other = load_codes::<S>(codes, group + 1, first + side)[half];
                        let low = vmull_s8(vget_low_s8(one), vget_low_s8(a));
                        let low = vmlal_s8(low, vget_low_s8(other), vget_low_s8(b));
                        let high = vmlal_high_s8(vmull_high_s8(one, a), other, b);
                        let pairs = &mut pairs[c][side];
                        *pairs = [vpadalq_s16(pairs[0], low), vpadalq_s16(pairs[1], high)];
                    }
                }
            }
            for (dots, pairs) in dots[half.min(S::PARTS - 1)].iter_mut().zip(pairs) {
                for (dots, [low, high]) in dots.iter_mut().zip(pairs) {
                    *dots = vaddq_s32(*dots, vpaddq_s32(low, high));
                }
            }
        }
    }
}
