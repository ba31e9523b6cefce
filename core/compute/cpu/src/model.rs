//! A decoder made ready to run: its matrices packed, its vectors read, its sizes added up.
//!
//! Everything that could fail in a pass is checked here. The embedding stays in the mapped file, of which a pass reads
//! the rows of its tokens; one that is tied to the head is read from the head's panels, so that it exists once.

use std::sync::Arc;

use inkling_compute::{
    Activation, Attention, ComputeError, DecoderSpec, FeedForward, GatedFeedForward, Layer, Linear, LoadPlan,
    LoadWarning, Matrix, Mixer, Norm, Prepared, Rope, RopeStyle, Weights, quant,
};

use crate::NAME;
use crate::format::BLOCK;
use crate::pack::{self, Obtained, PackedMatrix, PanelPlan};
use crate::pool::Pool;

/// `y = weight · x + bias`.
pub(crate) struct PackedLinear {
    pub(crate) matrix: PackedMatrix,
    /// Empty where there is none.
    pub(crate) bias: Vec<f32>,
}

/// A root-mean-square norm.
pub(crate) struct PackedNorm {
    pub(crate) weight: Vec<f32>,
    pub(crate) epsilon: f32,
}

/// Attention.
pub(crate) struct PackedAttention {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) key_width: usize,
    pub(crate) value_width: usize,
    pub(crate) query: PackedLinear,
    pub(crate) key: PackedLinear,
    pub(crate) value: PackedLinear,
    pub(crate) output: PackedLinear,
    pub(crate) query_norm: Option<PackedNorm>,
    pub(crate) key_norm: Option<PackedNorm>,
    /// Index in [`Model::ropes`].
    pub(crate) rope: usize,
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
    pub(crate) softcap: Option<f32>,
}

/// A gated feed-forward part.
pub(crate) struct PackedFeedForward {
    pub(crate) gate: PackedLinear,
    pub(crate) up: PackedLinear,
    pub(crate) down: PackedLinear,
    pub(crate) activation: Activation,
}

/// A layer.
pub(crate) struct PackedLayer {
    pub(crate) mixer_norm: PackedNorm,
    pub(crate) attention: PackedAttention,
    pub(crate) mixer_post_norm: Option<PackedNorm>,
    pub(crate) feed_forward_norm: PackedNorm,
    pub(crate) feed_forward: PackedFeedForward,
    pub(crate) feed_forward_post_norm: Option<PackedNorm>,
}

/// A decoder.
pub(crate) struct Model {
    pub(crate) spec: Arc<DecoderSpec>,
    pub(crate) weights: Weights,
    pub(crate) layers: Vec<PackedLayer>,
    pub(crate) final_norm: PackedNorm,
    pub(crate) head: PackedLinear,
    /// The different ropes of the layers.
    pub(crate) ropes: Vec<Rope>,
    /// Bytes of the weights in memory of our own.
    pub(crate) owned_bytes: u64,
    /// Bytes of the weights in mapped files.
    pub(crate) mapped_bytes: u64,
    /// What went wrong with the file of panels.
    pub(crate) warnings: Vec<LoadWarning>,
}

impl Model {
    /// Checks everything and gets the panels.
    pub(crate) fn load(
        spec: Arc<DecoderSpec>,
        weights: Weights,
        load: &LoadPlan<'_>,
        pool: &mut Pool,
    ) -> Result<Self, ComputeError> {
        let (mut model, plan) = Self::plan(spec, weights)?;
        let Obtained { panels, warnings } = pack::obtain(&plan, &model.weights, load, pool)?;
        let panels = Arc::new(panels);
        let bytes = plan.data_bytes() as u64;
        *if panels.are_mapped() { &mut model.mapped_bytes } else { &mut model.owned_bytes } += bytes;
        model.matrices_mut().for_each(|matrix| matrix.fill(&panels));
        model.warnings = warnings;
        (load.progress)(1.0);
        Ok(model)
    }

    /// Makes the file of panels for later loads.
    pub(crate) fn prepare(
        spec: Arc<DecoderSpec>,
        weights: Weights,
        load: &LoadPlan<'_>,
        pool: &mut Pool,
    ) -> Result<Prepared, ComputeError> {
        let (model, plan) = Self::plan(spec, weights)?;
        pack::prepare(&plan, &model.weights, load, pool)
    }

    /// A model whose matrices are planned and not yet there.
    fn plan(spec: Arc<DecoderSpec>, weights: Weights) -> Result<(Self, PanelPlan), ComputeError> {
        let embedding = &spec.embedding;
        expect("the embedding", embedding, spec.vocabulary, spec.width)?;
        let embedding = weights.matrix(embedding)?;
        if !quant::FORMATS.contains(&embedding.kind) {
            return Err(unsupported(format!("an embedding of type {}", embedding.kind)));
        }
        let mapped_bytes = if spec.is_tied() { 0 } else { embedding.bytes.len() as u64 };
        let mut loader = Loader { weights: &weights, plan: PanelPlan::default() };
        let mut ropes = Vec::new();
        let layers =
            spec.layers.iter().map(|layer| loader.layer(layer, spec.width, &mut ropes)).collect::<Result<_, _>>()?;
        let final_norm = loader.norm(&spec.final_norm, spec.width)?;
        let head = loader.linear("the head", &spec.head, spec.vocabulary, spec.width, spec.vocabulary)?;
        let plan = loader.plan;
        let (owned_bytes, warnings) = (0, Vec::new());
        Ok((Self { layers, final_norm, head, ropes, owned_bytes, mapped_bytes, warnings, spec, weights }, plan))
    }

    /// The embedding of a token, before it is scaled.
    pub(crate) fn embedding(&self, token: usize, out: &mut [f32]) {
        if self.spec.is_tied() {
            return self.head.matrix.gather(token, out);
        }
        // Type and sizes were checked when the model was loaded.
        let read = self.weights.matrix(&self.spec.embedding);
        if read.and_then(|view| quant::dequantize(view.kind, view.row(token), out)).is_err() {
            unreachable!("an embedding of a type that loading refuses");
        }
    }

    /// All matrices.
    pub(crate) fn matrices(&self) -> impl Iterator<Item = &PackedMatrix> {
        self.layers
            .iter()
            .flat_map(|layer| {
                let (a, f) = (&layer.attention, &layer.feed_forward);
                [&a.query, &a.key, &a.value, &a.output, &f.gate, &f.up, &f.down]
            })
            .chain(std::iter::once(&self.head))
            .map(|linear| &linear.matrix)
    }

    fn matrices_mut(&mut self) -> impl Iterator<Item = &mut PackedMatrix> {
        self.layers
            .iter_mut()
            .flat_map(|layer| {
                let (a, f) = (&mut layer.attention, &mut layer.feed_forward);
                [&mut a.query, &mut a.key, &mut a.value, &mut a.output, &mut f.gate, &mut f.up, &mut f.down]
            })
            .chain(std::iter::once(&mut self.head))
            .map(|linear| &mut linear.matrix)
    }
}

pub(crate) fn unsupported(what: impl Into<String>) -> ComputeError {
    ComputeError::Unsupported { backend: NAME, what: what.into() }
}

fn expect(what: &str, matrix: &Matrix, rows: usize, columns: usize) -> Result<(), ComputeError> {
    if (matrix.rows, matrix.columns) == (rows, columns) && rows > 0 && columns > 0 {
        return Ok(());
    }
    Err(unsupported(format!(
        "{what} has {} rows of {} where {rows} of {columns} are needed",
        matrix.rows, matrix.columns
    )))
}

struct Loader<'a> {
    weights: &'a Weights,
    plan: PanelPlan,
}

impl Loader<'_> {
    fn layer(&mut self, layer: &Layer, width: usize, ropes: &mut Vec<Rope>) -> Result<PackedLayer, ComputeError> {
        let Mixer::Attention(attention) = &layer.mixer else { return Err(unsupported("an unknown mixer")) };
        let FeedForward::Gated(gated) = &layer.feed_forward else {
            return Err(unsupported("an unknown feed-forward part"));
        };
        Ok(PackedLayer {
            mixer_norm: self.norm(&layer.mixer_norm, width)?,
            attention: self.attention(attention, width, ropes)?,
            mixer_post_norm: self.optional_norm(&layer.mixer_post_norm, width)?,
            feed_forward_norm: self.norm(&layer.feed_forward_norm, width)?,
            feed_forward: self.gated(gated, width)?,
            feed_forward_post_norm: self.optional_norm(&layer.feed_forward_post_norm, width)?,
        })
    }

    fn attention(
        &mut self,
        a: &Attention,
        width: usize,
        ropes: &mut Vec<Rope>,
    ) -> Result<PackedAttention, ComputeError> {
        if a.kv_heads == 0 || a.heads == 0 || !a.heads.is_multiple_of(a.kv_heads) {
            return Err(unsupported(format!("{} heads over {} key/value heads", a.heads, a.kv_heads)));
        }
        let pairs = a.rope.frequencies.len();
        if 2 * pairs > a.key_width {
            return Err(unsupported(format!("rope over {pairs} pairs in heads of {} elements", a.key_width)));
        }
        if a.window == Some(0) {
            return Err(unsupported("an attention window of 0 positions"));
        }
        let rope = ropes.iter().position(|rope| *rope == a.rope).unwrap_or_else(|| {
            ropes.push(a.rope.clone());
            ropes.len() - 1
        });
        let (key_rows, value_rows) = (a.kv_heads * a.key_width, a.kv_heads * a.value_width);
        Ok(PackedAttention {
            heads: a.heads,
            kv_heads: a.kv_heads,
            key_width: a.key_width,
            value_width: a.value_width,
            query: self.linear("query", &a.query, a.heads * a.key_width, width, a.key_width)?,
            key: self.linear("key", &a.key, key_rows, width, a.key_width)?,
            value: self.linear("value", &a.value, value_rows, width, a.value_width)?,
            output: self.linear("attention output", &a.output, width, a.heads * a.value_width, width)?,
            query_norm: self.optional_norm(&a.query_norm, a.key_width)?,
            key_norm: self.optional_norm(&a.key_norm, a.key_width)?,
            rope,
            window: a.window,
            scale: a.scale,
            softcap: a.softcap,
        })
    }

    fn gated(&mut self, f: &GatedFeedForward, width: usize) -> Result<PackedFeedForward, ComputeError> {
        let inner = f.gate.weight.rows;
        Ok(PackedFeedForward {
            gate: self.linear("gate", &f.gate, inner, width, inner)?,
            up: self.linear("up", &f.up, inner, width, inner)?,
            down: self.linear("down", &f.down, width, inner, width)?,
            activation: f.activation,
        })
    }

    fn norm(&mut self, norm: &Norm, len: usize) -> Result<PackedNorm, ComputeError> {
        if norm.weight.len != len {
            return Err(unsupported(format!("a norm of {} elements where {len} are needed", norm.weight.len)));
        }
        Ok(PackedNorm { weight: self.weights.vector(&norm.weight)?, epsilon: norm.epsilon })
    }

    fn optional_norm(&mut self, norm: &Option<Norm>, len: usize) -> Result<Option<PackedNorm>, ComputeError> {
        norm.as_ref().map(|norm| self.norm(norm, len)).transpose()
    }

    fn linear(
        &mut self,
        what: &str,
        linear: &Linear,
        rows: usize,
        columns: usize,
        group: usize,
    ) -> Result<PackedLinear, ComputeError> {
        expect(what, &linear.weight, rows, columns)?;
        let matrix = self.plan.add(&self.weights.matrix(&linear.weight)?, Some(linear.weight), group)?;
        if matrix.is_int() && !columns.is_multiple_of(BLOCK) {
            return Err(unsupported(format!("{what} with {columns} columns")));
        }
        let bias = match &linear.bias {
            Some(bias) if bias.len != rows => {
                return Err(unsupported(format!("{what} with a bias of {} elements for {rows} rows", bias.len)));
            }
            Some(bias) => self.weights.vector(bias)?,
            None => Vec::new(),
        };
        Ok(PackedLinear { matrix, bias })
    }
}

/// Cosines and sines of a rope at `position`, times its magnitude.
pub(crate) fn rope_table(rope: &Rope, position: usize, cos: &mut [f32], sin: &mut [f32]) {
    for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(&rope.frequencies) {
        let (s, c) = (position as f64 * f64::from(*frequency)).sin_cos();
        let magnitude = f64::from(rope.magnitude);
        (*cos, *sin) = ((c * magnitude) as f32, (s * magnitude) as f32);
    }
}

/// Whether a rope's pairs are neighbours.
pub(crate) fn is_interleaved(rope: &Rope) -> bool {
    rope.style == RopeStyle::Interleaved
}
