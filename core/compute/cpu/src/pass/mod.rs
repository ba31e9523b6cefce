//! A forward pass: one job of the pool, a fixed sequence of phases that all workers walk through together.
//!
//! | phase of a layer | module |
//! |---|---|
//! | norm and quantise → query, key, value → norms, rope, cache, each head by its owner | `input`, `heads` |
//! | attention, quantised where it was made | `attention` |
//! | output matrix and residual | `residual` |
//! | norm and quantise → gate and up → activation, quantised | `input`, `feed_forward` |
//! | down and residual | `residual` |
//!
//! Workers meet after each phase; with several tokens also after norms, with one token each worker norms it for itself.
//! Then comes `head`. Pieces of a phase are handed out by a counter, so that a slow core takes fewer of them; no
//! number depends on who computes it.
//!
//! **Who may touch what.** A phase reads what earlier phases wrote, before a meeting, and writes other buffers, or
//! those elements of a buffer that its own pieces alone touch. The `unsafe` blocks of these modules rest on this.

mod attention;
mod feed_forward;
mod head;
mod heads;
mod input;
mod residual;

pub(crate) use head::better;

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use inkling_compute::{Batch, KvLayout, Want};

use crate::format::{BLOCK, PANEL_ROWS, PanelFormat};
use crate::kernels::{CHUNK, Kernels, MAX_PANELS};
use crate::model::{Model, rope_table};
use crate::pack::PackedMatrix;
use crate::pool::{Shared, SharedSlice, Worker};
use crate::scratch::{COLUMN_BLOCK, Input, Inputs, Scratch, padded};

/// With so many tokens a piece takes as many panels as a kernel can.
const FEW: usize = 16;
/// Meetings of a layer, at most; each phase between two of them has a counter.
pub(crate) const LAYER_PHASES: usize = 8;
/// Phases outside of layers, at most.
pub(crate) const OTHER_PHASES: usize = 4;

/// Ranges that the pieces of a phase are cut into; with more workers some share one.
const LANES: usize = 16;

/// Hands out the pieces of a phase: how many of each lane are taken.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Counter([AtomicU32; LANES]);

impl Counter {
    /// For the next pass, while no worker is in one.
    pub(crate) fn reset(&self) {
        self.0.iter().for_each(|lane| lane.store(0, Ordering::Relaxed));
    }
}

/// A page of the cache, by address.
#[derive(Clone, Copy)]
pub(crate) struct PagePointer(pub(crate) *mut u8);

// SAFETY: the memory behind it belongs to the cache that `forward` borrows exclusively for the whole pass, and the
// phases touch disjoint parts of it between two meetings.
unsafe impl Send for PagePointer {}
// SAFETY: as above.
unsafe impl Sync for PagePointer {}

/// Some query positions of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    /// Index of the run.
    pub(crate) run: usize,
    /// The first of its tokens, in the batch.
    pub(crate) token: usize,
    /// Its position.
    pub(crate) position: usize,
    /// How many.
    pub(crate) count: usize,
    /// The chunk of positions that this is about, where chunks are taken apart; else it is about all of them.
    pub(crate) chunk: Option<usize>,
    /// Its number among the tiles whose chunks are taken apart, and where its parts begin.
    pub(crate) number: usize,
    pub(crate) slot: usize,
}

impl Tile {
    /// Chunks up to its last position.
    pub(crate) fn chunks(&self) -> usize {
        (self.position + self.count).div_ceil(CHUNK)
    }
}

/// What a token of the batch is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Index of its run.
    pub(crate) run: usize,
    /// Its position.
    pub(crate) position: usize,
}

/// Where logits go.
pub(crate) enum Sink<'a> {
    /// Nowhere.
    Nothing,
    /// `[row, vocabulary]`.
    Logits(SharedSlice<'a, f32>),
    /// Into each worker's `best`.
    Best,
}

/// A pass, as all workers see it.
pub(crate) struct Pass<'a> {
    pub(crate) model: &'a Model,
    pub(crate) kernels: Kernels,
    pub(crate) scratch: &'a Scratch,
    pub(crate) batch: &'a Batch<'a>,
    pub(crate) want: Want<'a>,
    pub(crate) sink: Sink<'a>,
    pub(crate) counters: &'a [Counter],
    /// One a token.
    pub(crate) places: &'a [Place],
    /// The pages of run `r` start at `run_pages[r]`.
    pub(crate) pages: &'a [PagePointer],
    pub(crate) run_pages: &'a [usize],
    pub(crate) layout: &'a KvLayout,
    /// The query positions of the batch.
    pub(crate) tiles: &'a [Tile],
}

/// A worker on its way through a pass.
struct Walk<'w> {
    worker: &'w Worker<'w>,
    /// The phase it is in: an index into `Pass::counters`.
    phase: usize,
    /// Which of the two hidden buffers holds the states.
    current: usize,
    /// Rows of the batch that are still computed: all of them until [`Pass::keep_wanted`].
    rows: usize,
}

impl Walk<'_> {
    /// The end of a phase.
    fn meet(&mut self) {
        self.worker.meet();
        self.phase += 1;
    }
}

impl Pass<'_> {
    /// The whole pass, by one of the workers.
    pub(crate) fn run(&self, worker: &Worker<'_>) {
        let mut local = self.scratch.locals[worker.index].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let local = &mut *local;
        let mut walk = Walk { worker, phase: 0, current: 0, rows: self.batch.len() };
        self.embed(&mut walk);
        let mut post_norm = None;
        for (index, layer) in self.model.layers.iter().enumerate() {
            let attention = &layer.attention;
            let matrices = [&attention.query, &attention.key, &attention.value].map(|linear| &linear.matrix);
            let ints = matrices.iter().any(|matrix| matrix.is_int());
            self.input(&mut walk, &mut local.own, &mut local.row, post_norm, &layer.mixer_norm, ints);
            self.heads(&mut walk, local, index, attention);
            let last = index + 1 == self.model.layers.len();
            if last && self.want.rows().is_empty() {
                // All that was wanted is in the cache.
                return;
            }
            self.attention(&mut walk, local, index, attention);
            if last {
                self.keep_wanted(&mut walk, padded(attention.output.matrix.columns));
            }
            self.residual(&mut walk, local, &attention.output, &self.scratch.mixed, layer.mixer_post_norm.is_some());

            let feed_forward = &layer.feed_forward;
            let ints = feed_forward.gate.matrix.is_int() || feed_forward.up.matrix.is_int();
            let norm = &layer.feed_forward_norm;
            self.input(&mut walk, &mut local.own, &mut local.row, layer.mixer_post_norm.as_ref(), norm, ints);
            self.gate_and_up(&mut walk, local, feed_forward);
            post_norm = layer.feed_forward_post_norm.as_ref();
            self.residual(&mut walk, local, &feed_forward.down, &self.scratch.gated, post_norm.is_some());
        }
        self.head(&mut walk, local, post_norm);
    }

    /// Behind the last attention rows do not see each other any more: those that nobody asked for are dropped, the
    /// others move up. `width` is that of a row that attention has left.
    fn keep_wanted(&self, walk: &mut Walk<'_>, width: usize) {
        let wanted = self.want.rows();
        if wanted.len() == walk.rows {
            return;
        }
        walk.rows = wanted.len();
        if walk.worker.index == 0 {
            let (hidden_width, blocks) = (self.model.spec.width, width / BLOCK);
            for (to, &from) in wanted.iter().enumerate().filter(|&(to, &from)| to != from) {
                // SAFETY: written before the last meeting, and nobody else reads or writes rows before the next one;
                // rows ascend, so `from` is behind `to` and not yet overwritten.
                unsafe {
                    move_row(&self.scratch.hidden[walk.current], hidden_width, from, to);
                    move_row(&self.scratch.mixed.floats, width, from, to);
                    move_row(&self.scratch.mixed.codes, width, from, to);
                    move_row(&self.scratch.mixed.meta, blocks, from, to);
                }
            }
        }
        walk.meet();
    }

    /// Token embeddings and rope tables.
    fn embed(&self, walk: &mut Walk<'_>) {
        let width = self.model.spec.width;
        self.pieces(walk, self.batch.len(), 1, |token| {
            // SAFETY: this piece is the only one to touch this token's row and tables.
            let row = unsafe { self.scratch.hidden[0].write(token * width..(token + 1) * width) };
            self.model.embedding(self.batch.tokens[token] as usize, row);
            row.iter_mut().for_each(|x| *x *= self.model.spec.embedding_scale);
            for (index, rope) in self.model.ropes.iter().enumerate() {
                let table = self.rope_range(index, token);
                // SAFETY: as above.
                let (cos, sin) = unsafe { (self.scratch.cos.write(table.clone()), self.scratch.sin.write(table)) };
                rope_table(rope, self.places[token].position, cos, sin);
            }
        });
        walk.meet();
    }

    /// Where the table of a rope for a token lies in `Scratch::cos` and `sin`.
    fn rope_range(&self, rope: usize, token: usize) -> Range<usize> {
        let before: usize = self.model.ropes[..rope].iter().map(|rope| rope.frequencies.len()).sum();
        let pairs = self.model.ropes[rope].frequencies.len();
        let start = before * self.batch.len() + token * pairs;
        start..start + pairs
    }

    /// Does pieces `0..total` of the current phase, `chunk` at a time, until none are left.
    ///
    /// Each worker begins with a range of its own, so that it reads weights in one long stretch, and helps the next
    /// when that is done.
    fn pieces(&self, walk: &Walk<'_>, total: usize, chunk: usize, mut piece: impl FnMut(usize)) {
        let taken = &self.counters[walk.phase].0;
        let lanes = walk.worker.count.min(LANES);
        for lane in (0..lanes).map(|turn| (walk.worker.index + turn) % lanes) {
            let (start, end) = (lane * total / lanes, (lane + 1) * total / lanes);
            loop {
                let first = start + taken[lane].fetch_add(chunk as u32, Ordering::Relaxed) as usize;
                if first >= end {
                    break;
                }
                (first..(first + chunk).min(end)).for_each(&mut piece);
            }
        }
    }

    /// Panels of a matrix that is not cut into groups, some at a time, by blocks of columns. The piece gets the first
    /// panel, the number of panels, the first column and the number of columns.
    fn panel_pieces(
        &self,
        walk: &Walk<'_>,
        panels: usize,
        columns: usize,
        mut piece: impl FnMut(usize, usize, usize, usize),
    ) {
        // Few columns: small pieces even out best. Many: they share what was unpacked.
        let group = if columns < FEW { 2 } else { MAX_PANELS };
        let blocks = columns.div_ceil(COLUMN_BLOCK);
        self.pieces(walk, panels.div_ceil(group) * blocks, 1, |index| {
            let (first, column) = (index / blocks * group, index % blocks * COLUMN_BLOCK);
            piece(first, (panels - first).min(group), column, (columns - column).min(COLUMN_BLOCK));
        });
    }

    /// Products of `count` panels from `first` on with all vectors of `input`, into rows of `stride` floats.
    #[allow(clippy::too_many_arguments, reason = "which panels, what with, where to")]
    fn multiply(
        &self,
        matrix: &PackedMatrix,
        first: usize,
        count: usize,
        input: Input<'_>,
        unpacked: &mut [u8],
        out: &mut [f32],
        stride: usize,
    ) {
        match matrix.format {
            PanelFormat::Int(format) => {
                let panels = matrix.panel(first, count);
                self.kernels.int_panels(format, panels, count, input.quant, unpacked, out, stride);
            }
            PanelFormat::Float(format) => {
                for index in 0..count {
                    let out = &mut out[index * PANEL_ROWS..];
                    let panel = matrix.panel(first + index, 1);
                    self.kernels.float_panel(format, panel, input.floats, input.quant.columns, out, stride);
                }
            }
        }
    }

    /// The input that [`Pass::input`] has made: the worker's own for one vector, else the shared one.
    fn normed<'s>(&'s self, local: &'s Inputs, count: usize) -> Input<'s> {
        let inputs = if count == 1 { local } else { &self.scratch.normed };
        // SAFETY: written before the last meeting, or by this worker; nobody writes until all have met again.
        unsafe { inputs.read(count, padded(self.model.spec.width)) }
    }
}

/// Copies a row of `width` elements over another.
///
/// # Safety
/// As [`Shared::read`] for row `from` and [`Shared::write`] for row `to`, which is another.
unsafe fn move_row<T: Copy + Default>(rows: &Shared<T>, width: usize, from: usize, to: usize) {
    debug_assert_ne!(from, to);
    // SAFETY: passed on to the caller.
    let (from, to) = unsafe { (rows.read(from * width..(from + 1) * width), rows.write(to * width..(to + 1) * width)) };
    to.copy_from_slice(from);
}

/// Adds a bias, where there is one.
fn add_bias(bias: &[f32], first_row: usize, out: &mut [f32]) {
    if let Some(bias) = bias.get(first_row..) {
        out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
    }
}
