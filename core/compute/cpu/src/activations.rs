//! Activations as the integer kernels want them: signed bytes in blocks of 32, each block with its scale and sums.
//!
//! A vector is quantised once and shared by all matrices that it is multiplied with. The sums (of the codes, over 32
//! and over each 16) pay for offsets and minima of the weights: `Σ (w − o) · a = Σ w · a − o · Σ a`.

use crate::format::BLOCK;

/// What belongs to a block of 32 codes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub(crate) struct BlockMeta {
    /// What a code of 1 stands for.
    pub(crate) scale: f32,
    /// `scale · sum`, for minima.
    pub(crate) scaled_sum: f32,
    /// The same of the first and the last 16 codes.
    pub(crate) scaled_halves: [f32; 2],
    /// `-128 · sum`: what is too much in the product with weights whose codes were moved up by 128. For smaller
    /// offsets, all powers of two, it is shifted.
    pub(crate) moved: i32,
    /// The same of the first and the last 16 codes.
    pub(crate) moved_halves: [i32; 2],
    /// To 32 bytes.
    pub(crate) padding: u32,
}

/// Quantised vectors, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuantView<'a> {
    /// `[count][columns]`.
    pub(crate) codes: &'a [i8],
    /// `[count][columns / 32]`.
    pub(crate) meta: &'a [BlockMeta],
    /// Elements of a vector, a multiple of 32.
    pub(crate) columns: usize,
}

impl<'a> QuantView<'a> {
    /// `count` vectors from `first` on.
    pub(crate) fn slice(&self, first: usize, count: usize) -> QuantView<'a> {
        let blocks = self.columns / BLOCK;
        Self {
            codes: &self.codes[first * self.columns..][..count * self.columns],
            meta: &self.meta[first * blocks..][..count * blocks],
            columns: self.columns,
        }
    }

    /// Number of vectors.
    pub(crate) fn count(&self) -> usize {
        self.codes.len() / self.columns.max(1)
    }
}
