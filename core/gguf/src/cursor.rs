//! Reading little-endian values from bytes that nobody vouches for.
//!
//! Invariant: every length is multiplied and compared in checked `u64` by [`Cursor::take`] before anything is read or
//! allocated; there is no other way to move forward.

use crate::error::{GgufError, Place};

/// A position in the bytes of a file.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position as u64
    }

    /// Bytes still to come.
    pub(crate) fn left(&self) -> u64 {
        (self.bytes.len() - self.position) as u64
    }

    /// The next `count` values of `unit` bytes each.
    pub(crate) fn take(&mut self, count: u64, unit: u64, place: impl Fn() -> Place) -> Result<&'a [u8], GgufError> {
        let needed = count.checked_mul(unit).ok_or_else(|| GgufError::SizeOverflow { place: place(), count, unit })?;
        let left = self.left();
        if needed > left {
            return Err(GgufError::PastEnd { place: place(), offset: self.position(), needed, left });
        }
        // Not more than what is left, which is a usize.
        let end = self.position + needed as usize;
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, place: impl Fn() -> Place) -> Result<[u8; N], GgufError> {
        let mut value = [0; N];
        value.copy_from_slice(self.take(N as u64, 1, place)?);
        Ok(value)
    }

    pub(crate) fn u32(&mut self, place: impl Fn() -> Place) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(place)?))
    }

    pub(crate) fn u64(&mut self, place: impl Fn() -> Place) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(place)?))
    }

    /// A string: a u64 length and that many bytes, at most `limit`.
    pub(crate) fn string(&mut self, limit: u64, place: impl Fn() -> Place) -> Result<&'a [u8], GgufError> {
        let bytes = self.u64(&place)?;
        // A length past the end says more than one past the limit, so that comes first.
        let string = self.take(bytes, 1, &place)?;
        if bytes > limit {
            return Err(GgufError::TooLong { place: place(), bytes, limit });
        }
        Ok(string)
    }

    /// A name: a string that is not empty and is UTF-8. It is copied before it is checked.
    pub(crate) fn name(&mut self, limit: u64, place: impl Fn() -> Place) -> Result<String, GgufError> {
        let bytes = self.string(limit, &place)?;
        if bytes.is_empty() {
            return Err(GgufError::EmptyName { place: place() });
        }
        String::from_utf8(bytes.to_vec())
            .map_err(|error| GgufError::NotUtf8 { place: place(), valid_bytes: error.utf8_error().valid_up_to() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9]);
        assert_eq!(cursor.u32(|| Place::Header).unwrap(), 1);
        let error = cursor.u32(|| Place::Header).unwrap_err();
        assert!(matches!(error, GgufError::PastEnd { offset: 4, needed: 4, left: 1, .. }), "{error}");
        let error = cursor.take(u64::MAX, 2, || Place::Header).unwrap_err();
        assert!(matches!(error, GgufError::SizeOverflow { count: u64::MAX, unit: 2, .. }), "{error}");
        assert_eq!(cursor.take(1, 1, || Place::Header).unwrap(), [9]);
        assert_eq!(cursor.left(), 0);
    }
}
