//! Where in one file what lies: for those who cut files into pieces and do not want to read them.

use std::ops::Range;
use std::path::Path;

use crate::error::GgufError;
use crate::map::Source;
use crate::parse::{HEADER_BYTES, parse_part};

/// The places of a file's keys and tensors. Of a split model it is one part's: each is a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Each key with its value, in the order of the file; the first begins after the counts.
    pub keys: Vec<Range<u64>>,
    /// The tensors' descriptions, without the padding after them.
    pub descriptions: Range<u64>,
    /// Where the tensors' data begins.
    pub data_start: u64,
    /// Each tensor's data, ascending; they do not overlap.
    pub tensors: Vec<Range<u64>>,
    /// The size of the file.
    pub file_bytes: u64,
}

impl Outline {
    /// Of a file, which is checked as [`Gguf::open`](crate::Gguf::open) checks it.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let source = Source::open(path).map_err(|error| error.in_file(path))?;
        Self::of(source.bytes()).map_err(|error| error.in_file(path))
    }

    /// Of a file's bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, GgufError> {
        let parsed = parse_part(bytes, 0)?;
        let starts = std::iter::once(HEADER_BYTES as u64).chain(parsed.key_ends.iter().copied());
        let keys: Vec<_> = starts.zip(&parsed.key_ends).map(|(start, &end)| start..end).collect();
        let keys_end = parsed.key_ends.last().copied().unwrap_or(HEADER_BYTES as u64);
        // The sums were compared with the file's size.
        let mut tensors: Vec<_> = parsed.tensors.iter().map(|info| info.offset..info.offset + info.bytes).collect();
        tensors.sort_unstable_by_key(|range| range.start);
        Ok(Self {
            keys,
            descriptions: keys_end..parsed.descriptions_end,
            data_start: parsed.data_start,
            tensors,
            file_bytes: bytes.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgufWriter, TensorType};

    #[test]
    fn the_outline_is_where_things_lie() {
        let mut writer = GgufWriter::new();
        writer.set("a", 7_u32).unwrap().set("text", "hello").unwrap();
        writer.tensor("w", TensorType::F32, &[3]).unwrap();
        writer.tensor("v", TensorType::I8, &[5]).unwrap();
        let mut data = writer.write_to(Vec::new()).unwrap();
        data.push(&[1; 12]).unwrap();
        data.push(&[2; 5]).unwrap();
        let bytes = data.finish().unwrap();
        let outline = Outline::of(&bytes).unwrap();
        let cut = |range: &Range<u64>| &bytes[range.start as usize..range.end as usize];
        assert_eq!(outline.keys[0], 24..24 + 8 + 1 + 4 + 4);
        assert!(cut(&outline.keys[1]).ends_with(b"hello"));
        assert_eq!(cut(&outline.descriptions)[8], b'w');
        assert_eq!(outline.data_start, outline.descriptions.end.next_multiple_of(32));
        assert_eq!((cut(&outline.tensors[0]), cut(&outline.tensors[1])), (&[1; 12][..], &[2; 5][..]));
        assert_eq!(outline.file_bytes, bytes.len() as u64);
        assert!(Outline::of(&bytes[..40]).is_err());
    }
}
