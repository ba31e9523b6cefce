//! Packing: the matrices of a model become panels, once, and are kept in a file that later loads map.
//!
//! | module | what |
//! |---|---|
//! | `blocks` | a GGUF block taken apart |
//! | `plan` | which matrices, where their panels lie, in which pieces the work is done |
//! | `header` | the head of the file: what it was made from, and the checksums |
//! | `find` | an existing file, checked |
//! | `make` | a new one, or panels in memory |
//! | `temporary` | a file that appears under its name when it is whole |
//! | `gather` | a row of a matrix back from its panels: the embedding of a tied model |
//!
//! Everything that decides what bytes panels consist of is here and in `format`, under one [`LAYOUT_VERSION`]. The
//! bytes are the same for all instruction sets.

mod blocks;
mod find;
mod gather;
mod header;
mod make;
mod plan;
mod temporary;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use inkling_compute::{ComputeError, LoadPlan, LoadWarning, Prepared, Weights};
use inkling_gguf::{MappedFile, TensorType};

use crate::aligned::AlignedBytes;
use crate::format::{BLOCK, Codes, PANEL_ROWS, PanelFormat, Shape, with_shape};
use crate::pool::Pool;
use blocks::{Chunk, take_apart};
use find::Found;
use make::NotMade;
pub(crate) use plan::PanelPlan;

/// To be raised with every change of what panels hold.
pub const LAYOUT_VERSION: u32 = 1;

/// The panels of all matrices of a model.
pub(crate) enum Panels {
    /// In a file, from this byte on.
    Mapped(MappedFile, usize),
    /// In memory of our own.
    Owned(AlignedBytes),
}

impl Panels {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file, start) => &file.bytes()[*start..],
            Self::Owned(bytes) => bytes.as_slice(),
        }
    }

    /// Whether they are in a file.
    pub(crate) fn are_mapped(&self) -> bool {
        matches!(self, Self::Mapped(..))
    }
}

/// Panels, and what went wrong on the way to them.
pub(crate) struct Obtained {
    pub(crate) panels: Panels,
    pub(crate) warnings: Vec<LoadWarning>,
}

/// The panels of `plan`: from the file that is there, else from one made now, else in memory.
pub(crate) fn obtain(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
) -> Result<Obtained, ComputeError> {
    let mut warnings = Vec::new();
    if let Some(path) = load.weight_cache.file(weights.file())
        && let Some((file, _)) = kept(plan, weights, load, pool, &path, &mut warnings)?
    {
        return Ok(Obtained { panels: Panels::Mapped(file, plan.header_bytes()), warnings });
    }
    let panels = Panels::Owned(make::in_memory(plan, weights, load, pool)?);
    Ok(Obtained { panels, warnings })
}

/// Makes the file if it is not there yet.
pub(crate) fn prepare(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
) -> Result<Prepared, ComputeError> {
    let mut prepared = Prepared::default();
    if let Some(path) = load.weight_cache.file(weights.file())
        && let Some((_, made)) = kept(plan, weights, load, pool, &path, &mut prepared.warnings)?
    {
        (prepared.file, prepared.bytes, prepared.made) = (Some(path), plan.file_bytes() as u64, made);
    }
    Ok(prepared)
}

/// The file at `path`, found or made, and whether it was made; `None` with a warning if it cannot be.
fn kept(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
    path: &Path,
    warnings: &mut Vec<LoadWarning>,
) -> Result<Option<(MappedFile, bool)>, ComputeError> {
    match find::find(plan, weights, load, pool, path, warnings)? {
        Found::Sound(file) => return Ok(Some((file, false))),
        Found::Damaged(why) => warnings.push(LoadWarning::WeightsDamaged { path: path.to_owned(), why }),
        Found::Nothing => {}
    }
    match make::in_file(plan, weights, load, pool, path) {
        Ok(file) => Ok(Some((file, true))),
        Err(NotMade::Failed(error)) => Err(error),
        Err(NotMade::NotKept(why)) => {
            warnings.push(LoadWarning::WeightsNotKept { path: path.to_owned(), why });
            Ok(None)
        }
    }
}

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
    /// Where its panels start among all.
    offset: usize,
    panels: Arc<Panels>,
}

impl PackedMatrix {
    /// Gives it the panels that it was planned for.
    pub(crate) fn fill(&mut self, panels: &Arc<Panels>) {
        self.panels = Arc::clone(panels);
    }

    /// Packs one matrix by itself.
    #[cfg(test)]
    pub(crate) fn pack(view: &inkling_compute::MatrixView<'_>, group: usize) -> Result<Self, ComputeError> {
        let mut plan = PanelPlan::default();
        let mut matrix = plan.add(view, None, group)?;
        let mut bytes = vec![0; plan.data_bytes()];
        for piece in plan.pieces() {
            plan.pack(piece, view, &mut bytes[piece.bytes.clone()]);
        }
        let mut panels = AlignedBytes::zeroed(bytes.len()).unwrap();
        panels.as_mut_slice().copy_from_slice(&bytes);
        matrix.fill(&Arc::new(Panels::Owned(panels)));
        Ok(matrix)
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
        &self.panels.bytes()[self.offset + first * self.panel_bytes..][..count * self.panel_bytes]
    }

    /// Bytes of all panels.
    pub(crate) fn bytes(&self) -> u64 {
        (self.panels() * self.panel_bytes) as u64
    }

    /// Whether its activations are to be quantised.
    pub(crate) fn is_int(&self) -> bool {
        matches!(self.format, PanelFormat::Int(_))
    }
}

/// The rows that a panel holds.
fn panel_rows(panel: usize, group: usize) -> Range<usize> {
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
    use inkling_compute::{MatrixView, quant};
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
            for kind in quant::FORMATS.into_iter().filter(|kind| kind.is_quantised()) {
                let columns = kind.block_elements() as usize * chunks;
                let row_bytes = kind.row_bytes(columns as u64).unwrap() as usize;
                let values = crate::tests_support::values(seed, rows * columns);
                let mut bytes = vec![0; rows * row_bytes];
                quant::quantize(kind, &values, &mut bytes).unwrap();
                let view = MatrixView { kind, rows, columns, row_bytes, bytes: &bytes };
                let group = if grouped && rows % 2 == 0 { rows / 2 } else { rows };
                let packed = PackedMatrix::pack(&view, group).unwrap();
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
    fn unknown_types_are_errors() {
        let bytes = [0; 82];
        let view = MatrixView { kind: TensorType::IQ2_S, rows: 1, columns: 256, row_bytes: 82, bytes: &bytes };
        assert!(matches!(PackedMatrix::pack(&view, 1), Err(ComputeError::Unsupported { .. })));
    }
}
