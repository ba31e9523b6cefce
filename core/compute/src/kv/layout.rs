//! Where an element of the cache lies inside its page.

use std::str::FromStr;

use crate::ComputeError;

/// Positions a page: also the block of attention, and a multiple of every SIMD width in use.
pub const PAGE_POSITIONS: usize = 32;

/// Elements of a block that shares a scale.
const BLOCK: usize = 32;
/// Bytes of a `q8_0` block: an f16 scale and 32 signed codes.
const Q8_BLOCK_BYTES: usize = 34;
/// Bytes of a `q4_0` block: an f16 scale and 32 nibbles.
const Q4_BLOCK_BYTES: usize = 18;
/// Each layer's keys and values start on a cache line.
const ALIGN: usize = 64;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KvType {
    /// 32-bit floats: exact, for comparisons.
    F32,
    /// 16-bit floats.
    #[default]
    F16,
    /// Blocks of 32 signed bytes with an f16 scale.
    Q8_0,
    /// Blocks of 32 nibbles with an f16 scale.
    Q4_0,
}

impl KvType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q8_0, Self::Q4_0];

    /// The name that users type.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }

    /// Bytes of a row of `width` elements; `None` if the width is no multiple of the block.
    pub fn row_bytes(self, width: usize) -> Option<usize> {
        match self {
            Self::F32 => Some(width * 4),
            Self::F16 => Some(width * 2),
            Self::Q8_0 => width.is_multiple_of(BLOCK).then_some(width / BLOCK * Q8_BLOCK_BYTES),
            Self::Q4_0 => width.is_multiple_of(BLOCK).then_some(width / BLOCK * Q4_BLOCK_BYTES),
        }
    }
}

impl FromStr for KvType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("unknown cache type {name:?}: choose f32, f16, q8_0 or q4_0"))
    }
}

/// The shape of one layer's keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLayer {
    /// Key/value heads.
    pub heads: usize,
    /// Elements of a key head.
    pub key_width: usize,
    /// Elements of a value head.
    pub value_width: usize,
}

/// The layout of a page: for each layer the keys of its heads, then the values of its heads, so that attention of one
/// head streams through contiguous memory. A head has as many bytes as [`PAGE_POSITIONS`] rows need; how elements are
/// arranged inside them is the back end's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvLayout {
    backend: &'static str,
    kind: KvType,
    layers: Vec<PlacedLayer>,
    page_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PlacedLayer {
    shape: KvLayer,
    keys: usize,
    values: usize,
    key_row: usize,
    value_row: usize,
}

impl KvLayout {
    /// Places `layers`; a head width that `kind` cannot store is [`ComputeError::Unsupported`].
    pub fn new(backend: &'static str, kind: KvType, layers: &[KvLayer]) -> Result<Self, ComputeError> {
        let mut offset = 0;
        let mut placed = Vec::with_capacity(layers.len());
        for &shape in layers {
            let row = |width| {
                kind.row_bytes(width).ok_or_else(|| ComputeError::Unsupported {
                    backend,
                    what: format!(
                        "a {} cache needs head sizes that are multiples of {BLOCK}, this model has {width}: use f16",
                        kind.name()
                    ),
                })
            };
            let (key_row, value_row) = (row(shape.key_width)?, row(shape.value_width)?);
            let keys = offset;
            let values = (keys + shape.heads * PAGE_POSITIONS * key_row).next_multiple_of(ALIGN);
            offset = (values + shape.heads * PAGE_POSITIONS * value_row).next_multiple_of(ALIGN);
            placed.push(PlacedLayer { shape, keys, values, key_row, value_row });
        }
        Ok(Self { backend, kind, layers: placed, page_bytes: offset })
    }

    /// The back end that keeps keys and values in pages of this layout, and alone knows what their bytes mean.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// How elements are stored.
    pub fn kind(&self) -> KvType {
        self.kind
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// The shape of a layer.
    pub fn layer(&self, layer: usize) -> KvLayer {
        self.layers[layer].shape
    }

    /// Bytes of a page over all layers.
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Bytes of one key row.
    pub fn key_row_bytes(&self, layer: usize) -> usize {
        self.layers[layer].key_row
    }

    /// Bytes of one value row.
    pub fn value_row_bytes(&self, layer: usize) -> usize {
        self.layers[layer].value_row
    }

    /// Byte offset in the page of the keys of `head`, [`PAGE_POSITIONS`] rows long.
    pub fn keys(&self, layer: usize, head: usize) -> usize {
        let place = &self.layers[layer];
        place.keys + head * PAGE_POSITIONS * place.key_row
    }

    /// Byte offset in the page of the values of `head`, [`PAGE_POSITIONS`] rows long.
    pub fn values(&self, layer: usize, head: usize) -> usize {
        let place = &self.layers[layer];
        place.values + head * PAGE_POSITIONS * place.value_row
    }
}
