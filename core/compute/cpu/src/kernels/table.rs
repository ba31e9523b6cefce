//! The function pointers of an instruction set, and the macro that fills in those that `ops` defines.

use inkling_compute::{Activation, KvType};

use crate::activations::{BlockMeta, QuantView};
use crate::format::{FloatFormat, IntFormat};

/// `(format, panels, count, x, scratch, out, stride)`
pub(super) type IntPanels = unsafe fn(IntFormat, &[u8], usize, QuantView<'_>, &mut [u8], &mut [f32], usize);

/// `(format, panel, x, x_stride, out, stride)`
pub(super) type FloatPanel = unsafe fn(FloatFormat, &[u8], &[f32], usize, &mut [f32], usize);

/// Kernels of one set. Calling one is sound on a machine that has the set, with sizes that `Kernels` checks.
pub(super) struct Table {
    pub(super) int_panels: IntPanels,
    pub(super) float_panel: FloatPanel,
    pub(super) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) quantize: unsafe fn(&[f32], &mut [i8], &mut [BlockMeta]),
    pub(super) activate: unsafe fn(Activation, &mut [f32], &[f32]),
    pub(super) softcap: unsafe fn(&mut [f32], f32),
    pub(super) rope: unsafe fn(bool, &mut [f32], &[f32], &[f32]),
    pub(super) scores: unsafe fn(&[f32], &[f32], &mut [f32]),
    pub(super) softmax_step: unsafe fn(&mut [f32], &mut [f32; 2]) -> f32,
    pub(super) accumulate: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) load_rows: unsafe fn(KvType, &[u8], usize, &mut [f32], usize),
    pub(super) store_row: unsafe fn(KvType, &[f32], &mut [u8]),
}

/// Makes a `Table` constant: the float functions of `ops` under the given attributes, and the given `int_panels`.
macro_rules! table {
    ($name:ident in $module:ident, $(#[$attribute:meta])* int_panels: $int_panels:expr, widen: $widen:expr) => {
        pub(super) const $name: $crate::kernels::table::Table = $module::TABLE;

        mod $module {
            use inkling_compute::{Activation, KvType};

            use super::*;
            use crate::activations::BlockMeta;
            use crate::format::FloatFormat;
            use crate::kernels::ops;
            use crate::kernels::table::Table;

            pub(super) const TABLE: Table = Table {
                int_panels: $int_panels,
                float_panel,
                rms_norm,
                quantize,
                activate,
                softcap,
                rope,
                scores,
                softmax_step,
                accumulate,
                load_rows,
                store_row,
            };

            $(#[$attribute])*
            unsafe fn float_panel(f: FloatFormat, panel: &[u8], x: &[f32], xs: usize, out: &mut [f32], os: usize) {
                // SAFETY: this function's caller vouches for the set.
                ops::float_panel(|from, to| unsafe { $widen(from, to) }, f, panel, x, xs, out, os);
            }
            $(#[$attribute])*
            unsafe fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
                ops::rms_norm(x, weight, epsilon, out);
            }
            $(#[$attribute])*
            unsafe fn quantize(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
                ops::quantize(x, codes, meta);
            }
            $(#[$attribute])*
            unsafe fn activate(activation: Activation, gate: &mut [f32], up: &[f32]) {
                ops::activate(activation, gate, up);
            }
            $(#[$attribute])*
            unsafe fn softcap(x: &mut [f32], cap: f32) {
                ops::softcap(x, cap);
            }
            $(#[$attribute])*
            unsafe fn rope(interleaved: bool, head: &mut [f32], cos: &[f32], sin: &[f32]) {
                if interleaved {
                    ops::rope_interleaved(head, cos, sin);
                } else {
                    ops::rope_halves(head, cos, sin);
                }
            }
            $(#[$attribute])*
            unsafe fn scores(query: &[f32], keys: &[f32], out: &mut [f32]) {
                ops::scores(query, keys, out);
            }
            $(#[$attribute])*
            unsafe fn softmax_step(scores: &mut [f32], state: &mut [f32; 2]) -> f32 {
                ops::softmax_step(scores, state)
            }
            $(#[$attribute])*
            unsafe fn accumulate(weights: &[f32], values: &[f32], factor: f32, acc: &mut [f32]) {
                ops::accumulate(weights, values, factor, acc);
            }
            $(#[$attribute])*
            unsafe fn load_rows(kind: KvType, bytes: &[u8], width: usize, out: &mut [f32], stride: usize) {
                // SAFETY: this function's caller vouches for the set.
                ops::load_rows(|from, to| unsafe { $widen(from, to) }, kind, bytes, width, out, stride);
            }
            $(#[$attribute])*
            unsafe fn store_row(kind: KvType, row: &[f32], bytes: &mut [u8]) {
                ops::store_row(kind, row, bytes);
            }
        }
    };
}
pub(super) use table;
