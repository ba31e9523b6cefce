//! Attention on one page of keys or values at a time, for some rows (query heads at positions).
//!
//! Keys of a page lie transposed, `[element][position]` (see `cache`), so lanes belong to positions in [`scores`] and to
//! elements in [`accumulate`]: neither has a sum across lanes. Every score is one chain of fused multiply-adds over
//! the elements of a head, every element of an output one chain over the positions of a chunk. So results depend
//! neither on the shape of the tiles that are kept in registers nor on the rows that share them, and keys that were
//! turned to floats before give the same bits as those that are turned while they are multiplied.

#![allow(clippy::needless_range_loop, reason = "a tile is indexed by row and vector")]

use std::ops::Range;

use inkling_compute::PAGE_POSITIONS;

use super::cache::Format;
use super::lanes::{LANES, Lanes};
use super::math::{exp, max_lanes, sum_lanes, tanh};
use crate::format::BLOCK;

/// Tiles of so many rows wait for memory rather than for multiplications: they ask for the `next` page, line by line, as
/// they read this one.
const PREFETCH_ROWS: usize = 4;

/// Positions whose softmax is taken in one step, counted from position 0 of the sequence.
pub(crate) const CHUNK: usize = 256;
/// Elements of a query that one call of [`scores`] takes.
pub(crate) const SLAB: usize = 256;
/// Distance of rows of queries and of scores: constant, so that one register addresses a whole tile, and an odd number
/// of cache lines, so that rows do not share the same few sets of the cache.
pub(crate) const ROW_STRIDE: usize = CHUNK + LANES;

/// `out[row][position] = Σ query[row][k] · keys[k][position]` for the 32 positions of a page, over `width` elements.
/// With `more` the sums go on from what `out` holds.
///
/// # Safety
/// The machine has the set. `queries` and `out` point to `rows` rows, [`ROW_STRIDE`] apart, `keys` to the keys of a
/// head of that width.
#[inline(always)]
pub(crate) unsafe fn scores<L: Lanes, F: Format>(
    queries: *const f32,
    rows: usize,
    width: usize,
    keys: *const u8,
    next: *const u8,
    more: bool,
    out: *mut f32,
) {
    let mut row = 0;
    while row < rows {
        // SAFETY: a tile takes no more rows than are left.
        row += unsafe {
            let (queries, out) = (queries.add(row * ROW_STRIDE), out.add(row * ROW_STRIDE));
            match rows - row {
                12.. if L::WIDE => score_tile::<L, F, 12, 2>(queries, width, keys, next, more, out),
                6.. if L::WIDE => score_tile::<L, F, 6, 2>(queries, width, keys, next, more, out),
                6.. => score_tile::<L, F, 6, 1>(queries, width, keys, next, more, out),
                4.. if L::WIDE => score_tile::<L, F, 4, 2>(queries, width, keys, next, more, out),
                4.. => score_tile::<L, F, 4, 1>(queries, width, keys, next, more, out),
                3 => score_tile::<L, F, 3, 2>(queries, width, keys, next, more, out),
                2 => score_tile::<L, F, 2, 2>(queries, width, keys, next, more, out),
                _ => score_tile::<L, F, 1, 2>(queries, width, keys, next, more, out),
            }
        };
    }
}

/// `R` rows, with sums of `V` vectors of positions in registers.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
unsafe fn score_tile<L: Lanes, F: Format, const R: usize, const V: usize>(
    queries: *const f32,
    width: usize,
    keys: *const u8,
    next: *const u8,
    more: bool,
    out: *mut f32,
) -> usize {
    let ahead = next.addr().wrapping_sub(keys.addr());
    for first in (0..PAGE_POSITIONS / LANES).step_by(V) {
        // SAFETY: inside the page and the rows by the contract.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; R];
            if more {
                for r in 0..R {
                    for v in 0..V {
                        sums[r][v] = L::load(out.add(r * ROW_STRIDE + (first + v) * LANES));
                    }
                }
            }
            let (mut block, mut done) = (keys, 0);
            while done < width {
                let mut scales = [L::splat(0.0); V];
                for v in 0..V {
                    scales[v] = F::key_scales(block, first + v);
                }
                for k in 0..(width - done).min(BLOCK) {
                    if R <= PREFETCH_ROWS && first == 0 {
                        L::prefetch(block.wrapping_add(ahead).wrapping_add(k * (F::KEY_BLOCK_BYTES / BLOCK)));
                    }
                    let mut key = scales;
                    for v in 0..V {
                        key[v] = F::keys(block, k, first + v, scales[v]);
                    }
                    for r in 0..R {
                        let query = L::splat(*queries.add(r * ROW_STRIDE + done + k));
                        for v in 0..V {
                            sums[r][v] = query.times_plus(key[v], sums[r][v]);
                        }
                    }
                }
                block = block.add(F::KEY_BLOCK_BYTES);
                done += BLOCK;
            }
            for r in 0..R {
                for v in 0..V {
                    sums[r][v].store(out.add(r * ROW_STRIDE + (first + v) * LANES));
                }
            }
        }
    }
    R
}

/// Turns the scores of a row into weights relative to the largest of them; gives that one and the weights' sum.
///
/// Only those in `seen` count. `cap` is applied first, where there is one.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32; CHUNK], seen: Range<usize>, cap: Option<f32>) -> [f32; 2] {
    let (first, last) = (seen.start / LANES, seen.end.div_ceil(LANES));
    if let Some(cap) = cap {
        let inverse = 1.0 / cap;
        scores[first * LANES..last * LANES].iter_mut().for_each(|x| *x = cap * tanh(*x * inverse));
    }
    // Whole vectors from here on: what is not seen weighs nothing.
    scores[first * LANES..seen.start].fill(f32::NEG_INFINITY);
    scores[seen.end..last * LANES].fill(f32::NEG_INFINITY);
    let vectors = &mut scores.as_chunks_mut::<LANES>().0[first..last];
    let mut largest = [f32::NEG_INFINITY; LANES];
    for vector in &*vectors {
        for j in 0..LANES {
            largest[j] = if vector[j] > largest[j] { vector[j] } else { largest[j] };
        }
    }
    let largest = max_lanes(largest);
    let mut sums = [0.0; LANES];
    for vector in vectors {
        for j in 0..LANES {
            vector[j] = exp(vector[j] - largest);
            sums[j] += vector[j];
        }
    }
    [largest, sum_lanes(sums)]
}

/// Adds weighted values of a page to sums: `sums[row] += Σ weights[row][position] · values[position]`, each row over
/// the positions of the page that it sees. What rows see begins and ends no earlier than for the row before.
///
/// # Safety
/// The machine has the set. `weights` points to rows [`ROW_STRIDE`] apart, one for each range in `seen`, at the first
/// position of the page; `values` to the page's rows of `F`, `row_bytes` apart, of `vectors` whole vectors; `sums` to
/// rows of as many vectors that lie next to each other.
#[inline(always)]
pub(crate) unsafe fn accumulate<L: Lanes, F: Format>(
    weights: *const f32,
    values: *const u8,
    next: *const u8,
    row_bytes: usize,
    vectors: usize,
    seen: &[Range<usize>],
    sums: *mut f32,
) {
    let mut row = 0;
    while row < seen.len() {
        let rows = match seen.len() - row {
            12.. if L::WIDE => 12,
            6.. => 6,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let seen = &seen[row..row + rows];
        // What all of these rows see, they take together; what is before and after, each takes for itself.
        let (start, end) = (seen[rows - 1].start, seen[0].end.max(seen[rows - 1].start));
        // SAFETY: positions of the page, rows of the operands.
        unsafe {
            let ahead = next.addr().wrapping_sub(values.addr());
            let o = Operands { weights, values, ahead, row_bytes, vectors, sums }.row(row);
            for (row, seen) in seen.iter().enumerate() {
                if seen.start < start.min(seen.end) {
                    sum_together::<L, F, 1, 4>(o.row(row), seen.start..start.min(seen.end));
                }
            }
            match rows {
                _ if start == end => {}
                12 => sum_together::<L, F, 12, 2>(o, start..end),
                6 if L::WIDE => sum_together::<L, F, 6, 4>(o, start..end),
                6 => sum_together::<L, F, 6, 1>(o, start..end),
                4 if L::WIDE => sum_together::<L, F, 4, 4>(o, start..end),
                4 => sum_together::<L, F, 4, 1>(o, start..end),
                2 if L::WIDE => sum_together::<L, F, 2, 4>(o, start..end),
                2 => sum_together::<L, F, 2, 2>(o, start..end),
                _ => sum_together::<L, F, 1, 4>(o, start..end),
            }
            for (row, seen) in seen.iter().enumerate() {
                if seen.end > end.max(seen.start) {
                    sum_together::<L, F, 1, 4>(o.row(row), end.max(seen.start)..seen.end);
                }
            }
        }
        row += rows;
    }
}

/// Operands of [`accumulate`], at one of its rows.
#[derive(Clone, Copy)]
struct Operands {
    weights: *const f32,
    values: *const u8,
    /// From this page to the next.
    ahead: usize,
    row_bytes: usize,
    vectors: usize,
    sums: *mut f32,
}

impl Operands {
    /// The same, `rows` further on.
    ///
    /// # Safety
    /// There are so many rows.
    #[inline(always)]
    unsafe fn row(self, rows: usize) -> Self {
        // SAFETY: passed on to the caller.
        unsafe {
            Self {
                weights: self.weights.add(rows * ROW_STRIDE),
                sums: self.sums.add(rows * self.vectors * LANES),
                ..self
            }
        }
    }
}

/// `R` rows that see the same positions, with sums of `V` vectors of elements in registers.
///
/// # Safety
/// As [`accumulate`].
#[inline(always)]
unsafe fn sum_together<L: Lanes, F: Format, const R: usize, const V: usize>(o: Operands, positions: Range<usize>) {
    let mut first = 0;
    // SAFETY: no more vectors than there are.
    unsafe {
        while first + V <= o.vectors {
            sum_tile::<L, F, R, V>(o, positions.clone(), first);
            first += V;
        }
        while first < o.vectors {
            sum_tile::<L, F, R, 1>(o, positions.clone(), first);
            first += 1;
        }
    }
}

/// # Safety
/// As [`accumulate`]; there are `V` vectors from `first` on.
#[inline(always)]
unsafe fn sum_tile<L: Lanes, F: Format, const R: usize, const V: usize>(
    o: Operands,
    positions: Range<usize>,
    first: usize,
) {
    // SAFETY: inside the page and the rows by the contract.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        for r in 0..R {
            for v in 0..V {
                sums[r][v] = L::load(o.sums.add((r * o.vectors + first + v) * LANES));
            }
        }
        for position in positions {
            let row = o.values.add(position * o.row_bytes);
            if R <= PREFETCH_ROWS {
                for line in (first * F::VECTOR_BYTES..(first + V) * F::VECTOR_BYTES).step_by(64) {
                    L::prefetch(row.wrapping_add(o.ahead).wrapping_add(line));
                }
            }
            let mut values = [L::splat(0.0); V];
            for v in 0..V {
                values[v] = F::values(row, first + v);
            }
            for r in 0..R {
                let weight = L::splat(*o.weights.add(r * ROW_STRIDE + position));
                for v in 0..V {
                    sums[r][v] = weight.times_plus(values[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                sums[r][v].store(o.sums.add((r * o.vectors + first + v) * LANES));
            }
        }
    }
}

/// Takes a chunk into what was summed before: `part` are its sums, `part_state` its largest score and its weights' sum.
/// Chunks come in the order of their positions, so that it does not show who computed them.
#[inline(always)]
pub(crate) fn merge(state: &mut [f32; 2], sums: &mut [f32], part_state: [f32; 2], part: &[f32]) {
    let largest = if part_state[0] > state[0] { part_state[0] } else { state[0] };
    let (keep, take) = (exp(state[0] - largest), exp(part_state[0] - largest));
    *state = [largest, state[1].mul_add(keep, part_state[1] * take)];
    for (sum, part) in sums.iter_mut().zip(part) {
        *sum = sum.mul_add(keep, part * take);
    }
}
