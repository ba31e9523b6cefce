//! The metadata of a model: keys in file order, and getters that check types.
//!
//! A getter says `Ok(None)` when the key is absent, and names the key in its error when the value is of another type
//! or does not fit. Integers of any width convert when the value fits, because converters disagree on widths;
//! an integer is never taken for a float or a bool.

use std::borrow::Cow;

use crate::array::{Array, StringArray};
use crate::error::GgufError;
use crate::limits::MAX_LAYERS;
use crate::value::Value;

/// The keys of a model and their values, in the order of the file. No key appears twice.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    /// Indices into `entries`, sorted by key: a look-up needs no second copy of the keys.
    sorted: Vec<u32>,
}

impl Metadata {
    pub(crate) fn new(entries: Vec<(String, Value)>) -> Result<Self, GgufError> {
        let mut sorted: Vec<u32> = (0..entries.len() as u32).collect();
        let key = |index: u32| &entries[index as usize].0;
        sorted.sort_unstable_by_key(|&index| key(index));
        if let Some(twins) = sorted.windows(2).find(|pair| key(pair[0]) == key(pair[1])) {
            return Err(GgufError::DuplicateKey { key: key(twins[0]).clone() });
        }
        Ok(Self { entries, sorted })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.sorted.binary_search_by(|&index| self.entries[index as usize].0.as_str().cmp(key)).ok()?;
        Some(&self.entries[self.sorted[found] as usize].1)
    }

    /// All keys and values, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An integer as `T`.
    fn integer<T: TryFrom<i128>>(&self, key: &str) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let value = value.as_integer().ok_or_else(|| wrong(key, "an integer", value))?;
        fit(key, None, value).map(Some)
    }

    /// The value that `pick` finds in it, else an error.
    fn pick<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        pick: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        self.get(key).map(|value| pick(value).ok_or_else(|| wrong(key, expected, value))).transpose()
    }

    /// An integer of any width that fits into a `u64`.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.integer(key)
    }

    /// An integer of any width that fits into a `u32`.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.integer(key)
    }

    /// An integer of any width that fits into an `i64`.
    pub fn i64(&self, key: &str) -> Result<Option<i64>, GgufError> {
        self.integer(key)
    }

    /// An integer of any width that fits into an `i32`.
    pub fn i32(&self, key: &str) -> Result<Option<i32>, GgufError> {
        self.integer(key)
    }

    /// A float; one of 64 bits is rounded.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        Ok(self.f64(key)?.map(|value| value as f32))
    }

    /// A float.
    pub fn f64(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.pick(key, "a float", |value| match *value {
            Value::F32(value) => Some(value.into()),
            Value::F64(value) => Some(value),
            _ => None,
        })
    }

    /// A bool.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.pick(key, "a bool", |value| match *value {
            Value::Bool(value) => Some(value),
            _ => None,
        })
    }

    /// A string that is UTF-8.
    pub fn str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.pick(key, "a string of UTF-8", Value::as_str)
    }

    /// A string of any bytes.
    pub fn bytes(&self, key: &str) -> Result<Option<&[u8]>, GgufError> {
        self.pick(key, "a string", |value| match value {
            Value::String(bytes) => Some(&**bytes),
            _ => None,
        })
    }

    /// An array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&StringArray>, GgufError> {
        self.pick(key, "an array of strings", |value| match value {
            Value::Array(Array::String(strings)) => Some(strings),
            _ => None,
        })
    }

    /// An array of any type.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, GgufError> {
        self.pick(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    /// An array of bools.
    pub fn bools(&self, key: &str) -> Result<Option<&[bool]>, GgufError> {
        self.pick(key, "an array of bools", |value| match value {
            Value::Array(Array::Bool(bools)) => Some(&**bools),
            _ => None,
        })
    }

    /// An array of floats; those of 64 bits are rounded.
    pub fn f32s(&self, key: &str) -> Result<Option<Cow<'_, [f32]>>, GgufError> {
        self.pick(key, "an array of floats", |value| match value {
            Value::Array(Array::F32(values)) => Some(Cow::Borrowed(&**values)),
            Value::Array(Array::F64(values)) => Some(values.iter().map(|&value| value as f32).collect()),
            _ => None,
        })
    }

    fn integers<T: TryFrom<i128>>(&self, key: &str) -> Result<Option<Vec<T>>, GgufError> {
        let array = self.pick(key, "an array of integers", |value| match value {
            Value::Array(array) if array.integer(0).is_some() || array.is_empty() => Some(array),
            _ => None,
        })?;
        let Some(array) = array else { return Ok(None) };
        let mut values = Vec::with_capacity(array.len());
        for index in 0..array.len() {
            values.extend(array.integer(index).map(|value| fit(key, Some(index), value)).transpose()?);
        }
        Ok(Some(values))
    }

    /// An array of integers of any width that all fit into `u32`.
    pub fn u32s(&self, key: &str) -> Result<Option<Cow<'_, [u32]>>, GgufError> {
        match self.get(key) {
            Some(Value::Array(Array::U32(values))) => Ok(Some(Cow::Borrowed(values))),
            _ => Ok(self.integers(key)?.map(Cow::Owned)),
        }
    }

    /// An array of integers of any width that all fit into `i32`.
    pub fn i32s(&self, key: &str) -> Result<Option<Cow<'_, [i32]>>, GgufError> {
        match self.get(key) {
            Some(Value::Array(Array::I32(values))) => Ok(Some(Cow::Borrowed(values))),
            _ => Ok(self.integers(key)?.map(Cow::Owned)),
        }
    }

    /// A number for each of `count` layers: an array of at least as many, or one number for all.
    pub fn u32_per_layer(&self, key: &str, count: usize) -> Result<Option<Vec<u32>>, GgufError> {
        self.per_layer(key, count, |metadata| metadata.u32(key), |metadata| metadata.u32s(key))
    }

    /// A float for each of `count` layers: an array of at least as many, or one float for all.
    pub fn f32_per_layer(&self, key: &str, count: usize) -> Result<Option<Vec<f32>>, GgufError> {
        self.per_layer(key, count, |metadata| metadata.f32(key), |metadata| metadata.f32s(key))
    }

    /// A bool for each of `count` layers: an array of at least as many, or one bool for all.
    pub fn bool_per_layer(&self, key: &str, count: usize) -> Result<Option<Vec<bool>>, GgufError> {
        let many = |metadata: &'_ Self| -> Result<Option<Cow<'_, [bool]>>, GgufError> {
            Ok(metadata.bools(key)?.map(|bools| Cow::Owned(bools.to_vec())))
        };
        self.per_layer(key, count, |metadata| metadata.bool(key), many)
    }

    fn per_layer<'a, T: Clone + 'a>(
        &'a self,
        key: &str,
        count: usize,
        one: impl FnOnce(&'a Self) -> Result<Option<T>, GgufError>,
        many: impl FnOnce(&'a Self) -> Result<Option<Cow<'a, [T]>>, GgufError>,
    ) -> Result<Option<Vec<T>>, GgufError> {
        if count > MAX_LAYERS {
            return Err(GgufError::TooManyLayers { key: key.to_owned(), count });
        }
        if !matches!(self.get(key), Some(Value::Array(_))) {
            return Ok(one(self)?.map(|value| vec![value; count]));
        }
        let Some(values) = many(self)? else { return Ok(None) };
        let found = values.len();
        let values = values.get(..count);
        values.map(|values| Some(values.to_vec())).ok_or_else(|| GgufError::ArrayTooShort {
            key: key.to_owned(),
            needed: count,
            found,
        })
    }

    /// Like [`Metadata::u64`]; an absent key is an error.
    pub fn require_u64(&self, key: &str) -> Result<u64, GgufError> {
        required(key, self.u64(key)?)
    }

    /// Like [`Metadata::u32`]; an absent key is an error.
    pub fn require_u32(&self, key: &str) -> Result<u32, GgufError> {
        required(key, self.u32(key)?)
    }

    /// Like [`Metadata::f32`]; an absent key is an error.
    pub fn require_f32(&self, key: &str) -> Result<f32, GgufError> {
        required(key, self.f32(key)?)
    }

    /// Like [`Metadata::bool`]; an absent key is an error.
    pub fn require_bool(&self, key: &str) -> Result<bool, GgufError> {
        required(key, self.bool(key)?)
    }

    /// Like [`Metadata::str`]; an absent key is an error.
    pub fn require_str(&self, key: &str) -> Result<&str, GgufError> {
        required(key, self.str(key)?)
    }

    /// Like [`Metadata::strings`]; an absent key is an error.
    pub fn require_strings(&self, key: &str) -> Result<&StringArray, GgufError> {
        required(key, self.strings(key)?)
    }
}

fn required<T>(key: &str, value: Option<T>) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey { key: key.to_owned() })
}

fn fit<T: TryFrom<i128>>(key: &str, index: Option<usize>, value: i128) -> Result<T, GgufError> {
    let target = std::any::type_name::<T>();
    T::try_from(value).map_err(|_| GgufError::OutOfRange { key: key.to_owned(), index, value, target })
}

fn wrong(key: &str, expected: &'static str, value: &Value) -> GgufError {
    let found = match value {
        Value::Array(array) => format!("an array of {} × {}", array.len(), array.kind()),
        Value::String(bytes) if std::str::from_utf8(bytes).is_err() => "a string that is not UTF-8".to_owned(),
        other => format!("of type {}", other.kind()),
    };
    GgufError::WrongType { key: key.to_owned(), expected, found }
}
