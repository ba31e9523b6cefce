//! Matrix times vectors: `y = weight · x (+ bias)` for every token.

use inkling_compute::{ComputeError, Linear, Weights, quant};

use crate::parallel;

/// Rows decoded at a time, so that each token's input is fetched once for all of them.
const ROWS: usize = 8;
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
        let rows = (first..matrix.rows.min(first + ROWS)).map(|row| {
            let mut decoded = vec![0.0_f32; columns];
            quant::dequantize(matrix.kind, matrix.row(row), &mut decoded)?;
            Ok(decoded.into_iter().map(f64::from).collect())
        });
        let rows: Vec<Vec<f64>> = rows.collect::<Result<_, ComputeError>>()?;
        for (token, input) in input.chunks_exact(columns).enumerate() {
            for (i, row) in rows.iter().enumerate() {
                out[i * tokens + token] = (dot(row, input) + f64::from(bias[first + i])) as f32;
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

/// The sum of products. Products of two f32 are exact in f64; eight sums run side by side, in a fixed order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}
