//! Packing: a matrix of the file becomes panels, once, when a model is loaded.
//!
//! The panels lie in memory of our own for now. A later cache file will hold the same bytes, so everything that
//! decides what they are is in this module and in `format`, under one [`LAYOUT_VERSION`].

mod blocks;

use std::sync::Mutex;

use inkling_base::CancelToken;
use inkling_compute::{ComputeError, MatrixView};
use inkling_gguf::TensorType;

use crate::NAME;
use crate::aligned::AlignedBytes;
use crate::format::{BLOCK, Codes, PANEL_ROWS, PanelFormat, Shape, with_shape};
use crate::pool::Pool;
use blocks::{Chunk, take_apart};

/// To be raised with every change of what panels hold.
pub const LAYOUT_VERSION: u32 = 1;

/// A matrix in panels.
pub(crate) struct PackedMatrix {
    /// The layout of its panels.
    pub(crate) format: PanelFormat,
    /// Columns: the size of the input.
    pub(crate) columns: usize,
    /// Rows: the size of the output.
    pub(crate) rows: usize,
    /// Panels never hold rows of two groups, so that a head starts on a panel. Divides `rows`.
    group: usize,
    panel_bytes: usize,
    bytes: AlignedBytes,
}

impl PackedMatrix {
    /// Packs `view`; rows are cut into panels within each group of `group` rows.
    pub(crate) fn pack(
        view: &MatrixView<'_>,
        group: usize,
        pool: &mut Pool,
        cancel: &CancelToken,
    ) -> Result<Self, ComputeError> {
        let format = PanelFormat::of(view.kind).ok_or_else(|| ComputeError::Unsupported {
            backend: NAME,
            what: format!("matrices of type {}", view.kind.name()),
        })?;
        let panel_bytes = format.panel_bytes(view.columns);
        let panels = view.rows / group * group.div_ceil(PANEL_ROWS);
        let total = panels.saturating_mul(panel_bytes);
        let mut bytes =
            AlignedBytes::zeroed(total).ok_or(ComputeError::OutOfMemory { need_bytes: total as u64, have_bytes: 0 })?;
        {
            let work = Mutex::new(bytes.as_mut_slice().chunks_exact_mut(panel_bytes.max(1)).enumerate());
            pool.run(&|_| {
                let mut chunk = Chunk::EMPTY;
                while !cancel.is_cancelled() {
                    let next = work.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
                    let Some((panel, bytes)) = next else { break };
                    let rows = panel_rows(panel, group);
                    for (place, row) in rows.enumerate() {
                        pack_row(view.kind, format, view.row(row), place, bytes, &mut chunk);
                    }
                }
            });
        }
        cancel.check()?;
        Ok(Self { format, columns: view.columns, rows: view.rows, group, panel_bytes, bytes })
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.rows / self.group * self.group_panels()
    }

    /// Panels of a group.
    pub(crate) fn group_panels(&self) -> usize {
        self.group.div_ceil(PANEL_ROWS)
    }

    /// The bytes of `count` panels from `first` on.
    pub(crate) fn panel(&self, first: usize, count: usize) -> &[u8] {
        &self.bytes.as_slice()[first * self.panel_bytes..][..count * self.panel_bytes]
    }

    /// Bytes of all panels.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    /// Whether its activations are to be quantised.
    pub(crate) fn is_int(&self) -> bool {
        matches!(self.format, PanelFormat::Int(_))
    }
}

/// The rows that a panel holds.
fn panel_rows(panel: usize, group: usize) -> std::ops::Range<usize> {
    let per_group = group.div_ceil(PANEL_ROWS);
    let first = panel % per_group * PANEL_ROWS;
    let base = panel / per_group * group;
    base + first..base + (first + PANEL_ROWS).min(group)
}

/// Puts one row of the file into its `place` of a panel.
fn pack_row(kind: TensorType, format: PanelFormat, row: &[u8], place: usize, panel: &mut [u8], chunk: &mut Chunk) {
    match format {
        PanelFormat::Float(format) => {
            let size = format.bytes();
            for (column, bytes) in row.chunks_exact(size).enumerate() {
                panel[(column * PANEL_ROWS + place) * size..][..size].copy_from_slice(bytes);
            }
        }
        PanelFormat::Int(format) => {
            let source_bytes = kind.block_bytes() as usize;
            for (source, target) in row.chunks_exact(source_bytes).zip(panel.chunks_exact_mut(format.chunk_bytes())) {
                take_apart(kind, source, chunk);
                with_shape!(format, S => put_chunk::<S>(chunk, place, target));
            }
        }
    }
}

/// Spreads a chunk of the row at `place` over its panel chunk.
fn put_chunk<S: Shape>(chunk: &Chunk, place: usize, target: &mut [u8]) {
    let (head, codes) = target.split_at_mut(S::HEAD_BYTES);
    head[place * 2..][..2].copy_from_slice(&chunk.scale.to_le_bytes());
    if S::MINS {
        head[S::WIDE_BYTES + place * 2..][..2].copy_from_slice(&chunk.min.to_le_bytes());
    }
    if S::SMALL_BYTES > 0 {
        let small = &mut head[S::WIDE_BYTES * S::KINDS..];
        for part in 0..S::CHUNK_BLOCKS * S::PARTS {
            small[part * PANEL_ROWS + place] = chunk.scales[part] as u8;
            if S::MINS {
                small[S::SMALL_BYTES + part * PANEL_ROWS + place] = chunk.mins[part] as u8;
            }
        }
    }
    for (source, target) in chunk.codes.chunks_exact(BLOCK).zip(codes.chunks_exact_mut(S::CODE_BYTES)) {
        if matches!(S::CODES, Codes::Nibbles | Codes::Levels) {
            for j in 0..BLOCK / 2 {
                target[j / 4 * 64 + place * 4 + j % 4] = source[j] | source[j + 16] << 4;
            }
        } else {
            for (j, &code) in source.iter().enumerate() {
                target[j / 4 * 64 + place * 4 + j % 4] = code;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::LEVELS;
    use half::f16;
    use inkling_compute::quant;
    use proptest::prelude::*;

    /// Every weight of an integer panel, straight from the definition of its layout.
    fn unpack<S: Shape>(panel: &[u8], columns: usize) -> Vec<[f32; PANEL_ROWS]> {
        let mut all = vec![[0.0; PANEL_ROWS]; columns];
        let f16_at = |bytes: &[u8], at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32();
        for (chunk, bytes) in panel.chunks_exact(S::CHUNK_BYTES).enumerate() {
            for block in 0..S::CHUNK_BLOCKS {
                for k in 0..BLOCK {
                    for row in 0..PANEL_ROWS {
                        let part = block * S::PARTS + if S::HALVES { k / 16 } else { 0 };
                        let small = |kind: usize| match S::SMALL_BYTES {
                            0 => 1.0,
                            n => f32::from(bytes[S::WIDE_BYTES * S::KINDS + kind * n + part * PANEL_ROWS + row] as i8),
                        };
                        let scale = f16_at(bytes, row * 2) * small(0);
                        let min = if S::MINS { f16_at(bytes, S::WIDE_BYTES + row * 2) * small(1) } else { 0.0 };
                        let codes = &bytes[S::HEAD_BYTES + block * S::CODE_BYTES..];
                        let code = if S::CODE_BYTES == 256 {
                            let byte = codes[k % 16 / 4 * 64 + row * 4 + k % 4];
                            i32::from(if k < 16 { byte & 15 } else { byte >> 4 })
                        } else {
                            i32::from(codes[k / 4 * 64 + row * 4 + k % 4] as i8)
                        };
                        let code =
                            if S::CODES == Codes::Levels { i32::from(LEVELS[code as usize]) } else { code - S::OFFSET };
                        all[chunk * S::CHUNK_BLOCKS * BLOCK + block * BLOCK + k][row] = scale * code as f32 + min;
                    }
                }
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn panels_hold_exactly_what_the_file_holds(seed in any::<u64>(), rows in 1_usize..40, chunks in 1_usize..4, grouped in any::<bool>()) {
            let mut pool = Pool::new(2);
            for kind in quant::FORMATS.into_iter().filter(|kind| kind.is_quantised()) {
                let columns = kind.block_elements() as usize * chunks;
                let row_bytes = kind.row_bytes(columns as u64).unwrap() as usize;
                let values = crate::tests_support::values(seed, rows * columns);
                let mut bytes = vec![0; rows * row_bytes];
                quant::quantize(kind, &values, &mut bytes).unwrap();
                let view = MatrixView { kind, rows, columns, row_bytes, bytes: &bytes };
                let group = if grouped && rows % 2 == 0 { rows / 2 } else { rows };
                let packed = PackedMatrix::pack(&view, group, &mut pool, &CancelToken::new()).unwrap();
                let PanelFormat::Int(format) = packed.format else { unreachable!() };
                let mut seen = 0;
                for panel in 0..packed.panels() {
                    let got = with_shape!(format, S => unpack::<S>(packed.panel(panel, 1), columns));
                    for (place, row) in panel_rows(panel, group).enumerate() {
                        let mut expected = vec![0.0; columns];
                        quant::dequantize(kind, view.row(row), &mut expected).unwrap();
                        for k in 0..columns {
                            // Scale times code plus minimum, or scale times code, may round differently by one bit.
                            let close = (got[k][place] - expected[k]).abs() <= 2e-7 * expected[k].abs().max(1e-2);
                            prop_assert!(close, "{kind:?} row {row} column {k}: {} {}", got[k][place], expected[k]);
                        }
                        seen += 1;
                    }
                }
                prop_assert_eq!(seen, rows);
            }
        }
    }

    #[test]
    fn unknown_types_and_cancelled_loads_are_errors() {
        let mut pool = Pool::new(1);
        let bytes = [0; 82];
        let view = MatrixView { kind: TensorType::IQ2_S, rows: 1, columns: 256, row_bytes: 82, bytes: &bytes };
        let error = PackedMatrix::pack(&view, 1, &mut pool, &CancelToken::new()).err().unwrap();
        assert!(matches!(error, ComputeError::Unsupported { .. }));
        let cancel = CancelToken::new();
        cancel.cancel();
        let bytes = [0; 34];
        let view = MatrixView { kind: TensorType::Q8_0, rows: 1, columns: 32, row_bytes: 34, bytes: &bytes };
        assert!(matches!(PackedMatrix::pack(&view, 1, &mut pool, &cancel), Err(ComputeError::Cancelled(_))));
    }
}
