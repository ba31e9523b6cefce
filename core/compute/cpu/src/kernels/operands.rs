//! Pointers into the operands of integer products, for the sets that take one panel at a time.

use crate::activations::{BlockMeta, QuantView};
use crate::format::{BLOCK, PANEL_ROWS};

/// Pointers to the operands of a tile; see `Kernels::int_panels` for what they point to.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub(super) panel: *const u8,
    pub(super) codes: *const i8,
    pub(super) meta: *const BlockMeta,
    pub(super) columns: usize,
    pub(super) out: *mut f32,
    pub(super) stride: usize,
}

impl Operands {
    /// Panel `index` of those that begin at `panels`.
    pub(super) fn new(
        panels: &[u8],
        bytes: usize,
        index: usize,
        x: QuantView<'_>,
        out: &mut [f32],
        stride: usize,
    ) -> Self {
        Self {
            panel: panels[index * bytes..].as_ptr(),
            codes: x.codes.as_ptr(),
            meta: x.meta.as_ptr(),
            columns: x.columns,
            out: out.as_mut_ptr().wrapping_add(index * PANEL_ROWS),
            stride,
        }
    }

    /// The same panel with the vectors from `first` on.
    pub(super) fn skip(self, first: usize) -> Self {
        Self {
            codes: self.codes.wrapping_add(first * self.columns),
            meta: self.meta.wrapping_add(first * (self.columns / BLOCK)),
            out: self.out.wrapping_add(first * self.stride),
            ..self
        }
    }
}
