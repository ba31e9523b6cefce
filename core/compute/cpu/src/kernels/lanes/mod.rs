//! Sixteen f32 lanes as an instruction set holds them: one register of AVX-512, two of AVX2, four of NEON.
//!
//! Loops over plain arrays become vectors by the compiler's grace, and a tile of several rows that must stay in
//! registers does not. Kernels with such tiles are written once over [`Lanes`] and compiled for every set. A lane does
//! the same IEEE operations in the same order everywhere, so that all sets give the same bits.
//!
//! Methods are `#[inline(always)]`: they become instructions once they are inside a function with the set's features.

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Quads;
pub(crate) use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Pair, Wide};

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen f32.
///
/// # Safety
/// Calling any method needs a machine that has the set. Pointers need no alignment and must be good for as many
/// elements as the method says.
pub(crate) trait Lanes: Copy {
    /// Whether 32 registers hold a vector each. Otherwise a vector takes several, and tiles are smaller.
    const WIDE: bool;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;
    /// All lanes the half at `from`.
    unsafe fn splat_half(from: *const u8) -> Self;
    /// 16 floats.
    unsafe fn load(from: *const f32) -> Self;
    /// 16 halves, as floats.
    unsafe fn load_halves(from: *const u8) -> Self;
    /// 16 signed bytes, as floats.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// The low (or high) nibbles of 16 bytes less 8, as floats.
    unsafe fn load_nibbles(from: *const u8, high: bool) -> Self;
    /// Asks for the line at an address, which need not be one that may be read.
    unsafe fn prefetch(address: *const u8);
    /// To 16 floats.
    unsafe fn store(self, to: *mut f32);
    /// Rounded to halves, ties to even.
    unsafe fn halves(self) -> [u16; LANES];
    /// `self · other`.
    unsafe fn times(self, other: Self) -> Self;
    /// `self · other + more`, rounded once.
    unsafe fn times_plus(self, other: Self, more: Self) -> Self;
}
