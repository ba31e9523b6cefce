//! Sealing: the publisher's side.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use inkling_store_cipher::Keys;

use super::format::{ENTRY, Entry, Fields, checksum, with_tail};
use super::{KeyProvider, is_key_id};
use crate::chunking::chunk_file;
use crate::{CHUNK, Chunks, StoreError};

/// The chunks of the sealed file that [`seal`] makes of a plain one with these.
pub fn sealed_chunks(plain: &Chunks, key_id: &str) -> Result<Chunks, StoreError> {
    check_id(key_id)?;
    with_tail(plain, key_id.len() as u64).ok_or_else(|| StoreError::Internal("chunks that do not fit".to_owned()))
}

/// Seals a file into a new one. Returns the chunks of the new one, without digests. Needs about a MiB of memory, and 32
/// bytes for each chunk.
///
/// # Errors
/// [`StoreError::Io`], or what the provider says. What was written until then is left.
pub fn seal_file(from: &Path, to: &Path, key_id: &str, keys: &dyn KeyProvider) -> Result<Chunks, StoreError> {
    let chunks = chunk_file(from).map_err(StoreError::io("reading", from))?;
    let mut source = File::open(from).map_err(StoreError::io("opening", from))?;
    let mut target = File::create_new(to).map_err(StoreError::io("making", to))?;
    let read = |error| StoreError::io("reading", from)(error);
    let write = |error| StoreError::io("writing", to)(error);
    let sealed = seal_with(&mut source, &chunks, &mut target, key_id, keys, (&read, &write))?;
    target.sync_all().map_err(StoreError::io("writing", to))?;
    Ok(sealed)
}

/// Seals what a reader gives, cut into these chunks. Returns the chunks of what was written.
pub fn seal(
    from: &mut dyn Read,
    chunks: &Chunks,
    to: &mut dyn Write,
    key_id: &str,
    keys: &dyn KeyProvider,
) -> Result<Chunks, StoreError> {
    let nowhere = Path::new("what is sealed");
    let read = |error| StoreError::io("reading", nowhere)(error);
    let write = |error| StoreError::io("writing", nowhere)(error);
    seal_with(from, chunks, to, key_id, keys, (&read, &write))
}

/// What to say when reading or writing failed.
type Errors<'a> = (&'a dyn Fn(io::Error) -> StoreError, &'a dyn Fn(io::Error) -> StoreError);

fn seal_with(
    from: &mut dyn Read,
    chunks: &Chunks,
    to: &mut dyn Write,
    key_id: &str,
    keys: &dyn KeyProvider,
    (reading, writing): Errors<'_>,
) -> Result<Chunks, StoreError> {
    let sealed = sealed_chunks(chunks, key_id)?;
    let keys = Keys::of(&*keys.key(key_id)?);
    let mut table = Vec::with_capacity(chunks.len() * ENTRY);
    let mut buffer = vec![0; CHUNK as usize];
    let mut plain = 0;
    for index in 0..chunks.len() {
        // At most a MiB.
        let chunk = &mut buffer[..chunks.range(index).1 as usize];
        from.read_exact(chunk).map_err(reading)?;
        let length = chunk.len() as u32;
        let stamp = keys.seal(chunk);
        let stamp = stamp.ok_or_else(|| StoreError::Internal("a chunk is too long for its cipher".to_owned()))?;
        table.extend_from_slice(&Entry { length, stamp }.to_bytes());
        to.write_all(chunk).map_err(writing)?;
        plain += chunk.len() as u64;
    }
    let name = key_id.as_bytes();
    let fields = Fields { plain, chunks: chunks.len() as u64, name: name.len() as u64, check: keys.check() }.to_bytes();
    let sum = checksum(&table, name, &fields);
    let mac = keys.authenticate([&table, name, &fields]);
    for part in [&table[..], name, &fields, &sum, &mac] {
        to.write_all(part).map_err(writing)?;
    }
    to.flush().map_err(writing)?;
    Ok(sealed)
}

fn check_id(id: &str) -> Result<(), StoreError> {
    if is_key_id(id) {
        return Ok(());
    }
    let why = "the name of a key has 1 to 100 letters, digits, '.', '_', '-' and ':'".to_owned();
    Err(StoreError::Invalid { field: "key", why })
}
