//! Opening: the device's side.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use inkling_store_cipher::Keys;

use super::format::{ENTRY, Entry, FIELDS, FOOTER, Fields, checksum, with_tail};
use super::{KeyProvider, ReadAt, is_key_id};
use crate::{CHUNK, Chunks, StoreError};

/// A sealed file whose table has been found authentic. Chunks are decrypted and checked as they are asked for; several
/// threads may ask at once.
pub struct Sealed<R> {
    source: R,
    path: PathBuf,
    keys: Keys,
    entries: Vec<Entry>,
    chunks: Chunks,
    key_id: String,
}

impl<R> fmt::Debug for Sealed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, key) = (&self.path, &self.key_id);
        f.debug_struct("Sealed").field("path", path).field("key_id", key).finish_non_exhaustive()
    }
}

impl<R: ReadAt> Sealed<R> {
    /// Reads and checks the table. `path` is for messages; `file_chunks` is how many chunks the sealed file has, if that
    /// is known: then a damaged footer is located too. Keeps 32 bytes of memory for each chunk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not as it was written, with the first chunk of the table (of the file, if not even
    /// its place is known). [`StoreError::Key`] if it was sealed with another key of this name, and what the provider
    /// says.
    pub fn open(source: R, path: &Path, file_chunks: Option<u64>, keys: &dyn KeyProvider) -> Result<Self, StoreError> {
        let damaged = |chunk: u64| StoreError::Damaged { file: path.display().to_string(), chunk };
        let nowhere = || damaged(file_chunks.map_or(0, |count| count.saturating_sub(1)));
        let size = source.size().map_err(StoreError::io("reading", path))?;
        let footer_at = size.checked_sub(FOOTER as u64).ok_or_else(nowhere)?;
        let footer = read_exactly(&source, path, footer_at, FOOTER)?.ok_or_else(nowhere)?;
        let (fields_bytes, sums) = footer.split_first_chunk::<FIELDS>().ok_or_else(nowhere)?;
        let fields = Fields::read(fields_bytes, size).ok_or_else(nowhere)?;
        // The sizes are bounded by the file's, and the table by the number of chunks that so many bytes can have.
        let tail =
            read_exactly(&source, path, fields.plain, (footer_at - fields.plain) as usize)?.ok_or_else(nowhere)?;
        let (table, name) = tail.split_at(fields.chunks as usize * ENTRY);
        let (sum, mac) = sums.split_at(32);
        if checksum(table, name, fields_bytes) != *sum {
            return Err(damaged(fields.chunks));
        }
        let key_id = String::from_utf8(name.to_vec()).ok().filter(|id| is_key_id(id));
        let key_id = key_id.ok_or_else(|| damaged(fields.chunks))?;
        let keys = Keys::of(&*keys.key(&key_id)?);
        if keys.check() != fields.check {
            let why = format!("{} was sealed with another one of this name", path.display());
            return Err(StoreError::Key { id: key_id, why });
        }
        let mac: &[u8; 32] = mac.try_into().map_err(|_| nowhere())?;
        if !keys.is_authentic([table, name, fields_bytes], mac) {
            return Err(damaged(fields.chunks));
        }
        let entries: Vec<Entry> = table.as_chunks::<ENTRY>().0.iter().map(Entry::read).collect();
        let ends = entries.iter().scan(0, |end, entry| {
            *end += u64::from(entry.length);
            Some(*end)
        });
        let chunks = Chunks::new(fields.plain, ends.collect(), Vec::new()).ok_or_else(|| damaged(fields.chunks))?;
        Ok(Self { source, path: path.to_owned(), keys, entries, chunks, key_id })
    }

    /// Bytes of the plain file.
    pub fn plain_size(&self) -> u64 {
        self.chunks.len().checked_sub(1).map_or(0, |last| self.chunks.range(last).0 + self.chunks.range(last).1)
    }

    /// The chunks of the plain file, without digests. Those of the sealed one are the same and the table.
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// The chunks of the sealed file, without digests.
    pub fn sealed_chunks(&self) -> Option<Chunks> {
        with_tail(&self.chunks, self.key_id.len() as u64)
    }

    /// The name of its key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Decrypts a chunk into a buffer of exactly its length, which is zeroed if that fails.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not the chunk that belongs here.
    pub fn read_chunk(&self, index: usize, out: &mut [u8]) -> Result<(), StoreError> {
        let (start, length) = self.chunks.range(index);
        let damaged = || StoreError::Damaged { file: self.path.display().to_string(), chunk: index as u64 };
        if out.len() as u64 != length {
            return Err(StoreError::Internal("a buffer of another length than its chunk".to_owned()));
        }
        let found = self.source.read_at(start, out).map_err(StoreError::io("reading", &self.path));
        if found.as_ref().ok() != Some(&out.len()) {
            out.fill(0);
            found?;
            return Err(damaged());
        }
        if self.keys.open(&self.entries[index].stamp, out) { Ok(()) } else { Err(damaged()) }
    }

    /// Decrypts everything into a buffer of exactly the plain file's length, with so many threads.
    ///
    /// # Errors
    /// As [`Sealed::read_chunk`], for the first chunk that is wrong. The buffer then holds what is right.
    pub fn read_into(&self, out: &mut [u8], threads: usize) -> Result<(), StoreError> {
        if out.len() as u64 != self.plain_size() {
            return Err(StoreError::Internal("a buffer of another length than its file".to_owned()));
        }
        let mut rest = out;
        let mut parts = Vec::with_capacity(self.chunks.len());
        for index in 0..self.chunks.len() {
            let (part, next) = std::mem::take(&mut rest).split_at_mut(self.chunks.range(index).1 as usize);
            parts.push(Mutex::new(part));
            rest = next;
        }
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let work = || {
            while let Some((index, part)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                parts.get(index).map(|part| (index, part))
            } {
                // Nobody else has this part.
                let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = self.read_chunk(index, &mut part) {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if failed.as_ref().is_none_or(|(first, _)| index < *first) {
                        *failed = Some((index, error));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(parts.len()) {
                scope.spawn(work);
            }
            work();
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Decrypts everything, a chunk at a time. Nothing of a chunk that is wrong is written, nor anything after it.
    pub fn read_to(&self, out: &mut dyn Write) -> Result<(), StoreError> {
        let mut buffer = zeroize::Zeroizing::new(vec![0; CHUNK as usize]);
        for index in 0..self.chunks.len() {
            let chunk = &mut buffer[..self.chunks.range(index).1 as usize];
            self.read_chunk(index, chunk)?;
            out.write_all(chunk).map_err(StoreError::io("writing what is in", &self.path))?;
        }
        out.flush().map_err(StoreError::io("writing what is in", &self.path))
    }
}

/// So many bytes from `offset` on; `None` if the file ends before.
fn read_exactly(source: &impl ReadAt, path: &Path, offset: u64, count: usize) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bytes = vec![0; count];
    let found = source.read_at(offset, &mut bytes).map_err(StoreError::io("reading", path))?;
    Ok((found == count).then_some(bytes))
}
