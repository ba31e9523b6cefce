//! A row of a matrix, as floats, from the panel that holds it.
//!
//! The numbers are those of `inkling_compute::quant` for the same row of the file, to the bit: a panel holds the same
//! scales and codes, and the operations come in the same order. A minimum is stored with its sign turned, which
//! rounding does not see. A test compares all formats.

use half::{bf16, f16};

use super::PackedMatrix;
use crate::format::{BLOCK, Codes, FloatFormat, LEVELS, PANEL_ROWS, PanelFormat, Shape, with_shape};

impl PackedMatrix {
    /// Writes row `row` into `out`, which has one element a column.
    pub(crate) fn gather(&self, row: usize, out: &mut [f32]) {
        let (group, row) = (row / self.group, row % self.group);
        let panel = self.panel(group * self.group_panels() + row / PANEL_ROWS, 1);
        let place = row % PANEL_ROWS;
        match self.format {
            PanelFormat::Int(format) => with_shape!(format, S => int_row::<S>(panel, place, out)),
            PanelFormat::Float(format) => float_row(format, panel, place, out),
        }
    }
}

fn float_row(format: FloatFormat, panel: &[u8], place: usize, out: &mut [f32]) {
    let elements = panel.chunks_exact(format.bytes()).skip(place).step_by(PANEL_ROWS);
    for (out, bytes) in out.iter_mut().zip(elements) {
        *out = match (format, bytes) {
            (FloatFormat::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (FloatFormat::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            (FloatFormat::BF16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            _ => unreachable!("chunks of another size than asked for"),
        };
    }
}

fn int_row<S: Shape>(panel: &[u8], place: usize, out: &mut [f32]) {
    let half = |bytes: &[u8]| f16::from_le_bytes([bytes[place * 2], bytes[place * 2 + 1]]).to_f32();
    let part_columns = BLOCK / S::PARTS;
    for (chunk, out) in panel.chunks_exact(S::CHUNK_BYTES).zip(out.chunks_mut(S::CHUNK_BLOCKS * BLOCK)) {
        let (head, codes) = chunk.split_at(S::HEAD_BYTES);
        let scale = half(head);
        let min = if S::MINS { half(&head[S::WIDE_BYTES..]) } else { 0.0 };
        let small = &head[S::WIDE_BYTES * S::KINDS..];
        for (part, out) in out.chunks_mut(part_columns).enumerate() {
            let (mut scale, mut min) = (scale, min);
            if S::SMALL_BYTES > 0 {
                scale *= f32::from(small[part * PANEL_ROWS + place].cast_signed());
                if S::MINS {
                    min *= f32::from(small[S::SMALL_BYTES + part * PANEL_ROWS + place].cast_signed());
                }
            }
            for (index, out) in out.iter_mut().enumerate() {
                let column = part * part_columns + index;
                let codes = &codes[column / BLOCK * S::CODE_BYTES..][..S::CODE_BYTES];
                *out = scale * code::<S>(codes, column % BLOCK, place) as f32;
                if S::MINS {
                    *out += min;
                }
            }
        }
    }
}

/// The code of column `k` of a block, with its offset taken off.
fn code<S: Shape>(codes: &[u8], k: usize, place: usize) -> i32 {
    let at = |k: usize| codes[k / 4 * 64 + place * 4 + k % 4];
    let nibble = || if k < 16 { at(k) & 15 } else { at(k - 16) >> 4 };
    match S::CODES {
        Codes::Nibbles => i32::from(nibble()) - S::OFFSET,
        Codes::Levels => i32::from(LEVELS[usize::from(nibble())]),
        Codes::Signed => i32::from(at(k).cast_signed()) - S::OFFSET,
        Codes::Unsigned => i32::from(at(k)) - S::OFFSET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_compute::{MatrixView, quant};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn rows_of_panels_have_the_bits_of_rows_of_the_file(
            seed in any::<u64>(), rows in 1_usize..40, chunks in 1_usize..4, grouped in any::<bool>(), wild in any::<bool>()
        ) {
            for kind in quant::FORMATS {
                let columns = (kind.block_elements() as usize).max(5) * chunks;
                let row_bytes = kind.row_bytes(columns as u64).unwrap() as usize;
                let bytes = if wild {
                    // Any bytes: scales that are NaN or infinite, negative zeros, codes that no encoder writes.
                    crate::tests_support::bytes(seed, rows * row_bytes)
                } else {
                    let mut bytes = vec![0; rows * row_bytes];
                    quant::quantize(kind, &crate::tests_support::values(seed, rows * columns), &mut bytes).unwrap();
                    bytes
                };
                let view = MatrixView { kind, rows, columns, row_bytes, bytes: &bytes };
                let group = if grouped && rows % 2 == 0 { rows / 2 } else { rows };
                let packed = PackedMatrix::pack(&view, group).unwrap();
                let (mut expected, mut got) = (vec![0.0; columns], vec![7.0; columns]);
                for row in 0..rows {
                    quant::dequantize(kind, view.row(row), &mut expected).unwrap();
                    packed.gather(row, &mut got);
                    for (column, (got, expected)) in got.iter().zip(&expected).enumerate() {
                        // Which of several NaNs comes out is nobody's promise.
                        let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
                        prop_assert!(same, "{kind:?} row {row} column {column}: {got} instead of {expected}");
                    }
                }
            }
        }
    }
}
