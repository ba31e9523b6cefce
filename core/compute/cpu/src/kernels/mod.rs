//! Kernels: the innermost loops, one table of functions for each instruction set.
//!
//! | module | what |
//! |---|---|
//! | `scalar` | plain Rust, the twin that the others are tested against |
//! | `avx2`, `avx512`, `neon` | products of integer panels; `neon` alone, with `sdot`, with `smmla` |
//! | `x86` | what the two x86 sets do by hand besides |
//! | `lanes` | 16 floats as a set holds them, for tiles that must stay in registers |
//! | `attention`, `cache` | scores, softmax, weighted sums; how pages hold keys and values |
//! | `norms`, `elementwise`, `quantize`, `float_panel` | other float work, written once and compiled for each set |
//! | `math` | elementary functions |
//!
//! **All sets give the same bits.** Dot products of codes are exact integers; what happens to them in f32 is fixed:
//! for every row, block after block (half after half where 16 columns have a scale of their own),
//! `f = fma(dot, weight_scale · activation_scale, f)` and, with minima, `f = fma(min, scaled_sum, f)`. So neither the
//! number of columns that a kernel takes at a time nor the way a batch was cut can change a result.
//!
//! A [`Kernels`] exists only for a set that this machine has, and its methods check sizes: that is why they are safe.

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cache;
mod elementwise;
mod float_panel;
mod lanes;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norms;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod operands;
mod quantize;
mod scalar;
mod table;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use inkling_compute::{Activation, ComputeError, KvType, PAGE_POSITIONS};

use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, FloatFormat, IntFormat, PANEL_ROWS, PanelFormat, expanded_bytes};
use crate::isa::Isa;
use table::Table;

pub(crate) use attention::{CHUNK, ROW_STRIDE, SLAB};
pub(crate) use lanes::LANES;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::fastest as fastest_neon;

/// Most panels that one call takes: they share what a set makes of the vectors, and lie unpacked in a near cache.
pub(crate) const MAX_PANELS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 4 };

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    table: &'static Table,
}

/// Bytes of scratch that [`Kernels::int_panels`] needs for matrices of so many columns.
pub(crate) fn scratch_bytes(columns: usize) -> usize {
    let blocks = columns / BLOCK;
    #[cfg(target_arch = "aarch64")]
    let more = neon::more_scratch(blocks);
    #[cfg(not(target_arch = "aarch64"))]
    let more = 0;
    MAX_PANELS * expanded_bytes(blocks) + more
}

impl Kernels {
    /// The kernels for `isa`, if this machine has it.
    pub(crate) fn new(isa: Isa) -> Result<Self, ComputeError> {
        let table = match isa.require()? {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &avx2::TABLE,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &avx512::TABLE,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &neon::PLAIN,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => &neon::DOT,
            #[cfg(target_arch = "aarch64")]
            Isa::NeonI8mm => &neon::MATRIX,
            _ => &scalar::TABLE,
        };
        Ok(Self { table })
    }

    /// `out[v][row] = Σ panel[row][k] · x[v][k]` for `count` panels that follow each other, at most [`MAX_PANELS`]:
    /// rows of `out` lie `stride` apart and get 16 values a panel.
    #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
    pub(crate) fn int_panels(
        self,
        format: IntFormat,
        panels: &[u8],
        count: usize,
        x: QuantView<'_>,
        scratch: &mut [u8],
        out: &mut [f32],
        stride: usize,
    ) {
        let vectors = x.count();
        assert!(count <= MAX_PANELS && stride >= count * PANEL_ROWS && x.columns.is_multiple_of(BLOCK));
        assert_eq!(panels.len(), count * PanelFormat::Int(format).panel_bytes(x.columns));
        assert_eq!(x.meta.len(), vectors * x.columns / BLOCK);
        assert!(scratch.len() >= scratch_bytes(x.columns));
        assert!(vectors == 0 || out.len() >= (vectors - 1) * stride + count * PANEL_ROWS);
        // SAFETY: the machine has the set (`new`), and the sizes are those that the kernel relies on.
        unsafe { (self.table.int_panels)(format, panels, count, x, scratch, out, stride) }
    }

    /// As [`Kernels::int_panels`], for one panel of floats; `x` has rows of `x_stride` floats, at least as many as
    /// the panel has columns.
    pub(crate) fn float_panel(
        self,
        format: FloatFormat,
        panel: &[u8],
        x: &[f32],
        x_stride: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.float_panel)(format, panel, x, x_stride, out, stride) }
    }

    /// See `norms::rms_norm`.
    pub(crate) fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.rms_norm)(x, weight, epsilon, out) }
    }

    /// See `quantize::quantize`.
    pub(crate) fn quantize(self, x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
        // SAFETY: as above.
        unsafe { (self.table.quantize)(x, codes, meta) }
    }

    /// `gate = activation(gate) ⊙ up`.
    pub(crate) fn activate(self, activation: Activation, gate: &mut [f32], up: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.table.activate)(activation, gate, up) }
    }

    /// `x = cap · tanh(x / cap)`.
    pub(crate) fn softcap(self, x: &mut [f32], cap: f32) {
        // SAFETY: as above.
        unsafe { (self.table.softcap)(x, cap) }
    }

    /// See `norms::rope_halves` and `norms::rope_interleaved`.
    pub(crate) fn rope(self, interleaved: bool, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.table.rope)(interleaved, head, cos, sin) }
    }

    /// See `attention::scores`; `keys` are a head's of a page. Rows of `queries` and `out` lie [`ROW_STRIDE`] apart. What
    /// is read after `keys` begins at `next`.
    #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
    pub(crate) fn scores(
        self,
        kind: KvType,
        queries: &[f32],
        rows: usize,
        width: usize,
        keys: &[u8],
        next: *const u8,
        more: bool,
        out: &mut [f32],
    ) {
        assert!(width <= SLAB && kind.row_bytes(width).is_some_and(|row| keys.len() >= row * PAGE_POSITIONS));
        assert!(rows == 0 || queries.len() >= (rows - 1) * ROW_STRIDE + width);
        assert!(rows == 0 || out.len() >= (rows - 1) * ROW_STRIDE + PAGE_POSITIONS);
        let (queries, keys, out) = (queries.as_ptr(), keys.as_ptr(), out.as_mut_ptr());
        // SAFETY: the machine has the set (`new`), and the sizes are those that the kernel relies on.
        unsafe { (self.table.scores)(kind, queries, rows, width, keys, next, more, out) }
    }

    /// See `attention::softmax`.
    pub(crate) fn softmax(self, scores: &mut [f32; CHUNK], seen: Range<usize>, cap: Option<f32>) -> [f32; 2] {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.softmax)(scores, seen, cap) }
    }

    /// See `attention::accumulate`; `values` are rows of whole vectors, rows of `weights` lie [`ROW_STRIDE`] apart. What
    /// is read after `values` begins at `next`.
    #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
    pub(crate) fn accumulate(
        self,
        kind: KvType,
        weights: &[f32],
        values: &[u8],
        next: *const u8,
        width: usize,
        seen: &[Range<usize>],
        sums: &mut [f32],
    ) {
        let (Some(row_bytes), Some(last)) = (kind.row_bytes(width), seen.last()) else { return };
        assert!(width.is_multiple_of(LANES) && sums.len() >= seen.len() * width);
        assert!(seen.is_sorted_by(|a, b| a.start <= b.start && a.end <= b.end));
        assert!(last.end <= PAGE_POSITIONS && values.len() >= last.end * row_bytes);
        assert!(weights.len() >= (seen.len() - 1) * ROW_STRIDE + PAGE_POSITIONS);
        let (weights, values, sums) = (weights.as_ptr(), values.as_ptr(), sums.as_mut_ptr());
        // SAFETY: the machine has the set, and the sizes are those that the kernel relies on.
        unsafe { (self.table.accumulate)(kind, weights, values, next, row_bytes, width / LANES, seen, sums) }
    }

    /// See `attention::merge`.
    pub(crate) fn merge(self, state: &mut [f32; 2], sums: &mut [f32], part_state: [f32; 2], part: &[f32]) {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.merge)(state, sums, part_state, part) }
    }

    /// Turns a head's keys of a page to floats, laid out as a page of floats.
    pub(crate) fn widen_keys(self, kind: KvType, page: &[u8], width: usize, out: &mut [f32]) {
        assert!(kind.row_bytes(width).is_some_and(|row| page.len() >= row * PAGE_POSITIONS));
        assert!(out.len() >= width * PAGE_POSITIONS);
        // SAFETY: the machine has the set, and the sizes are those that the kernel relies on.
        unsafe { (self.table.widen_keys)(kind, page.as_ptr(), width, out.as_mut_ptr()) }
    }

    /// Turns `rows` rows of values to floats, `stride` apart.
    pub(crate) fn widen_values(
        self,
        kind: KvType,
        page: &[u8],
        rows: usize,
        width: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        let Some(row_bytes) = kind.row_bytes(width) else { return };
        assert!(page.len() >= rows * row_bytes && stride >= width && out.len() >= rows * stride);
        // SAFETY: the machine has the set, and the sizes are those that the kernel relies on.
        unsafe { (self.table.widen_values)(kind, page.as_ptr(), row_bytes, rows, width, out.as_mut_ptr(), stride) }
    }

    /// Writes a row of keys into its column of a page.
    ///
    /// # Safety
    /// `page` points to the keys of a head of this width; nobody else touches those of `position`.
    pub(crate) unsafe fn store_key(self, kind: KvType, row: &[f32], page: *mut u8, position: usize) {
        // SAFETY: the machine has the set; the rest is passed on to the caller.
        unsafe { (self.table.store_key)(kind, row, page, position) }
    }

    /// Writes a row of values.
    pub(crate) fn store_value(self, kind: KvType, row: &[f32], bytes: &mut [u8]) {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.store_value)(kind, row, bytes) }
    }
}

/// The bytes of floats: a page that was widened is one of [`KvType::F32`].
pub(crate) fn float_bytes(floats: &[f32]) -> &[u8] {
    // SAFETY: floats have no padding, and any byte may be read.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
}
