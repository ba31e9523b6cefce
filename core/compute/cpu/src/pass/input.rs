//! From hidden states to the inputs of matrices: residual of a normed output, norm, quantise.

use super::{Pass, Walk};
use crate::model::PackedNorm;
use crate::scratch::{InputRow, Inputs, padded};

impl Pass<'_> {
    /// Norms the hidden states of all rows, for [`Pass::normed`] to find.
    ///
    /// With `post_norm`, the normed outputs of the part before are added to the hidden states first, into the other
    /// buffer. A single token is normed by each worker for itself, which is faster than meeting.
    #[allow(clippy::too_many_arguments, reason = "a worker's own buffers come one by one")]
    pub(super) fn input(
        &self,
        walk: &mut Walk<'_>,
        own: &mut Inputs,
        row: &mut [f32],
        post_norm: Option<&PackedNorm>,
        norm: &PackedNorm,
        quantise: bool,
    ) {
        let count = walk.rows;
        let stride = padded(self.model.spec.width);
        if count == 1 {
            // SAFETY: the worker's own.
            let target = unsafe { own.write(0..stride) };
            let publish = walk.worker.index == 0;
            self.norm_row(walk.current, 0, post_norm, norm, row, target, quantise, publish);
        } else {
            self.pieces(walk, count, 1, |index| {
                // SAFETY: this piece is the only one to touch this row.
                let target = unsafe { self.scratch.normed.write(index * stride..(index + 1) * stride) };
                self.norm_row(walk.current, index, post_norm, norm, row, target, quantise, true);
            });
            walk.meet();
        }
        if post_norm.is_some() {
            walk.current = 1 - walk.current;
        }
    }

    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn norm_row(
        &self,
        current: usize,
        token: usize,
        post_norm: Option<&PackedNorm>,
        norm: &PackedNorm,
        row: &mut [f32],
        target: InputRow<'_>,
        quantise: bool,
        publish: bool,
    ) {
        let width = self.model.spec.width;
        let range = token * width..(token + 1) * width;
        // SAFETY: hidden states were written before the last meeting; this phase writes only to the other buffer.
        let mut hidden = unsafe { self.scratch.hidden[current].read(range.clone()) };
        if let Some(post_norm) = post_norm {
            // SAFETY: written before the last meeting, and not in this phase.
            let output = unsafe { self.scratch.outputs.read(range.clone()) };
            self.kernels.rms_norm(output, &post_norm.weight, post_norm.epsilon, row);
            row.iter_mut().zip(hidden).for_each(|(y, x)| *y += x);
            if publish {
                // SAFETY: one worker alone does this for a token, and nobody reads this buffer before all have met.
                unsafe { self.scratch.hidden[1 - current].write(range) }.copy_from_slice(row);
            }
            hidden = row;
        }
        self.kernels.rms_norm(hidden, &norm.weight, norm.epsilon, &mut target.floats[..width]);
        if quantise {
            self.kernels.quantize(target.floats, target.codes, target.meta);
        }
    }
}
