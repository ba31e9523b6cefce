//! Gate and up, row by row together, so that the activation is applied and quantised where both were made.

use super::{Pass, Walk, add_bias};
use crate::format::PANEL_ROWS;
use crate::model::PackedFeedForward;
use crate::scratch::{GROUP_ROWS, Local, padded};

impl Pass<'_> {
    pub(super) fn gate_and_up(&self, walk: &mut Walk<'_>, local: &mut Local, f: &PackedFeedForward) {
        let Local { own, work, .. } = local;
        let tokens = walk.rows;
        let inner = f.gate.matrix.rows;
        let stride = padded(inner);
        let quantise = f.down.matrix.is_int();
        let all = self.normed(own, tokens);
        self.panel_pieces(walk, f.gate.matrix.panels(), tokens, |panel, panels, first, count| {
            let input = all.slice(first, count);
            let unpacked = work.panels.as_mut_slice();
            self.multiply(&f.gate.matrix, panel, panels, input, unpacked, &mut work.out, GROUP_ROWS);
            self.multiply(&f.up.matrix, panel, panels, input, unpacked, &mut work.second, GROUP_ROWS);
            let row = panel * PANEL_ROWS;
            let rows = (inner - row).min(panels * PANEL_ROWS);
            let gates = work.out.chunks_exact_mut(GROUP_ROWS);
            for (token, (gate, up)) in (first..first + count).zip(gates.zip(work.second.chunks_exact_mut(GROUP_ROWS))) {
                let (gate, up) = (&mut gate[..rows], &mut up[..rows]);
                add_bias(&f.gate.bias, row, gate);
                add_bias(&f.up.bias, row, up);
                self.kernels.activate(f.activation, gate, up);
                let at = token * stride + row;
                if quantise {
                    // Then `inner` is whole blocks and every pair of panels is one of them (groups start at even panels).
                    // SAFETY: this piece is the only one to touch this block of this token.
                    let target = unsafe { self.scratch.gated.write(at..at + rows) };
                    self.kernels.quantize(gate, target.codes, target.meta);
                } else {
                    // SAFETY: as above.
                    unsafe { self.scratch.gated.floats.write(at..at + rows) }.copy_from_slice(gate);
                }
            }
        });
        walk.meet();
    }
}
