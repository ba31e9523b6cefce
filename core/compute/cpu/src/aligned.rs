//! Bytes and floats that start on a cache line.

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

/// As [`AlignedBytes`], of floats.
pub(crate) struct AlignedFloats {
    floats: Vec<f32>,
    start: usize,
}

impl AlignedFloats {
    /// `len` zeros; `None` if there is no memory for them.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let size = len.checked_add(ALIGN / size_of::<f32>() - 1)?;
        let mut floats = Vec::new();
        floats.try_reserve_exact(size).ok()?;
        floats.resize(size, 0.0);
        let start = floats.as_ptr().addr().wrapping_neg() % ALIGN / size_of::<f32>();
        Some(Self { floats, start })
    }
}

impl std::ops::Deref for AlignedFloats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.floats[self.start..]
    }
}

impl std::ops::DerefMut for AlignedFloats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.floats[self.start..]
    }
}
