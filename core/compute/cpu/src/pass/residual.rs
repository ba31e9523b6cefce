//! The matrices that lead back to the hidden state: attention output and down.

use super::{Pass, Walk, add_bias};
use crate::format::PANEL_ROWS;
use crate::model::PackedLinear;
use crate::scratch::{GROUP_ROWS, Inputs, Local, padded};

impl Pass<'_> {
    /// Adds `linear · inputs` to the hidden states, or, where it is to be normed first, leaves it in
    /// `Scratch::outputs`.
    pub(super) fn residual(
        &self,
        walk: &mut Walk<'_>,
        local: &mut Local,
        linear: &PackedLinear,
        inputs: &Inputs,
        normed_later: bool,
    ) {
        let (tokens, width) = (walk.rows, self.model.spec.width);
        let matrix = &linear.matrix;
        // SAFETY: written before the last meeting; this phase writes hidden states or outputs only.
        let input = unsafe { inputs.read(tokens, padded(matrix.columns)) };
        let work = &mut local.work;
        self.panel_pieces(walk, matrix.panels(), tokens, |panel, panels, first, count| {
            let unpacked = work.panels.as_mut_slice();
            self.multiply(matrix, panel, panels, input.slice(first, count), unpacked, &mut work.out, GROUP_ROWS);
            let row = panel * PANEL_ROWS;
            let rows = (matrix.rows - row).min(panels * PANEL_ROWS);
            for (token, out) in (first..first + count).zip(work.out.chunks_exact_mut(GROUP_ROWS)) {
                let out = &mut out[..rows];
                add_bias(&linear.bias, row, out);
                let at = token * width + row..token * width + row + rows;
                if normed_later {
                    // SAFETY: this piece is the only one to touch these rows of this token.
                    unsafe { self.scratch.outputs.write(at) }.copy_from_slice(out);
                } else {
                    // SAFETY: as above.
                    let hidden = unsafe { self.scratch.hidden[walk.current].write(at) };
                    hidden.iter_mut().zip(&*out).for_each(|(hidden, out)| *hidden += out);
                }
            }
        });
        walk.meet();
    }
}
