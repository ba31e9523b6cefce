//! Panels made from the model: piece by piece into a file, or into memory.
//!
//! Pieces are packed into a small buffer a worker and written from there. The file is not mapped while it grows: on a
//! full disk a write gives an error, but touching a page of a mapping that finds no room ends the program. What is
//! held at a time is those buffers and one tensor of the model, whose pages are given back when it is packed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use inkling_compute::{ComputeError, LoadPlan, Weights};
use inkling_gguf::MappedFile;

use super::find::views;
use super::header;
use super::plan::PanelPlan;
use super::temporary::Temporary;
use crate::aligned::AlignedBytes;
use crate::pool::Pool;

/// Why there is no file.
pub(super) enum NotMade {
    /// The load is to end.
    Failed(ComputeError),
    /// The panels are to be held in memory.
    NotKept(String),
}

impl From<ComputeError> for NotMade {
    fn from(error: ComputeError) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for NotMade {
    fn from(error: io::Error) -> Self {
        Self::NotKept(error.to_string())
    }
}

/// Makes the file at `path` and maps it.
pub(super) fn in_file(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
    path: &Path,
) -> Result<MappedFile, NotMade> {
    let before = weights.file().identities()?;
    let temporary = Temporary::create(path)?;
    let file = temporary.file()?;
    let views = views(plan, weights)?;
    let start = plan.header_bytes();
    let buffers: Vec<_> = (0..pool.threads()).map(|_| Mutex::new(vec![0; plan.largest_piece()])).collect();
    let hashes = Mutex::new((vec![0; plan.pieces().len()], vec![0; plan.pieces().len()]));
    let failed = Mutex::new(None);
    for (index, planned) in plan.matrices().iter().enumerate() {
        if let Some(next) = plan.matrices().get(index + 1).and_then(|next| next.source) {
            weights.file().will_need(next.tensor);
        }
        let next = AtomicUsize::new(planned.pieces.start);
        pool.run(&|worker| {
            let mut buffer = buffers[worker.index].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            while !load.cancel.is_cancelled() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= planned.pieces.end {
                    return;
                }
                let piece = &plan.pieces()[number];
                let bytes = &mut buffer[..piece.bytes.len()];
                plan.pack(piece, &views[index], bytes);
                if let Err(error) = header::write_at(file, bytes, start + piece.bytes.start) {
                    next.store(planned.pieces.end, Ordering::Relaxed);
                    *failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error);
                    return;
                }
                let (source, sum) = (header::source_hash(plan.source(piece, &views[index])), header::sum(bytes));
                let mut hashes = hashes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                (hashes.0[number], hashes.1[number]) = (source, sum);
            }
        });
        load.cancel.check().map_err(ComputeError::from)?;
        if let Some(error) = failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
            return Err(error.into());
        }
        if let Some(matrix) = planned.source {
            weights.file().not_needed(matrix.tensor);
        }
        // The last step is the disk's.
        (load.progress)((index + 1) as f32 / (plan.matrices().len() + 1) as f32);
    }
    let after = weights.file().identities()?;
    if before != after {
        return Err(NotMade::NotKept("the model's file changed meanwhile".to_owned()));
    }
    let (sources, sums) = hashes.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let content = header::content(&sources);
    let mark = header::mark(plan, weights.file(), &after, content);
    header::write_at(file, &header::write(plan, content, mark, &sums), 0)?;
    let file = temporary.publish()?;
    forget_written_pages(&file);
    (load.progress)(1.0);
    Ok(MappedFile::with_large_pages(file)?)
}

/// Drops what the system remembers of a file that is on the disk. What was written in pieces is remembered in small
/// pages, and would be mapped as such by this process and all later ones; what is read back comes in large ones.
fn forget_written_pages(file: &File) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        let _only_slower = error;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _unused = file;
}

/// Makes the panels in memory.
pub(super) fn in_memory(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
) -> Result<AlignedBytes, ComputeError> {
    let views = views(plan, weights)?;
    let total = plan.data_bytes();
    let mut bytes =
        AlignedBytes::zeroed(total).ok_or(ComputeError::OutOfMemory { need_bytes: total as u64, have_bytes: 0 })?;
    let mut rest = bytes.as_mut_slice();
    for (index, planned) in plan.matrices().iter().enumerate() {
        let pieces = &plan.pieces()[planned.pieces.clone()];
        let (own, others) = rest.split_at_mut(pieces.iter().map(|piece| piece.bytes.len()).sum());
        rest = others;
        let work = Mutex::new((pieces.iter(), own));
        pool.run(&|_| {
            while !load.cancel.is_cancelled() {
                let mut work = work.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let Some(piece) = work.0.next() else { return };
                let (bytes, others) = std::mem::take(&mut work.1).split_at_mut(piece.bytes.len());
                work.1 = others;
                drop(work);
                plan.pack(piece, &views[index], bytes);
            }
        });
        load.cancel.check()?;
        if let Some(matrix) = planned.source {
            weights.file().not_needed(matrix.tensor);
        }
        (load.progress)((index + 1) as f32 / plan.matrices().len() as f32);
    }
    Ok(bytes)
}
