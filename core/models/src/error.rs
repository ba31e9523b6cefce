//! What can be wrong with a model whose file is sound.

use inkling_base::{Classify, ErrorKind};
use inkling_gguf::{GgufError, TensorType};

/// Why a file gives no decoder. Each message names the key or tensor and both numbers.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's message says what its fields are")]
#[non_exhaustive]
pub enum ModelError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error("architecture `{found}` is not supported; supported: {supported}")]
    UnknownArchitecture { found: String, supported: String },
    #[error("{key} = {value} is not supported: {why}")]
    UnsupportedValue { key: String, value: String, why: String },
    #[error("{key} = {value} makes no sense: {why}")]
    BadNumber { key: String, value: String, why: String },
    #[error("tensor {name:?} ({purpose}) is missing; it should be {shape}")]
    MissingTensor { name: String, purpose: &'static str, shape: String },
    #[error("tensor {name:?} ({purpose}) is {found}, it should be {expected}")]
    WrongShape { name: String, purpose: &'static str, expected: String, found: String },
    #[error("tensor {name:?} is of type {found}, which cannot be computed with; {allowed} can")]
    UnsupportedType { name: String, found: TensorType, allowed: String },
    #[error("tensor {name:?} has a value that makes no sense: element {index} is {value}")]
    BadElement { name: String, index: usize, value: f32 },
    #[error("{count} tensors have no purpose in a `{architecture}` model: {names}")]
    UnexpectedTensors { architecture: String, count: usize, names: String },
    #[error("the tokenizer has {tokens} tokens, the embedding has {rows} rows: they must agree")]
    VocabularyMismatch { tokens: usize, rows: usize },
    #[error("{count} more problems were left out")]
    More { count: usize },

    #[cfg(feature = "synth")]
    #[error("shape {name:?} is not known; known: {known}")]
    UnknownShape { name: String, known: String },
    #[cfg(feature = "synth")]
    #[error("quantisation {name:?} is not known; known: {known}")]
    UnknownQuant { name: String, known: String },
    #[cfg(feature = "synth")]
    #[error("cannot make {layers} layers: between 1 and {limit} are possible")]
    BadLayers { layers: usize, limit: usize },
    #[cfg(feature = "synth")]
    #[error("cannot write {path}: {source}")]
    CannotWrite { path: String, source: std::io::Error },
}

impl Classify for ModelError {
    fn kind(&self) -> ErrorKind {
        let said = self.to_string();
        match self {
            Self::Gguf(error) => error.kind(),
            Self::UnknownArchitecture { .. }
            | Self::UnsupportedValue { .. }
            | Self::UnsupportedType { .. }
            | Self::UnexpectedTensors { .. }
            | Self::More { .. } => ErrorKind::UnsupportedModel { what: said },
            Self::BadNumber { .. }
            | Self::MissingTensor { .. }
            | Self::WrongShape { .. }
            | Self::BadElement { .. }
            | Self::VocabularyMismatch { .. } => ErrorKind::ModelCorrupt { location: said },
            #[cfg(feature = "synth")]
            Self::UnknownShape { .. } => ErrorKind::invalid("shape", said),
            #[cfg(feature = "synth")]
            Self::UnknownQuant { .. } => ErrorKind::invalid("quant", said),
            #[cfg(feature = "synth")]
            Self::BadLayers { .. } => ErrorKind::invalid("layers", said),
            #[cfg(feature = "synth")]
            Self::CannotWrite { .. } => ErrorKind::invalid("output", said),
        }
    }
}
