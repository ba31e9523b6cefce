//! Codes and scales of a panel into registers.

use std::arch::aarch64::*;

use super::instructions::widen;
use crate::format::{BLOCK, Codes, LEVELS, PANEL_ROWS, Scales, Shape};

/// Codes of a register of rows (`side`): of the four columns `group`, and of those 16 columns further, with which
/// nibbles share their bytes. Nibbles come unsigned; [`moved`] takes their offset off.
///
/// # Safety
/// `codes` points to the codes of a block; `group` and `side` are below 4.
#[inline(always)]
pub(super) unsafe fn load_codes<S: Shape>(codes: *const u8, group: usize, side: usize) -> [int8x16_t; 2] {
    // SAFETY: inside the block.
    unsafe {
        let at = codes.add(group * 64 + side * 16);
        if S::CODE_BYTES == PANEL_ROWS * BLOCK {
            return [vld1q_s8(at.cast()), vld1q_s8(at.add(256).cast())];
        }
        let bytes = vld1q_u8(at);
        let nibbles = [vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8::<4>(bytes)];
        if matches!(S::CODES, Codes::Levels) {
            let levels = vld1q_s8(LEVELS.as_ptr());
            nibbles.map(|nibbles| vqtbl1q_s8(levels, nibbles))
        } else {
            nibbles.map(|nibbles| vreinterpretq_s8_u8(nibbles))
        }
    }
}

/// Codes of `load_codes` without their offset.
#[inline(always)]
pub(super) fn moved<S: Shape>(codes: int8x16_t) -> int8x16_t {
    // SAFETY: NEON is part of the target.
    unsafe { if S::OFFSET == 0 { codes } else { vsubq_s8(codes, vdupq_n_s8(S::OFFSET as i8)) } }
}

/// Scales (`kind` 0) or minima (`kind` 1) of eight rows (`pair` of registers) in a part of a block.
///
/// # Safety
/// `chunk` points to a chunk that has this block, part and kind; `pair` is below 2.
#[inline(always)]
pub(super) unsafe fn load_scales<S: Shape>(
    chunk: *const u8,
    block: usize,
    part: usize,
    kind: usize,
    pair: usize,
) -> [float32x4_t; 2] {
    // SAFETY: inside the chunk's head by the layout's constants.
    unsafe {
        let wide = chunk.add(kind * S::WIDE_BYTES);
        if matches!(S::SCALES, Scales::Float) {
            let at = wide.add(part * 64 + pair * 32);
            return [vld1q_f32(at.cast()), vld1q_f32(at.add(16).cast())];
        }
        let scales = widen(vld1q_u16(wide.add(pair * 16).cast()));
        if matches!(S::SCALES, Scales::Half) {
            return scales;
        }
        let small = chunk.add(S::KINDS * S::WIDE_BYTES + kind * S::SMALL_BYTES);
        let small = vmovl_s8(vld1_s8(small.add((block * S::PARTS + part) * PANEL_ROWS + pair * 8).cast()));
        let small = [vmovl_s16(vget_low_s16(small)), vmovl_high_s16(small)].map(|small| vcvtq_f32_s32(small));
        [vmulq_f32(scales[0], small[0]), vmulq_f32(scales[1], small[1])]
    }
}

/// f16 to f32.
///
/// # Safety
/// None is needed on AArch64; other sets have one.
#[target_feature(enable = "neon")]
#[inline]
pub(super) unsafe fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    let (bytes, bytes_rest) = bytes.as_chunks::<16>();
    let (out, out_rest) = out.as_chunks_mut::<8>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: 16 bytes in, 8 floats out.
        unsafe {
            let [low, high] = widen(vld1q_u16(bytes.as_ptr().cast()));
            vst1q_f32(out.as_mut_ptr(), low);
            vst1q_f32(out.as_mut_ptr().add(4), high);
        }
    }
    crate::kernels::float_panel::widen_f16(bytes_rest, out_rest);
}
