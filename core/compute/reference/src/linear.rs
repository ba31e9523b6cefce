//! Matrix times vectors: `y = weight · x (+ bias)` for every token.

use inkling_compute::{ComputeError, Linear, MatrixView, Weights, quant};

use crate::parallel;

/// Rows decoded at a time. They are interleaved, so that one element of the input meets all of them at once: each row's
/// sum is still taken from the first column to the last.
const ROWS: usize = 16;
/// Below so many multiplications threads cost more than they bring.
const WORTH_THREADS: usize = 1 << 18;

/// `input` is `[tokens, columns]`, the result `[tokens, rows]`.
pub(crate) fn linear(
    weights: &Weights,
    linear: &Linear,
    input: &[f32],
    threads: usize,
) -> Result<Vec<f32>, ComputeError> {
    let matrix = weights.matrix(&linear.weight)?;
    let bias = match &linear.bias {
        Some(bias) => weights.vector(bias)?,
        None => vec![0.0; matrix.rows],
    };
    let columns = matrix.columns;
    let tokens = input.len() / columns;
    let input: Vec<f64> = input.iter().copied().map(f64::from).collect();

    let threads = if tokens * matrix.rows * columns < WORTH_THREADS { 1 } else { threads };
    let mut by_row = vec![0.0; matrix.rows * tokens];
    parallel::for_each_chunk(&mut by_row, ROWS * tokens, threads, |group, out| {
        let first = group * ROWS;
        let rows = decode(&matrix, first)?;
        for (token, input) in input.chunks_exact(columns).enumerate() {
            let sums = products(&rows, input);
            for (row, out) in out.chunks_exact_mut(tokens).enumerate() {
                out[token] = (sums[row] + f64::from(bias[first + row])) as f32;
            }
        }
        Ok(())
    })?;

    let mut by_token = vec![0.0; tokens * matrix.rows];
    for (row, values) in by_row.chunks_exact(tokens).enumerate() {
        for (token, value) in values.iter().enumerate() {
            by_token[token * matrix.rows + row] = *value;
        }
    }
    Ok(by_token)
}

/// The columns of up to [`ROWS`] rows from `first` on; 0 where the matrix ends.
fn decode(matrix: &MatrixView<'_>, first: usize) -> Result<Vec<[f64; ROWS]>, ComputeError> {
    let mut columns = vec![[0.0; ROWS]; matrix.columns];
    let mut decoded = vec![0.0_f32; matrix.columns];
    for row in 0..ROWS.min(matrix.rows - first) {
        quant::dequantize(matrix.kind, matrix.row(first + row), &mut decoded)?;
        columns.iter_mut().zip(&decoded).for_each(|(column, &weight)| column[row] = weight.into());
    }
    Ok(columns)
}

/// Each row times the input; products of two f32 are exact in f64.
fn products(columns: &[[f64; ROWS]], input: &[f64]) -> [f64; ROWS] {
    let mut sums = [0.0; ROWS];
    for (weights, x) in columns.iter().zip(input) {
        for row in 0..ROWS {
            sums[row] += weights[row] * x;
        }
    }
    sums
}
