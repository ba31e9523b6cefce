//! The GGUF file format: parse, validate, map, write.
//!
//! [`Gguf`] opens a file (or all parts of a split one), checks everything that can be checked without reading the
//! weights, and maps it. What it hands out afterwards is safe to use as it is: every tensor lies inside its file,
//! overlaps no other, and has exactly the size that its type and shape say.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.
//!
//! | module | what |
//! |---|---|
//! | `file` | [`Gguf`], the parsed and mapped model |
//! | `metadata` | [`Metadata`], the keys and their typed getters |
//! | `value`, `array` | [`Value`], [`Array`], [`StringArray`]: what a key can hold |
//! | `tensor` | [`TensorInfo`], [`Shape`], [`TensorId`] |
//! | `tensor_type` | [`TensorType`], the block sizes of all ggml types |
//! | `layout` | the one place where sizes are computed and compared with the file |
//! | `parse`, `cursor` | bytes to metadata and tensor directory |
//! | `split` | files in parts, `-00001-of-00003` |
//! | `outline` | [`Outline`]: where in one file what lies, for those who cut files into pieces |
//! | `map` | where the bytes live ([`MappedFile`], also for files beside a model); the only `unsafe` of the crate |
//! | `sniff` | what a file that is no GGUF probably is |
//! | `write`, `data_writer`, `encode` | [`GgufWriter`] and [`DataWriter`], the way back |
//! | `limits` | the caps on counts and lengths, with their reasons |
//! | `error` | [`GgufError`] |

mod array;
mod cursor;
mod data_writer;
mod encode;
mod error;
mod file;
mod layout;
pub mod limits;
mod map;
mod metadata;
mod outline;
mod parse;
mod sniff;
mod split;
mod tensor;
mod tensor_type;
mod value;
mod write;

pub use array::{Array, StringArray};
pub use data_writer::DataWriter;
pub use error::{GgufError, Place};
pub use file::Gguf;
pub use map::{BASE_ALIGNMENT, FileIdentity, MappedFile};
pub use metadata::Metadata;
pub use outline::Outline;
pub use sniff::{FirstBytes, LooksLike};
pub use split::part_path;
pub use tensor::{Shape, ShapeError, TensorId, TensorInfo};
pub use tensor_type::{TensorType, UnknownTensorType};
pub use value::{Value, ValueKind};
pub use write::{GgufWriter, PartLimit};
