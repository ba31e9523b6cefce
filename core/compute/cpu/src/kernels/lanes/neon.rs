//! Lanes of NEON.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{LANES, Lanes};

/// Four registers of NEON.
#[derive(Clone, Copy)]
pub(crate) struct Quads(float32x4_t, float32x4_t, float32x4_t, float32x4_t);

impl Lanes for Quads {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: the set is there by the contract.
        let x = unsafe { vdupq_n_f32(x) };
        Self(x, x, x, x)
    }

    #[inline(always)]
    unsafe fn splat_half(from: *const u8) -> Self {
        // SAFETY: a half by the contract.
        unsafe {
            let x = low_halves(vld1q_dup_u16(from.cast()));
            Self(x, x, x, x)
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: 16 floats by the contract.
        unsafe { Self(vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))) }
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const u8) -> Self {
        // SAFETY: 32 bytes by the contract. Plain NEON converts halves; only the intrinsics, which need the unstable
        // type `f16`, are not there.
        unsafe {
            let (a, b) = (vld1q_u16(from.cast()), vld1q_u16(from.add(16).cast()));
            Self(low_halves(a), high_halves(a), low_halves(b), high_halves(b))
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: 16 bytes by the contract.
        unsafe { widened(vld1q_s8(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, high: bool) -> Self {
        // SAFETY: 16 bytes by the contract.
        unsafe {
            let bytes = vld1q_u8(from);
            let nibbles = if high { vshrq_n_u8::<4>(bytes) } else { vandq_u8(bytes, vdupq_n_u8(15)) };
            widened(vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(8)))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(address: *const u8) {
        // SAFETY: it reads nothing.
        unsafe { asm!("prfm pldl1keep, [{address}]", address = in(reg) address, options(nostack, preserves_flags)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: room for 16 floats by the contract.
        unsafe {
            vst1q_f32(to, self.0);
            vst1q_f32(to.add(4), self.1);
            vst1q_f32(to.add(8), self.2);
            vst1q_f32(to.add(12), self.3);
        }
    }

    #[inline(always)]
    unsafe fn halves(self) -> [u16; LANES] {
        let mut halves = [0; LANES];
        for (halves, quad) in halves.as_chunks_mut::<4>().0.iter_mut().zip([self.0, self.1, self.2, self.3]) {
            // SAFETY: a conversion in a register under the default rounding mode; 8 bytes.
            unsafe {
                let narrow: uint16x4_t;
                asm!("fcvtn {out:v}.4h, {quad:v}.4s", out = out(vreg) narrow, quad = in(vreg) quad,
                    options(pure, nomem, nostack, preserves_flags));
                vst1_u16(halves.as_mut_ptr(), narrow);
            }
        }
        halves
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        // SAFETY: the set is there by the contract.
        unsafe {
            Self(
                vmulq_f32(self.0, other.0),
                vmulq_f32(self.1, other.1),
                vmulq_f32(self.2, other.2),
                vmulq_f32(self.3, other.3),
            )
        }
    }

    #[inline(always)]
    unsafe fn times_plus(self, other: Self, more: Self) -> Self {
        // SAFETY: the set is there by the contract.
        unsafe {
            Self(
                vfmaq_f32(more.0, self.0, other.0),
                vfmaq_f32(more.1, self.1, other.1),
                vfmaq_f32(more.2, self.2, other.2),
                vfmaq_f32(more.3, self.3, other.3),
            )
        }
    }
}

/// # Safety
/// None is needed on AArch64.
#[inline(always)]
unsafe fn widened(bytes: int8x16_t) -> Quads {
    // SAFETY: the set is there by the contract of the callers.
    unsafe {
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
        Quads(
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
            vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
            vcvtq_f32_s32(vmovl_high_s16(high)),
        )
    }
}

/// # Safety
/// None is needed on AArch64.
#[inline(always)]
unsafe fn low_halves(halves: uint16x8_t) -> float32x4_t {
    let out: float32x4_t;
    // SAFETY: a conversion in a register.
    unsafe {
        asm!("fcvtl {out:v}.4s, {halves:v}.4h", out = out(vreg) out, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}

/// # Safety
/// None is needed on AArch64.
#[inline(always)]
unsafe fn high_halves(halves: uint16x8_t) -> float32x4_t {
    let out: float32x4_t;
    // SAFETY: as above.
    unsafe {
        asm!("fcvtl2 {out:v}.4s, {halves:v}.8h", out = out(vreg) out, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}
