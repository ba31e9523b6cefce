//! Instructions whose intrinsics are unstable, as assembly. Each block asks the assembler for its extension; that the
//! machine has it is the caller's word.

use std::arch::aarch64::*;
use std::arch::asm;

/// `dots + Σ of four products a lane`, with the four codes in lane `LANE` of `vector`.
///
/// # Safety
/// The machine has `sdot`.
#[inline(always)]
pub(super) unsafe fn sdot<const LANE: usize>(dots: int32x4_t, weights: int8x16_t, vector: int8x16_t) -> int32x4_t {
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

/// `dots + weights · vectorsᵀ`: two rows by two vectors of eight codes each.
///
/// # Safety
/// The machine has `smmla`.
#[inline(always)]
pub(super) unsafe fn smmla(dots: int32x4_t, weights: int8x16_t, vectors: int8x16_t) -> int32x4_t {
    let mut result = dots;
    // SAFETY: registers only; the machine has the instruction.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {result:v}.4s, {weights:v}.16b, {vectors:v}.16b",
            result = inout(vreg) result,
            weights = in(vreg) weights,
            vectors = in(vreg) vectors,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    result
}

/// Eight f16 as f32. `fcvtl` is plain NEON; only its intrinsic, which needs the unstable type `f16`, is not there.
#[inline(always)]
pub(super) fn widen(halves: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: registers only; every AArch64 machine has the instructions.
    unsafe {
        asm!("fcvtl {low:v}.4s, {halves:v}.4h", low = lateout(vreg) low, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
        asm!("fcvtl2 {high:v}.4s, {halves:v}.8h", high = lateout(vreg) high, halves = in(vreg) halves,
            options(pure, nomem, nostack, preserves_flags));
    }
    [low, high]
}
