//! The loaded model: checks a batch, prepares the cache, sends a pass to the pool, gathers what was wanted.

use inkling_compute::{
    Batch, ComputeError, Decoder, DecoderSpec, HostPages, KvCache, KvLayer, KvLayout, KvType, LoadPlan, LoadWarning,
    MemoryUse, Output, PAGE_POSITIONS, Want,
};

use crate::NAME;
use crate::kernels::Kernels;
use crate::model::{Model, unsupported};
use crate::pack::PackedMatrix;
use crate::pass::{Counter, LAYER_PHASES, OTHER_PHASES, PagePointer, Pass, Place, Sink, Tile, better};
use crate::pool::{Pool, SharedSlice};
use crate::scratch::{Scratch, Sizes};

/// With so many new tokens in a run, chunks of positions are taken apart: their query tiles are too few to keep all
/// threads busy, and too small to lose by reading keys and values again.
const FEW_TOKENS: usize = 8;

/// A model on the CPU.
pub(crate) struct CpuDecoder {
    model: Model,
    kernels: Kernels,
    pool: Pool,
    scratch: Scratch,
    max_batch: usize,
    max_outputs: usize,
    /// Positions of a query tile.
    tile_positions: usize,
    counters: Vec<Counter>,
    // What a pass knows of its batch; emptied and filled again each time.
    places: Vec<Place>,
    tiles: Vec<Tile>,
    pages: Vec<PagePointer>,
    run_pages: Vec<usize>,
}

impl CpuDecoder {
    pub(crate) fn new(model: Model, kernels: Kernels, pool: Pool, plan: &LoadPlan<'_>) -> Result<Self, ComputeError> {
        let sizes = Sizes::new(&model, plan.max_batch, plan.max_outputs);
        let scratch =
            Scratch::new(sizes, pool.threads()).ok_or(ComputeError::OutOfMemory { need_bytes: 0, have_bytes: 0 })?;
        let counters = model.layers.len() * LAYER_PHASES + OTHER_PHASES;
        let groups = model.layers.iter().map(|layer| layer.attention.heads / layer.attention.kv_heads);
        Ok(Self {
            tile_positions: Sizes::tile_positions(groups.min().unwrap_or(1)),
            kernels,
            pool,
            scratch,
            max_batch: plan.max_batch,
            max_outputs: plan.max_outputs,
            counters: std::iter::repeat_with(Counter::default).take(counters).collect(),
            places: Vec::with_capacity(plan.max_batch),
            tiles: Vec::with_capacity(plan.max_batch),
            pages: Vec::new(),
            run_pages: Vec::with_capacity(plan.max_batch),
            model,
        })
    }

    /// Whether a layout is the one that [`Decoder::new_cache`] makes.
    fn knows(&self, layout: &KvLayout) -> bool {
        let attentions = self.model.layers.iter().map(|layer| &layer.attention);
        layout.backend() == NAME
            && layout.layers() == self.model.layers.len()
            && attentions.enumerate().all(|(index, a)| {
                let shape = KvLayer { heads: a.kv_heads, key_width: a.key_width, value_width: a.value_width };
                layout.layer(index) == shape
            })
    }

    /// Fills in what a pass knows of its batch.
    fn place(&mut self, batch: &Batch<'_>, kv: &mut KvCache) -> Result<(), ComputeError> {
        self.places.clear();
        self.tiles.clear();
        self.pages.clear();
        self.run_pages.clear();
        let (mut number, mut slot) = (0, 0);
        for (index, run) in batch.runs.iter().enumerate() {
            let token = self.places.len();
            self.run_pages.push(self.pages.len());
            let positions = run.start..run.start + run.count;
            self.places.extend(positions.map(|position| Place { run: index, position }));
            for done in (0..run.count).step_by(self.tile_positions) {
                let count = (run.count - done).min(self.tile_positions);
                let (token, position) = (token + done, run.start + done);
                let tile = Tile { run: index, token, position, count, chunk: None, number, slot };
                if run.count > FEW_TOKENS || tile.chunks() == 1 {
                    self.tiles.push(tile);
                } else {
                    self.tiles.extend((0..tile.chunks()).map(|chunk| Tile { chunk: Some(chunk), ..tile }));
                    number += 1;
                    slot += tile.chunks() * count;
                }
            }
            for number in 0..(run.start + run.count).div_ceil(PAGE_POSITIONS) {
                let page = kv.pages(run.sequence)[number];
                let store = kv.store_mut::<HostPages>().ok_or(FOREIGN_CACHE)?;
                // Pages before the first new position may be shared with other sequences: they are only read.
                let pointer = if number < run.start / PAGE_POSITIONS {
                    store.page(page).as_ptr().cast_mut()
                } else {
                    store.page_mut(page).as_mut_ptr()
                };
                self.pages.push(PagePointer(pointer));
            }
        }
        self.scratch.parts.reserve(slot);
        // Tiles that see most come first, so that nobody is left with a long one at the end.
        self.tiles.reverse();
        Ok(())
    }
}

const FOREIGN_CACHE: ComputeError = ComputeError::BadBatch { why: "the cache was made for another model or back end" };

impl Decoder for CpuDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.model.spec
    }

    fn new_cache(&self, kind: KvType, positions: usize) -> Result<KvCache, ComputeError> {
        let layout = KvLayout::new(NAME, kind, &self.model.spec.kv_layers())?;
        Ok(KvCache::new(Box::new(HostPages::new(layout)), positions))
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        kv: &mut KvCache,
        want: Want<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        let vocabulary = self.model.spec.vocabulary;
        batch.validate(vocabulary, self.max_batch)?;
        want.validate(batch.len(), self.max_outputs)?;
        if !kv.store::<HostPages>().is_some_and(|store| self.knows(store.layout())) {
            return Err(FOREIGN_CACHE);
        }
        let rows = want.rows();
        let sink = match want {
            Want::Nothing => Sink::Nothing,
            Want::Logits(_) => Sink::Logits(SharedSlice::new(output.begin_logits(rows.len(), vocabulary))),
            Want::Argmax(_) => Sink::Best,
            _ => return Err(unsupported("an unknown kind of output")),
        };
        kv.prepare(batch)?;
        self.place(batch, kv)?;
        self.counters.iter().for_each(Counter::reset);
        let pass = Pass {
            model: &self.model,
            kernels: self.kernels,
            scratch: &self.scratch,
            batch,
            want,
            sink,
            counters: &self.counters,
            places: &self.places,
            pages: &self.pages,
            run_pages: &self.run_pages,
            layout: kv.store::<HostPages>().ok_or(FOREIGN_CACHE)?.layout(),
            tiles: &self.tiles,
        };
        self.pool.run(&|worker| pass.run(worker));
        if let Want::Argmax(_) = want {
            let workers = self.pool.threads();
            for (row, token) in output.begin_argmax(rows.len()).iter_mut().enumerate() {
                let mut best = (f32::NEG_INFINITY, u32::MAX);
                for local in &mut self.scratch.locals[..workers] {
                    let local = local.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
                    better(&mut best, local.best[row]);
                }
                // Only if there is no number among the logits.
                *token = if best.1 == u32::MAX { 0 } else { best.1 };
            }
        }
        kv.commit(batch);
        Ok(())
    }

    fn set_threads(&mut self, threads: usize) {
        self.pool.set_threads(threads);
        if self.scratch.set_threads(self.pool.threads()).is_none() {
            // No memory for so many: as many as there are buffers for.
            self.pool.set_threads(self.scratch.locals.len());
        }
    }

    fn memory(&self) -> MemoryUse {
        MemoryUse {
            mapped: self.model.mapped_bytes,
            owned: self.model.owned_bytes,
            scratch: self.scratch.bytes(),
            per_token: self.model.matrices().map(PackedMatrix::bytes).sum(),
        }
    }

    fn warnings(&self) -> &[LoadWarning] {
        &self.model.warnings
    }
}
