//! Bytes that start on a cache line.

const ALIGN: usize = 64;

/// A fixed number of zeroed bytes, aligned to 64. A `Vec` that never grows stays where it is, so no `unsafe` is needed.
pub(crate) struct AlignedBytes {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBytes {
    /// None.
    pub(crate) const EMPTY: Self = Self { bytes: Vec::new(), start: 0, len: 0 };

    /// `len` zeros; `None` if there is no memory for them.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let size = len.checked_add(ALIGN - 1)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).ok()?;
        bytes.resize(size, 0);
        let start = bytes.as_ptr().addr().wrapping_neg() % ALIGN;
        Some(Self { bytes, start, len })
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }

    /// The bytes, to write to.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}
