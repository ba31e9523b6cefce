//! The mapped weights, handed out as views that were checked against the file.

use std::sync::Arc;

use inkling_gguf::{Gguf, TensorType};

use crate::{ComputeError, Matrix, Vector, quant};

/// The weights of one model: a shared, validated, mapped file.
#[derive(Clone)]
pub struct Weights(Arc<Gguf>);

/// The bytes of some rows of a matrix.
#[derive(Debug, Clone, Copy)]
pub struct MatrixView<'a> {
    /// How the elements are stored.
    pub kind: TensorType,
    /// Rows in this view.
    pub rows: usize,
    /// Elements a row.
    pub columns: usize,
    /// Bytes a row; rows follow each other without gaps.
    pub row_bytes: usize,
    /// `rows · row_bytes` bytes.
    pub bytes: &'a [u8],
}

impl<'a> MatrixView<'a> {
    /// The bytes of one row.
    ///
    /// # Panics
    /// If `row` is not below [`MatrixView::rows`].
    pub fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.row_bytes..][..self.row_bytes]
    }
}

impl Weights {
    /// The weights in `file`.
    pub fn new(file: Arc<Gguf>) -> Self {
        Self(file)
    }

    /// The file.
    pub fn file(&self) -> &Arc<Gguf> {
        &self.0
    }

    /// The rows that `matrix` names.
    pub fn matrix(&self, matrix: &Matrix) -> Result<MatrixView<'_>, ComputeError> {
        let info = self.0.info(matrix.tensor);
        let too_small = |unit, need, have: u64| ComputeError::TensorTooSmall {
            tensor: info.name.clone(),
            unit,
            need,
            have: have as usize,
        };
        let columns = info.columns();
        if columns != matrix.columns as u64 {
            return Err(too_small("columns", matrix.columns, columns));
        }
        let end = matrix.first_row.saturating_add(matrix.rows);
        if end as u64 > info.rows() {
            return Err(too_small("rows", end, info.rows()));
        }
        let data = self.0.data(matrix.tensor);
        // `info.rows()` is the product of the other dimensions of a validated tensor, so it divides the data.
        let row_bytes = data.len().checked_div(info.rows() as usize).unwrap_or(0);
        let bytes = &data[matrix.first_row * row_bytes..][..matrix.rows * row_bytes];
        Ok(MatrixView { kind: info.kind, rows: matrix.rows, columns: matrix.columns, row_bytes, bytes })
    }

    /// The elements that `vector` names, as f32.
    pub fn vector(&self, vector: &Vector) -> Result<Vec<f32>, ComputeError> {
        let info = self.0.info(vector.tensor);
        let end = vector.first.saturating_add(vector.len);
        if end as u64 > info.elements() {
            return Err(ComputeError::TensorTooSmall {
                tensor: info.name.clone(),
                unit: "elements",
                need: end,
                have: info.elements() as usize,
            });
        }
        let mut all = vec![0.0; info.elements() as usize];
        quant::dequantize(info.kind, self.0.data(vector.tensor), &mut all)?;
        Ok(all[vector.first..end].to_vec())
    }
}
