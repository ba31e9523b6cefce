//! Bytes and floats that start on a cache line, many bytes on a large page.
//!
//! Decoding reads weights in long stretches, and with pages of 4 KiB a core may wait for the translation of addresses
//! as long as for the memory itself. So much memory is mapped apart and the system asked for pages of 2 MiB.

use memmap2::MmapMut;

const ALIGN: usize = 64;
/// A large page, and how many bytes are worth some.
pub(crate) const LARGE_PAGE: usize = 2 << 20;
const MAPPED_FROM: usize = 2 * LARGE_PAGE;

/// A fixed number of zeroed bytes, aligned to 64. What holds them never grows, so they stay where they are and no
/// `unsafe` is needed.
pub(crate) struct AlignedBytes {
    bytes: Backing,
    start: usize,
    len: usize,
}

enum Backing {
    Vec(Vec<u8>),
    Map(MmapMut),
}

impl Backing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Vec(bytes) => bytes,
            Self::Map(bytes) => bytes,
        }
    }
}

impl AlignedBytes {
    /// None.
    pub(crate) const EMPTY: Self = Self { bytes: Backing::Vec(Vec::new()), start: 0, len: 0 };

    /// `len` zeros; `None` if there is no memory for them.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let (bytes, align) = if len < MAPPED_FROM {
            let size = len.checked_add(ALIGN - 1)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).ok()?;
            bytes.resize(size, 0);
            (Backing::Vec(bytes), ALIGN)
        } else {
            let mut map = MmapMut::map_anon(len.checked_add(LARGE_PAGE - 1)?).ok()?;
            // Before the first touch.
            ask_for_large_pages(&mut map);
            (Backing::Map(map), LARGE_PAGE)
        };
        let start = bytes.bytes().as_ptr().addr().wrapping_neg() % align;
        Some(Self { bytes, start, len })
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes.bytes()[self.start..][..self.len]
    }

    /// The bytes, to write to.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = match &mut self.bytes {
            Backing::Vec(bytes) => bytes,
            Backing::Map(bytes) => bytes,
        };
        &mut bytes[self.start..][..self.len]
    }
}

/// Asks for pages of 2 MiB. Best effort: a system without large pages gives small ones.
fn ask_for_large_pages(map: &mut MmapMut) {
    // Not through memmap2, which has this advice on Linux alone: Android's kernels take it too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let (start, len) = (map.as_mut_ptr().cast(), map.len());
        // SAFETY: the range is a mapping of this process and borrowed for the call; the advice changes no byte of it.
        let asked = unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxHugepage) };
        let _small_pages = asked.is_err();
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _unused = map;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_and_zero_however_many() {
        for (len, align) in [(0, 1), (1, ALIGN), (MAPPED_FROM - 1, ALIGN), (MAPPED_FROM, LARGE_PAGE)] {
            let mut bytes = AlignedBytes::zeroed(len).unwrap();
            assert_eq!(bytes.as_slice().len(), len);
            assert!(bytes.as_slice().as_ptr().addr().is_multiple_of(align));
            assert!(bytes.as_slice().iter().all(|&byte| byte == 0));
            bytes.as_mut_slice().fill(7);
            assert!(bytes.as_slice().iter().all(|&byte| byte == 7));
        }
        assert!(AlignedBytes::zeroed(usize::MAX).is_none());
    }
}
