//! AVX-512 with VNNI: 16 rows are one register, `vpdpbusd` multiplies unsigned codes with signed activations.
//!
//! Signed codes are moved up by 128; what an unsigned code is too large by is paid back with the activation's sum.

use std::arch::x86_64::*;

use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, Codes, Expanded, IntFormat, LEVELS, PANEL_ROWS, Scales, Shape, with_shape};
use crate::kernels::lanes::Wide;
use crate::kernels::table::{Table, table};
use crate::kernels::x86;

table!(
    BASE in sets,
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
    int_panels: int_panels,
    widen: widen_f16, lanes: Wide
);

pub(super) const TABLE: Table = Table { quantize: x86::quantize::avx512, ..BASE };

/// With so many vectors panels are unpacked first.
const UNPACK_FROM: usize = 12;
/// With so many vectors arithmetic fills the time in which a core would look ahead in memory, so it has to be told to.
/// With fewer it is faster alone.
const PREFETCHED: std::ops::RangeInclusive<usize> = 3..=8;
/// How far ahead.
const PREFETCH: usize = 3072;
/// By what signed codes are too large once they are unsigned.
const BIAS: i32 = 128;

/// What the codes of an expanded panel are too large by: nothing where nibbles came without an offset, so that no sum
/// of activations has to be paid back.
const fn expanded_offset<S: Shape>() -> i32 {
    if matches!(S::CODES, Codes::Nibbles) && S::OFFSET == 0 { 0 } else { BIAS }
}

/// Pointers to the operands of a tile; see `Kernels::int_panels` for what they point to.
#[derive(Clone, Copy)]
struct Operands {
    panels: *const u8,
    panel_bytes: usize,
    codes: *const i8,
    meta: *const BlockMeta,
    columns: usize,
    out: *mut f32,
    stride: usize,
}

impl Operands {
    /// The panels from `panel` on.
    ///
    /// # Safety
    /// There are at least `panel` panels.
    unsafe fn at_panel(self, panel: usize) -> Self {
        // SAFETY: inside the operands or one past their end.
        let panels = unsafe { self.panels.add(panel * self.panel_bytes) };
        Self { panels, out: self.out.wrapping_add(panel * PANEL_ROWS), ..self }
    }

    /// The same panels with the vectors from `first` on.
    ///
    /// # Safety
    /// There are at least `first` vectors.
    unsafe fn skip(self, first: usize) -> Self {
        // SAFETY: inside the operands or one past their end.
        unsafe {
            Self {
                codes: self.codes.add(first * self.columns),
                meta: self.meta.add(first * (self.columns / BLOCK)),
                out: self.out.wrapping_add(first * self.stride),
                ..self
            }
        }
    }
}

/// See `Kernels::int_panels`.
///
/// # Safety
/// The machine has the features; sizes are as `Kernels::int_panels` checks them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
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
    let blocks = x.columns / BLOCK;
    let operands = Operands {
        panels: panels.as_ptr(),
        panel_bytes: panels.len() / count.max(1),
        codes: x.codes.as_ptr(),
        meta: x.meta.as_ptr(),
        columns: x.columns,
        out: out.as_mut_ptr(),
        stride,
    };
    // SAFETY: the operands are as long as `Kernels::int_panels` checks, for every tile of rows and vectors below.
    unsafe {
        if vectors < UNPACK_FROM {
            with_shape!(format, S => {
                // One panel after the other: two at a time share broadcasts, but memory is slower at two streams.
                for panel in 0..count {
                    sweep::<S, 1, 8>(operands.at_panel(panel), vectors);
                }
            });
        } else {
            with_shape!(format, S => {
                type E = Expanded<
                    false,
                    { expanded_offset::<S>() },
                    { <S as Shape>::MINS },
                    { <S as Shape>::HALVES },
                >;
                let expanded = blocks * E::CHUNK_BYTES;
                for panel in 0..count {
                    unpack::<S, E>(operands.at_panel(panel).panels, blocks, scratch.as_mut_ptr().add(panel * expanded));
                }
                let operands = Operands { panels: scratch.as_ptr(), panel_bytes: expanded, ..operands };
                // Twelve accumulators, twelve sums, the weights and a broadcast: what fits in 32 registers.
                match count {
                    1 => sweep::<E, 1, 8>(operands, vectors),
                    2 => sweep::<E, 2, 6>(operands, vectors),
                    3 => sweep::<E, 3, 4>(operands, vectors),
                    _ => sweep::<E, 4, 3>(operands, vectors),
                }
            });
        }
    }
}

/// All vectors with `R` panels, `C` at a time.
///
/// # Safety
/// As [`tile`], for `vectors` vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
unsafe fn sweep<S: Shape, const R: usize, const C: usize>(operands: Operands, vectors: usize) {
    let mut done = 0;
    // SAFETY: no tile has more vectors than are left.
    unsafe {
        while vectors - done >= C {
            tile::<S, R, C>(operands.skip(done));
            done += C;
        }
        if C > 4 && vectors - done >= 4 {
            tile::<S, R, 4>(operands.skip(done));
            done += 4;
        }
        let rest = operands.skip(done);
        match vectors - done {
            1 => tile::<S, R, 1>(rest),
            2 => tile::<S, R, 2>(rest),
            3 => tile::<S, R, 3>(rest),
            _ => {}
        }
    }
}

/// `R` panels by `C` vectors.
///
/// # Safety
/// The machine has the features; `R` panels, `C` vectors and their `C · stride` outputs can be accessed.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
#[inline]
#[allow(clippy::needless_range_loop, reason = "rows and vectors index several arrays at once")]
unsafe fn tile<S: Shape, const R: usize, const C: usize>(o: Operands) {
    let blocks = o.columns / BLOCK;
    let groups = 8 / S::PARTS;
    let mut sums = [[_mm512_setzero_ps(); C]; R];
    // SAFETY: all reads are inside R panels of whole chunks and C vectors of whole blocks, all writes in `out`.
    unsafe {
        for block in 0..blocks {
            let (chunk, inner) = (block / S::CHUNK_BLOCKS, block % S::CHUNK_BLOCKS);
            let chunk = o.panels.add(chunk * S::CHUNK_BYTES);
            if !matches!(S::SCALES, Scales::Float) && PREFETCHED.contains(&C) {
                for line in 0..S::CODE_BYTES / 64 {
                    let ahead = chunk.wrapping_add(inner * S::CODE_BYTES + line * 64 + PREFETCH);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                }
            }
            for part in 0..S::PARTS {
                let mut start = [_mm512_setzero_si512(); C];
                for c in 0..C {
                    start[c] = repay::<S>(&*o.meta.add(c * blocks + block), part);
                }
                let mut dots = [start; R];
                for group in part * groups..(part + 1) * groups {
                    let mut weights = [_mm512_setzero_si512(); R];
                    for r in 0..R {
                        let codes = chunk.add(r * o.panel_bytes + S::HEAD_BYTES + inner * S::CODE_BYTES);
                        weights[r] = load_codes::<S>(codes, group);
                    }
                    for c in 0..C {
                        let four = o.codes.add(c * o.columns + block * BLOCK + group * 4);
                        let four = _mm512_set1_epi32(four.cast::<i32>().read_unaligned());
                        for r in 0..R {
                            dots[r][c] = _mm512_dpbusd_epi32(dots[r][c], weights[r], four);
                        }
                    }
                }
                for r in 0..R {
                    let head = chunk.add(r * o.panel_bytes);
                    let scale = load_scales::<S>(head, inner, part, 0);
                    let min = if S::MINS { load_scales::<S>(head, inner, part, 1) } else { scale };
                    for c in 0..C {
                        let meta = &*o.meta.add(c * blocks + block);
                        let both = _mm512_mul_ps(scale, _mm512_set1_ps(meta.scale));
                        sums[r][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r][c]), both, sums[r][c]);
                        if S::MINS {
                            let sum = if S::HALVES { meta.scaled_halves[part] } else { meta.scaled_sum };
                            sums[r][c] = _mm512_fmadd_ps(min, _mm512_set1_ps(sum), sums[r][c]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                _mm512_storeu_ps(o.out.add(c * o.stride + r * PANEL_ROWS), sums[r][c]);
            }
        }
    }
}

/// What a dot product starts from, because codes are too large by an offset.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
#[inline]
fn repay<S: Shape>(meta: &BlockMeta, part: usize) -> __m512i {
    let offset = if matches!(S::CODES, Codes::Levels | Codes::Signed) { BIAS } else { S::OFFSET };
    let moved = _mm512_set1_epi32(if S::HALVES { meta.moved_halves[part] } else { meta.moved });
    match offset {
        0 => _mm512_setzero_si512(),
        BIAS => moved,
        // Offsets are powers of two, so the shift is exact.
        _ => _mm512_sra_epi32(moved, _mm_cvtsi32_si128((BIAS / offset).trailing_zeros() as i32)),
    }
}

/// Unsigned codes of four columns of 16 rows.
///
/// # Safety
/// `codes` points to the codes of a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn load_codes<S: Shape>(codes: *const u8, group: usize) -> __m512i {
    // SAFETY: group 0 to 7 of the block; nibbles of groups 4 to 7 share bytes with 0 to 3.
    unsafe {
        match S::CODES {
            Codes::Nibbles | Codes::Levels => {
                let bytes = _mm512_loadu_si512(codes.add(group % 4 * 64).cast());
                let bytes = if group < 4 { bytes } else { _mm512_srli_epi16::<4>(bytes) };
                let nibbles = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
                if matches!(S::CODES, Codes::Nibbles) {
                    return nibbles;
                }
                let levels = _mm512_broadcast_i32x4(_mm_loadu_si128(LEVELS.as_ptr().cast()));
                _mm512_xor_si512(_mm512_shuffle_epi8(levels, nibbles), _mm512_set1_epi8(i8::MIN))
            }
            Codes::Signed => {
                let bytes = _mm512_loadu_si512(codes.add(group * 64).cast());
                _mm512_xor_si512(bytes, _mm512_set1_epi8(i8::MIN))
            }
            Codes::Unsigned => _mm512_loadu_si512(codes.add(group * 64).cast()),
        }
    }
}

/// Scales (`kind` 0) or minima (`kind` 1) of 16 rows in a part of a block.
///
/// # Safety
/// `chunk` points to a chunk that has this block, part and kind.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn load_scales<S: Shape>(chunk: *const u8, block: usize, part: usize, kind: usize) -> __m512 {
    // SAFETY: inside the chunk's head by the layout's constants.
    unsafe {
        let wide = chunk.add(kind * S::WIDE_BYTES);
        match S::SCALES {
            Scales::Half => _mm512_cvtph_ps(_mm256_loadu_si256(wide.cast())),
            Scales::Super => {
                let small = chunk.add(S::KINDS * S::WIDE_BYTES + kind * S::SMALL_BYTES);
                let small = _mm_loadu_si128(small.add((block * S::PARTS + part) * PANEL_ROWS).cast());
                let small = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(small));
                _mm512_mul_ps(_mm512_cvtph_ps(_mm256_loadu_si256(wide.cast())), small)
            }
            Scales::Float => _mm512_loadu_ps(wide.add(part * 64).cast()),
        }
    }
}

/// Writes the panel of layout `S` as one of layout `E`.
///
/// # Safety
/// `from` points to a panel of `blocks` blocks, `to` to room for it in layout `E`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
unsafe fn unpack<S: Shape, E: Shape>(from: *const u8, blocks: usize, to: *mut u8) {
    // Signed codes are moved up as they are loaded.
    let more = if matches!(S::CODES, Codes::Nibbles) { E::OFFSET - S::OFFSET } else { 0 };
    let shift = _mm512_set1_epi8(more as i8);
    // SAFETY: both layouts' constants keep the accesses inside their chunks.
    unsafe {
        for block in 0..blocks {
            let chunk = from.add(block / S::CHUNK_BLOCKS * S::CHUNK_BYTES);
            let inner = block % S::CHUNK_BLOCKS;
            let to = to.add(block * E::CHUNK_BYTES);
            for kind in 0..S::KINDS {
                for part in 0..S::PARTS {
                    let scales = load_scales::<S>(chunk, inner, part, kind);
                    _mm512_storeu_ps(to.add(kind * E::WIDE_BYTES + part * 64).cast(), scales);
                }
            }
            for group in 0..8 {
                let codes = load_codes::<S>(chunk.add(S::HEAD_BYTES + inner * S::CODE_BYTES), group);
                let codes = if more == 0 { codes } else { _mm512_add_epi8(codes, shift) };
                _mm512_storeu_si512(to.add(E::HEAD_BYTES + group * 64).cast(), codes);
            }
        }
    }
}

/// f16 to f32.
///
/// # Safety
/// The machine has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
#[inline]
unsafe fn widen_f16(bytes: &[u8], out: &mut [f32]) {
    let (bytes, bytes_rest) = bytes.as_chunks::<32>();
    let (out, out_rest) = out.as_chunks_mut::<16>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: 32 bytes in, 16 floats out.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(bytes.as_ptr().cast()))) }
    }
    crate::kernels::float_panel::widen_f16(bytes_rest, out_rest);
}
