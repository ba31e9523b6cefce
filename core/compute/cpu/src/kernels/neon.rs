//! NEON: 16 rows are four registers, codes are signed bytes.
//!
//! With dot products (`sdot`, in inline assembly because the intrinsic is unstable) a lane eats four columns of a row.
//! Without them products are widened to 16 bits, two of them summed there (2 · 128 · 127 < 2^15) and then pairwise to
//! 32 bits, which leaves two partial sums a row until the end of a part.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, Codes, Expanded, IntFormat, LEVELS, PANEL_ROWS, Scales, Shape, with_shape};
use crate::kernels::lanes::Quads;
use crate::kernels::table::table;

table!(
    PLAIN in plain,
    #[target_feature(enable = "neon")]
    int_panels: int_panels_plain,
    widen: widen_f16, lanes: Quads
);
table!(
    DOT in dot,
    #[target_feature(enable = "neon")]
    int_panels: int_panels_dot,
    widen: widen_f16, lanes: Quads
);

/// With so many vectors a panel is unpacked first.
const UNPACK_FROM: usize = 8;
/// Registers of 16 rows.
const SIDES: usize = 4;

/// Pointers to the operands of a tile; see `Kernels::int_panels` for what they point to.
#[derive(Clone, Copy)]
struct Operands {
    panel: *const u8,
    codes: *const i8,
    meta: *const BlockMeta,
    columns: usize,
    out: *mut f32,
    stride: usize,
}

/// See `Kernels::int_panels`.
///
/// # Safety
/// Sizes are as `Kernels::int_panels` checks them.
unsafe fn int_panels_plain(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe { int_panels::<false>(format, panels, count, x, scratch, out, stride) }
}

/// See `Kernels::int_panels`.
///
/// # Safety
/// The machine has `sdot`; sizes are as `Kernels::int_panels` checks them.
unsafe fn int_panels_dot(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    // SAFETY: passed on to the caller.
    unsafe { int_panels::<true>(format, panels, count, x, scratch, out, stride) }
}

/// See `Kernels::int_panels`. NEON is part of every AArch64 target, and the assembly of `sdot` asks for its extension
/// itself, so nothing here needs `#[target_feature]`.
///
/// # Safety
/// As for the functions above.
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
    let panel_bytes = panels.len() / count.max(1);
    for index in 0..count {
        // SAFETY: `Kernels::int_panels` has checked that there are `count` panels, and room for their rows in `out`.
        unsafe {
            let operands = Operands {
                panel: panels.as_ptr().add(index * panel_bytes),
                codes: x.codes.as_ptr(),
                meta: x.meta.as_ptr(),
                columns: x.columns,
                out: out.as_mut_ptr().wrapping_add(index * PANEL_ROWS),
                stride,
            };
            with_shape!(format, S => {
                type E = Expanded<true, 0, { <S as Shape>::MINS }, { <S as Shape>::HALVES }>;
                if vectors < UNPACK_FROM {
                    all::<S, DOT>(operands, vectors);
                } else {
                    unpack::<S, E>(operands.panel, x.columns / BLOCK, scratch.as_mut_ptr());
                    all::<E, DOT>(Operands { panel: scratch.as_ptr(), ..operands }, vectors);
                }
            });
        }
    }
}

/// All vectors, in tiles.
///
/// # Safety
/// As [`tile`], for `vectors` vectors.
unsafe fn all<S: Shape, const DOT: bool>(operands: Operands, vectors: usize) {
    let mut done = 0;
    while done < vectors {
        // SAFETY: `done + C <= vectors` in every arm.
        unsafe {
            let operands = Operands {
                codes: operands.codes.add(done * operands.columns),
                meta: operands.meta.add(done * (operands.columns / BLOCK)),
                out: operands.out.add(done * operands.stride),
                ..operands
            };
            done += match vectors - done {
                1 => tile::<S, DOT, 1>(operands),
                2 | 3 => tile::<S, DOT, 2>(operands),
                _ if DOT => tile::<S, DOT, 4>(operands),
                _ => tile::<S, DOT, 2>(operands),
            };
        }
    }
}

/// One panel by `C` vectors; returns `C`.
///
/// # Safety
/// The machine has the features; a panel, `C` vectors and their `C · stride` outputs can be accessed.
unsafe fn tile<S: Shape, const DOT: bool, const C: usize>(o: Operands) -> usize {
    let blocks = o.columns / BLOCK;
    // SAFETY: all reads are inside a panel of whole chunks and C vectors of whole blocks, all writes in `out`.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); SIDES]; C];
        for block in 0..blocks {
            let (chunk, inner) = (block / S::CHUNK_BLOCKS, block % S::CHUNK_BLOCKS);
            let chunk = o.panel.add(chunk * S::CHUNK_BYTES);
            let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
            let vectors = o.codes.add(block * BLOCK);
            let halves =
                [dots::<S, DOT, C>(codes, 0, vectors, o.columns), dots::<S, DOT, C>(codes, 1, vectors, o.columns)];
            for part in 0..S::PARTS {
                let scales = load_scales::<S>(chunk, inner, part, 0);
                let mins = if S::MINS { load_scales::<S>(chunk, inner, part, 1) } else { scales };
                for c in 0..C {
                    let meta = &*o.meta.add(c * blocks + block);
                    let scaled_sum = if S::HALVES { meta.scaled_halves[part] } else { meta.scaled_sum };
                    for side in 0..SIDES {
                        let dot = if S::HALVES {
                            halves[part][c][side]
                        } else {
                            vaddq_s32(halves[0][c][side], halves[1][c][side])
                        };
                        let both = vmulq_n_f32(scales[side], meta.scale);
                        let mut total = vfmaq_f32(sums[c][side], vcvtq_f32_s32(dot), both);
                        if S::MINS {
                            total = vfmaq_f32(total, mins[side], vdupq_n_f32(scaled_sum));
                        }
                        sums[c][side] = total;
                    }
                }
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

/// Dot products of 16 rows over half a block with `C` vectors, whose codes of this block lie `columns` apart.
///
/// # Safety
/// `codes` points to the codes of a block, `vectors` to those of C vectors.
#[inline(always)]
unsafe fn dots<S: Shape, const DOT: bool, const C: usize>(
    codes: *const u8,
    half: usize,
    vectors: *const i8,
    columns: usize,
) -> [[int32x4_t; SIDES]; C] {
    // SAFETY: 16 codes of each vector, four groups of the block.
    unsafe {
        let mut dots = [[vdupq_n_s32(0); SIDES]; C];
        if DOT {
            let groups: [[int8x16_t; SIDES]; 4] = [
                load_codes::<S>(codes, half * 4),
                load_codes::<S>(codes, half * 4 + 1),
                load_codes::<S>(codes, half * 4 + 2),
                load_codes::<S>(codes, half * 4 + 3),
            ];
            for (c, dots) in dots.iter_mut().enumerate() {
                let vector = vld1q_s8(vectors.add(c * columns + half * 16));
                for (side, dots) in dots.iter_mut().enumerate() {
                    *dots = sdot::<0>(*dots, groups[0][side], vector);
                    *dots = sdot::<1>(*dots, groups[1][side], vector);
                    *dots = sdot::<2>(*dots, groups[2][side], vector);
                    *dots = sdot::<3>(*dots, groups[3][side], vector);
                }
            }
            return dots;
        }
        // Two partial sums a row: the first and the second pair of every four columns.
        let mut pairs = [[[vdupq_n_s32(0); 2]; SIDES]; C];
        for group in [half * 4, half * 4 + 2] {
            let (first, second) = (load_codes::<S>(codes, group), load_codes::<S>(codes, group + 1));
            for (c, pairs) in pairs.iter_mut().enumerate() {
                let at = vectors.add(c * columns + group * 4).cast::<i32>();
                let a = vreinterpretq_s8_s32(vdupq_n_s32(at.read_unaligned()));
                let b = vreinterpretq_s8_s32(vdupq_n_s32(at.add(1).read_unaligned()));
                for (side, pairs) in pairs.iter_mut().enumerate() {
                    let low = vmull_s8(vget_low_s8(first[side]), vget_low_s8(a));
                    let low = vmlal_s8(low, vget_low_s8(second[side]), vget_low_s8(b));
                    let high = vmlal_high_s8(vmull_high_s8(first[side], a), second[side], b);
                    pairs[0] = vpadalq_s16(pairs[0], low);
                    pairs[1] = vpadalq_s16(pairs[1], high);
                }
            }
        }
        for (dots, pairs) in dots.iter_mut().zip(pairs) {
            for (dots, [low, high]) in dots.iter_mut().zip(pairs) {
                *dots = vpaddq_s32(low, high);
            }
        }
        dots
    }
}

/// `dots + Σ of four products a lane`, with the four codes in lane `LANE` of `vector`.
///
/// # Safety
/// The machine has `sdot`.
#[inline(always)]
unsafe fn sdot<const LANE: usize>(dots: int32x4_t, weights: int8x16_t, vector: int8x16_t) -> int32x4_t {
    let mut result = dots;
    // SAFETY: registers only; the machine has the instruction.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "sdot {result:v}.4s, {weights:v}.16b, {vector:v}.4b[{lane}]",
            result = inout(vreg) result,
            weights = in(vreg) weights,
            vector = in(vreg) vector,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    result
}

/// Signed codes of four columns of 16 rows.
///
/// # Safety
/// `codes` points to the codes of a block.
#[inline(always)]
unsafe fn load_codes<S: Shape>(codes: *const u8, group: usize) -> [int8x16_t; SIDES] {
    // SAFETY: group 0 to 7 of the block; nibbles of groups 4 to 7 share bytes with 0 to 3.
    unsafe {
        let mut all = [vdupq_n_s8(0); SIDES];
        for (side, out) in all.iter_mut().enumerate() {
            if S::CODE_BYTES == PANEL_ROWS * BLOCK {
                *out = vld1q_s8(codes.add(group * 64 + side * 16).cast());
                continue;
            }
            let bytes = vld1q_u8(codes.add(group % 4 * 64 + side * 16));
            let nibbles = if group < 4 { vandq_u8(bytes, vdupq_n_u8(15)) } else { vshrq_n_u8::<4>(bytes) };
            *out = if matches!(S::CODES, Codes::Levels) {
                vqtbl1q_s8(vld1q_s8(LEVELS.as_ptr()), nibbles)
            } else {
                vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(S::OFFSET as i8))
            };
        }
        all
    }
}

/// Scales (`kind` 0) or minima (`kind` 1) of 16 rows in a part of a block.
///
/// # Safety
/// `chunk` points to a chunk that has this block, part and kind.
#[inline(always)]
unsafe fn load_scales<S: Shape>(chunk: *const u8, block: usize, part: usize, kind: usize) -> [float32x4_t; SIDES] {
    // SAFETY: inside the chunk's head by the layout's constants.
    unsafe {
        let wide = chunk.add(kind * S::WIDE_BYTES);
        let mut all = [vdupq_n_f32(0.0); SIDES];
        for (side, out) in all.iter_mut().enumerate() {
            *out = match S::SCALES {
                Scales::Float => vld1q_f32(wide.add(part * 64 + side * 16).cast()),
                Scales::Half | Scales::Super => four_halves(wide.add(side * 8)),
            };
        }
        if matches!(S::SCALES, Scales::Super) {
            let small = chunk.add(S::KINDS * S::WIDE_BYTES + kind * S::SMALL_BYTES);
            let small = vld1q_s8(small.add((block * S::PARTS + part) * PANEL_ROWS).cast());
            let (low, high) = (vmovl_s8(vget_low_s8(small)), vmovl_high_s8(small));
            let small = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            for (out, small) in all.iter_mut().zip(small) {
                *out = vmulq_f32(*out, vcvtq_f32_s32(small));
            }
        }
        all
    }
}

/// Four f16 as f32.
///
/// # Safety
/// `from` points to 8 bytes.
#[inline(always)]
unsafe fn four_halves(from: *const u8) -> float32x4_t {
    let out: float32x4_t;
    // SAFETY: reads 8 bytes by the contract; converts in a register. `fcvtl` is plain NEON; only its intrinsic, which
    // needs the unstable type `f16`, is not there.
    unsafe {
        let halves = vld1_u16(from.cast());
        asm!("fcvtl {out:v}.4s, {halves:v}.4h", out = out(vreg) out, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
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
                    let scales = load_scales::<S>(chunk, inner, part, kind);
                    for (side, scales) in scales.into_iter().enumerate() {
                        vst1q_f32(to.add(kind * E::WIDE_BYTES + part * 64 + side * 16).cast(), scales);
                    }
                }
            }
            for group in 0..8 {
                let codes = load_codes::<S>(chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES), group);
                for (side, codes) in codes.into_iter().enumerate() {
                    vst1q_s8(to.add(E::HEAD_BYTES + group * 64 + side * 16).cast(), codes);
                }
            }
        }
    }
}

/// f16 to f32.
///
/// # Safety
/// None is needed on AArch64; other sets have one.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    let (bytes, bytes_rest) = bytes.as_chunks::<8>();
    let (out, out_rest) = out.as_chunks_mut::<4>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: 8 bytes in, 4 floats out.
        unsafe { vst1q_f32(out.as_mut_ptr(), four_halves(bytes.as_ptr())) }
    }
    crate::kernels::float_panel::widen_f16(bytes_rest, out_rest);
}
