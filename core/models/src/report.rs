//! What `inspect` shows: the model's shape, how it is quantised, the memory it needs, and all that is unsupported.

use std::collections::BTreeMap;

use inkling_compute::{DecoderSpec, KvLayout, KvType, Mixer, PAGE_POSITIONS};
use inkling_gguf::{Gguf, TensorType};

use crate::error::ModelError;
use crate::{SpecOptions, families};

/// What can be said of a file, whether it can be run or not.
#[derive(Debug)]
pub struct ModelReport {
    /// `general.architecture`, if the file names one.
    pub architecture: Option<String>,
    /// `general.name`, if the file names one.
    pub name: Option<String>,
    /// Elements of all tensors.
    pub parameters: u64,
    /// Bytes of all tensors: what is mapped when the model runs.
    pub weight_bytes: u64,
    /// The tensor types in use, the one with most bytes first.
    pub types: Vec<TypeShare>,
    /// Positions that the model was trained for, if the file says so.
    pub context: Option<u64>,
    /// The decoder, if the file describes one that can be run.
    pub spec: Option<DecoderSpec>,
    /// Everything that keeps the file from being run, in the order it was found.
    pub problems: Vec<ModelError>,
}

/// The part of a file that has one tensor type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeShare {
    /// The type.
    pub kind: TensorType,
    /// Tensors of it.
    pub tensors: usize,
    /// Their elements.
    pub parameters: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Memory for one use of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryNeed {
    /// Weights, mapped from the file: the system can drop and read them again.
    pub weight_bytes: u64,
    /// Keys and values of one position over all layers.
    pub kv_bytes_per_token: u64,
    /// Keys and values of a full context.
    pub kv_bytes: u64,
}

/// Describes `gguf` and lists all that is wrong with it.
pub fn report(gguf: &Gguf, options: &SpecOptions) -> ModelReport {
    let text = |key: &str| gguf.metadata().str(key).ok().flatten().map(str::to_owned);
    let (spec, mut problems) = families::read(gguf, options);
    let spec = match spec {
        Ok(spec) => Some(spec).filter(|_| problems.is_empty()),
        Err(error) => {
            problems.push(error);
            None
        }
    };
    let architecture = text("general.architecture");
    let context_key = architecture.as_ref().map(|architecture| format!("{architecture}.context_length"));
    ModelReport {
        name: text("general.name"),
        context: context_key.and_then(|key| gguf.metadata().u64(&key).ok().flatten()),
        architecture,
        parameters: gguf.tensors().iter().map(|tensor| tensor.elements()).fold(0, u64::saturating_add),
        weight_bytes: gguf.tensors().iter().map(|tensor| tensor.bytes).sum(),
        types: types(gguf),
        spec,
        problems,
    }
}

fn types(gguf: &Gguf) -> Vec<TypeShare> {
    let mut shares = BTreeMap::new();
    for tensor in gguf.tensors() {
        let empty = TypeShare { kind: tensor.kind, tensors: 0, parameters: 0, bytes: 0 };
        let share = shares.entry(tensor.kind).or_insert(empty);
        share.tensors += 1;
        share.parameters += tensor.elements();
        share.bytes += tensor.bytes;
    }
    let mut shares: Vec<TypeShare> = shares.into_values().collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
    shares
}

impl ModelReport {
    /// Memory for a context of so many positions; `None` if the model cannot run, or its heads do not fit `kind`.
    pub fn memory(&self, context: usize, kind: KvType) -> Option<MemoryNeed> {
        let layout = KvLayout::new("any", kind, &self.spec.as_ref()?.kv_layers()).ok()?;
        let page_bytes = layout.page_bytes() as u64;
        let pages = context.div_ceil(PAGE_POSITIONS) as u64;
        Some(MemoryNeed {
            weight_bytes: self.weight_bytes,
            kv_bytes_per_token: page_bytes.div_ceil(PAGE_POSITIONS as u64),
            kv_bytes: page_bytes.saturating_mul(pages),
        })
    }

    /// The numbers of heads, key/value heads and elements of a key head that occur, one line a kind of layer:
    /// `28 × 16 heads, 8 key/value heads of 128`.
    pub fn layers(&self) -> Vec<String> {
        let mut runs: Vec<(usize, String)> = Vec::new();
        for layer in self.spec.iter().flat_map(|spec| &spec.layers) {
            let words = match &layer.mixer {
                Mixer::Attention(a) => {
                    let window = a.window.map_or_else(String::new, |window| format!(", window {window}"));
                    format!("{} heads, {} key/value heads of {}{window}", a.heads, a.kv_heads, a.key_width)
                }
                _ => "another mixer".to_owned(),
            };
            match runs.iter_mut().find(|(_, known)| *known == words) {
                Some((count, _)) => *count += 1,
                None => runs.push((1, words)),
            }
        }
        runs.into_iter().map(|(count, words)| format!("{count} × {words}")).collect()
    }
}
