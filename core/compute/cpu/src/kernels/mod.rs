//! Kernels: the innermost loops, one table of functions for each instruction set.
//!
//! | module | what |
//! |---|---|
//! | `scalar` | plain Rust, the twin that the others are tested against |
//! | `avx2`, `avx512`, `neon` | products of integer panels; `neon` with and without `sdot` |
//! | `ops` | float work, written once and compiled for each set |
//! | `math` | elementary functions |
//!
//! **All sets give the same bits.** Dot products of codes are exact integers; what happens to them in f32 is fixed:
//! for every row, block after block (half after half where 16 columns have a scale of their own),
//! `f = fma(dot, weight_scale · activation_scale, f)` and, with minima, `f = fma(min, scaled_sum, f)`. So neither the
//! number of columns that a kernel takes at a time nor the way a batch was cut can change a result.
//!
//! A [`Kernels`] exists only for a set that this machine has, and its methods check sizes: that is why they are safe.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod ops;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use inkling_compute::{Activation, ComputeError, KvType};

use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, FloatFormat, IntFormat, PANEL_ROWS, PanelFormat, expanded_bytes};
use crate::isa::Isa;
use table::Table;

/// Most panels that one call takes.
pub(crate) const MAX_PANELS: usize = 2;

/// The kernels of one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    table: &'static Table,
}

/// Bytes of scratch that [`Kernels::int_panels`] needs for matrices of so many columns.
pub(crate) fn scratch_bytes(columns: usize) -> usize {
    MAX_PANELS * expanded_bytes(columns / BLOCK)
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

    /// See `ops::rms_norm`.
    pub(crate) fn rms_norm(self, x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
        // SAFETY: the machine has the set; everything else is checked slices.
        unsafe { (self.table.rms_norm)(x, weight, epsilon, out) }
    }

    /// See `ops::quantize`.
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

    /// See `ops::rope_halves` and `ops::rope_interleaved`.
    pub(crate) fn rope(self, interleaved: bool, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        // SAFETY: as above.
        unsafe { (self.table.rope)(interleaved, head, cos, sin) }
    }

    /// See `ops::scores`.
    pub(crate) fn scores(self, query: &[f32], keys: &[f32], out: &mut [f32]) {
        // SAFETY: as above.
        unsafe { (self.table.scores)(query, keys, out) }
    }

    /// See `ops::softmax_step`.
    pub(crate) fn softmax_step(self, scores: &mut [f32], state: &mut [f32; 2]) -> f32 {
        // SAFETY: as above.
        unsafe { (self.table.softmax_step)(scores, state) }
    }

    /// See `ops::accumulate`.
    pub(crate) fn accumulate(self, weights: &[f32], values: &[f32], factor: f32, acc: &mut [f32]) {
        // SAFETY: as above.
        unsafe { (self.table.accumulate)(weights, values, factor, acc) }
    }

    /// Reads rows of `width` elements of a cache page into rows of `stride` floats.
    pub(crate) fn load_rows(self, kind: KvType, bytes: &[u8], width: usize, out: &mut [f32], stride: usize) {
        // SAFETY: as above.
        unsafe { (self.table.load_rows)(kind, bytes, width, out, stride) }
    }

    /// Writes a row to a cache page.
    pub(crate) fn store_row(self, kind: KvType, row: &[f32], bytes: &mut [u8]) {
        // SAFETY: as above.
        unsafe { (self.table.store_row)(kind, row, bytes) }
    }
}
