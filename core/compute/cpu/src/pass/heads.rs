//! Query, key and value heads: products, norms, rope, cache. A head belongs to one worker from product to cache.

use inkling_compute::PAGE_POSITIONS;

use super::{PagePointer, Pass, Walk, add_bias};
use crate::format::PANEL_ROWS;
use crate::kernels::MAX_PANELS;
use crate::model::{PackedAttention, PackedLinear, PackedNorm, is_interleaved};
use crate::scratch::{COLUMN_BLOCK, Local, Work};

/// Which of the three a head is.
#[derive(Clone, Copy)]
enum Kind {
    Query,
    Key,
    Value,
}

impl Pass<'_> {
    pub(super) fn heads(&self, walk: &mut Walk<'_>, local: &mut Local, layer: usize, a: &PackedAttention) {
        let tokens = self.batch.len();
        let blocks = tokens.div_ceil(COLUMN_BLOCK);
        let Local { own, work, .. } = local;
        self.pieces(walk, (a.heads + 2 * a.kv_heads) * blocks, 1, |index| {
            let (head, block) = (index / blocks, index % blocks);
            let first = block * COLUMN_BLOCK;
            let count = (tokens - first).min(COLUMN_BLOCK);
            let (kind, head, linear) = if head < a.heads {
                (Kind::Query, head, &a.query)
            } else if head < a.heads + a.kv_heads {
                (Kind::Key, head - a.heads, &a.key)
            } else {
                (Kind::Value, head - a.heads - a.kv_heads, &a.value)
            };
            let stride = self.head_products(linear, head, first, count, own, work);
            for (token, out) in (first..first + count).zip(work.out.chunks_exact_mut(stride)) {
                let width = if matches!(kind, Kind::Value) { a.value_width } else { a.key_width };
                let out = &mut out[..width];
                add_bias(&linear.bias, head * width, out);
                match kind {
                    Kind::Query => {
                        self.norm_and_rope(a, a.query_norm.as_ref(), token, out, &mut work.second);
                        self.put_query(a, token, head, out);
                    }
                    Kind::Key => {
                        self.norm_and_rope(a, a.key_norm.as_ref(), token, out, &mut work.second);
                        self.put_key(layer, token, head, out);
                    }
                    Kind::Value => {
                        self.put_value(layer, token, head, out);
                    }
                }
            }
        });
        walk.meet();
    }

    /// All rows of a head for some tokens, into `work.out`; returns the distance of its rows.
    fn head_products(
        &self,
        linear: &PackedLinear,
        head: usize,
        first: usize,
        count: usize,
        own: &crate::scratch::Inputs,
        work: &mut Work,
    ) -> usize {
        let panels = linear.matrix.group_panels();
        let stride = panels * PANEL_ROWS;
        let input = self.normed(own, self.batch.len()).slice(first, count);
        for panel in (0..panels).step_by(MAX_PANELS) {
            let taken = (panels - panel).min(MAX_PANELS);
            let out = &mut work.out[panel * PANEL_ROWS..];
            let unpacked = work.panels.as_mut_slice();
            self.multiply(&linear.matrix, head * panels + panel, taken, input, unpacked, out, stride);
        }
        stride
    }

    fn norm_and_rope(
        &self,
        a: &PackedAttention,
        norm: Option<&PackedNorm>,
        token: usize,
        head: &mut [f32],
        spare: &mut [f32],
    ) {
        if let Some(norm) = norm {
            let normed = &mut spare[..head.len()];
            self.kernels.rms_norm(head, &norm.weight, norm.epsilon, normed);
            head.copy_from_slice(normed);
        }
        let table = self.rope_range(a.rope, token);
        // SAFETY: the tables were written before the first meeting of this pass.
        let (cos, sin) = unsafe { (self.scratch.cos.read(table.clone()), self.scratch.sin.read(table)) };
        self.kernels.rope(is_interleaved(&self.model.ropes[a.rope]), head, cos, sin);
    }

    fn put_query(&self, a: &PackedAttention, token: usize, head: usize, query: &[f32]) {
        let width = a.key_width.next_multiple_of(PANEL_ROWS);
        let at = (token * a.heads + head) * width;
        // SAFETY: this piece is the only one to touch this head of this token.
        let target = unsafe { self.scratch.queries.write(at..at + width) };
        let (target, padding) = target.split_at_mut(query.len());
        target.iter_mut().zip(query).for_each(|(target, query)| *target = query * a.scale);
        padding.fill(0.0);
    }

    /// Writes a key to its column of its page.
    fn put_key(&self, layer: usize, token: usize, head: usize, key: &[f32]) {
        let at = self.layout.keys(layer, head);
        let (page, position) = self.page_of(token);
        assert!(
            position < PAGE_POSITIONS
                && self.layout.kind().row_bytes(key.len()) == Some(self.layout.key_row_bytes(layer))
        );
        assert!(at + PAGE_POSITIONS * self.layout.key_row_bytes(layer) <= self.layout.page_bytes());
        // SAFETY: inside a page that this pass may write to (`prepare` has given the position a page of its own); this
        // piece is the only one to touch this position of this head.
        unsafe { self.kernels.store_key(self.layout.kind(), key, page.0.add(at), position) }
    }

    /// Writes a value to its row of its page.
    fn put_value(&self, layer: usize, token: usize, head: usize, value: &[f32]) {
        let row_bytes = self.layout.value_row_bytes(layer);
        let (page, position) = self.page_of(token);
        let at = self.layout.values(layer, head) + position * row_bytes;
        assert!(at + row_bytes <= self.layout.page_bytes());
        // SAFETY: as above; the row is this position's.
        let bytes = unsafe { std::slice::from_raw_parts_mut(page.0.add(at), row_bytes) };
        self.kernels.store_value(self.layout.kind(), value, bytes);
    }

    /// The page of a token, and its position there.
    fn page_of(&self, token: usize) -> (PagePointer, usize) {
        let place = self.places[token];
        let page = self.pages[self.run_pages[place.run] + place.position / PAGE_POSITIONS];
        (page, place.position % PAGE_POSITIONS)
    }
}
