//! The shapes that can be made, from the models' published configurations.

use crate::ModelError;

/// Most layers that can be asked for.
const MAX_LAYERS: usize = 512;

/// A model without its weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelShape {
    pub(super) name: &'static str,
    pub(super) family: Family,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_width: usize,
    pub(super) inner: usize,
    pub(super) vocabulary: usize,
    pub(super) context: usize,
    pub(super) rope_base: f32,
    pub(super) epsilon: f32,
    pub(super) tied: bool,
    pub(super) special: Special,
}

/// The architecture, and which tokenizer a made-up vocabulary follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    SmolLm2,
    Llama3,
    Qwen2,
    Qwen3,
    Gemma3,
    Phi3,
}

impl Family {
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::SmolLm2 | Self::Llama3 => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
        }
    }
}

/// What only some shapes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Nothing,
    /// Positions that local layers see.
    Window(usize),
    /// Llama 3's frequency factors.
    FrequencyFactors,
    /// Two sets of rope factors for the first so many elements of a head.
    Longrope {
        rotated: usize,
        original_context: usize,
    },
}

const BASE: ModelShape = ModelShape {
    name: "",
    family: Family::SmolLm2,
    layers: 2,
    width: 256,
    heads: 4,
    kv_heads: 2,
    head_width: 64,
    inner: 512,
    vocabulary: 4096,
    context: 4096,
    rope_base: 1e4,
    epsilon: 1e-5,
    tied: true,
    special: Special::Nothing,
};

const SMOLLM2: ModelShape = ModelShape { context: 8192, vocabulary: 49_152, rope_base: 1e5, ..BASE };

const QWEN3: ModelShape = ModelShape {
    family: Family::Qwen3,
    layers: 28,
    heads: 16,
    kv_heads: 8,
    head_width: 128,
    vocabulary: 151_936,
    context: 40_960,
    rope_base: 1e6,
    epsilon: 1e-6,
    ..BASE
};

const GEMMA3: ModelShape = ModelShape {
    family: Family::Gemma3,
    heads: 4,
    kv_heads: 1,
    head_width: 256,
    vocabulary: 262_144,
    context: 32_768,
    rope_base: 1e6,
    epsilon: 1e-6,
    special: Special::Window(512),
    ..BASE
};

const LLAMA3: ModelShape = ModelShape {
    family: Family::Llama3,
    kv_heads: 8,
    inner: 8192,
    vocabulary: 128_256,
    context: 131_072,
    rope_base: 5e5,
    special: Special::FrequencyFactors,
    ..BASE
};

const SHAPES: &[ModelShape] = &[
    ModelShape { name: "smollm2-135m", layers: 30, width: 576, heads: 9, kv_heads: 3, inner: 1536, ..SMOLLM2 },
    ModelShape { name: "smollm2-360m", layers: 32, width: 960, heads: 15, kv_heads: 5, inner: 2560, ..SMOLLM2 },
    ModelShape {
        name: "smollm2-1.7b",
        layers: 24,
        width: 2048,
        heads: 32,
        kv_heads: 32,
        inner: 8192,
        rope_base: 1.3e5,
        ..SMOLLM2
    },
    ModelShape { name: "qwen3-0.6b", width: 1024, inner: 3072, ..QWEN3 },
    ModelShape { name: "qwen3-1.7b", width: 2048, inner: 6144, ..QWEN3 },
    ModelShape { name: "qwen3-4b", layers: 36, width: 2560, heads: 32, inner: 9728, ..QWEN3 },
    ModelShape { name: "gemma3-270m", layers: 18, width: 640, inner: 2048, ..GEMMA3 },
    ModelShape { name: "gemma3-1b", layers: 26, width: 1152, inner: 6912, ..GEMMA3 },
    ModelShape {
        name: "phi4-mini",
        family: Family::Phi3,
        layers: 32,
        width: 3072,
        heads: 24,
        kv_heads: 8,
        head_width: 128,
        inner: 8192,
        vocabulary: 200_064,
        context: 131_072,
        special: Special::Longrope { rotated: 96, original_context: 4096 },
        ..BASE
    },
    ModelShape { name: "llama3.2-1b", layers: 16, width: 2048, heads: 32, ..LLAMA3 },
    ModelShape { name: "llama3.2-3b", layers: 28, width: 3072, heads: 24, head_width: 128, ..LLAMA3 },
    ModelShape { name: "tiny-llama", tied: false, ..BASE },
    ModelShape {
        name: "tiny-qwen2",
        family: Family::Qwen2,
        layers: 3,
        heads: 8,
        head_width: 32,
        inner: 768,
        rope_base: 1e6,
        epsilon: 1e-6,
        ..BASE
    },
    ModelShape { name: "tiny-qwen3", family: Family::Qwen3, rope_base: 1e6, epsilon: 1e-6, ..BASE },
    ModelShape {
        name: "tiny-gemma3",
        family: Family::Gemma3,
        layers: 7,
        kv_heads: 1,
        rope_base: 1e6,
        epsilon: 1e-6,
        special: Special::Window(16),
        ..BASE
    },
    ModelShape { name: "tiny-phi3", family: Family::Phi3, tied: false, ..BASE },
];

/// The names that [`write`](super::write) knows.
pub fn shape_names() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.name)
}

pub(super) fn find(name: &str) -> Result<ModelShape, ModelError> {
    let known = || shape_names().collect::<Vec<_>>().join(" ");
    let found = SHAPES.iter().find(|shape| shape.name == name).copied();
    found.ok_or_else(|| ModelError::UnknownShape { name: name.to_owned(), known: known() })
}

impl ModelShape {
    pub(super) fn with_layers(self, layers: Option<usize>) -> Result<Self, ModelError> {
        match layers {
            Some(layers) if (1..=MAX_LAYERS).contains(&layers) => Ok(Self { layers, ..self }),
            Some(layers) => Err(ModelError::BadLayers { layers, limit: MAX_LAYERS }),
            None => Ok(self),
        }
    }

    /// Elements of a head that rope turns.
    pub(super) fn rotated(&self) -> usize {
        match self.special {
            Special::Longrope { rotated, .. } => rotated,
            _ => self.head_width,
        }
    }
}
