//! Caps on counts and lengths: far above every real model, low enough that a hostile file cannot make the parser
//! allocate more than its own size plus 64 MiB. The parser and the writer keep the same ones.

/// Tensors of a model, all parts together. The largest known files (mixture models with separate experts) have
/// about 70 000; at some 200 bytes of bookkeeping each this is 25 MiB.
pub const MAX_TENSORS: u64 = 1 << 17;

/// Metadata keys of one file. Real ones have fewer than 100.
pub const MAX_KEYS: u64 = 1 << 16;

/// Bytes of a key: the format's own rule (2^16 - 1).
pub const MAX_KEY_BYTES: u64 = 65_535;

/// Bytes of a tensor's name: the format's own rule.
pub const MAX_TENSOR_NAME_BYTES: u64 = 64;

/// Bytes of one string. The longest in use are whole tokenizer descriptions of some 30 MB.
pub const MAX_STRING_BYTES: u64 = 1 << 28;

/// Elements of one array. The longest in use are vocabularies and their merges, below a million.
pub const MAX_ARRAY_ELEMENTS: u64 = 1 << 26;

/// Levels of arrays inside arrays; a flat array has depth 1. The format allows nesting, no known file uses it.
pub const MAX_ARRAY_DEPTH: u32 = 4;

/// Arrays inside arrays, per file. An empty one takes 12 bytes of file and about 40 of memory, hence the cap.
pub const MAX_NESTED_ARRAYS: u64 = 1 << 18;

/// Dimensions of a tensor: ggml's own rule.
pub const MAX_DIMENSIONS: usize = 4;

/// Smallest alignment: the format asks for a multiple of 8.
pub const MIN_ALIGNMENT: u64 = 8;

/// Largest alignment: a huge page.
pub const MAX_ALIGNMENT: u64 = 2 << 20;

/// The alignment of a file that does not name one.
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// Bytes that may lie unused between two tensors, before the first or after the last. Alignment explains less
/// than [`MAX_ALIGNMENT`]; more than this means that offsets or sizes are wrong.
pub const MAX_GAP_BYTES: u64 = 4 << 20;

/// Parts of a split file.
pub const MAX_PARTS: u32 = 4096;

/// Layers that a per-layer key may be asked for. Real models have fewer than 200.
pub const MAX_LAYERS: usize = 1 << 16;
