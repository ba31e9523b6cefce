//! Whether a spec agrees with itself and with the file, asked once at load so that a pass cannot fail half-way.

use inkling_compute::{
    Attention, ComputeError, DecoderSpec, FeedForward, GatedFeedForward, Layer, Linear, LoadPlan, Matrix, Mixer, Norm,
    Vector, Weights, quant,
};

use crate::unsupported;

/// Checks every layer; asks for cancellation and tells the progress between them.
pub(crate) fn check(spec: &DecoderSpec, weights: &Weights, plan: &LoadPlan<'_>) -> Result<(), ComputeError> {
    let check = Check { weights };
    let width = spec.width;
    check.matrix("embedding", &spec.embedding, spec.vocabulary, width)?;
    for (index, layer) in spec.layers.iter().enumerate() {
        plan.cancel.check()?;
        check.layer(layer, width)?;
        (plan.progress)((index + 1) as f32 / spec.layers.len() as f32);
    }
    check.norm("the final norm", &spec.final_norm, width)?;
    check.linear("head", &spec.head, spec.vocabulary, width)
}

struct Check<'a> {
    weights: &'a Weights,
}

impl Check<'_> {
    fn layer(&self, layer: &Layer, width: usize) -> Result<(), ComputeError> {
        self.norm("a mixer's norm", &layer.mixer_norm, width)?;
        self.norm("a feed-forward's norm", &layer.feed_forward_norm, width)?;
        for norm in layer.mixer_post_norm.iter().chain(&layer.feed_forward_post_norm) {
            self.norm("a norm after a part", norm, width)?;
        }
        let Mixer::Attention(attention) = &layer.mixer else { return Err(unsupported("an unknown mixer")) };
        self.attention(attention, width)?;
        let FeedForward::Gated(gated) = &layer.feed_forward else {
            return Err(unsupported("an unknown feed-forward part"));
        };
        self.gated(gated, width)
    }

    fn attention(&self, a: &Attention, width: usize) -> Result<(), ComputeError> {
        if a.kv_heads == 0 || a.heads == 0 || !a.heads.is_multiple_of(a.kv_heads) {
            return Err(unsupported(format!("{} heads over {} key/value heads", a.heads, a.kv_heads)));
        }
        if 2 * a.rope.frequencies.len() > a.key_width {
            let pairs = a.rope.frequencies.len();
            return Err(unsupported(format!("rope over {pairs} pairs in heads of {} elements", a.key_width)));
        }
        if a.window == Some(0) {
            return Err(unsupported("an attention window of 0 positions"));
        }
        self.linear("query", &a.query, a.heads * a.key_width, width)?;
        self.linear("key", &a.key, a.kv_heads * a.key_width, width)?;
        self.linear("value", &a.value, a.kv_heads * a.value_width, width)?;
        self.linear("attention output", &a.output, width, a.heads * a.value_width)?;
        a.query_norm.iter().chain(&a.key_norm).try_for_each(|norm| self.norm("a head's norm", norm, a.key_width))
    }

    fn gated(&self, f: &GatedFeedForward, width: usize) -> Result<(), ComputeError> {
        let inner = f.gate.weight.rows;
        self.linear("gate", &f.gate, inner, width)?;
        self.linear("up", &f.up, inner, width)?;
        self.linear("down", &f.down, width, inner)
    }

    fn norm(&self, what: &str, norm: &Norm, len: usize) -> Result<(), ComputeError> {
        self.vector(what, &norm.weight, len)
    }

    fn linear(&self, what: &str, linear: &Linear, rows: usize, columns: usize) -> Result<(), ComputeError> {
        self.matrix(what, &linear.weight, rows, columns)?;
        linear.bias.iter().try_for_each(|bias| self.vector(what, bias, rows))
    }

    fn vector(&self, what: &str, vector: &Vector, len: usize) -> Result<(), ComputeError> {
        if vector.len != len {
            return Err(unsupported(format!("{what} has {} elements where {len} are needed", vector.len)));
        }
        self.weights.vector(vector).map(drop)
    }

    fn matrix(&self, what: &str, matrix: &Matrix, rows: usize, columns: usize) -> Result<(), ComputeError> {
        if (matrix.rows, matrix.columns) != (rows, columns) {
            let (have_rows, have_columns) = (matrix.rows, matrix.columns);
            return Err(unsupported(format!(
                "{what} has {have_rows} rows of {have_columns} where {rows} of {columns} are needed"
            )));
        }
        let kind = self.weights.matrix(matrix)?.kind;
        if !quant::FORMATS.contains(&kind) {
            return Err(unsupported(format!("{what} of type {kind}")));
        }
        Ok(())
    }
}
