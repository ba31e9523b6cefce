//! The arrays that a metadata key can hold.
//!
//! Numbers lie packed in their own type and the strings of an array in one buffer: a vocabulary of 262 000 tokens is
//! two allocations, not 262 000.

use std::fmt;

use crate::value::ValueKind;

/// A list of values of one type.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are those of ValueKind")]
pub enum Array {
    U8(Box<[u8]>),
    I8(Box<[i8]>),
    U16(Box<[u16]>),
    I16(Box<[i16]>),
    U32(Box<[u32]>),
    I32(Box<[i32]>),
    U64(Box<[u64]>),
    I64(Box<[i64]>),
    F32(Box<[f32]>),
    F64(Box<[f64]>),
    Bool(Box<[bool]>),
    String(StringArray),
    /// Arrays inside an array; each has its own element type.
    Array(Box<[Array]>),
}

impl Array {
    /// The type of the elements.
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::U8(_) => ValueKind::U8,
            Self::I8(_) => ValueKind::I8,
            Self::U16(_) => ValueKind::U16,
            Self::I16(_) => ValueKind::I16,
            Self::U32(_) => ValueKind::U32,
            Self::I32(_) => ValueKind::I32,
            Self::U64(_) => ValueKind::U64,
            Self::I64(_) => ValueKind::I64,
            Self::F32(_) => ValueKind::F32,
            Self::F64(_) => ValueKind::F64,
            Self::Bool(_) => ValueKind::Bool,
            Self::String(_) => ValueKind::String,
            Self::Array(_) => ValueKind::Array,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::String(values) => values.len(),
            Self::Array(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element as an integer; `None` past the end and for elements of another type.
    pub fn integer(&self, index: usize) -> Option<i128> {
        Some(match self {
            Self::U8(values) => (*values.get(index)?).into(),
            Self::I8(values) => (*values.get(index)?).into(),
            Self::U16(values) => (*values.get(index)?).into(),
            Self::I16(values) => (*values.get(index)?).into(),
            Self::U32(values) => (*values.get(index)?).into(),
            Self::I32(values) => (*values.get(index)?).into(),
            Self::U64(values) => (*values.get(index)?).into(),
            Self::I64(values) => (*values.get(index)?).into(),
            _ => return None,
        })
    }
}

/// Many strings in one buffer. Each may be any bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct StringArray {
    /// Where each string ends in `bytes`; it starts where the one before ends.
    ends: Box<[usize]>,
    bytes: Box<[u8]>,
}

impl StringArray {
    /// From parts whose agreement the parser has made sure of: `ends` never falls and its last is `bytes.len()`.
    pub(crate) fn from_parts(ends: Vec<usize>, bytes: Vec<u8>) -> Self {
        debug_assert!(ends.is_sorted() && ends.last().copied().unwrap_or(0) == bytes.len());
        Self { ends: ends.into(), bytes: bytes.into() }
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of a string, exactly as in the file; `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// The text of a string; `None` past the end and for bytes that are no UTF-8.
    pub fn text(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.get(index)?).ok()
    }

    /// All strings, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// The length of all strings together, in bytes.
    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Debug for StringArray {
    /// The first few strings: a vocabulary would drown a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.iter().take(8).map(String::from_utf8_lossy));
        if self.len() > 8 {
            list.finish_non_exhaustive()?;
            return write!(f, " ({} strings)", self.len());
        }
        list.finish()
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StringArray {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut ends = Vec::new();
        let mut bytes = Vec::new();
        for string in strings {
            bytes.extend_from_slice(string.as_ref());
            ends.push(bytes.len());
        }
        Self::from_parts(ends, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_every_byte() {
        let strings: StringArray = [&b"one"[..], b"", b"\xff\xfe", "zwölf".as_bytes()].into_iter().collect();
        assert_eq!(strings.len(), 4);
        assert_eq!(strings.get(0), Some(&b"one"[..]));
        assert_eq!(strings.get(1), Some(&b""[..]));
        assert_eq!(strings.get(2), Some(&b"\xff\xfe"[..]));
        assert_eq!(strings.text(2), None);
        assert_eq!(strings.text(3), Some("zwölf"));
        assert_eq!(strings.get(4), None);
        assert_eq!(strings.iter().map(<[u8]>::len).collect::<Vec<_>>(), [3, 0, 2, 6]);
    }
}
