//! Attention: a piece is a key/value head by some query positions of a run, with all query heads of the group.
//!
//! Every row (a query head at a position) takes the chunks of [`CHUNK`] positions in order: scores of the positions that it
//! sees, their softmax, the weighted sum of values; then the chunk is merged into what came before. So its numbers
//! depend neither on the rows beside it nor on the part of the prompt that it came in.
//!
//! A tile of many rows takes all its chunks one after the other and turns keys and values of a page to floats once for
//! all rows. For a few new tokens behind many positions the chunks are pieces of their own: each leaves its sums in
//! [`Parts`], and whoever finishes the last one merges them all, in order. There the cache is read where it lies.
//!
//! [`Parts`]: crate::scratch::Parts

use std::ops::Range;
use std::sync::atomic::Ordering;

use inkling_compute::{KvType, PAGE_POSITIONS};

use super::{Pass, Tile, Walk};
use crate::format::{BLOCK, PANEL_ROWS};
use crate::kernels::{CHUNK, LANES, ROW_STRIDE, SLAB, float_bytes};
use crate::model::PackedAttention;
use crate::scratch::{AttentionScratch, Local, Sizes, padded};

/// Rows from which on a page is turned to floats first.
const WIDEN_FROM: usize = 9;

/// A layer's attention, as a piece sees it.
#[derive(Clone, Copy)]
struct Head<'a> {
    a: &'a PackedAttention,
    layer: usize,
    /// The key/value head.
    head: usize,
    /// Query heads that read it.
    group: usize,
}

impl Head<'_> {
    /// The first position that `position` sees.
    fn oldest(&self, position: usize) -> usize {
        self.a.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Distance of rows of values and sums.
    fn value_stride(&self) -> usize {
        self.a.value_width.next_multiple_of(PANEL_ROWS)
    }
}

impl Pass<'_> {
    pub(super) fn attention(&self, walk: &mut Walk<'_>, local: &mut Local, layer: usize, a: &PackedAttention) {
        let group = a.heads / a.kv_heads;
        let step = Sizes::tile_positions(group);
        let quantise = a.output.matrix.is_int();
        // A head group's part of the output is quantised at once where it is whole blocks.
        let whole = (group * a.value_width).is_multiple_of(BLOCK);
        let scratch = &mut local.attention;
        self.pieces(walk, self.tiles.len() * a.kv_heads, 1, |index| {
            let (tile, head) = (self.tiles[index / a.kv_heads], index % a.kv_heads);
            let h = Head { a, layer, head, group };
            // Tiles were cut for the layer with the smallest group; a larger one takes them in parts.
            let parts = (0..tile.count).step_by(step).map(|done| Tile {
                token: tile.token + done,
                position: tile.position + done,
                count: (tile.count - done).min(step),
                slot: tile.slot + done,
                ..tile
            });
            let Some(chunk) = tile.chunk else {
                for part in parts {
                    self.all_chunks(h, part, scratch);
                    self.put_mixed(a, part, head, quantise && whole, scratch);
                }
                return;
            };
            for part in parts.clone() {
                self.load_queries(h, part, scratch);
                self.chunk(h, part, chunk, scratch);
                self.put_part(h, part, chunk, tile.count, scratch);
            }
            let done = &self.scratch.parts.done[tile.number * a.kv_heads + head];
            // Whoever is last sees what all others have written.
            if done.fetch_add(1, Ordering::AcqRel) + 1 == tile.chunks() {
                done.store(0, Ordering::Relaxed);
                for part in parts {
                    self.merge_parts(h, part, tile.count, scratch);
                    self.put_mixed(a, part, head, quantise && whole, scratch);
                }
            }
        });
        walk.meet();
        if quantise && !whole {
            let stride = padded(a.heads * a.value_width);
            self.pieces(walk, self.batch.len(), 1, |token| {
                // SAFETY: this piece is the only one to touch this row.
                let row = unsafe { self.scratch.mixed.write(token * stride..(token + 1) * stride) };
                self.kernels.quantize(row.floats, row.codes, row.meta);
            });
            walk.meet();
        }
    }

    /// All chunks of a tile, one after the other.
    fn all_chunks(&self, h: Head<'_>, tile: Tile, scratch: &mut AttentionScratch) {
        let (rows, stride) = (tile.count * h.group, h.value_stride());
        self.load_queries(h, tile, scratch);
        scratch.states[..rows].fill([f32::NEG_INFINITY, 0.0]);
        scratch.sums[..rows * stride].fill(0.0);
        let last = tile.position + tile.count - 1;
        for chunk in h.oldest(tile.position) / CHUNK..=last / CHUNK {
            self.chunk(h, tile, chunk, scratch);
            for row in (0..rows).filter(|&row| !scratch.chunk_seen[row].is_empty()) {
                let sums = row * stride..(row + 1) * stride;
                let (state, part) = (&mut scratch.states[row], &scratch.part_sums[sums.clone()]);
                self.kernels.merge(state, &mut scratch.sums[sums], scratch.part_states[row], part);
            }
        }
    }

    /// The queries of a tile, in slabs of elements.
    fn load_queries(&self, h: Head<'_>, tile: Tile, scratch: &mut AttentionScratch) {
        let width = h.a.key_width;
        let stride = width.next_multiple_of(PANEL_ROWS);
        let capacity = scratch.states.len();
        for row in 0..tile.count * h.group {
            let at = ((tile.token + row / h.group) * h.a.heads + h.head * h.group + row % h.group) * stride;
            // SAFETY: queries were written before the last meeting.
            let query = unsafe { self.scratch.queries.read(at..at + width) };
            for (slab, query) in query.chunks(SLAB).enumerate() {
                scratch.queries[(slab * capacity + row) * ROW_STRIDE..][..query.len()].copy_from_slice(query);
            }
        }
    }

    /// One chunk for the rows of a tile: what they see of it in `chunk_seen`, largest scores and sums of weights in
    /// `part_states`, weighted sums of values in `part_sums`.
    fn chunk(&self, h: Head<'_>, tile: Tile, chunk: usize, scratch: &mut AttentionScratch) {
        let (rows, stride) = (tile.count * h.group, h.value_stride());
        let positions = chunk * CHUNK..(chunk + 1) * CHUNK;
        for row in 0..rows {
            let position = tile.position + row / h.group;
            let inside = |position: usize| position.clamp(positions.start, positions.end) - positions.start;
            scratch.chunk_seen[row] = inside(h.oldest(position))..inside(position + 1);
        }
        let pages =
            scratch.chunk_seen[0].start / PAGE_POSITIONS..scratch.chunk_seen[rows - 1].end.div_ceil(PAGE_POSITIONS);
        let layout = self.layout;
        let keys = |page| {
            let (at, row_bytes) = (layout.keys(h.layer, h.head), layout.key_row_bytes(h.layer));
            self.page(tile.run, chunk, page, at, row_bytes)
        };
        let values = |page| {
            let (at, row_bytes) = (layout.values(h.layer, h.head), layout.value_row_bytes(h.layer));
            self.page(tile.run, chunk, page, at, row_bytes)
        };
        for page in pages.clone() {
            let next = if page + 1 < pages.end { keys(page + 1) } else { values(pages.start) };
            let seeing = seeing(&scratch.chunk_seen[..rows], page);
            self.page_scores(h, tile, page, [keys(page), next], seeing, scratch);
        }
        for row in 0..rows {
            let seen = scratch.chunk_seen[row].clone();
            let scores = scratch.scores[row * ROW_STRIDE..].first_chunk_mut::<CHUNK>();
            if let Some(scores) = scores.filter(|_| !seen.is_empty()) {
                scratch.part_states[row] = self.kernels.softmax(scores, seen, h.a.softcap);
            }
        }
        scratch.part_sums[..rows * stride].fill(0.0);
        for page in pages.clone() {
            let next = values((page + 1).min(pages.end - 1));
            let seeing = seeing(&scratch.chunk_seen[..rows], page);
            self.page_sums(h, tile, page, [values(page), next], seeing, scratch);
        }
    }

    /// Scores of some rows of a tile at the positions of a page of a chunk; `next` is read after its keys.
    fn page_scores(
        &self,
        h: Head<'_>,
        tile: Tile,
        page: usize,
        [mut keys, next]: [&[u8]; 2],
        rows: Range<usize>,
        scratch: &mut AttentionScratch,
    ) {
        let (width, mut kind) = (h.a.key_width, self.layout.kind());
        if tile.count * h.group >= WIDEN_FROM && kind != KvType::F32 {
            self.kernels.widen_keys(kind, keys, width, &mut scratch.page);
            (kind, keys) = (KvType::F32, float_bytes(&scratch.page));
        }
        let capacity = scratch.states.len();
        let out = &mut scratch.scores[rows.start * ROW_STRIDE + page * PAGE_POSITIONS..];
        let slab_bytes = kind.row_bytes(SLAB).unwrap_or(0) * PAGE_POSITIONS;
        for slab in 0..width.div_ceil(SLAB) {
            let queries = &scratch.queries[(slab * capacity + rows.start) * ROW_STRIDE..];
            let keys = &keys[slab * slab_bytes..];
            let width = (width - slab * SLAB).min(SLAB);
            self.kernels.scores(
                kind,
                queries,
                rows.len(),
                width,
                keys,
                next.as_ptr().wrapping_add(slab * slab_bytes),
                slab > 0,
                out,
            );
        }
    }

    /// Adds the values of a page, weighted, to the sums of some rows of a tile; `next` is read after them.
    fn page_sums(
        &self,
        h: Head<'_>,
        tile: Tile,
        page: usize,
        [mut values, next]: [&[u8]; 2],
        rows: Range<usize>,
        scratch: &mut AttentionScratch,
    ) {
        let (mut width, mut kind) = (h.a.value_width, self.layout.kind());
        let start = page * PAGE_POSITIONS;
        let inside = |position: usize| position.clamp(start, start + PAGE_POSITIONS) - start;
        for row in rows.clone() {
            let seen = &scratch.chunk_seen[row];
            scratch.page_seen[row] = inside(seen.start)..inside(seen.end);
        }
        let seen = &scratch.page_seen[rows.clone()];
        let filled = seen.last().map_or(0, |seen| seen.end);
        if !width.is_multiple_of(LANES) || tile.count * h.group >= WIDEN_FROM && kind != KvType::F32 {
            let stride = h.value_stride();
            self.kernels.widen_values(kind, values, filled, width, &mut scratch.page, stride);
            (kind, width, values) = (KvType::F32, stride, float_bytes(&scratch.page));
        }
        let weights = &scratch.scores[rows.start * ROW_STRIDE + start..];
        let sums = &mut scratch.part_sums[rows.start * width..];
        self.kernels.accumulate(kind, weights, values, next.as_ptr(), width, seen, sums);
    }

    /// The rows of a head in a page of a chunk: those that begin at `at` in every page.
    fn page(&self, run: usize, chunk: usize, page: usize, at: usize, row_bytes: usize) -> &[u8] {
        let bytes = PAGE_POSITIONS * row_bytes;
        assert!(at + bytes <= self.layout.page_bytes());
        let page = self.pages[self.run_pages[run] + chunk * (CHUNK / PAGE_POSITIONS) + page];
        // SAFETY: inside the page; its rows were written before the last meeting, and this phase writes none.
        unsafe { std::slice::from_raw_parts(page.0.add(at), bytes) }
    }

    /// Leaves what [`Pass::chunk`] made where [`Pass::merge_parts`] finds it. `tokens` are those of the whole tile.
    fn put_part(&self, h: Head<'_>, tile: Tile, chunk: usize, tokens: usize, scratch: &AttentionScratch) {
        let (parts, stride) = (&self.scratch.parts, h.value_stride());
        for row in (0..tile.count * h.group).filter(|&row| !scratch.chunk_seen[row].is_empty()) {
            let slot = tile.slot + chunk * tokens + row / h.group;
            // SAFETY: this piece is the only one to touch the parts of this chunk and these heads.
            let part = unsafe { parts.floats.write(parts.at(slot, h.head * h.group + row % h.group)) };
            part[..stride].copy_from_slice(&scratch.part_sums[row * stride..][..stride]);
            part[stride..stride + 2].copy_from_slice(&scratch.part_states[row]);
        }
    }

    /// Merges the parts of a tile in order.
    fn merge_parts(&self, h: Head<'_>, tile: Tile, tokens: usize, scratch: &mut AttentionScratch) {
        let (parts, stride) = (&self.scratch.parts, h.value_stride());
        for row in 0..tile.count * h.group {
            let position = tile.position + row / h.group;
            let (state, sums) = (&mut scratch.states[row], &mut scratch.sums[row * stride..][..stride]);
            *state = [f32::NEG_INFINITY, 0.0];
            sums.fill(0.0);
            for chunk in h.oldest(position) / CHUNK..=position / CHUNK {
                let slot = tile.slot + chunk * tokens + row / h.group;
                // SAFETY: all pieces that write to these have said that they are done.
                let part = unsafe { parts.floats.read(parts.at(slot, h.head * h.group + row % h.group)) };
                self.kernels.merge(state, sums, [part[stride], part[stride + 1]], &part[..stride]);
            }
        }
    }

    /// Divides the sums of a tile by their weights and puts them where the output matrix reads them.
    fn put_mixed(&self, a: &PackedAttention, tile: Tile, head: usize, quantise: bool, scratch: &AttentionScratch) {
        let (states, sums) = (&scratch.states, &scratch.sums);
        let group = a.heads / a.kv_heads;
        let stride = a.value_width.next_multiple_of(PANEL_ROWS);
        let part = group * a.value_width;
        for position in 0..tile.count {
            let at = (tile.token + position) * padded(a.heads * a.value_width) + head * part;
            // SAFETY: this piece is the only one to touch this group of heads of this token.
            let floats = unsafe { self.scratch.mixed.floats.write(at..at + part) };
            for (member, out) in floats.chunks_exact_mut(a.value_width).enumerate() {
                let row = position * group + member;
                let inverse = 1.0 / states[row][1];
                let sums = &sums[row * stride..][..a.value_width];
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * inverse);
            }
            if quantise {
                // SAFETY: as above; whole blocks, since `part` is a multiple of a block.
                let row = unsafe { self.scratch.mixed.write(at..at + part) };
                self.kernels.quantize(row.floats, row.codes, row.meta);
            }
        }
    }
}

/// The rows that see something of a page, given what they see of its chunk. They are neighbours, since what a row sees
/// begins and ends no earlier than for the row before.
fn seeing(seen: &[Range<usize>], page: usize) -> Range<usize> {
    let positions = page * PAGE_POSITIONS..(page + 1) * PAGE_POSITIONS;
    let first = seen.partition_point(|seen| seen.end <= positions.start);
    let end = seen.partition_point(|seen| seen.start < positions.end);
    first..end.max(first)
}
