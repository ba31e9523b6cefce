//! The buffers of a pass, sized at load so that a token allocates nothing.
//!
//! Rows of inputs are padded to whole blocks of 32. Integer matrices have whole blocks of columns, and those of floats
//! read only the columns that they have, so nobody sees what is in the padding.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use inkling_compute::PAGE_POSITIONS;

use crate::activations::{BlockMeta, QuantView};
use crate::aligned::{AlignedBytes, AlignedFloats};
use crate::format::{BLOCK, PANEL_ROWS};
use crate::kernels::{LANES, MAX_PANELS, ROW_STRIDE, SLAB, scratch_bytes};
use crate::model::Model;
use crate::pool::Shared;

/// Vectors that are multiplied with a group of panels at a time: enough for unpacking the panels not to matter, few
/// enough for their products to stay in cache.
pub(crate) const COLUMN_BLOCK: usize = 256;
/// Rows of the panels that are multiplied at a time.
pub(crate) const GROUP_ROWS: usize = MAX_PANELS * PANEL_ROWS;
/// Query rows (positions times heads of a group) of an attention tile, at least one position.
pub(crate) const TILE_ROWS: usize = 96;

/// `len` rounded up to whole blocks.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

/// Inputs of matrices: as floats, and as codes where an integer matrix reads them.
pub(crate) struct Inputs {
    pub(crate) floats: Shared<f32>,
    pub(crate) codes: Shared<i8>,
    pub(crate) meta: Shared<BlockMeta>,
}

impl Inputs {
    fn new(rows: usize, width: usize) -> Self {
        let stride = padded(width);
        Self {
            floats: Shared::new(rows * stride),
            codes: Shared::new(rows * stride),
            meta: Shared::new(rows * stride / BLOCK),
        }
    }

    fn bytes(&self) -> u64 {
        self.floats.bytes() + self.codes.bytes() + self.meta.bytes()
    }

    /// The first `rows` rows of `stride` elements.
    ///
    /// # Safety
    /// As [`Shared::read`].
    pub(crate) unsafe fn read(&self, rows: usize, stride: usize) -> Input<'_> {
        let len = rows * stride;
        // SAFETY: passed on to the caller.
        unsafe {
            Input {
                floats: self.floats.read(0..len),
                quant: QuantView {
                    codes: self.codes.read(0..len),
                    meta: self.meta.read(0..len / BLOCK),
                    columns: stride,
                },
            }
        }
    }

    /// Some whole blocks.
    ///
    /// # Safety
    /// As [`Shared::write`].
    pub(crate) unsafe fn write(&self, range: std::ops::Range<usize>) -> InputRow<'_> {
        // SAFETY: passed on to the caller.
        unsafe {
            InputRow {
                floats: self.floats.write(range.clone()),
                codes: self.codes.write(range.clone()),
                meta: self.meta.write(range.start / BLOCK..range.end / BLOCK),
            }
        }
    }
}

/// Vectors to multiply with.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// Rows of `quant.columns` floats.
    pub(crate) floats: &'a [f32],
    /// The same, quantised, if somebody asked for it.
    pub(crate) quant: QuantView<'a>,
}

impl<'a> Input<'a> {
    /// `count` rows from `first` on.
    pub(crate) fn slice(&self, first: usize, count: usize) -> Input<'a> {
        let stride = self.quant.columns;
        Self { floats: &self.floats[first * stride..][..count * stride], quant: self.quant.slice(first, count) }
    }
}

/// A row, or whole blocks of it, to be filled.
pub(crate) struct InputRow<'a> {
    pub(crate) floats: &'a mut [f32],
    pub(crate) codes: &'a mut [i8],
    pub(crate) meta: &'a mut [BlockMeta],
}

/// What a worker has for itself.
pub(crate) struct Local {
    /// The input of a batch of one token, which every worker makes for itself instead of waiting for it.
    pub(crate) own: Inputs,
    /// A hidden state, or a wide row of it.
    pub(crate) row: Vec<f32>,
    pub(crate) work: Work,
    pub(crate) attention: AttentionScratch,
    /// The best logit so far and its token, for each wanted row.
    pub(crate) best: Vec<(f32, u32)>,
}

/// What multiplying needs.
pub(crate) struct Work {
    /// Unpacked panels.
    pub(crate) panels: AlignedBytes,
    /// Products.
    pub(crate) out: Vec<f32>,
    /// Products of the second matrix; a head that is normed.
    pub(crate) second: Vec<f32>,
}

/// What an attention tile needs.
pub(crate) struct AttentionScratch {
    /// `[slab][row]`, rows [`ROW_STRIDE`] apart.
    pub(crate) queries: AlignedFloats,
    /// Scores of a chunk, then weights; rows [`ROW_STRIDE`] apart.
    pub(crate) scores: AlignedFloats,
    /// What each row sees: positions of the chunk, then positions of a page.
    pub(crate) chunk_seen: Vec<Range<usize>>,
    pub(crate) page_seen: Vec<Range<usize>>,
    /// Largest score and sum of weights of each row in the chunk, and its sums.
    pub(crate) part_states: Vec<[f32; 2]>,
    pub(crate) part_sums: AlignedFloats,
    /// The same over all chunks so far.
    pub(crate) states: Vec<[f32; 2]>,
    pub(crate) sums: AlignedFloats,
    /// Keys or values of a page, as floats.
    pub(crate) page: AlignedFloats,
}

impl AttentionScratch {
    fn new(rows: usize, key: usize, value: usize) -> Option<Self> {
        Some(Self {
            queries: AlignedFloats::zeroed(key.div_ceil(SLAB) * rows * ROW_STRIDE)?,
            scores: AlignedFloats::zeroed(rows * ROW_STRIDE)?,
            chunk_seen: vec![0..0; rows],
            page_seen: vec![0..0; rows],
            part_states: vec![[0.0; 2]; rows],
            part_sums: AlignedFloats::zeroed(rows * value)?,
            states: vec![[0.0; 2]; rows],
            sums: AlignedFloats::zeroed(rows * value)?,
            page: AlignedFloats::zeroed(PAGE_POSITIONS * key.max(value))?,
        })
    }

    fn bytes(rows: usize, key: usize, value: usize) -> usize {
        let floats = (key.div_ceil(SLAB) + 1) * ROW_STRIDE + 2 * value + 4 + 8;
        4 * (rows * floats + PAGE_POSITIONS * key.max(value))
    }
}

/// Parts of attention that were made apart: for each query head of a token its sums, then largest score and sum of
/// weights. They grow with the longest sequence.
pub(crate) struct Parts {
    stride: usize,
    heads: usize,
    pub(crate) floats: Shared<f32>,
    /// Parts of a tile and key/value head that are done.
    pub(crate) done: Vec<AtomicUsize>,
}

impl Parts {
    fn new(s: &Sizes) -> Self {
        let done = std::iter::repeat_with(AtomicUsize::default).take(s.max_batch * s.kv_heads).collect();
        Self { stride: s.value + LANES, heads: s.heads, floats: Shared::new(0), done }
    }

    /// Makes room for so many tokens' parts.
    pub(crate) fn reserve(&mut self, tokens: usize) {
        let need = tokens * self.heads * self.stride;
        if self.floats.bytes() < 4 * need as u64 {
            self.floats = Shared::new(need.next_power_of_two());
        }
    }

    /// Where the part of a query head lies: its sums, and behind them largest score and sum of weights.
    pub(crate) fn at(&self, token: usize, head: usize) -> Range<usize> {
        let start = (token * self.heads + head) * self.stride;
        start..start + self.stride
    }
}

/// The largest sizes over all layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) max_batch: usize,
    pub(crate) max_outputs: usize,
    width: usize,
    inner: usize,
    attention: usize,
    /// Query elements of a token, heads padded to 16.
    queries: usize,
    group: usize,
    heads: usize,
    kv_heads: usize,
    key: usize,
    value: usize,
    pairs: usize,
    ropes: usize,
    columns: usize,
}

impl Sizes {
    pub(crate) fn new(model: &Model, max_batch: usize, max_outputs: usize) -> Self {
        let attentions = || model.layers.iter().map(|layer| &layer.attention);
        let lanes = |width: usize| width.next_multiple_of(PANEL_ROWS);
        let max = |values: &mut dyn Iterator<Item = usize>| values.max().unwrap_or(0);
        Self {
            max_batch,
            max_outputs,
            width: model.spec.width,
            inner: max(&mut model.layers.iter().map(|layer| layer.feed_forward.gate.matrix.rows)),
            attention: max(&mut attentions().map(|a| a.heads * a.value_width)),
            queries: max(&mut attentions().map(|a| a.heads * lanes(a.key_width))),
            group: max(&mut attentions().map(|a| a.heads / a.kv_heads)),
            heads: max(&mut attentions().map(|a| a.heads)),
            kv_heads: max(&mut attentions().map(|a| a.kv_heads)),
            key: max(&mut attentions().map(|a| lanes(a.key_width))),
            value: max(&mut attentions().map(|a| lanes(a.value_width))),
            pairs: max(&mut model.ropes.iter().map(|rope| rope.frequencies.len())),
            ropes: model.ropes.len(),
            columns: max(&mut model.matrices().filter(|m| m.is_int()).map(|m| m.columns)),
        }
    }

    /// Rows that a tile may have in some layer.
    fn tile_rows(&self) -> usize {
        TILE_ROWS.max(self.group)
    }

    /// Positions of a query tile for a group of so many heads.
    pub(crate) fn tile_positions(group: usize) -> usize {
        (TILE_ROWS / group).max(1)
    }
}

/// All buffers.
pub(crate) struct Scratch {
    sizes: Sizes,
    /// Hidden states, twice: a layer whose output is normed writes the new ones beside the old.
    pub(crate) hidden: [Shared<f32>; 2],
    /// Outputs of a part of a layer that are to be normed before they are added.
    pub(crate) outputs: Shared<f32>,
    /// Normed hidden states.
    pub(crate) normed: Inputs,
    /// Queries, `[token][head][padded key width]`.
    pub(crate) queries: Shared<f32>,
    /// Outputs of attention.
    pub(crate) mixed: Inputs,
    /// Outputs of gate and up.
    pub(crate) gated: Inputs,
    /// `[rope][token][pair]`.
    pub(crate) cos: Shared<f32>,
    pub(crate) sin: Shared<f32>,
    pub(crate) parts: Parts,
    pub(crate) locals: Vec<Mutex<Local>>,
}

impl Scratch {
    pub(crate) fn new(sizes: Sizes, threads: usize) -> Option<Self> {
        let rows = sizes.max_batch;
        let tables = sizes.ropes * rows * sizes.pairs;
        let mut scratch = Self {
            sizes,
            hidden: [Shared::new(rows * sizes.width), Shared::new(rows * sizes.width)],
            outputs: Shared::new(rows * sizes.width),
            normed: Inputs::new(rows, sizes.width),
            queries: Shared::new(rows * sizes.queries),
            mixed: Inputs::new(rows, sizes.attention),
            gated: Inputs::new(rows, sizes.inner),
            cos: Shared::new(tables),
            sin: Shared::new(tables),
            parts: Parts::new(&sizes),
            locals: Vec::new(),
        };
        scratch.set_threads(threads)?;
        Some(scratch)
    }

    /// Makes room for so many workers; `None` if there is no memory.
    pub(crate) fn set_threads(&mut self, threads: usize) -> Option<()> {
        while self.locals.len() < threads {
            self.locals.push(Mutex::new(self.local()?));
        }
        Some(())
    }

    fn local(&self) -> Option<Local> {
        let s = &self.sizes;
        let columns = COLUMN_BLOCK.min(s.max_batch.max(1));
        let rows = s.tile_rows();
        Some(Local {
            own: Inputs::new(1, s.width),
            row: vec![0.0; s.width],
            work: Work {
                panels: AlignedBytes::zeroed(scratch_bytes(s.columns))?,
                out: vec![0.0; columns * GROUP_ROWS.max(s.key).max(s.value)],
                second: vec![0.0; (columns * GROUP_ROWS).max(s.key)],
            },
            attention: AttentionScratch::new(rows, s.key, s.value)?,
            best: vec![(0.0, 0); s.max_outputs],
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        let s = &self.sizes;
        let inputs = [&self.normed, &self.mixed, &self.gated].map(Inputs::bytes).iter().sum::<u64>();
        let floats = [&self.hidden[0], &self.hidden[1], &self.outputs, &self.queries, &self.cos, &self.sin];
        let columns = COLUMN_BLOCK.min(s.max_batch.max(1));
        let rows = s.tile_rows();
        let local = scratch_bytes(s.columns)
            + 4 * columns * (GROUP_ROWS.max(s.key).max(s.value) + GROUP_ROWS)
            + AttentionScratch::bytes(rows, s.key, s.value)
            + 8 * (s.max_outputs + s.width);
        inputs
            + floats.map(Shared::bytes).iter().sum::<u64>()
            + self.parts.floats.bytes()
            + (self.locals.len() * local) as u64
    }
}
