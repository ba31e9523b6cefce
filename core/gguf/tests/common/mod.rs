//! Files written byte by byte, so that they can say what no writer would.

#![allow(dead_code, reason = "each test file uses some of it")]

use inkling_gguf::{Gguf, GgufError, GgufWriter};

/// A file under construction. Counts are those that are given, not those that are true.
#[derive(Clone)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    pub(crate) fn header(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        self.0.extend(value);
        self
    }

    pub(crate) fn string(self, value: &[u8]) -> Self {
        self.u64(value.len() as u64).bytes(value)
    }

    /// A key and the number of its value's type; the value must follow.
    pub(crate) fn key(self, key: &str, kind: u32) -> Self {
        self.string(key.as_bytes()).u32(kind)
    }

    pub(crate) fn key_u32(self, key: &str, value: u32) -> Self {
        self.key(key, 4).u32(value)
    }

    pub(crate) fn tensor(self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        let mut raw = self.string(name.as_bytes()).u32(dimensions.len() as u32);
        for &dimension in dimensions {
            raw = raw.u64(dimension);
        }
        raw.u32(kind).u64(offset)
    }

    /// Padding to 32 bytes, then so many bytes of data.
    pub(crate) fn data(mut self, bytes: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(32) + bytes, 0xda);
        self
    }

    pub(crate) fn open(self) -> Result<Gguf, GgufError> {
        Gguf::from_vec(self.0)
    }

    /// The error, which must come.
    #[track_caller]
    pub(crate) fn error(self) -> GgufError {
        match self.open() {
            Ok(model) => panic!("accepted: {:?} {:?}", model.metadata(), model.tensors()),
            Err(error) => error,
        }
    }
}

/// The complete file, with data that counts upwards.
pub(crate) fn filled(writer: &GgufWriter) -> Vec<u8> {
    let mut data = writer.write_to(Vec::new()).unwrap();
    let mut next = 0_u8;
    while let Some(tensor) = data.next_tensor() {
        let bytes: Vec<u8> = (0..tensor.bytes)
            .map(|_| {
                next = next.wrapping_add(1);
                next
            })
            .collect();
        data.push(&bytes).unwrap();
    }
    data.finish().unwrap()
}

/// Asserts the variant, with guards if need be, and that the message contains these words.
#[macro_export]
macro_rules! assert_error {
    ($error:expr, $pattern:pat $(if $guard:expr)?, $($word:expr),* $(,)?) => {{
        let error = $error;
        let said = error.to_string();
        assert!(matches!(error.innermost(), $pattern $(if $guard)?), "{error:?}");
        $(assert!(said.contains(&$word.to_string()), "{:?} is not in {said:?}", $word);)*
    }};
}
