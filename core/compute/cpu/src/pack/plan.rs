//! Which matrices are packed, where their panels lie, and in which pieces that is done.
//!
//! All of it follows from the spec and the weights' types, so a file that was planned otherwise is recognised by
//! comparing what it says with what it should say; no number of the file is ever used to find anything in it.

use std::ops::Range;
use std::sync::Arc;

use inkling_compute::{ComputeError, Matrix, MatrixView};
use inkling_gguf::TensorType;

use super::{Chunk, PackedMatrix, Panels, header, pack_row, panel_rows};
use crate::NAME;
use crate::aligned::AlignedBytes;
use crate::format::{PANEL_ROWS, PanelFormat};

/// Where a matrix starts: the largest page that phones have, so that one can be mapped, dropped or read alone.
pub(super) const ALIGN: usize = 16 << 10;
/// Bytes of a piece, unless one panel is larger: small enough to be hashed and written while it is in a core's cache.
const PIECE: usize = 128 << 10;

/// A matrix that is to be packed.
pub(super) struct Planned {
    /// The rows of the file; `None` for a matrix by itself, in tests.
    pub(super) source: Option<Matrix>,
    pub(super) kind: TensorType,
    pub(super) format: PanelFormat,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) group: usize,
    pub(super) panel_bytes: usize,
    /// Where its panels start.
    pub(super) offset: usize,
    /// Its pieces.
    pub(super) pieces: Range<usize>,
}

/// Some panels of a matrix: what one worker packs, hashes and checks at a time.
pub(super) struct Piece {
    /// Which matrix.
    pub(super) matrix: usize,
    /// Its panels.
    pub(super) panels: Range<usize>,
    /// Where they lie; the last piece of a matrix has the padding too.
    pub(super) bytes: Range<usize>,
}

/// All matrices of a model.
#[derive(Default)]
pub(crate) struct PanelPlan {
    matrices: Vec<Planned>,
    pieces: Vec<Piece>,
    bytes: usize,
    /// Stands in until the panels are there.
    nothing: Option<Arc<Panels>>,
}

impl PanelPlan {
    /// Plans a matrix, whose rows are cut into panels within each group of `group` rows.
    pub(crate) fn add(
        &mut self,
        view: &MatrixView<'_>,
        source: Option<Matrix>,
        group: usize,
    ) -> Result<PackedMatrix, ComputeError> {
        let format = PanelFormat::of(view.kind).ok_or_else(|| ComputeError::Unsupported {
            backend: NAME,
            what: format!("matrices of type {}", view.kind.name()),
        })?;
        let (rows, columns, panel_bytes) = (view.rows, view.columns, format.panel_bytes(view.columns));
        let panels = rows / group * group.div_ceil(PANEL_ROWS);
        let (offset, first_piece) = (self.bytes, self.pieces.len());
        // No more than the file holds in another order, times a small factor: it fits.
        let end = offset + (panels * panel_bytes).next_multiple_of(ALIGN);
        let step = (PIECE / panel_bytes.max(1)).max(1);
        for first in (0..panels).step_by(step) {
            let last = (first + step).min(panels);
            let to = if last == panels { end } else { offset + last * panel_bytes };
            let bytes = offset + first * panel_bytes..to;
            self.pieces.push(Piece { matrix: self.matrices.len(), panels: first..last, bytes });
        }
        self.bytes = end;
        let pieces = first_piece..self.pieces.len();
        let kind = view.kind;
        self.matrices.push(Planned { source, kind, format, rows, columns, group, panel_bytes, offset, pieces });
        let nothing = self.nothing.get_or_insert_with(|| Arc::new(Panels::Owned(AlignedBytes::EMPTY)));
        Ok(PackedMatrix { format, columns, rows, group, panel_bytes, offset, panels: Arc::clone(nothing) })
    }

    /// The matrices.
    pub(super) fn matrices(&self) -> &[Planned] {
        &self.matrices
    }

    /// All pieces.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes of the largest piece.
    pub(super) fn largest_piece(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).max().unwrap_or(0)
    }

    /// Bytes of all panels, with padding.
    pub(crate) fn data_bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the head of a file.
    pub(super) fn header_bytes(&self) -> usize {
        header::bytes(self.matrices.len(), self.pieces.len())
    }

    /// Bytes of a file.
    pub(super) fn file_bytes(&self) -> usize {
        self.header_bytes() + self.bytes
    }

    /// The bytes of the rows that a piece is made from.
    pub(super) fn source<'v>(&self, piece: &Piece, view: &MatrixView<'v>) -> &'v [u8] {
        let group = self.matrices[piece.matrix].group;
        let rows = panel_rows(piece.panels.start, group).start..panel_rows(piece.panels.end - 1, group).end;
        &view.bytes[rows.start * view.row_bytes..rows.end * view.row_bytes]
    }

    /// Packs a piece.
    pub(super) fn pack(&self, piece: &Piece, view: &MatrixView<'_>, bytes: &mut [u8]) {
        let planned = &self.matrices[piece.matrix];
        bytes.fill(0);
        let mut chunk = Chunk::EMPTY;
        for (panel, bytes) in piece.panels.clone().zip(bytes.chunks_exact_mut(planned.panel_bytes.max(1))) {
            for (place, row) in panel_rows(panel, planned.group).enumerate() {
                pack_row(planned.kind, planned.format, view.row(row), place, bytes, &mut chunk);
            }
        }
    }
}
