//! The head of a file of panels.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | magic |
//! | 8–11 | version of this head |
//! | 12–15 | [`LAYOUT_VERSION`]: what panels hold |
//! | 16–19 | which instruction sets the panels are for; 0: all, as today |
//! | 20–23 | number of matrices |
//! | 24–31 | bytes of the head, after which the panels start |
//! | 32–39 | bytes of the file |
//! | 40–55 | the content: XXH3-128 of the matrices that the panels were made from |
//! | 56–63 | XXH3-64 of the head without this field and the mark |
//! | 64–79 | the mark: XXH3-128 of the model's files (length, times, inode) and of where the matrices lie in them, when
//! | | they last had this content |
//! | 80–87 | XXH3-64 of content and mark |
//! | 88–95 | 0 |
//! | 96– | a matrix each: type, rows a group, rows, columns, where its panels start |
//! | | a piece each: XXH3-64 of its bytes |
//!
//! Numbers are little-endian. The mark is the one part that is ever written in a finished file: a model that was
//! copied or touched is read once to compare its content, and then marked as known. A mark that is cut short in the
//! middle of that has a wrong sum and means that nothing is known, no more.

use std::io;
#[cfg(not(unix))]
use std::io::Write as _;

use inkling_gguf::{FileIdentity, Gguf};
use twox_hash::{XxHash3_64, XxHash3_128};

use super::LAYOUT_VERSION;
use super::plan::{ALIGN, PanelPlan};

const MAGIC: &[u8; 8] = b"INKPANEL";
const VERSION: u32 = 1;
/// Panels for all instruction sets.
const ALL_SETS: u32 = 0;
const SUM_AT: usize = 56;
pub(super) const MARK_AT: usize = 64;
pub(super) const MARK_BYTES: usize = 24;
const TABLES_AT: usize = 96;
const MATRIX_BYTES: usize = 32;
const CONTENT: std::ops::Range<usize> = 40..56;

/// Bytes of a head.
pub(super) fn bytes(matrices: usize, pieces: usize) -> usize {
    (TABLES_AT + matrices * MATRIX_BYTES + pieces * 8).next_multiple_of(ALIGN)
}

/// Checksum of panels.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Hash of a piece of the model, for [`content`].
pub(super) fn source_hash(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

/// The content, from the hashes of all pieces in order.
pub(super) fn content(pieces: &[u128]) -> u128 {
    let bytes: Vec<u8> = pieces.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    XxHash3_128::oneshot(&bytes)
}

/// The mark of a model that has `content` in files that are `files` now.
pub(super) fn mark(plan: &PanelPlan, model: &Gguf, files: &[FileIdentity], content: u128) -> [u8; MARK_BYTES] {
    let mut bytes = Vec::new();
    for matrix in plan.matrices().iter().filter_map(|planned| planned.source) {
        let tensor = model.info(matrix.tensor);
        for number in [u64::from(tensor.part), tensor.offset, matrix.first_row as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    for file in files {
        bytes.extend_from_slice(&file.length.to_le_bytes());
        bytes.extend_from_slice(&file.modified.to_le_bytes());
        bytes.extend_from_slice(&file.changed.to_le_bytes());
        bytes.extend_from_slice(&file.inode.to_le_bytes());
    }
    let mut mark = [0; MARK_BYTES];
    mark[..16].copy_from_slice(&XxHash3_128::oneshot(&bytes).to_le_bytes());
    let both = [&content.to_le_bytes()[..], &mark[..16]].concat();
    mark[16..].copy_from_slice(&sum(&both).to_le_bytes());
    mark
}

/// The head of the file for `plan`: everything but content, mark and checksums is known before it is made.
fn blank(plan: &PanelPlan) -> Vec<u8> {
    let mut head = Vec::with_capacity(plan.header_bytes());
    head.extend_from_slice(MAGIC);
    for number in [VERSION, LAYOUT_VERSION, ALL_SETS, plan.matrices().len() as u32] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    for number in [plan.header_bytes(), plan.file_bytes()] {
        head.extend_from_slice(&(number as u64).to_le_bytes());
    }
    head.resize(TABLES_AT, 0);
    for matrix in plan.matrices() {
        for number in [matrix.kind as u32, matrix.group as u32] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        for number in [matrix.rows, matrix.columns, matrix.offset] {
            head.extend_from_slice(&(number as u64).to_le_bytes());
        }
    }
    head
}

/// A whole head.
pub(super) fn write(plan: &PanelPlan, content: u128, mark: [u8; MARK_BYTES], sums: &[u64]) -> Vec<u8> {
    let mut head = blank(plan);
    head.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    head.resize(plan.header_bytes(), 0);
    head[CONTENT].copy_from_slice(&content.to_le_bytes());
    let sum = head_sum(&head);
    head[SUM_AT..MARK_AT].copy_from_slice(&sum.to_le_bytes());
    head[MARK_AT..][..MARK_BYTES].copy_from_slice(&mark);
    head
}

fn head_sum(head: &[u8]) -> u64 {
    sum(&[&head[..SUM_AT], &head[TABLES_AT..]].concat())
}

/// A head that was found.
pub(super) struct Header<'a> {
    pub(super) content: u128,
    pub(super) mark: &'a [u8],
    sums: &'a [u8],
}

impl Header<'_> {
    /// The checksum of a piece.
    pub(super) fn sum(&self, piece: usize) -> u64 {
        number(self.sums, piece * 8)
    }
}

/// What is found instead of the head for a plan.
pub(super) enum NoHeader {
    /// A sound head for another plan or of another version.
    Other,
    /// Damage.
    Damaged(String),
}

/// Looks at the head of `file`, which may be any bytes.
pub(super) fn read<'a>(plan: &PanelPlan, file: &'a [u8]) -> Result<Header<'a>, NoHeader> {
    let damaged = |why: &str| Err(NoHeader::Damaged(why.to_owned()));
    if file.len() < TABLES_AT || !file.starts_with(MAGIC) {
        return damaged("it does not start like a file of panels");
    }
    let expected = blank(plan);
    // Of another version nothing more can be said.
    if file[8..20] != expected[8..20] {
        return Err(NoHeader::Other);
    }
    let (head_bytes, file_bytes) = (number(file, 24), number(file, 32));
    if file_bytes != file.len() as u64 {
        let why = format!("it has {} bytes and says {file_bytes}", file.len());
        return Err(NoHeader::Damaged(why));
    }
    let head = match usize::try_from(head_bytes) {
        Ok(bytes) if (TABLES_AT..=file.len()).contains(&bytes) => &file[..bytes],
        _ => return damaged("its head is longer than it"),
    };
    if head_sum(head) != number(file, SUM_AT) || number(file, MARK_AT + MARK_BYTES) != 0 {
        return damaged("the checksum of its head is wrong");
    }
    let same = head.len() == plan.header_bytes()
        && head[..CONTENT.start] == expected[..CONTENT.start]
        && head[TABLES_AT..expected.len()] == expected[TABLES_AT..];
    if !same {
        return Err(NoHeader::Other);
    }
    let content = u128::from(number(file, CONTENT.start)) | u128::from(number(file, CONTENT.start + 8)) << 64;
    Ok(Header { content, mark: &head[MARK_AT..][..MARK_BYTES], sums: &head[expected.len()..] })
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Writes `bytes` at a place of a file, for several threads at once.
#[cfg(unix)]
pub(super) fn write_at(file: &std::fs::File, bytes: &[u8], at: usize) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at as u64)
}

/// As on Unix, but one thread after the other.
#[cfg(not(unix))]
pub(super) fn write_at(mut file: &std::fs::File, bytes: &[u8], at: usize) -> io::Result<()> {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    io::Seek::seek(&mut file, io::SeekFrom::Start(at as u64))?;
    file.write_all(bytes)
}
