//! The pass of `inkling_compute::spec`, line by line.

use std::sync::Arc;

use inkling_compute::{
    Attention, Batch, ComputeError, Decoder, DecoderSpec, FeedForward, GatedFeedForward, HostPages, KvCache, KvLayout,
    KvType, Layer, LoadPlan, MemoryUse, Mixer, Norm, Output, Run, Want, Weights, quant,
};

use crate::attention::attend;
use crate::linear::linear;
use crate::{NAME, operators, unsupported};

/// A model that was checked at load.
pub(crate) struct ReferenceDecoder {
    spec: Arc<DecoderSpec>,
    weights: Weights,
    max_batch: usize,
    max_outputs: usize,
    threads: usize,
}

impl ReferenceDecoder {
    pub(crate) fn new(spec: Arc<DecoderSpec>, weights: Weights, plan: &LoadPlan<'_>) -> Self {
        Self { spec, weights, max_batch: plan.max_batch, max_outputs: plan.max_outputs, threads: plan.threads }
    }

    /// The embedded tokens, `[token, width]`.
    fn embed(&self, tokens: &[u32]) -> Result<Vec<f32>, ComputeError> {
        let matrix = self.weights.matrix(&self.spec.embedding)?;
        let mut x = vec![0.0; tokens.len() * self.spec.width];
        for (&token, row) in tokens.iter().zip(x.chunks_exact_mut(self.spec.width)) {
            quant::dequantize(matrix.kind, matrix.row(token as usize), row)?;
            row.iter_mut().for_each(|value| *value *= self.spec.embedding_scale);
        }
        Ok(x)
    }

    /// One layer over the hidden states of the whole batch.
    fn layer(
        &self,
        index: usize,
        layer: &Layer,
        runs: &[Run],
        x: &mut [f32],
        kv: &mut KvCache,
    ) -> Result<(), ComputeError> {
        let Mixer::Attention(attention) = &layer.mixer else { return Err(unsupported("an unknown mixer")) };
        let normed = operators::norm(&self.weights, &layer.mixer_norm, x)?;
        let y = self.attention(index, attention, runs, &normed, kv)?;
        self.add(x, y, layer.mixer_post_norm.as_ref())?;

        let FeedForward::Gated(gated) = &layer.feed_forward else {
            return Err(unsupported("an unknown feed-forward part"));
        };
        let normed = operators::norm(&self.weights, &layer.feed_forward_norm, x)?;
        let y = self.feed_forward(gated, &normed)?;
        self.add(x, y, layer.feed_forward_post_norm.as_ref())
    }

    fn attention(
        &self,
        layer: usize,
        a: &Attention,
        runs: &[Run],
        x: &[f32],
        kv: &mut KvCache,
    ) -> Result<Vec<f32>, ComputeError> {
        let mut queries = linear(&self.weights, &a.query, x, self.threads)?;
        let mut keys = linear(&self.weights, &a.key, x, self.threads)?;
        let values = linear(&self.weights, &a.value, x, self.threads)?;
        if let Some(norm) = &a.query_norm {
            queries = operators::norm(&self.weights, norm, &queries)?;
        }
        if let Some(norm) = &a.key_norm {
            keys = operators::norm(&self.weights, norm, &keys)?;
        }

        let mut mixed = Vec::with_capacity(x.len() / self.spec.width * a.heads * a.value_width);
        let mut first = 0;
        for &run in runs {
            let part = |heads: usize, width: usize| first * heads * width..(first + run.count) * heads * width;
            let queries = &mut queries[part(a.heads, a.key_width)];
            let keys = &mut keys[part(a.kv_heads, a.key_width)];
            let values = &values[part(a.kv_heads, a.value_width)];
            for (heads, rows) in [(a.heads, &mut *queries), (a.kv_heads, &mut *keys)] {
                for (index, head) in rows.chunks_exact_mut(a.key_width).enumerate() {
                    operators::rope(&a.rope, run.start + index / heads, head);
                }
            }
            mixed.extend(attend(a, layer, run, [queries, keys, values], kv, self.threads)?);
            first += run.count;
        }
        linear(&self.weights, &a.output, &mixed, self.threads)
    }

    fn feed_forward(&self, f: &GatedFeedForward, x: &[f32]) -> Result<Vec<f32>, ComputeError> {
        let gate = linear(&self.weights, &f.gate, x, self.threads)?;
        let up = linear(&self.weights, &f.up, x, self.threads)?;
        linear(&self.weights, &f.down, &operators::gated(f.activation, &gate, &up), self.threads)
    }

    /// `x += post_norm(y)`.
    fn add(&self, x: &mut [f32], mut y: Vec<f32>, post_norm: Option<&Norm>) -> Result<(), ComputeError> {
        if let Some(norm) = post_norm {
            y = operators::norm(&self.weights, norm, &y)?;
        }
        x.iter_mut().zip(&y).for_each(|(x, y)| *x += y);
        Ok(())
    }

    /// The logits of some rows of the batch, `[row, vocabulary]`.
    fn logits(&self, x: &[f32], rows: &[usize]) -> Result<Vec<f32>, ComputeError> {
        let wanted: Vec<f32> =
            rows.iter().flat_map(|row| &x[row * self.spec.width..][..self.spec.width]).copied().collect();
        let normed = operators::norm(&self.weights, &self.spec.final_norm, &wanted)?;
        let mut logits = linear(&self.weights, &self.spec.head, &normed, self.threads)?;
        for logit in &mut logits {
            let scaled = f64::from(*logit) * f64::from(self.spec.logit_scale);
            *logit = operators::softcap(self.spec.logit_softcap, scaled) as f32;
        }
        Ok(logits)
    }

    fn answer(&self, x: &[f32], want: Want<'_>, output: &mut Output) -> Result<(), ComputeError> {
        let rows = want.rows();
        let logits = if rows.is_empty() { Vec::new() } else { self.logits(x, rows)? };
        match want {
            Want::Nothing => {}
            Want::Logits(_) => output.begin_logits(rows.len(), self.spec.vocabulary).copy_from_slice(&logits),
            Want::Argmax(_) => {
                let by_row = logits.chunks_exact(self.spec.vocabulary);
                output.begin_argmax(rows.len()).iter_mut().zip(by_row).for_each(|(out, row)| *out = argmax(row));
            }
            _ => return Err(unsupported("an unknown kind of output")),
        }
        Ok(())
    }
}

/// The index of the largest logit, the lowest one of equals.
fn argmax(logits: &[f32]) -> u32 {
    let best =
        logits.iter().enumerate().fold(0, |best, (index, &logit)| if logit > logits[best] { index } else { best });
    best as u32
}

impl Decoder for ReferenceDecoder {
    fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    fn new_cache(&self, kind: KvType, positions: usize) -> Result<KvCache, ComputeError> {
        let layout = KvLayout::new(NAME, kind, &self.spec.kv_layers())?;
        Ok(KvCache::new(Box::new(HostPages::new(layout)), positions))
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        kv: &mut KvCache,
        want: Want<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        batch.validate(self.spec.vocabulary, self.max_batch)?;
        want.validate(batch.len(), self.max_outputs)?;
        let own = kv.store::<HostPages>().map(HostPages::layout).is_some_and(|layout| {
            KvLayout::new(NAME, layout.kind(), &self.spec.kv_layers()).is_ok_and(|ours| ours == *layout)
        });
        if !own {
            return Err(ComputeError::BadBatch { why: "the cache was made for another model or back end" });
        }
        kv.prepare(batch)?;
        let mut x = self.embed(batch.tokens)?;
        for (index, layer) in self.spec.layers.iter().enumerate() {
            self.layer(index, layer, batch.runs, &mut x, kv)?;
        }
        self.answer(&x, want, output)?;
        kv.commit(batch);
        Ok(())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    fn memory(&self) -> MemoryUse {
        let mapped = self.weights.file().tensors().iter().map(|tensor| tensor.bytes).sum();
        let views = self.spec.linears().filter_map(|linear| self.weights.matrix(&linear.weight).ok());
        MemoryUse { mapped, owned: 0, scratch: 0, per_token: views.map(|view| view.bytes.len() as u64).sum() }
    }
}
