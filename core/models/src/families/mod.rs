//! The registry: which architecture is read by which file.

mod gemma3;
mod llama;
mod phi3;
mod qwen2;
mod qwen3;

use inkling_compute::{Activation, DecoderSpec, Rope};
use inkling_gguf::{Gguf, GgufError};

use crate::blocks::{self, AttentionKind};
use crate::error::ModelError;
use crate::hyper::Hyper;
use crate::reader::Reader;
use crate::{SpecOptions, features};

/// How an architecture becomes a spec. Problems that do not stop the reading go to the reader.
struct Family {
    architecture: &'static str,
    read: fn(&mut Reader<'_>, &SpecOptions) -> Result<DecoderSpec, ModelError>,
}

const FAMILIES: &[Family] = &[
    Family { architecture: "llama", read: llama::read },
    Family { architecture: "qwen2", read: qwen2::read },
    Family { architecture: "qwen3", read: qwen3::read },
    Family { architecture: "gemma3", read: gemma3::read },
    Family { architecture: "phi3", read: phi3::read },
];

/// The architectures that [`read_spec`](crate::read_spec) can read.
pub fn supported_architectures() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.architecture)
}

/// Reads a file with its family. The spec may be used only if there are no problems.
pub(crate) fn read(gguf: &Gguf, options: &SpecOptions) -> (Result<DecoderSpec, ModelError>, Vec<ModelError>) {
    let (architecture, family) = match find(gguf) {
        Ok(found) => found,
        Err(error) => return (Err(error), Vec::new()),
    };
    let mut reader = Reader::new(gguf, architecture);
    features::check(&mut reader);
    match (family.read)(&mut reader, options) {
        Ok(spec) => (Ok(spec), reader.finish()),
        // What was asked for so far says nothing about the rest of the tensors.
        Err(error) => (Err(error), reader.into_problems()),
    }
}

fn find(gguf: &Gguf) -> Result<(&str, &'static Family), ModelError> {
    const KEY: &str = "general.architecture";
    let found = gguf.metadata().str(KEY)?.ok_or_else(|| GgufError::MissingKey { key: KEY.to_owned() })?;
    match FAMILIES.iter().find(|family| family.architecture == found) {
        Some(family) => Ok((found, family)),
        None => Err(ModelError::UnknownArchitecture {
            found: found.chars().take(64).collect(),
            supported: supported_architectures().collect::<Vec<_>>().join(" "),
        }),
    }
}

/// A decoder all of whose layers are alike: Llama's shape.
fn plain(r: &mut Reader<'_>, hyper: &Hyper, rope: &Rope, window: Option<usize>, query_key_norm: bool) -> DecoderSpec {
    let kind = AttentionKind { query_key_norm, rope, window, scale: hyper.attention_scale };
    let layers = (0..hyper.layers.len()).map(|layer| {
        let attention = blocks::attention(r, hyper, layer, &kind);
        let feed_forward = blocks::feed_forward(r, hyper, layer, Activation::Silu);
        blocks::plain_layer(r, hyper, layer, attention, feed_forward)
    });
    let layers = layers.collect();
    blocks::decoder(r, hyper, layers)
}

const WINDOW: &str = "attention.sliding_window";

/// The sliding window that the file names; 0 means none.
fn window(r: &Reader<'_>) -> Result<Option<usize>, ModelError> {
    let window = r.metadata().u32(&r.key(WINDOW))?;
    Ok(window.filter(|&window| window > 0).map(|window| window as usize))
}

/// For families where a window holds for some layers only and no key says for which.
fn refuse_window(r: &mut Reader<'_>, hyper: &Hyper) -> Result<(), ModelError> {
    if let Some(window) = window(r)?.filter(|&window| window < hyper.context) {
        r.unsupported(WINDOW, window, "it is shorter than the context, and no key says for which layers it holds");
    }
    Ok(())
}
