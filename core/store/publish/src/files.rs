//! Model files into the folder, under their digests.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use inkling_store::chunking::chunk_file;
use inkling_store::seal::{KeyProvider, seal_file};
use inkling_store::{CHUNK, Chunks, Digest, FilePlan, Hasher, StoreError};

/// Removes what was not finished.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is there only if something went wrong, which is told otherwise.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Puts a file into `folder/files`, sealed if there is a key. Returns its path there and its plan.
pub(super) fn place(
    folder: &Path,
    source: &Path,
    seal: Option<(&str, &dyn KeyProvider)>,
) -> Result<(String, FilePlan), StoreError> {
    let files = folder.join("files");
    std::fs::create_dir_all(&files).map_err(StoreError::io("making", &files))?;
    let part = Unfinished(files.join(format!(".part-{}", std::process::id())));
    // From one that was killed and had the number of this process.
    drop(Unfinished(part.0.clone()));
    let (plan, done) = match seal {
        Some((key, keys)) => {
            let chunks = seal_file(source, &part.0, key, keys)?;
            (measure(&part.0, &chunks, None)?, true)
        }
        None => {
            let chunks = chunk_file(source).map_err(StoreError::io("reading", source))?;
            (measure(source, &chunks, None)?, false)
        }
    };
    if plan.size == 0 {
        return Err(StoreError::Invalid { field: "files", why: format!("{} is empty", source.display()) });
    }
    let name = format!("files/{}", plan.sha256);
    let place = folder.join(&name);
    if std::fs::metadata(&place).is_ok_and(|there| there.len() == plan.size) {
        return Ok((name, plan));
    }
    if !done {
        let mut copy = File::create_new(&part.0).map_err(StoreError::io("making", &part.0))?;
        let copied = measure(source, &plan.chunks, Some((&mut copy, &part.0)))?;
        copy.sync_all().map_err(StoreError::io("writing", &part.0))?;
        if copied != plan {
            return Err(changed(source));
        }
    }
    std::fs::rename(&part.0, &place).map_err(StoreError::io("writing", &place))?;
    Ok((name, plan))
}

/// The digests of a file and of its chunks, read once from end to end; copied if asked.
pub(super) fn measure(
    path: &Path,
    chunks: &Chunks,
    mut copy: Option<(&mut File, &Path)>,
) -> Result<FilePlan, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("opening", path))?;
    let mut buffer = vec![0; CHUNK as usize];
    let (mut whole, mut digests, mut size) = (Hasher::new(), Vec::with_capacity(chunks.len()), 0);
    for index in 0..chunks.len() {
        // At most a MiB.
        let chunk = &mut buffer[..chunks.range(index).1 as usize];
        file.read_exact(chunk).map_err(StoreError::io("reading", path))?;
        whole.update(chunk);
        digests.push(Digest::of(chunk));
        size += chunk.len() as u64;
        if let Some((copy, to)) = &mut copy {
            copy.write_all(chunk).map_err(StoreError::io("writing", to))?;
        }
    }
    if file.read(&mut buffer[..1]).map_err(StoreError::io("reading", path))? != 0 {
        return Err(changed(path));
    }
    let chunks = chunks.with_digests(digests).ok_or_else(|| changed(path))?;
    Ok(FilePlan { sha256: whole.finish(), size, chunks })
}

fn changed(path: &Path) -> StoreError {
    StoreError::Invalid { field: "files", why: format!("{} changes while it is read", path.display()) }
}
