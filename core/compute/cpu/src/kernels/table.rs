//! The function pointers of an instruction set, and the macro that fills in those that are written once for all sets.

use std::ops::Range;

use inkling_compute::{Activation, KvType};

use super::attention::CHUNK;
use crate::activations::{BlockMeta, QuantView};
use crate::format::{FloatFormat, IntFormat};

/// `(format, panels, count, x, scratch, out, stride)`
pub(super) type IntPanels = unsafe fn(IntFormat, &[u8], usize, QuantView<'_>, &mut [u8], &mut [f32], usize);

/// `(format, panel, x, x_stride, out, stride)`
pub(super) type FloatPanel = unsafe fn(FloatFormat, &[u8], &[f32], usize, &mut [f32], usize);

/// `(kind, queries, rows, width, keys, next, more, out)`
pub(super) type Scores = unsafe fn(KvType, *const f32, usize, usize, *const u8, *const u8, bool, *mut f32);

/// `(scores, seen, cap)`
pub(super) type Softmax = unsafe fn(&mut [f32; CHUNK], Range<usize>, Option<f32>) -> [f32; 2];

/// `(kind, weights, values, next, row_bytes, vectors, seen, sums)`
pub(super) type Accumulate =
    unsafe fn(KvType, *const f32, *const u8, *const u8, usize, usize, &[Range<usize>], *mut f32);

/// `(state, sums, part_state, part)`
pub(super) type Merge = unsafe fn(&mut [f32; 2], &mut [f32], [f32; 2], &[f32]);

/// Kernels of one set. Calling one is sound on a machine that has the set, with sizes that `Kernels` checks.
pub(super) struct Table {
    pub(super) int_panels: IntPanels,
    pub(super) float_panel: FloatPanel,
    pub(super) rms_norm: unsafe fn(&[f32], &[f32], f32, &mut [f32]),
    pub(super) quantize: unsafe fn(&[f32], &mut [i8], &mut [BlockMeta]),
    pub(super) activate: unsafe fn(Activation, &mut [f32], &[f32]),
    pub(super) softcap: unsafe fn(&mut [f32], f32),
    pub(super) rope: unsafe fn(bool, &mut [f32], &[f32], &[f32]),
    pub(super) scores: Scores,
    pub(super) softmax: Softmax,
    pub(super) accumulate: Accumulate,
    pub(super) merge: Merge,
    /// `(kind, page, width, out)`
    pub(super) widen_keys: unsafe fn(KvType, *const u8, usize, *mut f32),
    /// `(kind, page, row_bytes, rows, width, out, stride)`
    pub(super) widen_values: unsafe fn(KvType, *const u8, usize, usize, usize, *mut f32, usize),
    pub(super) store_key: unsafe fn(KvType, &[f32], *mut u8, usize),
    pub(super) store_value: unsafe fn(KvType, &[f32], &mut [u8]),
}

/// Makes a `Table` constant: the float functions under the given attributes and over the given lanes, and the given
/// `int_panels`. A set may put a function of its own in place of one of these.
macro_rules! table {
    ($name:ident in $module:ident, $(#[$attribute:meta])* int_panels: $int_panels:expr, widen: $widen:expr, lanes: $lanes:ty) => {
        pub(super) const $name: $crate::kernels::table::Table = $module::TABLE;

        mod $module {
            use std::ops::Range;

            use inkling_compute::{Activation, KvType};

            use super::*;
            use crate::activations::BlockMeta;
            use crate::format::FloatFormat;
            use crate::kernels::attention::CHUNK;
            use crate::kernels::cache::with_format;
            use crate::kernels::table::Table;
            use crate::kernels::{attention, cache, elementwise, norms, quantize};

            pub(super) const TABLE: Table = Table {
                int_panels: $int_panels,
                float_panel,
                rms_norm,
                quantize,
                activate,
                softcap,
                rope,
                scores,
                softmax,
                accumulate,
                merge,
                widen_keys,
                widen_values,
                store_key,
                store_value,
            };

            $(#[$attribute])*
            unsafe fn float_panel(f: FloatFormat, panel: &[u8], x: &[f32], xs: usize, out: &mut [f32], os: usize) {
                // SAFETY: this function's caller vouches for the set.
                crate::kernels::float_panel::float_panel(|from, to| unsafe { $widen(from, to) }, f, panel, x, xs, out, os);
            }
            $(#[$attribute])*
            unsafe fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
                norms::rms_norm(x, weight, epsilon, out);
            }
            $(#[$attribute])*
            unsafe fn quantize(x: &[f32], codes: &mut [i8], meta: &mut [BlockMeta]) {
                quantize::quantize(x, codes, meta);
            }
            $(#[$attribute])*
            unsafe fn activate(activation: Activation, gate: &mut [f32], up: &[f32]) {
                elementwise::activate(activation, gate, up);
            }
            $(#[$attribute])*
            unsafe fn softcap(x: &mut [f32], cap: f32) {
                elementwise::softcap(x, cap);
            }
            $(#[$attribute])*
            unsafe fn rope(interleaved: bool, head: &mut [f32], cos: &[f32], sin: &[f32]) {
                if interleaved {
                    norms::rope_interleaved(head, cos, sin);
                } else {
                    norms::rope_halves(head, cos, sin);
                }
            }
            #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
            $(#[$attribute])*
            unsafe fn scores(
                kind: KvType,
                q: *const f32,
                rows: usize,
                w: usize,
                k: *const u8,
                next: *const u8,
                more: bool,
                out: *mut f32,
            ) {
                use attention::scores;
                // SAFETY: this function's caller vouches for the set and the pointers; so below.
                unsafe { with_format!(kind, scores::<$lanes>(q, rows, w, k, next, more, out)) }
            }
            $(#[$attribute])*
            unsafe fn softmax(scores: &mut [f32; CHUNK], seen: Range<usize>, cap: Option<f32>) -> [f32; 2] {
                attention::softmax(scores, seen, cap)
            }
            #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
            $(#[$attribute])*
            unsafe fn accumulate(
                kind: KvType,
                weights: *const f32,
                values: *const u8,
                next: *const u8,
                row_bytes: usize,
                vectors: usize,
                seen: &[Range<usize>],
                sums: *mut f32,
            ) {
                use attention::accumulate;
                // SAFETY: as above.
                unsafe { with_format!(kind, accumulate::<$lanes>(weights, values, next, row_bytes, vectors, seen, sums)) }
            }
            $(#[$attribute])*
            unsafe fn merge(state: &mut [f32; 2], sums: &mut [f32], part_state: [f32; 2], part: &[f32]) {
                attention::merge(state, sums, part_state, part);
            }
            $(#[$attribute])*
            unsafe fn widen_keys(kind: KvType, page: *const u8, width: usize, out: *mut f32) {
                use cache::widen_keys;
                // SAFETY: as above.
                unsafe { with_format!(kind, widen_keys::<$lanes>(page, width, out)) }
            }
            $(#[$attribute])*
            unsafe fn widen_values(
                kind: KvType,
                page: *const u8,
                row_bytes: usize,
                rows: usize,
                width: usize,
                out: *mut f32,
                stride: usize,
            ) {
                use cache::widen_values;
                // SAFETY: as above.
                unsafe { with_format!(kind, widen_values::<$lanes>(page, row_bytes, rows, width, out, stride)) }
            }
            $(#[$attribute])*
            unsafe fn store_key(kind: KvType, row: &[f32], page: *mut u8, position: usize) {
                // SAFETY: as above.
                unsafe { cache::store_key::<$lanes>(kind, row, page, position) }
            }
            $(#[$attribute])*
            unsafe fn store_value(kind: KvType, row: &[f32], bytes: &mut [u8]) {
                // SAFETY: as above.
                unsafe { cache::store_value::<$lanes>(kind, row, bytes) }
            }
        }
    };
}
pub(super) use table;
