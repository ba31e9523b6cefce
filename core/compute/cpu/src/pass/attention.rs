//! Attention: a piece is a key/value head by some query positions of a run, with all query heads of the group.
//!
//! Keys and values of a page are turned to floats once and used by all rows of the tile. Every row takes the pages in
//! order and in each exactly the positions that it sees, so its numbers depend neither on the tile nor on the chunk
//! of the prompt that it came in.

use inkling_compute::PAGE_POSITIONS;

use super::{Pass, Tile, Walk};
use crate::format::{BLOCK, PANEL_ROWS};
use crate::model::PackedAttention;
use crate::scratch::{AttentionScratch, Local, Sizes, padded};

impl Pass<'_> {
    pub(super) fn attention(&self, walk: &mut Walk<'_>, local: &mut Local, layer: usize, a: &PackedAttention) {
        let group = a.heads / a.kv_heads;
        let step = Sizes::tile_positions(group);
        let quantise = a.output.matrix.is_int();
        // A head group's part of the output is quantised at once where it is whole blocks.
        let whole = (group * a.value_width).is_multiple_of(BLOCK);
        // Tiles were cut for the layer with the smallest group; a larger one takes them in parts.
        self.pieces(walk, self.tiles.len() * a.kv_heads, 1, |index| {
            let (tile, head) = (self.tiles[index / a.kv_heads], index % a.kv_heads);
            let mut done = 0;
            while done < tile.count {
                let part = Tile {
                    token: tile.token + done,
                    position: tile.position + done,
                    count: (tile.count - done).min(step),
                    ..tile
                };
                self.tile(layer, a, part, head, &mut local.attention);
                self.put_mixed(a, part, head, quantise && whole, &local.attention);
                done += part.count;
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

    fn tile(&self, layer: usize, a: &PackedAttention, tile: Tile, head: usize, scratch: &mut AttentionScratch) {
        let group = a.heads / a.kv_heads;
        let (key_stride, value_stride) =
            (a.key_width.next_multiple_of(PANEL_ROWS), a.value_width.next_multiple_of(PANEL_ROWS));
        let rows = tile.count * group;
        for position in 0..tile.count {
            let at = ((tile.token + position) * a.heads + head * group) * key_stride;
            // SAFETY: queries were written before the last meeting.
            let queries = unsafe { self.scratch.queries.read(at..at + group * key_stride) };
            scratch.queries[position * group * key_stride..][..group * key_stride].copy_from_slice(queries);
        }
        scratch.sums[..rows * value_stride].fill(0.0);
        scratch.states[..rows].fill([f32::NEG_INFINITY, 0.0]);

        let last = tile.position + tile.count - 1;
        let oldest = |position: usize| a.window.map_or(0, |window| (position + 1).saturating_sub(window));
        for page in oldest(tile.position) / PAGE_POSITIONS..=last / PAGE_POSITIONS {
            let start = page * PAGE_POSITIONS;
            let filled = (last + 1 - start).min(PAGE_POSITIONS);
            self.load_page(layer, a, tile.run, page, head, filled, scratch);
            for row in 0..rows {
                let position = tile.position + row / group;
                let from = oldest(position).max(start);
                let to = (position + 1).min(start + PAGE_POSITIONS);
                if from >= to {
                    continue;
                }
                let mut weights = [0.0; PAGE_POSITIONS];
                let weights = &mut weights[..to - from];
                let seen = from - start..to - start;
                let query = &scratch.queries[row * key_stride..][..key_stride];
                let keys = &scratch.keys[seen.start * key_stride..seen.end * key_stride];
                self.kernels.scores(query, keys, weights);
                if let Some(cap) = a.softcap {
                    self.kernels.softcap(weights, cap);
                }
                let factor = self.kernels.softmax_step(weights, &mut scratch.states[row]);
                let values = &scratch.values[seen.start * value_stride..seen.end * value_stride];
                let sums = &mut scratch.sums[row * value_stride..][..value_stride];
                self.kernels.accumulate(weights, values, factor, sums);
            }
        }
    }

    /// Turns the first `filled` positions of a page's head to floats.
    #[allow(clippy::too_many_arguments, reason = "they say which head of which page")]
    fn load_page(
        &self,
        layer: usize,
        a: &PackedAttention,
        run: usize,
        page: usize,
        head: usize,
        filled: usize,
        scratch: &mut AttentionScratch,
    ) {
        let pointer = self.pages[self.run_pages[run] + page].0;
        let parts = [
            (self.layout.keys(layer, head), self.layout.key_row_bytes(layer), a.key_width, &mut scratch.keys),
            (self.layout.values(layer, head), self.layout.value_row_bytes(layer), a.value_width, &mut scratch.values),
        ];
        for (at, row_bytes, width, floats) in parts {
            assert!(at + filled * row_bytes <= self.layout.page_bytes());
            // SAFETY: inside the page; its rows were written before the last meeting, and this phase writes none.
            let bytes = unsafe { std::slice::from_raw_parts(pointer.add(at), filled * row_bytes) };
            let stride = width.next_multiple_of(PANEL_ROWS);
            self.kernels.load_rows(self.layout.kind(), bytes, width, floats, stride);
        }
    }

    /// Divides the sums of a tile by their weights and puts them where the output matrix reads them.
    fn put_mixed(&self, a: &PackedAttention, tile: Tile, head: usize, quantise: bool, scratch: &AttentionScratch) {
        let group = a.heads / a.kv_heads;
        let stride = a.value_width.next_multiple_of(PANEL_ROWS);
        let part = group * a.value_width;
        for position in 0..tile.count {
            let at = (tile.token + position) * padded(a.heads * a.value_width) + head * part;
            // SAFETY: this piece is the only one to touch this group of heads of this token.
            let floats = unsafe { self.scratch.mixed.floats.write(at..at + part) };
            for (member, out) in floats.chunks_exact_mut(a.value_width).enumerate() {
                let row = position * group + member;
                let inverse = 1.0 / scratch.states[row][1];
                let sums = &scratch.sums[row * stride..][..a.value_width];
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
