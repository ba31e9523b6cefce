//! Rows of the cache: how a page keeps the keys and values of a head, written and read.
//!
//! Values lie as rows, `[position][element]`. Keys lie transposed, in blocks of 32 elements: of each block first the
//! scales of the 32 positions, where the type has them, then `[element][position]`. So a query meets 32 keys at a time
//! with a lane for each. A `q4_0` byte holds elements `k` and `k + 16` of one position. A row has the same codes either
//! way, and turning codes to floats is exact: an f16 times 8 bits fits into f32.
//!
//! The reference back end keeps plain rows; a cache says whose it is.

use inkling_compute::{KvType, PAGE_POSITIONS};

use super::lanes::{LANES, Lanes};
use super::math::f16_to_f32;
use crate::format::BLOCK;

/// Bytes of a half for each position of a page.
const SCALE_BYTES: usize = 2 * PAGE_POSITIONS;

/// How elements are kept.
///
/// # Safety
/// Methods need a machine that has the set of `L`, and pointers into a page of this type.
pub(crate) trait Format {
    /// Bytes of a block of 32 elements of the keys of 32 positions.
    const KEY_BLOCK_BYTES: usize;
    /// Bytes of a vector of values, its share of the scales included.
    const VECTOR_BYTES: usize = Self::KEY_BLOCK_BYTES / PAGE_POSITIONS * LANES / BLOCK;

    /// What the keys at a vector of positions are multiplied with.
    unsafe fn key_scales<L: Lanes>(block: *const u8, vector: usize) -> L;
    /// Element `k` of the block at a vector of positions; `scales` are theirs.
    unsafe fn keys<L: Lanes>(block: *const u8, k: usize, vector: usize, scales: L) -> L;
    /// A vector of elements of a row of values.
    unsafe fn values<L: Lanes>(row: *const u8, vector: usize) -> L;
    /// An element after the last whole vector of a row; types with blocks of 32 have none.
    #[inline(always)]
    unsafe fn value(_row: *const u8, _index: usize) -> f32 {
        0.0
    }
}

/// [`KvType::F32`]; also a page that was turned to floats.
pub(crate) struct Floats;
/// [`KvType::F16`].
pub(crate) struct Halves;
/// [`KvType::Q8_0`].
pub(crate) struct Bytes;
/// [`KvType::Q4_0`].
pub(crate) struct Nibbles;

impl Format for Floats {
    const KEY_BLOCK_BYTES: usize = 4 * BLOCK * PAGE_POSITIONS;

    #[inline(always)]
    unsafe fn key_scales<L: Lanes>(_: *const u8, _: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::splat(1.0) }
    }

    #[inline(always)]
    unsafe fn keys<L: Lanes>(block: *const u8, k: usize, vector: usize, _: L) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load(block.add(4 * (k * PAGE_POSITIONS + vector * LANES)).cast()) }
    }

    #[inline(always)]
    unsafe fn values<L: Lanes>(row: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load(row.add(4 * vector * LANES).cast()) }
    }

    #[inline(always)]
    unsafe fn value(row: *const u8, index: usize) -> f32 {
        // SAFETY: passed on to the caller.
        unsafe { row.cast::<f32>().add(index).read_unaligned() }
    }
}

impl Format for Halves {
    const KEY_BLOCK_BYTES: usize = 2 * BLOCK * PAGE_POSITIONS;

    #[inline(always)]
    unsafe fn key_scales<L: Lanes>(_: *const u8, _: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::splat(1.0) }
    }

    #[inline(always)]
    unsafe fn keys<L: Lanes>(block: *const u8, k: usize, vector: usize, _: L) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load_halves(block.add(2 * (k * PAGE_POSITIONS + vector * LANES))) }
    }

    #[inline(always)]
    unsafe fn values<L: Lanes>(row: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load_halves(row.add(2 * vector * LANES)) }
    }

    #[inline(always)]
    unsafe fn value(row: *const u8, index: usize) -> f32 {
        // SAFETY: passed on to the caller.
        f16_to_f32(u16::from_le_bytes(unsafe { row.cast::<[u8; 2]>().add(index).read() }))
    }
}

impl Format for Bytes {
    const KEY_BLOCK_BYTES: usize = SCALE_BYTES + BLOCK * PAGE_POSITIONS;

    #[inline(always)]
    unsafe fn key_scales<L: Lanes>(block: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load_halves(block.add(2 * vector * LANES)) }
    }

    #[inline(always)]
    unsafe fn keys<L: Lanes>(block: *const u8, k: usize, vector: usize, scales: L) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load_bytes(block.add(SCALE_BYTES + k * PAGE_POSITIONS + vector * LANES)).times(scales) }
    }

    #[inline(always)]
    unsafe fn values<L: Lanes>(row: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller; two vectors are a block of 34 bytes.
        unsafe {
            let block = row.add(vector / 2 * (2 + BLOCK));
            L::load_bytes(block.add(2 + vector % 2 * LANES)).times(L::splat_half(block))
        }
    }
}

impl Format for Nibbles {
    const KEY_BLOCK_BYTES: usize = SCALE_BYTES + BLOCK / 2 * PAGE_POSITIONS;

    #[inline(always)]
    unsafe fn key_scales<L: Lanes>(block: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller.
        unsafe { L::load_halves(block.add(2 * vector * LANES)) }
    }

    #[inline(always)]
    unsafe fn keys<L: Lanes>(block: *const u8, k: usize, vector: usize, scales: L) -> L {
        // SAFETY: passed on to the caller.
        unsafe {
            let bytes = block.add(SCALE_BYTES + k % 16 * PAGE_POSITIONS + vector * LANES);
            L::load_nibbles(bytes, k >= 16).times(scales)
        }
    }

    #[inline(always)]
    unsafe fn values<L: Lanes>(row: *const u8, vector: usize) -> L {
        // SAFETY: passed on to the caller; two vectors are a block of 18 bytes.
        unsafe {
            let block = row.add(vector / 2 * (2 + BLOCK / 2));
            L::load_nibbles(block.add(2), vector % 2 == 1).times(L::splat_half(block))
        }
    }
}

/// Calls `$function::<L, F>` for the format of a cache type.
macro_rules! with_format {
    ($kind:expr, $function:ident::<$lanes:ty>($($argument:expr),* $(,)?)) => {
        match $kind {
            KvType::F16 => $function::<$lanes, $crate::kernels::cache::Halves>($($argument),*),
            KvType::Q8_0 => $function::<$lanes, $crate::kernels::cache::Bytes>($($argument),*),
            KvType::Q4_0 => $function::<$lanes, $crate::kernels::cache::Nibbles>($($argument),*),
            // `KvType::F32`; `new_cache` lets nothing else through.
            _ => $function::<$lanes, $crate::kernels::cache::Floats>($($argument),*),
        }
    };
}
pub(super) use with_format;

/// Turns the keys of a page to floats, `[element][position]`.
///
/// # Safety
/// The machine has the set; `page` points to keys of `F` of that width, `out` to room for 32 floats an element.
#[inline(always)]
pub(crate) unsafe fn widen_keys<L: Lanes, F: Format>(page: *const u8, width: usize, out: *mut f32) {
    for first in (0..width).step_by(BLOCK) {
        for vector in 0..PAGE_POSITIONS / LANES {
            // SAFETY: elements of the page.
            unsafe {
                let block = page.add(first / BLOCK * F::KEY_BLOCK_BYTES);
                let scales = F::key_scales(block, vector);
                for k in 0..(width - first).min(BLOCK) {
                    let keys: L = F::keys(block, k, vector, scales);
                    keys.store(out.add((first + k) * PAGE_POSITIONS + vector * LANES));
                }
            }
        }
    }
}

/// Turns rows of values to floats.
///
/// # Safety
/// The machine has the set; `page` points to `rows` rows of `F`, `out` to rows of `stride` floats.
#[inline(always)]
pub(crate) unsafe fn widen_values<L: Lanes, F: Format>(
    page: *const u8,
    row_bytes: usize,
    rows: usize,
    width: usize,
    out: *mut f32,
    stride: usize,
) {
    for row in 0..rows {
        // SAFETY: elements of the row.
        unsafe {
            let (values, out) = (page.add(row * row_bytes), out.add(row * stride));
            for vector in 0..width / LANES {
                let values: L = F::values(values, vector);
                values.store(out.add(vector * LANES));
            }
            for index in width / LANES * LANES..width {
                out.add(index).write(F::value(values, index));
            }
        }
    }
}

/// A row as a cache keeps it, block by block: `put(block, scale, codes)` for types with scales.
#[inline(always)]
fn codes(levels: f32, signed_extreme: bool, row: &[f32], mut put: impl FnMut(usize, [u8; 2], &[i8; BLOCK])) {
    for (index, x) in row.as_chunks::<BLOCK>().0.iter().enumerate() {
        let extreme = x.iter().fold(0.0_f32, |most, &x| if x.abs() > most.abs() { x } else { most });
        // With nibbles the value that is farthest from 0 gets code −8, whatever its sign.
        let scale = half::f16::from_f32(if signed_extreme { extreme / -levels } else { extreme.abs() / levels });
        // Codes are chosen for the scale that will be read. One that is 0 leaves only 0.
        let stored = scale.to_f32();
        let inverse = if stored == 0.0 { 0.0 } else { 1.0 / stored };
        let (low, high) = (-levels, if signed_extreme { levels - 1.0 } else { levels });
        let mut codes = [0; BLOCK];
        for (code, x) in codes.iter_mut().zip(x) {
            *code = (x * inverse).round_ties_even().clamp(low, high) as i8;
        }
        put(index, scale.to_le_bytes(), &codes);
    }
}

/// Writes one row of values.
#[inline(always)]
pub(crate) unsafe fn store_value<L: Lanes>(kind: KvType, row: &[f32], bytes: &mut [u8]) {
    match kind {
        KvType::F16 => {
            // SAFETY: passed on to the caller.
            unsafe {
                halves::<L>(row, |index, half| bytes[2 * index..2 * index + 2].copy_from_slice(&half.to_le_bytes()))
            }
        }
        KvType::Q8_0 => codes(127.0, false, row, |index, scale, codes| {
            let (head, rest) = bytes[index * (2 + BLOCK)..][..2 + BLOCK].split_at_mut(2);
            head.copy_from_slice(&scale);
            rest.iter_mut().zip(codes).for_each(|(byte, code)| *byte = code.cast_unsigned());
        }),
        KvType::Q4_0 => codes(8.0, true, row, |index, scale, codes| {
            let (head, rest) = bytes[index * (2 + BLOCK / 2)..][..2 + BLOCK / 2].split_at_mut(2);
            head.copy_from_slice(&scale);
            rest.iter_mut().enumerate().for_each(|(k, byte)| *byte = nibble(codes[k]) | nibble(codes[k + 16]) << 4);
        }),
        _ => {
            for (bytes, x) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(row) {
                *bytes = x.to_le_bytes();
            }
        }
    }
}

/// Writes one row of keys into its column of a page.
///
/// # Safety
/// The machine has the set; `page` points to the keys of a head of this width and type, and nobody else touches those
/// of `position`.
#[inline(always)]
pub(crate) unsafe fn store_key<L: Lanes>(kind: KvType, row: &[f32], page: *mut u8, position: usize) {
    // SAFETY: elements of the page at this position, by the layout.
    unsafe {
        match kind {
            KvType::F16 => halves::<L>(row, |index, half| {
                page.add(2 * (index * PAGE_POSITIONS + position)).cast::<[u8; 2]>().write(half.to_le_bytes());
            }),
            KvType::Q8_0 => codes(127.0, false, row, |index, scale, codes| {
                let block = page.add(index * Bytes::KEY_BLOCK_BYTES);
                block.add(2 * position).cast::<[u8; 2]>().write(scale);
                for (k, code) in codes.iter().enumerate() {
                    block.add(SCALE_BYTES + k * PAGE_POSITIONS + position).write(code.cast_unsigned());
                }
            }),
            KvType::Q4_0 => codes(8.0, true, row, |index, scale, codes| {
                let block = page.add(index * Nibbles::KEY_BLOCK_BYTES);
                block.add(2 * position).cast::<[u8; 2]>().write(scale);
                for k in 0..BLOCK / 2 {
                    let byte = nibble(codes[k]) | nibble(codes[k + 16]) << 4;
                    block.add(SCALE_BYTES + k * PAGE_POSITIONS + position).write(byte);
                }
            }),
            _ => {
                for (index, x) in row.iter().enumerate() {
                    page.add(4 * (index * PAGE_POSITIONS + position)).cast::<[u8; 4]>().write(x.to_le_bytes());
                }
            }
        }
    }
}

/// A code from −8 to 7 as a nibble.
#[inline(always)]
fn nibble(code: i8) -> u8 {
    (code + 8).cast_unsigned()
}

/// Gives the elements of a row as halves to `put`.
///
/// # Safety
/// The machine has the set.
#[inline(always)]
unsafe fn halves<L: Lanes>(row: &[f32], mut put: impl FnMut(usize, u16)) {
    let (vectors, rest) = row.as_chunks::<LANES>();
    for (index, vector) in vectors.iter().enumerate() {
        // SAFETY: 16 floats.
        let halves = unsafe { L::load(vector.as_ptr()).halves() };
        halves.iter().enumerate().for_each(|(j, &half)| put(index * LANES + j, half));
    }
    for (j, x) in rest.iter().enumerate() {
        put(vectors.len() * LANES + j, half::f16::from_f32(*x).to_bits());
    }
}
