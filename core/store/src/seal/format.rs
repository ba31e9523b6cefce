//! The table and the footer of a sealed file.

use inkling_store_cipher::{CHECK, NONCE, Stamp, TAG};

use crate::{CHUNK, Chunks, Hasher};

pub(super) const MAGIC: &[u8; 16] = b"inkling-sealed-1";
/// Bytes of a chunk in the table.
pub(super) const ENTRY: usize = 4 + NONCE + TAG;
/// Bytes of the footer before checksum and HMAC.
pub(super) const FIELDS: usize = 16 + 3 * 8 + CHECK;
/// Bytes of the footer.
pub(super) const FOOTER: usize = FIELDS + 32 + 32;
/// The most bytes of a key's name.
pub(super) const LONGEST_KEY: u64 = 100;
/// Chunks are not smaller than this on the average, but for the few of a header. Bounds the table in memory.
const LEAST_CHUNK: u64 = 16 << 10;

/// What the footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) plain: u64,
    pub(super) chunks: u64,
    pub(super) name: u64,
    pub(super) check: [u8; CHECK],
}

impl Fields {
    pub(super) fn to_bytes(self) -> [u8; FIELDS] {
        let mut bytes = [0; FIELDS];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&self.plain.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.chunks.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.name.to_le_bytes());
        bytes[40..].copy_from_slice(&self.check);
        bytes
    }

    /// `None` unless these are the fields of a file with so many bytes.
    pub(super) fn read(bytes: &[u8; FIELDS], file: u64) -> Option<Self> {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let (plain, chunks, name) = (number(16), number(24), number(32));
        let sound = bytes.starts_with(MAGIC)
            && plain <= crate::plan::LARGEST_FILE
            && chunks <= plain / LEAST_CHUNK + 4096
            && (1..=LONGEST_KEY).contains(&name)
            && file == plain + chunks * ENTRY as u64 + name + FOOTER as u64;
        sound.then(|| Self { plain, chunks, name, check: std::array::from_fn(|index| bytes[40 + index]) })
    }
}

/// A chunk in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) length: u32,
    pub(super) stamp: Stamp,
}

impl Entry {
    pub(super) fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..4 + NONCE].copy_from_slice(&self.stamp.nonce);
        bytes[4 + NONCE..].copy_from_slice(&self.stamp.tag);
        bytes
    }

    pub(super) fn read(bytes: &[u8; ENTRY]) -> Self {
        Self {
            length: u32::from_le_bytes(std::array::from_fn(|index| bytes[index])),
            stamp: Stamp {
                nonce: std::array::from_fn(|index| bytes[4 + index]),
                tag: std::array::from_fn(|index| bytes[4 + NONCE + index]),
            },
        }
    }
}

/// The checksum that tells damage from a wrong key.
pub(super) fn checksum(table: &[u8], name: &[u8], fields: &[u8; FIELDS]) -> [u8; 32] {
    let mut hasher = Hasher::new();
    [table, name, fields].into_iter().for_each(|part| hasher.update(part));
    hasher.finish().0
}

/// The chunks of a sealed file: those of the plain one, and the rest cut every MiB.
pub(super) fn with_tail(plain: &Chunks, name: u64) -> Option<Chunks> {
    let mut ends: Vec<u64> = (0..plain.len()).map(|index| plain.range(index).0 + plain.range(index).1).collect();
    let mut end = ends.last().copied().unwrap_or(0);
    let size = end + plain.len() as u64 * ENTRY as u64 + name + FOOTER as u64;
    while end < size {
        end = size.min(end + CHUNK);
        ends.push(end);
    }
    Chunks::new(size, ends, Vec::new())
}
