//! Everything that can be wrong with a GGUF file, a question to its metadata, or an order to the writer.
//!
//! Each variant names the key or tensor, the numbers that disagree, and where it helps the next step.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use inkling_base::{Classify, ErrorKind};

use crate::limits;
use crate::sniff::{FirstBytes, LooksLike};
use crate::tensor::ShapeError;
use crate::tensor_type::TensorType;

/// A spot of a file, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The 24 bytes at the start.
    Header,
    /// The name of a metadata key, counted from 0.
    Key {
        /// Its index in the file.
        index: u64,
    },
    /// The value of a key.
    Value {
        /// The key.
        key: String,
    },
    /// The name of a tensor, counted from 0.
    TensorName {
        /// Its index in the file.
        index: u64,
    },
    /// The description of a tensor.
    Tensor {
        /// The tensor.
        name: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::Key { index } => write!(f, "the name of metadata key number {index}"),
            Self::Value { key } => write!(f, "the value of key {key:?}"),
            Self::TensorName { index } => write!(f, "the name of tensor number {index}"),
            Self::Tensor { name } => write!(f, "tensor {name:?}"),
        }
    }
}

/// What went wrong. See the module's documentation for the principle.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's message says what its fields are")]
#[non_exhaustive]
pub enum GgufError {
    /// Any of the others, in a file whose name is known.
    #[error("{}: {source}", path.display())]
    InFile { path: PathBuf, source: Box<GgufError> },

    // Getting at the bytes.
    #[error("there is no such file")]
    NotFound,
    #[error("this is {found}, not a file")]
    NotAFile { found: &'static str },
    #[error("cannot open the file: {source}")]
    CannotOpen { source: io::Error },
    #[error("cannot map the file's {bytes} bytes: {source}")]
    CannotMap { bytes: u64, source: io::Error },
    #[error("the file has {bytes} bytes, more than this machine can map")]
    TooLargeToMap { bytes: u64 },
    #[error("the file had {expected} bytes when it was opened and has {found} now: replace models by renaming")]
    FileChanged { expected: u64, found: u64 },

    // What kind of file it is.
    #[error("the file is empty")]
    Empty,
    #[error("the file has {bytes} bytes, a GGUF header alone has 24")]
    TooShort { bytes: u64 },
    #[error("this is no GGUF file, it begins with {found}{}", hint(looks_like))]
    NotGguf { found: FirstBytes, looks_like: Option<LooksLike> },
    #[error("the file is big-endian GGUF (version {version}); this engine reads little-endian files: convert it")]
    BigEndian { version: u32 },
    #[error("GGUF version 1 of early 2023 is not supported: convert the model anew")]
    VersionOne,
    #[error("GGUF version {version} is not known, versions 2 and 3 are")]
    UnknownVersion { version: u32 },

    // Reading metadata and tensor descriptions.
    #[error("{what} count is {count}, at most {limit} are allowed")]
    TooMany { what: &'static str, count: u64, limit: u64 },
    #[error("{what} count is {count}, the {left} bytes left in the file cannot hold so many")]
    CountPastEnd { what: &'static str, count: u64, left: u64 },
    #[error("{place} at byte {offset} needs {needed} bytes and the file ends after {left}: it is truncated or damaged")]
    PastEnd { place: Place, offset: u64, needed: u64, left: u64 },
    #[error("the size of {place} overflows: {count} elements of {unit} bytes")]
    SizeOverflow { place: Place, count: u64, unit: u64 },
    #[error("{place} has {bytes} bytes, at most {limit} are allowed")]
    TooLong { place: Place, bytes: u64, limit: u64 },
    #[error("{place} is empty")]
    EmptyName { place: Place },
    #[error("{place} is not UTF-8 after {valid_bytes} bytes")]
    NotUtf8 { place: Place, valid_bytes: usize },
    #[error("key {key:?} appears twice")]
    DuplicateKey { key: String },
    #[error("key {key:?} has the unknown value type {number}")]
    UnknownValueType { key: String, number: u32 },
    #[error("key {key:?} is a bool with the value {found}, it must be 0 or 1")]
    BadBool { key: String, found: u8 },
    #[error("key {key:?} has an array of {count} elements, at most {limit} are allowed")]
    ArrayTooLong { key: String, count: u64, limit: u64 },
    #[error("key {key:?} nests arrays more than {limit} deep")]
    ArrayTooDeep { key: String, limit: u32 },
    #[error("key {key:?}: the file has more than {limit} arrays inside arrays")]
    TooManyNestedArrays { key: String, limit: u64 },
    #[error("general.alignment is {found}, it must be a power of two from {min} to {max}", min = limits::MIN_ALIGNMENT, max = limits::MAX_ALIGNMENT)]
    BadAlignment { found: u64 },

    // Tensors.
    #[error("tensor {name:?} appears twice")]
    DuplicateTensor { name: String },
    #[error("tensor {name:?} has type number {number}{}", removed_hint(removed))]
    UnsupportedTensorType { name: String, number: u32, removed: Option<&'static str> },
    #[error("tensor {name:?} {source}")]
    BadShape { name: String, source: ShapeError },
    #[error("tensor {name:?} has rows of {columns} elements, {kind} needs a multiple of {block}", block = kind.block_elements())]
    RaggedRow { name: String, kind: TensorType, columns: u64 },
    #[error("the size of tensor {name:?} overflows: {rows} rows of {columns} in {kind}")]
    TensorSizeOverflow { name: String, kind: TensorType, columns: u64, rows: u64 },
    #[error("tensor {name:?} lies at offset {offset}, which is no multiple of the alignment {alignment}")]
    Misaligned { name: String, offset: u64, alignment: u64 },
    #[error("the place of tensor {name:?} overflows: {bytes} bytes at offset {offset} after {data_start}")]
    ExtentOverflow { name: String, offset: u64, bytes: u64, data_start: u64 },
    #[error("tensor {name:?} ends at byte {end} of a file of {file_bytes}: it is truncated or damaged")]
    TensorPastEnd { name: String, end: u64, file_bytes: u64 },
    #[error("tensors {first:?} and {second:?} overlap by {bytes} bytes")]
    Overlap { first: String, second: String, bytes: u64 },
    #[error("{bytes} bytes lie unused {between}, at most {limit} are allowed: sizes or offsets are wrong", between = gap(after, before), limit = limits::MAX_GAP_BYTES)]
    Gap { after: Option<String>, before: Option<String>, bytes: u64 },

    // Split files.
    #[error("this is part {number} of {count}: a split model can only be opened by its path")]
    SplitInMemory { number: u32, count: u32 },
    #[error("the model has {count} parts, the file must be named like name-00001-of-{count:05}.gguf to find them")]
    SplitName { count: u32 },
    #[error("the file's name says {name_count} parts, its split.count says {count}")]
    SplitCount { name_count: u32, count: u32 },
    #[error("the file's name says part {name_number}, its split.no says part {number}: was it renamed?")]
    SplitNumber { name_number: u32, number: u64 },
    #[error("part {number} of {count} is missing: put all parts into one folder")]
    MissingPart { number: u32, count: u32 },
    #[error("split.tensors.count says {expected} tensors, the parts hold {found}")]
    SplitTensors { expected: u64, found: u64 },

    // Questions to the metadata.
    #[error("key {key:?} is missing")]
    MissingKey { key: String },
    #[error("key {key:?} is {found}, expected {expected}")]
    WrongType { key: String, expected: &'static str, found: String },
    #[error("key {key:?} is {value}{}, which does not fit into {target}", at_index(index))]
    OutOfRange { key: String, index: Option<usize>, value: i128, target: &'static str },
    #[error("key {key:?} has {found} elements, {needed} are needed")]
    ArrayTooShort { key: String, needed: usize, found: usize },
    #[error("key {key:?} was asked for {count} layers, at most {limit} are possible", limit = limits::MAX_LAYERS)]
    TooManyLayers { key: String, count: usize },

    // Orders to the writer.
    #[error("cannot write the file, {bytes_left} bytes of tensor data were still to come: {source}")]
    CannotWrite { bytes_left: u64, source: io::Error },
    #[error("a part must hold at least one tensor, the limit given is 0")]
    ZeroPartLimit,
    #[error("{given} bytes too many: the data of the last tensor is complete")]
    TooMuchData { given: u64 },
    #[error("the data of tensor {name:?} is {missing} bytes short")]
    DataMissing { name: String, missing: u64 },
}

fn hint(looks_like: &Option<LooksLike>) -> String {
    looks_like.map_or_else(String::new, |kind| format!("; {kind}"))
}

fn removed_hint(removed: &Option<&'static str>) -> String {
    match removed {
        Some(name) => format!(", {name}, which ggml has given up: quantise the model anew"),
        None => ", which is not known: the file is damaged or newer than this engine".to_owned(),
    }
}

fn gap(after: &Option<String>, before: &Option<String>) -> String {
    match (after, before) {
        (Some(after), Some(before)) => format!("between tensors {after:?} and {before:?}"),
        (None, Some(before)) => format!("before the first tensor, {before:?}"),
        (Some(after), None) => format!("after the last tensor, {after:?}"),
        (None, None) => "after the metadata".to_owned(),
    }
}

fn at_index(index: &Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!(" at index {index}"))
}

impl GgufError {
    /// This error with the name of the file it belongs to, unless it has one.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            named @ Self::InFile { .. } => named,
            other => Self::InFile { path: path.to_owned(), source: Box::new(other) },
        }
    }

    /// The error itself, without the file's name around it.
    pub fn innermost(&self) -> &GgufError {
        match self {
            Self::InFile { source, .. } => source.innermost(),
            other => other,
        }
    }
}

impl Classify for GgufError {
    fn kind(&self) -> ErrorKind {
        let said = self.to_string();
        match self.innermost() {
            Self::NotFound | Self::NotAFile { .. } | Self::MissingPart { .. } => {
                ErrorKind::ModelNotFound { what: said }
            }
            Self::CannotOpen { .. } => ErrorKind::ModelNotFound { what: said },
            Self::CannotMap { bytes, .. } => ErrorKind::OutOfMemory { need_bytes: *bytes, have_bytes: 0 },
            Self::CannotWrite { bytes_left, source } if source.kind() == io::ErrorKind::StorageFull => {
                ErrorKind::StorageFull { need_bytes: *bytes_left, have_bytes: 0 }
            }
            Self::CannotWrite { .. } => ErrorKind::invalid("output", said),
            Self::BigEndian { .. }
            | Self::VersionOne
            | Self::UnknownVersion { .. }
            | Self::UnsupportedTensorType { .. }
            | Self::TooLargeToMap { .. } => ErrorKind::UnsupportedModel { what: said },
            Self::ZeroPartLimit => ErrorKind::invalid("part limit", said),
            Self::TooMuchData { .. } | Self::DataMissing { .. } => ErrorKind::invalid("tensor data", said),
            Self::SplitInMemory { .. } => ErrorKind::invalid("model", said),
            _ => ErrorKind::ModelCorrupt { location: said },
        }
    }
}
