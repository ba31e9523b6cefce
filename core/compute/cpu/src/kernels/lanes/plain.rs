//! Lanes as an array: the twin of the others.

use super::{LANES, Lanes};
use crate::kernels::math::f16_to_f32;

/// Sixteen f32 in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn each(lane: impl Fn(usize) -> f32) -> Self {
        Self(std::array::from_fn(lane))
    }
}

impl Lanes for Plain {
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    unsafe fn splat_half(from: *const u8) -> Self {
        // SAFETY: a half by the contract.
        let half = unsafe { from.cast::<[u8; 2]>().read() };
        Self([f16_to_f32(u16::from_le_bytes(half)); LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: 16 floats by the contract.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_halves(from: *const u8) -> Self {
        // SAFETY: 16 halves by the contract.
        let halves = unsafe { from.cast::<[[u8; 2]; LANES]>().read_unaligned() };
        Self::each(|j| f16_to_f32(u16::from_le_bytes(halves[j])))
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: 16 bytes by the contract.
        let bytes = unsafe { from.cast::<[i8; LANES]>().read_unaligned() };
        Self::each(|j| f32::from(bytes[j]))
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, high: bool) -> Self {
        // SAFETY: 16 bytes by the contract.
        let bytes = unsafe { from.cast::<[u8; LANES]>().read_unaligned() };
        Self::each(|j| f32::from((if high { bytes[j] >> 4 } else { bytes[j] & 15 }) as i8 - 8))
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: room for 16 floats by the contract.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn halves(self) -> [u16; LANES] {
        self.0.map(|x| half::f16::from_f32(x).to_bits())
    }

    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        Self::each(|j| self.0[j] * other.0[j])
    }

    #[inline(always)]
    unsafe fn times_plus(self, other: Self, more: Self) -> Self {
        Self::each(|j| self.0[j].mul_add(other.0[j], more.0[j]))
    }
}
