//! AVX2 with FMA and F16C: 16 rows are two registers, `vpmaddubsw` multiplies unsigned with signed bytes into 16 bits.
//!
//! Nibbles (at most 15) can be summed over a whole block in 16 bits: 8 · 2 · 15 · 127 < 2^15. Signed codes go in as
//! magnitudes, with their signs moved to the activation: 2 · 128 · 127 < 2^15, so each product is widened at once.

use std::arch::x86_64::*;
use std::hint::black_box;

use crate::activations::QuantView;
use crate::format::{BLOCK, Codes, Expanded, IntFormat, LEVELS, PANEL_ROWS, Scales, Shape, with_shape};
use crate::kernels::lanes::Pair;
use crate::kernels::operands::Operands;
use crate::kernels::table::{Table, table};
use crate::kernels::x86;

table!(BASE in sets, #[target_feature(enable = "avx2,fma,f16c")] int_panels: int_panels, widen: widen_f16, lanes: Pair);

pub(super) const TABLE: Table = Table { quantize: x86::quantize::avx2, ..BASE };

/// With so many vectors a panel is unpacked first.
const UNPACK_FROM: usize = 8;
/// Registers of 16 rows.
const SIDES: usize = 2;

/// See `Kernels::int_panels`.
///
/// # Safety
/// The machine has the features; sizes are as `Kernels::int_panels` checks them.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn int_panels(
    format: IntFormat,
    panels: &[u8],
    count: usize,
    x: QuantView<'_>,
    scratch: &mut [u8],
    out: &mut [f32],
    stride: usize,
) {
    let vectors = x.count();
    for index in 0..count {
        // SAFETY: `Kernels::int_panels` has checked that there are `count` panels, and room for their rows in `out`.
        unsafe {
            let operands = Operands::new(panels, panels.len() / count, index, x, out, stride);
            with_shape!(format, S => {
                // Nibbles stay unsigned, all else becomes signed bytes.
                const SIGNED: bool = !matches!(<S as Shape>::CODES, Codes::Nibbles);
                type E = Expanded<SIGNED, { <S as Shape>::OFFSET }, { <S as Shape>::MINS }, { <S as Shape>::HALVES }>;
                if vectors < UNPACK_FROM {
                    all::<S>(operands, vectors);
                } else {
                    unpack::<S, E>(operands.panel, x.columns / BLOCK, scratch.as_mut_ptr());
                    all::<E>(Operands { panel: scratch.as_ptr(), ..operands }, vectors);
                }
            });
        }
    }
}

/// All vectors, in tiles.
///
/// # Safety
/// As [`tile`], for `vectors` vectors.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn all<S: Shape>(operands: Operands, vectors: usize) {
    let mut done = 0;
    while done < vectors {
        // SAFETY: `done + C <= vectors` in every arm.
        unsafe {
            let operands = operands.skip(done);
            done += match vectors - done {
                1 => tile::<S, 1>(operands),
                2 => tile::<S, 2>(operands),
                3 => tile::<S, 3>(operands),
                _ => tile::<S, 4>(operands),
            };
        }
    }
}

/// One panel by `C` vectors; returns `C`.
///
/// # Safety
/// The machine has the features; a panel, `C` vectors and their `C · stride` outputs can be accessed.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn tile<S: Shape, const C: usize>(o: Operands) -> usize {
    let small = matches!(S::CODES, Codes::Nibbles | Codes::Unsigned);
    let blocks = o.columns / BLOCK;
    let groups = 8 / S::PARTS;
    // A loop of unknown length is not unrolled. Unrolled, the compiler computes one vector after the other and spills the
    // weights that they share: a third of the speed is lost.
    let groups = if matches!(S::SCALES, Scales::Float) { black_box(groups) } else { groups };
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_ps(); SIDES]; C];
    // SAFETY: all reads are inside a panel of whole chunks and C vectors of whole blocks, all writes in `out`.
    unsafe {
        for block in 0..blocks {
            let (chunk, inner) = (block / S::CHUNK_BLOCKS, block % S::CHUNK_BLOCKS);
            let chunk = o.panel.add(chunk * S::CHUNK_BYTES);
            let codes = chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES);
            for part in 0..S::PARTS {
                let mut dots = [[_mm256_setzero_si256(); SIDES]; C];
                for group in part * groups..(part + 1) * groups {
                    let weights = load_codes::<S>(codes, group);
                    for (c, dots) in dots.iter_mut().enumerate() {
                        let four = o.codes.add(c * o.columns + block * BLOCK + group * 4);
                        let four = _mm256_set1_epi32(four.cast::<i32>().read_unaligned());
                        for (dots, weights) in dots.iter_mut().zip(weights) {
                            if small {
                                *dots = _mm256_add_epi16(*dots, _mm256_maddubs_epi16(weights, four));
                            } else {
                                let moved = _mm256_sign_epi8(four, weights);
                                let products = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), moved);
                                *dots = _mm256_add_epi32(*dots, _mm256_madd_epi16(products, ones));
                            }
                        }
                    }
                }
                let scales = load_scales::<S>(chunk, inner, part, 0);
                let mins = if S::MINS { load_scales::<S>(chunk, inner, part, 1) } else { scales };
                for c in 0..C {
                    let meta = &*o.meta.add(c * blocks + block);
                    let moved = if S::HALVES { meta.moved_halves[part] } else { meta.moved };
                    let scaled_sum = if S::HALVES { meta.scaled_halves[part] } else { meta.scaled_sum };
                    for side in 0..SIDES {
                        let mut dot = dots[c][side];
                        if small {
                            dot = _mm256_madd_epi16(dot, ones);
                            if S::OFFSET != 0 {
                                // The offset is a power of two, so the shift is exact.
                                let shift = _mm_cvtsi32_si128((128 / S::OFFSET).trailing_zeros() as i32);
                                dot = _mm256_add_epi32(dot, _mm256_sra_epi32(_mm256_set1_epi32(moved), shift));
                            }
                        }
                        let both = _mm256_mul_ps(scales[side], _mm256_set1_ps(meta.scale));
                        let mut total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), both, sums[c][side]);
                        if S::MINS {
                            total = _mm256_fmadd_ps(mins[side], _mm256_set1_ps(scaled_sum), total);
                        }
                        sums[c][side] = total;
                    }
                }
            }
        }
        for (c, sums) in sums.iter().enumerate() {
            for (side, sums) in sums.iter().enumerate() {
                _mm256_storeu_ps(o.out.add(c * o.stride + side * 8), *sums);
            }
        }
    }
    C
}

/// Codes of four columns of 16 rows: unsigned for nibbles, else signed.
///
/// # Safety
/// `codes` points to the codes of a block.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn load_codes<S: Shape>(codes: *const u8, group: usize) -> [__m256i; SIDES] {
    let mut both = [_mm256_setzero_si256(); SIDES];
    for (side, out) in both.iter_mut().enumerate() {
        // SAFETY: group 0 to 7 of the block; nibbles of groups 4 to 7 share bytes with 0 to 3.
        unsafe {
            if S::CODE_BYTES == PANEL_ROWS * BLOCK {
                *out = _mm256_loadu_si256(codes.add(group * 64 + side * 32).cast());
                continue;
            }
            let bytes = _mm256_loadu_si256(codes.add(group % 4 * 64 + side * 32).cast());
            let bytes = if group < 4 { bytes } else { _mm256_srli_epi16::<4>(bytes) };
            *out = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
            if matches!(S::CODES, Codes::Levels) {
                let levels = _mm256_broadcastsi128_si256(_mm_loadu_si128(LEVELS.as_ptr().cast()));
                *out = _mm256_shuffle_epi8(levels, *out);
            }
        }
    }
    both
}

/// Scales (`kind` 0) or minima (`kind` 1) of 16 rows in a part of a block.
///
/// # Safety
/// `chunk` points to a chunk that has this block, part and kind.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn load_scales<S: Shape>(chunk: *const u8, block: usize, part: usize, kind: usize) -> [__m256; SIDES] {
    let mut both = [_mm256_setzero_ps(); SIDES];
    for (side, out) in both.iter_mut().enumerate() {
        // SAFETY: inside the chunk's head by the layout's constants.
        unsafe {
            let wide = chunk.add(kind * S::WIDE_BYTES);
            *out = match S::SCALES {
                Scales::Float => _mm256_loadu_ps(wide.add(part * 64 + side * 32).cast()),
                Scales::Half => _mm256_cvtph_ps(_mm_loadu_si128(wide.add(side * 16).cast())),
                Scales::Super => {
                    let small = chunk.add(S::KINDS * S::WIDE_BYTES + kind * S::SMALL_BYTES);
                    let small = small.add((block * S::PARTS + part) * PANEL_ROWS + side * 8);
                    let small = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(small.cast())));
                    _mm256_mul_ps(_mm256_cvtph_ps(_mm_loadu_si128(wide.add(side * 16).cast())), small)
                }
            };
        }
    }
    both
}

/// Writes the panel of layout `S` as one of layout `E`.
///
/// # Safety
/// `from` points to a panel of `blocks` blocks, `to` to room for it in layout `E`.
#[target_feature(enable = "avx2,fma,f16c")]
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
                        _mm256_storeu_ps(to.add(kind * E::WIDE_BYTES + part * 64 + side * 32).cast(), scales);
                    }
                }
            }
            for group in 0..8 {
                let codes = load_codes::<S>(chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES), group);
                for (side, codes) in codes.into_iter().enumerate() {
                    _mm256_storeu_si256(to.add(E::HEAD_BYTES + group * 64 + side * 32).cast(), codes);
                }
            }
        }
    }
}

/// f16 to f32.
///
/// # Safety
/// The machine has the features.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    let (bytes, bytes_rest) = bytes.as_chunks::<16>();
    let (out, out_rest) = out.as_chunks_mut::<8>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: 16 bytes in, 8 floats out.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(bytes.as_ptr().cast()))) }
    }
    crate::kernels::float_panel::widen_f16(bytes_rest, out_rest);
}
