//! Where the bytes of a model live: a mapped file, the program itself, or a buffer.
//!
//! [`MappedFile`] is for other files beside a model too: what a back end has prepared from it. The crate's only
//! `unsafe` is the mapping. What is done about its one hazard, a file that changes under us:
//!
//! * Metadata and tensor descriptions are copied out while they are checked, so a later change cannot make a checked
//!   number wrong. Only weights are read from the mapping afterwards, and any bit pattern is a valid weight.
//! * The file is opened for reading and mapped read-only: this program never changes it.
//! * A file that *shrinks* makes the kernel send SIGBUS to whoever touches the lost pages. No library can turn this into
//!   an error on the spot, hence the rule that every writer of models here follows: write beside and rename over; never
//!   write in place, never truncate. The old file then lives on until the mapping goes. [`Source::check_length`] notices
//!   a violation before a load goes on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

use memmap2::{Mmap, MmapOptions};

use crate::error::GgufError;

/// Where in memory the bytes of a file start: at a multiple of this, so that a tensor's data starts at a multiple
/// of the smaller of this and the file's alignment.
pub const BASE_ALIGNMENT: usize = 64;

/// A file, mapped for reading.
///
/// The module's rule holds for whoever writes such files: write beside and rename over, never truncate.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    file: File,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Bytes.
    pub length: u64,
    /// When its bytes were last written, in nanoseconds since 1970.
    pub modified: i128,
    /// When its bytes, name or owner last changed, in nanoseconds since 1970; 0 where the system keeps no such time.
    pub changed: i128,
    /// The number of the file in its file system; 0 where files have none.
    pub inode: u64,
}

impl MappedFile {
    /// Maps all of a file, which must hold at least one byte.
    pub fn new(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        let len = usize::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: the mapping is read-only and as long as the file is now. The references that `bytes` gives
        // out live no longer than `self`, which keeps the mapping. The remaining duty of a caller, that nobody changes
        // the file meanwhile, cannot be enforced on any system that phones or desktops run; the module's
        // documentation says what a change can and cannot do here, and by which rule our own writers prevent it.
        let map = unsafe { MmapOptions::new().len(len).map(&file) }?;
        Ok(Self { map, file })
    }

    /// As [`MappedFile::new`], asking the system for large pages before anything is touched: for a file that is read
    /// from end to end again and again. A hint: where it is not heard, pages are as small as ever.
    pub fn with_large_pages(file: File) -> io::Result<Self> {
        let mapped = Self::new(file)?;
        // Android's file systems have no large pages to give.
        #[cfg(target_os = "linux")]
        if let Err(error) = mapped.map.advise(memmap2::Advice::HugePage) {
            let _unheard = error;
        }
        Ok(mapped)
    }

    /// The bytes, from a page's start on.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the file is now.
    pub fn identity(&self) -> io::Result<FileIdentity> {
        let found = self.file.metadata()?;
        #[cfg(unix)]
        let (changed, inode) = {
            use std::os::unix::fs::MetadataExt;
            (i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec()), found.ino())
        };
        #[cfg(not(unix))]
        let (changed, inode) = (0, 0);
        let modified = match found.modified()?.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos().cast_signed(),
            Err(before) => -before.duration().as_nanos().cast_signed(),
        };
        Ok(FileIdentity { length: found.len(), modified, changed, inode })
    }

    /// Asks the system to read a range ahead. A hint: where it is not heard, the first touch reads.
    pub fn will_need(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Err(error) = self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len()) {
            // Nothing depends on the hint.
            let _unheard = error;
        }
        #[cfg(not(unix))]
        let _unused = range;
    }

    /// Gives the pages of a range back: this process holds them no longer, and reads them again if it touches them.
    pub fn not_needed(&self, range: Range<usize>) {
        #[cfg(unix)]
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is shared with the file and never written to, so pages that are dropped come back
            // from the file as they were.
            if let Err(error) = unsafe { self.map.unchecked_advise_range(advice, range.start, range.len()) } {
                let _unheard = error;
            }
        }
        #[cfg(not(unix))]
        let _unused = range;
    }
}

/// The bytes of a model file.
#[derive(Debug)]
pub(crate) enum Source {
    Mapped(MappedFile),
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
        match file.metadata().map_err(open_error)?.len() {
            0 => Err(GgufError::Empty),
            bytes if usize::try_from(bytes).is_err() => Err(GgufError::TooLargeToMap { bytes }),
            bytes => MappedFile::new(file).map(Self::Mapped).map_err(|source| GgufError::CannotMap { bytes, source }),
        }
    }

    /// Bytes of the program itself; copied only when they are not aligned.
    pub(crate) fn from_static(bytes: &'static [u8]) -> Self {
        if is_aligned(bytes) { Self::Static(bytes) } else { Self::aligned_copy(bytes) }
    }

    /// A buffer; copied only when it is not aligned.
    pub(crate) fn from_vec(buffer: Vec<u8>) -> Self {
        if is_aligned(&buffer) { Self::Owned { buffer, start: 0 } } else { Self::aligned_copy(&buffer) }
    }

    /// A buffer of this many bytes that `fill` fills, aligned like a mapping. `None` if there is not so much memory.
    pub(crate) fn filled<E>(bytes: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<Self, E>> {
        let mut buffer: Vec<u8> = Vec::new();
        buffer.try_reserve_exact(bytes.checked_add(BASE_ALIGNMENT - 1)?).ok()?;
        let start = buffer.as_ptr().addr().wrapping_neg() % BASE_ALIGNMENT;
        // Within the capacity, so it stays where it is.
        buffer.resize(start + bytes, 0);
        Some(fill(&mut buffer[start..]).map(|()| Self::Owned { buffer, start }))
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
            Self::Mapped(map) => map.bytes(),
            Self::Static(bytes) => bytes,
            Self::Owned { buffer, start } => &buffer[*start..],
        }
    }

    /// The mapping, if there is one.
    pub(crate) fn mapped(&self) -> Option<&MappedFile> {
        match self {
            Self::Mapped(map) => Some(map),
            Self::Static(_) | Self::Owned { .. } => None,
        }
    }

    /// Notices a file that has become longer or shorter.
    pub(crate) fn check_length(&self) -> Result<(), GgufError> {
        let Some(map) = self.mapped() else { return Ok(()) };
        let (expected, found) = (map.bytes().len() as u64, map.file().metadata().map_err(open_error)?.len());
        if expected == found { Ok(()) } else { Err(GgufError::FileChanged { expected, found }) }
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
