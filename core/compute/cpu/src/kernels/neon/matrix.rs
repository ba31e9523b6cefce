//! Many vectors with `smmla`: two rows by two vectors, eight columns deep.
//!
//! Panels are unpacked into an order of their own: eight columns of two rows lie together. Vectors are put in pairs, a
//! few at a time, and used by all panels of the call before the next few. A register of sums holds rows a and b by
//! vectors v and w as (av, aw, bv, bw), so scales of rows are stored as (a, a, b, b), those of vectors as (v, w, v, w).
//!
//! | of a block of a panel | bytes |
//! |---|---|
//! | scales, then minima: a part of the block, 8 pairs of rows | 128 each |
//! | codes: 2 halves of the rows, 4 groups of 8 columns, 4 pairs of rows | 512 |
//!
//! | of a block of a tile of one or two pairs of vectors | bytes a pair |
//! |---|---|
//! | codes: 4 groups of 8 columns, pairs | 64 |
//! | scales, pairs | 16 |
//! | scaled sums of each part, pairs | 16 each |
#![allow(clippy::needless_range_loop, reason = "rows and vectors index several arrays at once")]

use std::arch::aarch64::*;

use super::SIDES;
use super::instructions::smmla;
use super::load::{load_codes, load_scales, moved};
use crate::activations::QuantView;
use crate::format::{BLOCK, PANEL_ROWS, Shape, expanded_bytes};
use crate::kernels::MAX_PANELS;

/// Vectors that are put in pairs at a time.
const VECTORS: usize = 16;
/// Vectors of a tile.
const TILE: usize = 4;
/// Bytes that a block of a pair of vectors may take.
const PAIR_BYTES: usize = 112;

/// Bytes of the codes and of all scales of a block of a panel.
const fn block_bytes(mins: bool, halves: bool) -> usize {
    let (kinds, parts) = (if mins { 2 } else { 1 }, if halves { 2 } else { 1 });
    kinds * parts * 128 + PANEL_ROWS * BLOCK
}

/// Scratch that this set takes for `blocks` blocks, beyond expanded panels of the common layout.
pub(in crate::kernels) const fn more_scratch(blocks: usize) -> usize {
    MAX_PANELS * (blocks * block_bytes(true, true) - expanded_bytes(blocks)) + VECTORS / 2 * PAIR_BYTES * blocks
}

/// See `Kernels::int_panels`.
///
/// # Safety
/// The machine has `smmla`; sizes are as `Kernels::int_panels` checks them.
pub(super) unsafe fn many<S: Shape, const MINS: bool, const HALVES: bool>(
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    let blocks = x.columns / BLOCK;
    let panel_bytes = blocks * block_bytes(MINS, HALVES);
    let (unpacked, paired) = scratch.split_at_mut(count * panel_bytes);
    assert!(paired.len() >= VECTORS / 2 * PAIR_BYTES * blocks);
    for index in 0..count {
        let from = panels[index * (panels.len() / count)..].as_ptr();
        // SAFETY: a panel, and room for it.
        unsafe { unpack::<S>(from, blocks, unpacked[index * panel_bytes..].as_mut_ptr()) }
    }
    let tile_bytes = TILE / 2 * PAIR_BYTES * blocks;
    for first in (0..x.count()).step_by(VECTORS) {
        let some = x.slice(first, (x.count() - first).min(VECTORS));
        let tiles = (0..some.count()).step_by(TILE).map(|at| (at, (some.count() - at).min(TILE)));
        for (at, vectors) in tiles.clone() {
            let to = paired[at / TILE * tile_bytes..].as_mut_ptr();
            // SAFETY: room for the pairs of a tile.
            unsafe { pair_up::<MINS, HALVES>(some.slice(at, vectors), to) }
        }
        for (index, panel) in unpacked.chunks_exact(panel_bytes).enumerate() {
            for (at, vectors) in tiles.clone() {
                let tile = Tile {
                    panel: panel.as_ptr(),
                    pairs: paired[at / TILE * tile_bytes..].as_ptr(),
                    blocks,
                    out: out[(first + at) * stride + index * PANEL_ROWS..].as_mut_ptr(),
                    stride,
                    vectors,
                };
                // SAFETY: unpacked and put in pairs above; `out` has room for these vectors.
                unsafe { if vectors > 2 { tile.run::<MINS, HALVES, 2>() } else { tile.run::<MINS, HALVES, 1>() } }
            }
        }
    }
}

/// Writes a panel in the order of this module.
///
/// # Safety
/// `from` points to a panel of `blocks` blocks, `to` to room for it.
unsafe fn unpack<S: Shape>(from: *const u8, blocks: usize, mut to: *mut u8) {
    // SAFETY: by the layouts, inside a chunk of the panel and a block of what is written.
    unsafe {
        for block in 0..blocks {
            let chunk = from.add(block / S::CHUNK_BLOCKS * S::CHUNK_BYTES);
            let inner = block % S::CHUNK_BLOCKS;
            for kind in 0..S::KINDS {
                for part in 0..S::PARTS {
                    for pair in 0..SIDES / 2 {
                        for scales in load_scales::<S>(chunk, inner, part, kind, pair) {
                            vst1q_f32(to.cast(), vzip1q_f32(scales, scales));
                            vst1q_f32(to.add(16).cast(), vzip2q_f32(scales, scales));
                            to = to.add(32);
                        }
                    }
                }
            }
            let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
            for group in [0, 2] {
                for side in 0..SIDES {
                    let one = load_codes::<S>(codes, group, side).map(moved::<S>);
                    let other = load_codes::<S>(codes, group + 1, side).map(moved::<S>);
                    for half in 0..2 {
                        let (one, other) = (vreinterpretq_s32_s8(one[half]), vreinterpretq_s32_s8(other[half]));
                        let deep = half * 2 + group / 2;
                        let to = to.add(side / 2 * 256 + deep * 64 + side % 2 * 32).cast();
                        vst1q_s32(to, vzip1q_s32(one, other));
                        vst1q_s32(to.add(4), vzip2q_s32(one, other));
                    }
                }
            }
            to = to.add(PANEL_ROWS * BLOCK);
        }
    }
}

/// Writes one to four vectors in pairs. The partner that an odd one lacks is itself.
///
/// # Safety
/// `to` points to room for them.
unsafe fn pair_up<const MINS: bool, const HALVES: bool>(x: QuantView<'_>, to: *mut u8) {
    let blocks = x.columns / BLOCK;
    let count = x.count();
    let pairs = count.div_ceil(2);
    for pair in 0..pairs {
        let both = [pair * 2, (pair * 2 + 1).min(count - 1)];
        let codes = both.map(|vector| x.codes[vector * x.columns..][..x.columns].as_ptr());
        let meta = both.map(|vector| x.meta[vector * blocks..][..blocks].as_ptr());
        let mut to = to.wrapping_add(pair * 16);
        for block in 0..blocks {
            // SAFETY: whole blocks of vectors that are there.
            unsafe {
                for half in 0..2 {
                    let [one, other] =
                        codes.map(|codes| vreinterpretq_s64_s8(vld1q_s8(codes.add(block * BLOCK + half * 16))));
                    vst1q_s64(to.cast(), vzip1q_s64(one, other));
                    vst1q_s64(to.wrapping_add(pairs * 16).cast(), vzip2q_s64(one, other));
                    to = to.wrapping_add(pairs * 32);
                }
                let [one, other] = meta.map(|meta| meta.add(block));
                let mut put = |one: *const f32, other: *const f32| {
                    let both = vld1_lane_f32::<1>(other, vld1_dup_f32(one));
                    vst1q_f32(to.cast(), vcombine_f32(both, both));
                    to = to.wrapping_add(pairs * 16);
                };
                put(&raw const (*one).scale, &raw const (*other).scale);
                if MINS && HALVES {
                    put(&raw const (*one).scaled_halves[0], &raw const (*other).scaled_halves[0]);
                    put(&raw const (*one).scaled_halves[1], &raw const (*other).scaled_halves[1]);
                } else if MINS {
                    put(&raw const (*one).scaled_sum, &raw const (*other).scaled_sum);
                }
            }
        }
    }
}

/// Registers of a block of a pair of vectors.
const fn tile_slots(mins: bool, halves: bool) -> usize {
    5 + if mins { if halves { 2 } else { 1 } } else { 0 }
}

/// One panel by at most four vectors.
struct Tile {
    panel: *const u8,
    pairs: *const u8,
    blocks: usize,
    out: *mut f32,
    stride: usize,
    vectors: usize,
}

/// Sums of eight rows by `P` pairs of vectors.
type Sums<const P: usize> = [[float32x4_t; P]; 4];

impl Tile {
    /// With `P` pairs.
    ///
    /// # Safety
    /// The machine has `smmla`; there are a panel, `P` pairs and room for the products of `vectors` vectors.
    #[inline(always)]
    unsafe fn run<const MINS: bool, const HALVES: bool, const P: usize>(&self) {
        // SAFETY: by the layouts.
        unsafe {
            // Two variables, not an array: then the compiler keeps all of them in registers.
            let (mut upper, mut lower): (Sums<P>, Sums<P>) = ([[vdupq_n_f32(0.0); P]; 4], [[vdupq_n_f32(0.0); P]; 4]);
            let (mut panel, mut pairs) = (self.panel, self.pairs);
            for _ in 0..self.blocks {
                add_block::<MINS, HALVES, P>(&mut upper, panel, 0, pairs);
                add_block::<MINS, HALVES, P>(&mut lower, panel, 1, pairs);
                panel = panel.add(block_bytes(MINS, HALVES));
                pairs = pairs.add(P * tile_slots(MINS, HALVES) * 16);
            }
            for vector in 0..self.vectors {
                let out = self.out.add(vector * self.stride);
                for (half, sums) in [&upper, &lower].into_iter().enumerate() {
                    for side in 0..2 {
                        let (a, b) = (sums[side * 2][vector / 2], sums[side * 2 + 1][vector / 2]);
                        let four = if vector % 2 == 0 { vuzp1q_f32(a, b) } else { vuzp2q_f32(a, b) };
                        vst1q_f32(out.add(half * 8 + side * 4), four);
                    }
                }
            }
        }
    }
}

/// Adds the products of eight rows (`half` of a panel) and a block of columns.
///
/// # Safety
/// The machine has `smmla`; `panel` and `pairs` point to blocks of the layouts above.
#[inline(always)]
unsafe fn add_block<const MINS: bool, const HALVES: bool, const P: usize>(
    sums: &mut Sums<P>,
    panel: *const u8,
    half: usize,
    pairs: *const u8,
) {
    let parts = if HALVES { 2 } else { 1 };
    // SAFETY: by the contract.
    unsafe {
        let codes = panel.add(block_bytes(MINS, HALVES) - PANEL_ROWS * BLOCK + half * 256);
        for part in 0..parts {
            let mut dots = [[vdupq_n_s32(0); P]; 4];
            for deep in part * 4 / parts..(part + 1) * 4 / parts {
                let weights = vld1q_s8_x4(codes.add(deep * 64).cast());
                let weights = [weights.0, weights.1, weights.2, weights.3];
                for p in 0..P {
                    let vectors = vld1q_s8(pairs.add((deep * P + p) * 16).cast());
                    for row in 0..4 {
                        dots[row][p] = smmla(dots[row][p], weights[row], vectors);
                    }
                }
            }
            let scales = load_four(panel.add(part * 128 + half * 64));
            for p in 0..P {
                let scale = vld1q_f32(pairs.add((4 * P + p) * 16).cast());
                for row in 0..4 {
                    let both = vmulq_f32(scales[row], scale);
                    sums[row][p] = vfmaq_f32(sums[row][p], vcvtq_f32_s32(dots[row][p]), both);
                }
            }
            if MINS {
                let mins = load_four(panel.add((parts + part) * 128 + half * 64));
                for p in 0..P {
                    let scaled_sum = vld1q_f32(pairs.add(((5 + part) * P + p) * 16).cast());
                    for row in 0..4 {
                        sums[row][p] = vfmaq_f32(sums[row][p], mins[row], scaled_sum);
                    }
                }
            }
        }
    }
}

/// Four registers of floats.
///
/// # Safety
/// `at` points to 64 bytes.
#[inline(always)]
unsafe fn load_four(at: *const u8) -> [float32x4_t; 4] {
    // SAFETY: by the contract.
    unsafe {
        let all = vld1q_f32_x4(at.cast());
        [all.0, all.1, all.2, all.3]
    }
}
