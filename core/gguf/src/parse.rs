//! From the bytes of one file to its metadata and its tensors.
//!
//! Nothing here trusts a number of the file: counts are compared with the bytes that are left before anything is
//! allocated for them, and all values are copied out, so that a file which changes later cannot change what was checked.

use crate::array::{Array, StringArray};
use crate::cursor::Cursor;
use crate::error::{GgufError, Place};
use crate::layout::{self, DataSection};
use crate::limits;
use crate::metadata::Metadata;
use crate::sniff::{FirstBytes, LooksLike};
use crate::tensor::{ShapeError, TensorInfo};
use crate::tensor_type::TensorType;
use crate::value::{Value, ValueKind};

pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
pub(crate) const HEADER_BYTES: usize = 24;
/// Length and one byte of a key, type, one byte of value.
const LEAST_KEY_BYTES: u64 = 8 + 1 + 4 + 1;
/// Length and one byte of a name, number of dimensions, type, offset.
const LEAST_TENSOR_BYTES: u64 = 8 + 1 + 4 + 4 + 8;

/// One file, parsed.
pub(crate) struct ParsedPart {
    pub(crate) version: u32,
    pub(crate) alignment: u64,
    pub(crate) metadata: Metadata,
    pub(crate) tensors: Vec<TensorInfo>,
    /// Where each key and its value end; the first begins after the counts.
    pub(crate) key_ends: Vec<u64>,
    /// Where the tensors' descriptions end, before the padding.
    pub(crate) descriptions_end: u64,
    /// Where the tensors' data begins.
    pub(crate) data_start: u64,
}

/// Parses a file. `part` is its number in a split model, from 0.
pub(crate) fn parse_part(bytes: &[u8], part: u32) -> Result<ParsedPart, GgufError> {
    let mut cursor = Cursor::new(bytes);
    let version = header(&mut cursor, bytes)?;
    let tensor_count = count(&mut cursor, "tensor", limits::MAX_TENSORS, LEAST_TENSOR_BYTES, 8)?;
    let key_count = count(&mut cursor, "metadata key", limits::MAX_KEYS, LEAST_KEY_BYTES, 0)?;

    let mut entries = Vec::with_capacity(key_count);
    let mut key_ends = Vec::with_capacity(key_count);
    let mut nested_arrays = 0;
    for index in 0..key_count as u64 {
        let key = cursor.name(limits::MAX_KEY_BYTES, || Place::Key { index })?;
        let value = ValueReader { cursor: &mut cursor, key: &key, nested_arrays: &mut nested_arrays }.value()?;
        entries.push((key, value));
        key_ends.push(cursor.position());
    }
    let metadata = Metadata::new(entries)?;
    let alignment = match metadata.u64("general.alignment")? {
        None => limits::DEFAULT_ALIGNMENT,
        Some(alignment) => check_alignment(alignment)?,
    };

    let descriptions: Vec<Description> =
        (0..tensor_count as u64).map(|index| description(&mut cursor, index)).collect::<Result<_, _>>()?;
    let end = cursor.position();
    // Overflow would take a file of 2^64 bytes.
    let start = layout::align_up(end, alignment).ok_or(GgufError::BadAlignment { found: alignment })?;
    let section = DataSection { start, alignment, file_bytes: bytes.len() as u64, part };
    let tensors: Vec<TensorInfo> = descriptions
        .iter()
        .map(|tensor| layout::place(&tensor.name, tensor.kind, tensor.dimensions(), tensor.offset, section))
        .collect::<Result<_, _>>()?;
    layout::check_extents(&tensors, section)?;
    Ok(ParsedPart { version, alignment, metadata, tensors, key_ends, descriptions_end: end, data_start: start })
}

/// A power of two within the limits.
pub(crate) fn check_alignment(alignment: u64) -> Result<u64, GgufError> {
    let fits = alignment.is_power_of_two() && (limits::MIN_ALIGNMENT..=limits::MAX_ALIGNMENT).contains(&alignment);
    if fits { Ok(alignment) } else { Err(GgufError::BadAlignment { found: alignment }) }
}

/// Magic and version.
fn header(cursor: &mut Cursor<'_>, bytes: &[u8]) -> Result<u32, GgufError> {
    if bytes.is_empty() {
        return Err(GgufError::Empty);
    }
    if !MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) {
        return Err(GgufError::NotGguf { found: FirstBytes::of(bytes), looks_like: LooksLike::guess(bytes) });
    }
    if bytes.len() < HEADER_BYTES {
        return Err(GgufError::TooShort { bytes: bytes.len() as u64 });
    }
    cursor.take(1, MAGIC.len() as u64, || Place::Header)?;
    match cursor.u32(|| Place::Header)? {
        version @ (2 | 3) => Ok(version),
        1 => Err(GgufError::VersionOne),
        swapped if (1..=255).contains(&swapped.swap_bytes()) => {
            Err(GgufError::BigEndian { version: swapped.swap_bytes() })
        }
        version => Err(GgufError::UnknownVersion { version }),
    }
}

/// A count of things that take at least `least` bytes each, of which `before` bytes more come first.
fn count(cursor: &mut Cursor<'_>, what: &'static str, limit: u64, least: u64, before: u64) -> Result<usize, GgufError> {
    let count = cursor.u64(|| Place::Header)?;
    if count > limit {
        return Err(GgufError::TooMany { what, count, limit });
    }
    let left = cursor.left().saturating_sub(before);
    // The limit keeps the product small.
    if count * least > left {
        return Err(GgufError::CountPastEnd { what, count, left });
    }
    Ok(count as usize)
}

/// A tensor's description, not yet checked.
struct Description {
    name: String,
    kind: TensorType,
    dimensions: [u64; limits::MAX_DIMENSIONS],
    rank: usize,
    offset: u64,
}

impl Description {
    fn dimensions(&self) -> &[u64] {
        &self.dimensions[..self.rank]
    }
}

fn description(cursor: &mut Cursor<'_>, index: u64) -> Result<Description, GgufError> {
    let name = cursor.name(limits::MAX_TENSOR_NAME_BYTES, || Place::TensorName { index })?;
    let place = || Place::Tensor { name: name.clone() };
    let rank = cursor.u32(place)?;
    let mut dimensions = [1; limits::MAX_DIMENSIONS];
    let named = dimensions.get_mut(..rank as usize).ok_or_else(|| GgufError::BadShape {
        name: name.clone(),
        source: ShapeError::TooManyDimensions { found: rank.into() },
    })?;
    for dimension in named {
        *dimension = cursor.u64(place)?;
    }
    let number = cursor.u32(place)?;
    let kind = TensorType::from_number(number).ok_or_else(|| GgufError::UnsupportedTensorType {
        name: name.clone(),
        number,
        removed: TensorType::removed_name(number),
    })?;
    let offset = cursor.u64(place)?;
    Ok(Description { name, kind, dimensions, rank: rank as usize, offset })
}

/// Reads the value of one key.
struct ValueReader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    key: &'c str,
    /// Of the whole file.
    nested_arrays: &'c mut u64,
}

impl<'c> ValueReader<'c, '_> {
    fn place(&self) -> impl Fn() -> Place + use<'c> {
        let key = self.key;
        move || Place::Value { key: key.to_owned() }
    }

    fn kind(&mut self) -> Result<ValueKind, GgufError> {
        let number = self.cursor.u32(self.place())?;
        ValueKind::from_number(number).ok_or_else(|| GgufError::UnknownValueType { key: self.key.to_owned(), number })
    }

    fn value(&mut self) -> Result<Value, GgufError> {
        let kind = self.kind()?;
        match kind {
            ValueKind::String => Ok(Value::String(self.cursor.string(limits::MAX_STRING_BYTES, self.place())?.into())),
            ValueKind::Array => Ok(Value::Array(self.array(1)?)),
            // A number is read as an array of one, so that each type is decoded in one place.
            _ => Ok(match self.numbers(kind, 1)? {
                Array::U8(values) => Value::U8(values[0]),
                Array::I8(values) => Value::I8(values[0]),
                Array::U16(values) => Value::U16(values[0]),
                Array::I16(values) => Value::I16(values[0]),
                Array::U32(values) => Value::U32(values[0]),
                Array::I32(values) => Value::I32(values[0]),
                Array::U64(values) => Value::U64(values[0]),
                Array::I64(values) => Value::I64(values[0]),
                Array::F32(values) => Value::F32(values[0]),
                Array::F64(values) => Value::F64(values[0]),
                Array::Bool(values) => Value::Bool(values[0]),
                array @ (Array::String(_) | Array::Array(_)) => Value::Array(array),
            }),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Array, GgufError> {
        if depth > limits::MAX_ARRAY_DEPTH {
            return Err(GgufError::ArrayTooDeep { key: self.key.to_owned(), limit: limits::MAX_ARRAY_DEPTH });
        }
        let kind = self.kind()?;
        let count = self.cursor.u64(self.place())?;
        let least = kind.least_bytes();
        let left = self.cursor.left();
        if count.checked_mul(least).is_none_or(|needed| needed > left) {
            return Err(match count.checked_mul(least) {
                None => GgufError::SizeOverflow { place: self.place()(), count, unit: least },
                Some(needed) => {
                    GgufError::PastEnd { place: self.place()(), offset: self.cursor.position(), needed, left }
                }
            });
        }
        if count > limits::MAX_ARRAY_ELEMENTS {
            let limit = limits::MAX_ARRAY_ELEMENTS;
            return Err(GgufError::ArrayTooLong { key: self.key.to_owned(), count, limit });
        }
        match kind {
            ValueKind::String => Ok(Array::String(self.strings(count)?)),
            ValueKind::Array => {
                *self.nested_arrays += count;
                if *self.nested_arrays > limits::MAX_NESTED_ARRAYS {
                    let limit = limits::MAX_NESTED_ARRAYS;
                    return Err(GgufError::TooManyNestedArrays { key: self.key.to_owned(), limit });
                }
                let mut arrays = Vec::with_capacity(count as usize);
                for _ in 0..count {
                    arrays.push(self.array(depth + 1)?);
                }
                Ok(Array::Array(arrays.into()))
            }
            _ => self.numbers(kind, count),
        }
    }

    /// Strings in two passes: the first checks and adds up their lengths, the second copies into one allocation.
    fn strings(&mut self, count: u64) -> Result<StringArray, GgufError> {
        let place = self.place();
        let mut ends = Vec::with_capacity(count as usize);
        let mut pieces = self.cursor.clone();
        let mut total = 0;
        for _ in 0..count {
            total += self.cursor.string(limits::MAX_STRING_BYTES, &place)?.len();
            ends.push(total);
        }
        let mut bytes = Vec::with_capacity(total);
        for &end in &ends {
            // By the lengths of the first pass, which a file that changes meanwhile cannot take back.
            pieces.take(1, 8, &place)?;
            bytes.extend_from_slice(pieces.take((end - bytes.len()) as u64, 1, &place)?);
        }
        Ok(StringArray::from_parts(ends, bytes))
    }

    fn numbers(&mut self, kind: ValueKind, count: u64) -> Result<Array, GgufError> {
        let bytes = self.cursor.take(count, kind.least_bytes(), self.place())?;
        Ok(match kind {
            ValueKind::U8 => Array::U8(bytes.into()),
            ValueKind::I8 => Array::I8(decode(bytes, i8::from_le_bytes)),
            ValueKind::U16 => Array::U16(decode(bytes, u16::from_le_bytes)),
            ValueKind::I16 => Array::I16(decode(bytes, i16::from_le_bytes)),
            ValueKind::U32 => Array::U32(decode(bytes, u32::from_le_bytes)),
            ValueKind::I32 => Array::I32(decode(bytes, i32::from_le_bytes)),
            ValueKind::U64 => Array::U64(decode(bytes, u64::from_le_bytes)),
            ValueKind::I64 => Array::I64(decode(bytes, i64::from_le_bytes)),
            ValueKind::F32 => Array::F32(decode(bytes, f32::from_le_bytes)),
            ValueKind::F64 => Array::F64(decode(bytes, f64::from_le_bytes)),
            ValueKind::Bool => match bytes.iter().find(|&&byte| byte > 1) {
                Some(&found) => return Err(GgufError::BadBool { key: self.key.to_owned(), found }),
                None => Array::Bool(bytes.iter().map(|&byte| byte == 1).collect()),
            },
            ValueKind::String | ValueKind::Array => {
                return Err(GgufError::UnknownValueType { key: self.key.to_owned(), number: kind.number() });
            }
        })
    }
}

/// Little-endian bytes to numbers; the caller has taken a multiple of `N`.
fn decode<T, const N: usize>(bytes: &[u8], from_le_bytes: fn([u8; N]) -> T) -> Box<[T]> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| from_le_bytes(chunk)).collect()
}
