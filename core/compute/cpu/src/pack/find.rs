//! A file of panels from an earlier load, checked before it is used.
//!
//! Its head says what it was made from. If the model's files are those that it is marked with, that is believed;
//! otherwise the matrices are hashed again. Then all panels are compared with their checksums, by all threads: the
//! first pass is going to read them anyway, so this brings them into memory and costs about as much as that pass.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use inkling_compute::{ComputeError, LoadPlan, LoadWarning, MatrixView, Weights};
use inkling_gguf::MappedFile;

use super::header::{self, MARK_AT, NoHeader};
use super::plan::PanelPlan;
use crate::pool::Pool;

/// What is there.
pub(super) enum Found {
    /// Panels of this model.
    Sound(MappedFile),
    /// No file, or one of another model or version.
    Nothing,
    /// Something else.
    Damaged(String),
}

/// Looks for the panels of `plan` in the file at `path`.
pub(super) fn find(
    plan: &PanelPlan,
    weights: &Weights,
    load: &LoadPlan<'_>,
    pool: &mut Pool,
    path: &Path,
    warnings: &mut Vec<LoadWarning>,
) -> Result<Found, ComputeError> {
    // What cannot be opened or mapped cannot be replaced either, or is replaced by a sound file.
    let Ok((file, writable)) = open(path) else { return Ok(Found::Nothing) };
    let Ok(file) = MappedFile::with_large_pages(file) else {
        return Ok(Found::Damaged("it cannot be mapped".to_owned()));
    };
    let head = match header::read(plan, file.bytes()) {
        Ok(head) => head,
        Err(NoHeader::Other) => return Ok(Found::Nothing),
        Err(NoHeader::Damaged(why)) => return Ok(Found::Damaged(why)),
    };
    let identities = weights.file().identities().unwrap_or_default();
    let mark = header::mark(plan, weights.file(), &identities, head.content);
    let marked = head.mark == mark;
    if !marked && content(plan, weights, load, pool)? != head.content {
        return Ok(Found::Nothing);
    }
    file.will_need(0..file.bytes().len());
    let panels = &file.bytes()[plan.header_bytes()..];
    let bad = AtomicUsize::new(usize::MAX);
    each(pool, plan.pieces().len(), load, &|index| {
        if header::sum(&panels[plan.pieces()[index].bytes.clone()]) != head.sum(index) {
            bad.fetch_min(index, Ordering::Relaxed);
        }
    })?;
    if let Some(piece) = plan.pieces().get(bad.into_inner()) {
        let tensor = plan.matrices()[piece.matrix].source.map(|matrix| &weights.file().info(matrix.tensor).name);
        return Ok(Found::Damaged(format!("the panels of {}", tensor.map_or("a matrix", String::as_str))));
    }
    if !marked {
        let written = if writable { header::write_at(file.file(), &mark, MARK_AT) } else { Err(READ_ONLY.into()) };
        if let Err(error) = written {
            warnings.push(LoadWarning::WeightsNotMarked { path: path.to_owned(), why: error.to_string() });
        }
    }
    Ok(Found::Sound(file))
}

const READ_ONLY: io::ErrorKind = io::ErrorKind::PermissionDenied;

/// Opens a regular file, for writing too where that is allowed.
fn open(path: &Path) -> io::Result<(File, bool)> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Ok((file, true)),
        Err(_) => Ok((File::open(path)?, false)),
    }
}

/// Hashes all matrices of the model.
fn content(plan: &PanelPlan, weights: &Weights, load: &LoadPlan<'_>, pool: &mut Pool) -> Result<u128, ComputeError> {
    let views = views(plan, weights)?;
    let hashes = Mutex::new(vec![0; plan.pieces().len()]);
    each(pool, plan.pieces().len(), load, &|index| {
        let piece = &plan.pieces()[index];
        let hash = header::source_hash(plan.source(piece, &views[piece.matrix]));
        hashes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[index] = hash;
    })?;
    release(plan, weights);
    Ok(header::content(&hashes.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())))
}

/// The matrices of a plan in the model's file.
pub(super) fn views<'w>(plan: &PanelPlan, weights: &'w Weights) -> Result<Vec<MatrixView<'w>>, ComputeError> {
    plan.matrices().iter().filter_map(|planned| planned.source.as_ref()).map(|matrix| weights.matrix(matrix)).collect()
}

/// Gives back the pages of the matrices.
pub(super) fn release(plan: &PanelPlan, weights: &Weights) {
    plan.matrices().iter().filter_map(|p| p.source).for_each(|matrix| weights.file().not_needed(matrix.tensor));
}

/// Does `work` for `0..count` on all threads, until the load is cancelled.
fn each(pool: &mut Pool, count: usize, load: &LoadPlan<'_>, work: &(dyn Fn(usize) + Sync)) -> Result<(), ComputeError> {
    let (next, cancel) = (AtomicUsize::new(0), load.cancel);
    pool.run(&|_| {
        while !cancel.is_cancelled() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            work(index);
        }
    });
    Ok(cancel.check()?)
}
