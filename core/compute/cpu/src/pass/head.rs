//! The head; only wanted rows are left by then. For an arg-max no logit leaves the worker that computed it.

use super::{Pass, Sink, Walk, add_bias};
use crate::format::PANEL_ROWS;
use crate::model::PackedNorm;
use crate::scratch::{GROUP_ROWS, Local};

impl Pass<'_> {
    pub(super) fn head(&self, walk: &mut Walk<'_>, local: &mut Local, post_norm: Option<&PackedNorm>) {
        let linear = &self.model.head;
        let (matrix, vocabulary) = (&linear.matrix, self.model.spec.vocabulary);
        let norm = &self.model.final_norm;
        self.input(walk, &mut local.own, &mut local.row, post_norm, norm, matrix.is_int());
        let Local { own, work, best, .. } = local;
        best.fill((f32::NEG_INFINITY, u32::MAX));
        let all = self.normed(own, walk.rows);
        self.panel_pieces(walk, matrix.panels(), walk.rows, |panel, panels, first, count| {
            let unpacked = work.panels.as_mut_slice();
            self.multiply(matrix, panel, panels, all.slice(first, count), unpacked, &mut work.out, GROUP_ROWS);
            let token = panel * PANEL_ROWS;
            let tokens = (vocabulary - token).min(panels * PANEL_ROWS);
            for (row, out) in (first..first + count).zip(work.out.chunks_exact_mut(GROUP_ROWS)) {
                let out = &mut out[..tokens];
                add_bias(&linear.bias, token, out);
                self.finish_logits(out);
                match &self.sink {
                    Sink::Nothing => {}
                    Sink::Logits(logits) => {
                        let at = row * vocabulary + token;
                        // SAFETY: this piece is the only one to touch these logits of this row.
                        unsafe { logits.write(at..at + tokens) }.copy_from_slice(out);
                    }
                    Sink::Best => {
                        for (index, &logit) in out.iter().enumerate() {
                            better(&mut best[row], (logit, (token + index) as u32));
                        }
                    }
                }
            }
        });
    }

    fn finish_logits(&self, logits: &mut [f32]) {
        let spec = &self.model.spec;
        if spec.logit_scale != 1.0 {
            logits.iter_mut().for_each(|logit| *logit *= spec.logit_scale);
        }
        if let Some(cap) = spec.logit_softcap {
            self.kernels.softcap(logits, cap);
        }
    }
}

/// Keeps the larger logit, of equals the lower token. A NaN never wins.
pub(crate) fn better(best: &mut (f32, u32), other: (f32, u32)) {
    if other.0 > best.0 || other.0 == best.0 && other.1 < best.1 {
        *best = other;
    }
}
