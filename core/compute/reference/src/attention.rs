//! Grouped-query causal attention of one run over everything its sequence holds.

use inkling_compute::{Attention, ComputeError, KvCache, Run};

use crate::cache::{self, Place, Side};
use crate::operators::softcap;
use crate::parallel;

/// Appends the run's `keys` and `values` to the cache and lets its `queries` look at all they may see.
///
/// All are `[position, head, element]` and already rotated; so is the result, over `heads` and `value_width`.
pub(crate) fn attend(
    a: &Attention,
    layer: usize,
    run: Run,
    [queries, keys, values]: [&[f32]; 3],
    kv: &mut KvCache,
    threads: usize,
) -> Result<Vec<f32>, ComputeError> {
    let key_place = Place { layer, heads: a.kv_heads, width: a.key_width, side: Side::Keys };
    let value_place = Place { width: a.value_width, side: Side::Values, ..key_place };
    cache::write(kv, run, key_place, keys)?;
    cache::write(kv, run, value_place, values)?;
    let keys = cache::read(kv, run, key_place)?;
    let values = cache::read(kv, run, value_place)?;
    let seen = Seen { a, keys: &keys, values: &values, positions: run.start + run.count };

    let mut out = vec![0.0; run.count * a.heads * a.value_width];
    let threads = if run.count == 1 { 1 } else { threads };
    parallel::for_each_chunk(&mut out, a.heads * a.value_width, threads, |index, out| {
        let queries = queries[index * a.heads * a.key_width..].chunks_exact(a.key_width);
        for (head, (query, out)) in queries.zip(out.chunks_exact_mut(a.value_width)).enumerate() {
            seen.attend(head, run.start + index, query, out);
        }
        Ok(())
    })?;
    Ok(out)
}

/// Keys and values `[kv_head, position, element]` of one sequence.
struct Seen<'a> {
    a: &'a Attention,
    keys: &'a [f64],
    values: &'a [f64],
    positions: usize,
}

impl Seen<'_> {
    /// One query head at one position.
    fn attend(&self, head: usize, position: usize, query: &[f32], out: &mut [f32]) {
        let a = self.a;
        let kv_head = head / (a.heads / a.kv_heads);
        let query: Vec<f64> = query.iter().copied().map(f64::from).collect();
        let first = a.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let row = |all: &'_ [f64], width: usize, at: usize| -> std::ops::Range<usize> {
            debug_assert_eq!(all.len(), a.kv_heads * self.positions * width);
            let start = (kv_head * self.positions + at) * width;
            start..start + width
        };

        let mut weights: Vec<f64> = (first..=position)
            .map(|at| {
                let key = &self.keys[row(self.keys, a.key_width, at)];
                softcap(a.softcap, dot(&query, key) * f64::from(a.scale))
            })
            .collect();
        let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        weights.iter_mut().for_each(|weight| *weight = (*weight - largest).exp());
        let total: f64 = weights.iter().sum();

        let mut sums = vec![0.0; a.value_width];
        for (at, weight) in (first..=position).zip(&weights) {
            let value = &self.values[row(self.values, a.value_width, at)];
            sums.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * value);
        }
        out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = (sum / total) as f32);
    }
}

/// The sum of products.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
