//! Many vectors with `smmla`: two rows by two vectors, eight columns deep.
//!
//! Panels are unpacked into an order of their own: eight columns of two rows lie together, and the upper and the lower
//! eight rows apart, so that a tile reads on and on. Vectors are put in pairs, a few at a time, and used by all panels
//! of the call before the next few. A register of sums holds rows a and b by vectors v and w as (av, aw, bv, bw), so
//! scales of rows are stored as (a, a, b, b), those of vectors as (v, w, v, w).
//!
//! A tile is 8 rows by 6 vectors. Its loop is `matrix_loop`'s; tiles of fewer vectors and blocks of two parts are
//! written here, with intrinsics.
//!
//! | of a block of half a panel | bytes |
//! |---|---|
//! | codes: 4 groups of 8 columns, 4 pairs of rows | 256 |
//! | scales, then minima: a part of the block, 4 pairs of rows | 64 each |
//!
//! | of a block of a tile of one to three pairs of vectors | bytes a pair |
//! |---|---|
//! | codes: 4 groups of 8 columns, pairs | 64 |
//! | scales, pairs | 16 |
//! | scaled sums of each part, pairs | 16 each |
#![allow(clippy::needless_range_loop, reason = "rows and vectors index several arrays at once")]

use std::arch::aarch64::*;

use super::SIDES;
use super::instructions::smmla;
use super::load::{load_codes, load_scales, moved};
use super::matrix_loop;
use crate::activations::QuantView;
use crate::format::{BLOCK, PANEL_ROWS, Shape, expanded_bytes};
use crate::kernels::MAX_PANELS;

/// Vectors of a tile.
const TILE: usize = 6;
/// Vectors that are put in pairs at a time.
const VECTORS: usize = 4 * TILE;
/// Bytes that a block of a pair of vectors may take.
const PAIR_BYTES: usize = 112;

/// Bytes of the codes and of all scales of a block of half a panel.
const fn half_bytes(mins: bool, halves: bool) -> usize {
    let (kinds, parts) = (if mins { 2 } else { 1 }, if halves { 2 } else { 1 });
    kinds * parts * 64 + PANEL_ROWS / 2 * BLOCK
}

/// Scratch that this set takes for `blocks` blocks, beyond expanded panels of the common layout.
pub(in crate::kernels) const fn more_scratch(blocks: usize) -> usize {
    MAX_PANELS * (2 * blocks * half_bytes(true, true) - expanded_bytes(blocks)) + VECTORS / 2 * PAIR_BYTES * blocks
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
    let panel_bytes = 2 * blocks * half_bytes(MINS, HALVES);
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
                unsafe {
                    match vectors {
                        1 | 2 => tile.run::<MINS, HALVES, 1>(),
                        3 | 4 => tile.run::<MINS, HALVES, 2>(),
                        _ => tile.run::<MINS, HALVES, 3>(),
                    }
                }
            }
        }
    }
}

/// Writes a panel in the order of this module.
///
/// # Safety
/// `from` points to a panel of `blocks` blocks, `to` to room for it.
unsafe fn unpack<S: Shape>(from: *const u8, blocks: usize, to: *mut u8) {
    let half_bytes = half_bytes(S::MINS, S::HALVES);
    // SAFETY: by the layouts, inside a chunk of the panel and a block of what is written.
    unsafe {
        for block in 0..blocks {
            let chunk = from.add(block / S::CHUNK_BLOCKS * S::CHUNK_BYTES);
            let inner = block % S::CHUNK_BLOCKS;
            let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
            for half in 0..SIDES / 2 {
                let to = to.add((half * blocks + block) * half_bytes);
                for group in [0, 2] {
                    for side in 0..2 {
                        let one = load_codes::<S>(codes, group, half * 2 + side).map(moved::<S>);
                        let other = load_codes::<S>(codes, group + 1, half * 2 + side).map(moved::<S>);
                        for high in 0..2 {
                            let (one, other) = (vreinterpretq_s32_s8(one[high]), vreinterpretq_s32_s8(other[high]));
                            let to = to.add((high * 2 + group / 2) * 64 + side * 32).cast();
                            vst1q_s32(to, vzip1q_s32(one, other));
                            vst1q_s32(to.add(4), vzip2q_s32(one, other));
                        }
                    }
                }
                let mut to = to.add(PANEL_ROWS / 2 * BLOCK);
                for kind in 0..S::KINDS {
                    for part in 0..S::PARTS {
                        for scales in load_scales::<S>(chunk, inner, part, kind, half) {
                            vst1q_f32(to.cast(), vzip1q_f32(scales, scales));
                            vst1q_f32(to.add(16).cast(), vzip2q_f32(scales, scales));
                            to = to.add(32);
                        }
                    }
                }
            }
        }
    }
}

/// Writes the vectors of a tile in pairs. The partner that an odd one lacks is itself.
///
/// # Safety
/// `to` points to room for them.
unsafe fn pair_up<const MINS: bool, const HALVES: bool>(x: QuantView<'_>, to: *mut u8) {
    let blocks = x.columns / BLOCK;
    let count = x.count();
    let pairs = count.div_ceil(2);
    for pair in 0..pairs {
        let both = [pair * 2, (pair * 2 + 1).min(count - 1)];
        let mut codes = both.map(|vector| x.codes[vector * x.columns..][..x.columns].as_ptr());
        let mut meta = both.map(|vector| x.meta[vector * blocks..][..blocks].as_ptr());
        let mut to = to.wrapping_add(pair * 16);
        for _ in 0..blocks {
            // SAFETY: whole blocks of vectors that are there.
            unsafe {
                let [one, other] = codes.map(|codes| vld1q_s8_x2(codes));
                for (one, other) in [(one.0, other.0), (one.1, other.1)] {
                    let (one, other) = (vreinterpretq_s64_s8(one), vreinterpretq_s64_s8(other));
                    vst1q_s64(to.cast(), vzip1q_s64(one, other));
                    to = to.wrapping_add(pairs * 16);
                    vst1q_s64(to.cast(), vzip2q_s64(one, other));
                    to = to.wrapping_add(pairs * 16);
                }
                let mut put = |one: *const f32, other: *const f32| {
                    let both = vld1_lane_f32::<1>(other, vld1_dup_f32(one));
                    vst1q_f32(to.cast(), vcombine_f32(both, both));
                    to = to.wrapping_add(pairs * 16);
                };
                let [one, other] = meta;
                put(&raw const (*one).scale, &raw const (*other).scale);
                if MINS && HALVES {
                    put(&raw const (*one).scaled_halves[0], &raw const (*other).scaled_halves[0]);
                    put(&raw const (*one).scaled_halves[1], &raw const (*other).scaled_halves[1]);
                } else if MINS {
                    put(&raw const (*one).scaled_sum, &raw const (*other).scaled_sum);
                }
            }
            codes = codes.map(|codes| codes.wrapping_add(BLOCK));
            meta = meta.map(|meta| meta.wrapping_add(1));
        }
    }
}

/// One panel by at most [`TILE`] vectors.
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
            for half in 0..2 {
                let mut sums: Sums<P> = [[vdupq_n_f32(0.0); P]; 4];
                let mut panel = self.panel.add(half * self.blocks * half_bytes(MINS, HALVES));
                let mut pairs = self.pairs;
                if P == TILE / 2 && !HALVES {
                    let whole = matrix_loop::sums::<MINS>(panel, pairs, self.blocks);
                    for (sums, whole) in sums.iter_mut().zip(whole) {
                        sums.copy_from_slice(&whole[..P]);
                    }
                } else {
                    for _ in 0..self.blocks {
                        add_block::<MINS, HALVES, P>(&mut sums, &mut panel, &mut pairs);
                    }
                }
                for vector in 0..self.vectors {
                    let out = self.out.add(vector * self.stride + half * 8);
                    for side in 0..2 {
                        let (a, b) = (sums[side * 2][vector / 2], sums[side * 2 + 1][vector / 2]);
                        let four = if vector % 2 == 0 { vuzp1q_f32(a, b) } else { vuzp2q_f32(a, b) };
                        vst1q_f32(out.add(side * 4), four);
                    }
                }
            }
        }
    }
}

/// Adds the products of eight rows and a block of columns, and moves on to the next block.
///
/// # Safety
/// The machine has `smmla`; `panel` and `pairs` point to blocks of the layouts above.
#[inline(always)]
unsafe fn add_block<const MINS: bool, const HALVES: bool, const P: usize>(
    sums: &mut Sums<P>,
    panel: &mut *const u8,
    pairs: &mut *const u8,
) {
    let parts = if HALVES { 2 } else { 1 };
    // SAFETY: by the contract.
    unsafe {
        // Of a block in two parts: scales come after all codes, so they have pointers of their own.
        let (mut scales_at, mut pair_at) = (panel.add(PANEL_ROWS / 2 * BLOCK), pairs.add(64 * P));
        let mut pair_scales = [vdupq_n_f32(0.0); P];
        for part in 0..parts {
            let mut dots = [[vdupq_n_s32(0); P]; 4];
            for _ in 0..4 / parts {
                let weights = vld1q_s8_x4(panel.cast());
                *panel = panel.add(64);
                let vectors = next_pairs::<P>(pairs);
                for (row, weights) in [weights.0, weights.1, weights.2, weights.3].into_iter().enumerate() {
                    for p in 0..P {
                        dots[row][p] = smmla(dots[row][p], weights, vectors[p]);
                    }
                }
            }
            if part == 0 {
                pair_scales = next_pairs::<P>(&mut pair_at).map(|scales| vreinterpretq_f32_s8(scales));
            }
            let scales = next_four(&mut scales_at);
            for row in 0..4 {
                for p in 0..P {
                    let both = vmulq_f32(scales[row], pair_scales[p]);
                    sums[row][p] = vfmaq_f32(sums[row][p], vcvtq_f32_s32(dots[row][p]), both);
                }
            }
            if MINS {
                // Minima lie behind all scales.
                let mins = next_four(&mut scales_at.wrapping_add((parts - 1) * 64));
                let scaled_sums = next_pairs::<P>(&mut pair_at).map(|sums| vreinterpretq_f32_s8(sums));
                for row in 0..4 {
                    for p in 0..P {
                        sums[row][p] = vfmaq_f32(sums[row][p], mins[row], scaled_sums[p]);
                    }
                }
            }
        }
        *panel = if MINS { scales_at.add(parts * 64) } else { scales_at };
        *pairs = pair_at;
    }
}

/// A register of each pair; moves `at` behind them.
///
/// # Safety
/// `at` points to them.
#[inline(always)]
unsafe fn next_pairs<const P: usize>(at: &mut *const u8) -> [int8x16_t; P] {
    // SAFETY: by the contract.
    unsafe {
        let from = at.cast::<i8>();
        *at = at.add(P * 16);
        let mut all = [vdupq_n_s8(0); P];
        if P == 3 {
            let three = vld1q_s8_x3(from);
            all[0] = three.0;
            all[1] = three.1;
            all[2] = three.2;
        } else {
            for p in 0..P {
                all[p] = vld1q_s8(from.add(p * 16));
            }
        }
        all
    }
}

/// Four registers of floats; moves `at` behind them.
///
/// # Safety
/// `at` points to 64 bytes.
#[inline(always)]
unsafe fn next_four(at: &mut *const u8) -> [float32x4_t; 4] {
    // SAFETY: by the contract.
    unsafe {
        let all = vld1q_f32_x4(at.cast());
        *at = at.add(64);
        [all.0, all.1, all.2, all.3]
    }
}
