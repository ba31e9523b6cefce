//! Writing GGUF: metadata and tensors are declared first, then the data streams through [`DataWriter`].
//!
//! Everything is checked with the parser's own functions and limits when it is declared, so a file that could be
//! written can be read. The format is version 3, little-endian.

use std::collections::HashSet;
use std::io::Write;

use crate::array::Array;
use crate::data_writer::DataWriter;
use crate::encode::{put_string, put_value};
use crate::error::{GgufError, Place};
use crate::layout::{self, DataSection};
use crate::limits;
use crate::metadata::Metadata;
use crate::parse::{MAGIC, check_alignment};
use crate::split;
use crate::tensor::{TensorId, TensorInfo};
use crate::tensor_type::TensorType;
use crate::value::Value;

const VERSION: u32 = 3;
const ALIGNMENT_KEY: &str = "general.alignment";

/// A file to be written: its metadata and the types and shapes of its tensors.
///
/// ```
/// # use inkling_gguf::{Gguf, GgufError, GgufWriter, TensorType};
/// # fn main() -> Result<(), GgufError> {
/// let mut writer = GgufWriter::new();
/// writer.set("general.architecture", "llama")?;
/// writer.tensor("output_norm.weight", TensorType::F32, &[2])?;
/// let mut data = writer.write_to(Vec::new())?;
/// data.push(&1.0_f32.to_le_bytes())?;
/// data.push(&2.0_f32.to_le_bytes())?;
/// let model = Gguf::from_vec(data.finish()?)?;
/// assert_eq!(model.metadata().require_str("general.architecture")?, "llama");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GgufWriter {
    entries: Vec<(String, Value)>,
    tensors: Vec<TensorInfo>,
    names: HashSet<String>,
    alignment: u64,
    /// Where the data of the next tensor starts in the data section.
    next_offset: u64,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// How much a part of a split model may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartLimit {
    /// At most so many tensors.
    Tensors(u64),
    /// At most so many bytes of tensor data, or one tensor if that alone is larger.
    Bytes(u64),
}

impl GgufWriter {
    /// A file without keys and tensors, aligned to 32 bytes.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            tensors: Vec::new(),
            names: HashSet::new(),
            alignment: limits::DEFAULT_ALIGNMENT,
            next_offset: 0,
        }
    }

    /// Sets a key, or replaces its value. `general.alignment` also moves the tensors declared so far.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self, GgufError> {
        let value = value.into();
        let index = self.entries.len() as u64;
        check_name(key, limits::MAX_KEY_BYTES, || Place::Key { index })?;
        check_value(key, &value)?;
        if key == ALIGNMENT_KEY {
            let alignment = Metadata::new(vec![(key.to_owned(), value.clone())])?.require_u64(key)?;
            self.realign(check_alignment(alignment)?)?;
        }
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None if index >= limits::MAX_KEYS => {
                return Err(GgufError::TooMany { what: "metadata key", count: index + 1, limit: limits::MAX_KEYS });
            }
            None => self.entries.push((key.to_owned(), value)),
        }
        Ok(self)
    }

    /// Sets the alignment of tensors, a power of two, and the key that tells it.
    pub fn alignment(&mut self, alignment: u32) -> Result<&mut Self, GgufError> {
        self.set(ALIGNMENT_KEY, alignment)
    }

    /// Gives the tensors so far the places that the alignment asks for.
    fn realign(&mut self, alignment: u64) -> Result<(), GgufError> {
        let tensors = std::mem::take(&mut self.tensors);
        (self.alignment, self.next_offset) = (alignment, 0);
        for tensor in tensors {
            self.append(&tensor.name, tensor.kind, tensor.shape.dimensions())?;
        }
        Ok(())
    }

    /// Declares a tensor; its data comes in the order of declaration. `dimensions` begin with the fastest: columns, rows.
    pub fn tensor(&mut self, name: &str, kind: TensorType, dimensions: &[u64]) -> Result<TensorId, GgufError> {
        let index = self.tensors.len() as u64;
        check_name(name, limits::MAX_TENSOR_NAME_BYTES, || Place::TensorName { index })?;
        if index >= limits::MAX_TENSORS {
            return Err(GgufError::TooMany { what: "tensor", count: index + 1, limit: limits::MAX_TENSORS });
        }
        if self.names.contains(name) {
            return Err(GgufError::DuplicateTensor { name: name.to_owned() });
        }
        self.append(name, kind, dimensions)?;
        self.names.insert(name.to_owned());
        Ok(TensorId(index as u32))
    }

    fn append(&mut self, name: &str, kind: TensorType, dimensions: &[u64]) -> Result<(), GgufError> {
        let section = DataSection { start: 0, alignment: self.alignment, file_bytes: i64::MAX as u64, part: 0 };
        let tensor = layout::place(name, kind, dimensions, self.next_offset, section)?;
        // Both are below 2^63 and the alignment is small.
        self.next_offset = layout::align_up(tensor.offset + tensor.bytes, self.alignment).unwrap_or(u64::MAX);
        self.tensors.push(tensor);
        Ok(())
    }

    /// The tensors declared so far. Their offsets count from the start of the data section.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The bytes of all tensors with their padding.
    pub fn data_bytes(&self) -> u64 {
        self.next_offset
    }

    /// Cuts the model into parts. All metadata goes into the first; [`part_path`](crate::part_path) names the files.
    /// Their tensors, one part after the other, are those of this writer in the same order.
    pub fn into_parts(self, limit: PartLimit) -> Result<Vec<GgufWriter>, GgufError> {
        if matches!(limit, PartLimit::Tensors(0) | PartLimit::Bytes(0)) {
            return Err(GgufError::ZeroPartLimit);
        }
        let total = self.tensors.len();
        let mut part = Self { entries: self.entries, alignment: self.alignment, ..Self::new() };
        let alignment_entry = part.entries.iter().find(|(key, _)| key == ALIGNMENT_KEY).cloned();
        let mut parts = Vec::new();
        for tensor in &self.tensors {
            let full = match limit {
                PartLimit::Tensors(tensors) => part.tensors.len() as u64 >= tensors,
                PartLimit::Bytes(bytes) => part.next_offset.saturating_add(tensor.bytes) > bytes,
            };
            if full && !part.tensors.is_empty() {
                let entries = alignment_entry.iter().cloned().collect();
                let next = Self { entries, alignment: self.alignment, ..Self::new() };
                parts.push(std::mem::replace(&mut part, next));
            }
            part.tensor(&tensor.name, tensor.kind, tensor.shape.dimensions())?;
        }
        parts.push(part);
        let count = parts.len();
        if count > limits::MAX_PARTS as usize {
            let limit = limits::MAX_PARTS.into();
            return Err(GgufError::TooMany { what: "part", count: count as u64, limit });
        }
        if count > 1 {
            // The widths are those of gguf-split; the limits keep the numbers inside them.
            for (number, part) in parts.iter_mut().enumerate() {
                part.set(split::NUMBER_KEY, number as u16)?
                    .set(split::COUNT_KEY, count as u16)?
                    .set(split::TENSORS_KEY, total as i32)?;
            }
        }
        Ok(parts)
    }

    /// Writes everything before the tensors' data; the data is then pushed into what this returns.
    pub fn write_to<W: Write>(&self, mut out: W) -> Result<DataWriter<W>, GgufError> {
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        head.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            put_string(&mut head, key.as_bytes());
            head.extend_from_slice(&value.kind().number().to_le_bytes());
            put_value(&mut head, value);
        }
        for tensor in &self.tensors {
            put_string(&mut head, tensor.name.as_bytes());
            head.extend_from_slice(&(tensor.shape.rank() as u32).to_le_bytes());
            for dimension in tensor.shape.dimensions() {
                head.extend_from_slice(&dimension.to_le_bytes());
            }
            head.extend_from_slice(&tensor.kind.number().to_le_bytes());
            head.extend_from_slice(&tensor.offset.to_le_bytes());
        }
        head.resize(head.len().next_multiple_of(self.alignment as usize), 0);
        out.write_all(&head).map_err(|source| GgufError::CannotWrite { bytes_left: self.next_offset, source })?;
        Ok(DataWriter::new(out, self.tensors.clone(), self.alignment, self.next_offset))
    }
}

fn check_name(name: &str, limit: u64, place: impl Fn() -> Place) -> Result<(), GgufError> {
    let bytes = name.len() as u64;
    match bytes {
        0 => Err(GgufError::EmptyName { place: place() }),
        _ if bytes > limit => Err(GgufError::TooLong { place: place(), bytes, limit }),
        _ => Ok(()),
    }
}

/// What the parser would refuse. The cap on nested arrays counts over the file and is left to the parser.
fn check_value(key: &str, value: &Value) -> Result<(), GgufError> {
    match value {
        Value::String(bytes) => check_string(key, bytes),
        Value::Array(array) => check_array(key, array, 1),
        _ => Ok(()),
    }
}

fn check_string(key: &str, string: &[u8]) -> Result<(), GgufError> {
    let (bytes, limit) = (string.len() as u64, limits::MAX_STRING_BYTES);
    if bytes <= limit {
        return Ok(());
    }
    Err(GgufError::TooLong { place: Place::Value { key: key.to_owned() }, bytes, limit })
}

fn check_array(key: &str, array: &Array, depth: u32) -> Result<(), GgufError> {
    if depth > limits::MAX_ARRAY_DEPTH {
        return Err(GgufError::ArrayTooDeep { key: key.to_owned(), limit: limits::MAX_ARRAY_DEPTH });
    }
    let (count, limit) = (array.len() as u64, limits::MAX_ARRAY_ELEMENTS);
    if count > limit {
        return Err(GgufError::ArrayTooLong { key: key.to_owned(), count, limit });
    }
    match array {
        Array::String(strings) => strings.iter().try_for_each(|string| check_string(key, string)),
        Array::Array(arrays) => arrays.iter().try_for_each(|array| check_array(key, array, depth + 1)),
        _ => Ok(()),
    }
}
