//! Where the bytes of a model live: a mapped file, the program itself, or a buffer.
//!
//! The crate's only `unsafe` is the mapping. What is done about its one hazard, a file that changes under us:
//!
//! * Metadata and tensor descriptions are copied out while they are checked, so a later change cannot make a checked
//!   number wrong. Only weights are read from the mapping afterwards, and any bit pattern is a valid weight.
//! * The file is opened for reading and mapped read-only: this program never changes it.
//! * A file that *shrinks* makes the kernel send SIGBUS to whoever touches the lost pages. No library can turn this into
//!   an error on the spot, hence the rule that every writer of models here follows: write beside and rename over; never
//!   write in place, never truncate. The old file then lives on until the mapping goes. [`Source::check_length`] notices
//!   a violation before a load goes on.

use std::fs::File;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

use crate::error::GgufError;

/// Where in memory the bytes of a file start: at a multiple of this, so that a tensor's data starts at a multiple
/// of the smaller of this and the file's alignment.
pub const BASE_ALIGNMENT: usize = 64;

/// The bytes of a model file.
#[derive(Debug)]
pub(crate) enum Source {
    Mapped {
        map: Mmap,
        file: File,
    },
    Static(&'static [u8]),
    /// The bytes are `buffer[start..]`, and `start` is chosen so that they are aligned.
    Owned {
        buffer: Vec<u8>,
        start: usize,
    },
}

impl Source {
    /// Maps a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, GgufError> {
        // Asked before opening, because opening a pipe would wait for its writer.
        let found = std::fs::metadata(path).map_err(open_error)?.file_type();
        if !found.is_file() {
            let found = if found.is_dir() { "a folder" } else { "a device or pipe" };
            return Err(GgufError::NotAFile { found });
        }
        let file = File::open(path).map_err(open_error)?;
        let bytes = file.metadata().map_err(open_error)?.len();
        if bytes == 0 {
            return Err(GgufError::Empty);
        }
        let len = usize::try_from(bytes).map_err(|_| GgufError::TooLargeToMap { bytes })?;
        // SAFETY: the mapping is read-only and as long as the file is now. The references that `bytes` gives
        // out live no longer than `self`, which keeps the mapping. The remaining duty of a caller, that nobody changes
        // the file meanwhile, cannot be enforced on any system that phones or desktops run; the module's
        // documentation says what a change can and cannot do here, and by which rule our own writers prevent it.
        let map = unsafe { MmapOptions::new().len(len).map(&file) };
        let map = map.map_err(|source| GgufError::CannotMap { bytes, source })?;
        Ok(Self::Mapped { map, file })
    }

    /// Bytes of the program itself; copied only when they are not aligned.
    pub(crate) fn from_static(bytes: &'static [u8]) -> Self {
        if is_aligned(bytes) { Self::Static(bytes) } else { Self::aligned_copy(bytes) }
    }

    /// A buffer; copied only when it is not aligned.
    pub(crate) fn from_vec(buffer: Vec<u8>) -> Self {
        if is_aligned(&buffer) { Self::Owned { buffer, start: 0 } } else { Self::aligned_copy(&buffer) }
    }

    fn aligned_copy(bytes: &[u8]) -> Self {
        let mut buffer: Vec<u8> = Vec::with_capacity(bytes.len() + BASE_ALIGNMENT - 1);
        // The buffer never grows beyond its capacity, so it stays where it is.
        let start = buffer.as_ptr().addr().wrapping_neg() % BASE_ALIGNMENT;
        buffer.resize(start, 0);
        buffer.extend_from_slice(bytes);
        Self::Owned { buffer, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped { map, .. } => map,
            Self::Static(bytes) => bytes,
            Self::Owned { buffer, start } => &buffer[*start..],
        }
    }

    /// Notices a file that has become longer or shorter.
    pub(crate) fn check_length(&self) -> Result<(), GgufError> {
        let Self::Mapped { map, file } = self else { return Ok(()) };
        let (expected, found) = (map.len() as u64, file.metadata().map_err(open_error)?.len());
        if expected == found { Ok(()) } else { Err(GgufError::FileChanged { expected, found }) }
    }

    /// Asks the system to read a range ahead. A hint: where it is not heard, the first touch reads.
    pub(crate) fn will_need(&self, start: usize, len: usize) {
        #[cfg(unix)]
        if let Self::Mapped { map, .. } = self
            && let Err(error) = map.advise_range(memmap2::Advice::WillNeed, start, len)
        {
            // Nothing depends on the hint.
            let _unheard = error;
        }
        #[cfg(not(unix))]
        let _unused = (start, len);
    }
}

fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(BASE_ALIGNMENT)
}

fn open_error(source: std::io::Error) -> GgufError {
    if source.kind() == std::io::ErrorKind::NotFound { GgufError::NotFound } else { GgufError::CannotOpen { source } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_wherever_they_come_from() {
        for skip in 0..BASE_ALIGNMENT {
            let mut buffer = vec![0; skip + 200];
            buffer[skip] = 7;
            let source = Source::from_vec(buffer.split_off(skip));
            assert!(is_aligned(source.bytes()));
            assert_eq!((source.bytes().len(), source.bytes()[0]), (200, 7));
        }
        static BYTES: [u8; 256] = [3; 256];
        for skip in 0..BASE_ALIGNMENT {
            let source = Source::from_static(&BYTES[skip..]);
            assert!(is_aligned(source.bytes()));
            assert_eq!(source.bytes(), &BYTES[skip..]);
        }
    }
}
