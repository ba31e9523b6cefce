//! Models in several files: any part opens all of them, and what does not belong together is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::path::{Path, PathBuf};

use common::filled;
use inkling_gguf::{Gguf, GgufError, GgufWriter, PartLimit, TensorType, limits, part_path};

fn model() -> GgufWriter {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama").unwrap();
    for index in 0..5 {
        writer.tensor(&format!("t{index}"), TensorType::I8, &[10 + index]).unwrap();
    }
    writer
}

/// Writes the parts of a model and returns their paths.
fn write(folder: &Path, parts: &[GgufWriter]) -> Vec<PathBuf> {
    let path = |index: usize| part_path(&folder.join("big.model"), index as u32 + 1, parts.len() as u32);
    let paths: Vec<PathBuf> = (0..parts.len()).map(path).collect();
    for (part, path) in parts.iter().zip(&paths) {
        std::fs::write(path, filled(part)).unwrap();
    }
    paths
}

fn parts() -> Vec<GgufWriter> {
    let parts = model().into_parts(PartLimit::Tensors(2)).unwrap();
    assert_eq!(parts.iter().map(|part| part.tensors().len()).collect::<Vec<_>>(), [2, 2, 1]);
    parts
}

#[test]
fn any_part_opens_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    for path in &paths {
        let model = Gguf::open(path).unwrap();
        assert_eq!(model.paths().collect::<Vec<_>>(), paths);
        assert_eq!(model.file_bytes(), paths.iter().map(|path| path.metadata().unwrap().len()).sum::<u64>());
        // The metadata is the first part's, whichever was asked for.
        assert_eq!(model.metadata().require_str("general.architecture").unwrap(), "llama");
        assert_eq!(model.metadata().require_u32("split.no").unwrap(), 0);
        for (index, part) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)] {
            let id = model.tensor(&format!("t{index}")).unwrap();
            assert_eq!((id.0, model.info(id).part), (index, part));
            assert_eq!(model.data(id).len() as u32, 10 + index);
        }
        // Each part's data counts from 1 again.
        assert_eq!(model.data(model.tensor("t4").unwrap())[..3], [1, 2, 3]);
    }
}

#[test]
fn parts_can_be_cut_by_bytes() {
    // Each tensor takes 32 bytes with its padding.
    for (bytes, expected) in [(1, 5), (63, 3), (1000, 1)] {
        let parts = model().into_parts(PartLimit::Bytes(bytes)).unwrap();
        assert_eq!(parts.len(), expected, "{bytes} bytes");
    }
    let error = model().into_parts(PartLimit::Bytes(0)).unwrap_err();
    assert_error!(error, GgufError::ZeroPartLimit, "0");
}

#[test]
fn parts_keep_the_alignment() {
    let mut writer = model();
    writer.alignment(128).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &writer.into_parts(PartLimit::Tensors(2)).unwrap());
    let model = Gguf::open(&paths[0]).unwrap();
    assert!(model.tensors().iter().all(|tensor| tensor.offset % 128 == 0));
}

#[test]
fn missing_part() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    std::fs::remove_file(&paths[1]).unwrap();
    let error = Gguf::open(&paths[2]).unwrap_err();
    assert_error!(error, GgufError::MissingPart { number: 2, count: 3 }, "00002-of-00003", "part 2 of 3");
}

#[test]
fn damaged_part_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    std::fs::write(&paths[2], "<!DOCTYPE html>").unwrap();
    let error = Gguf::open(&paths[0]).unwrap_err();
    assert_error!(error, GgufError::NotGguf { .. }, "00003-of-00003", "web page");
}

#[test]
fn swapped_parts() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    std::fs::copy(&paths[2], &paths[1]).unwrap();
    let error = Gguf::open(&paths[0]).unwrap_err();
    assert_error!(error, GgufError::SplitNumber { name_number: 2, number: 2 }, "00002-of-00003");
    let error = Gguf::open(&paths[1]).unwrap_err();
    assert_error!(error, GgufError::SplitNumber { .. }, "00002-of-00003");
}

#[test]
fn counts_that_disagree() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    // Named as one of four.
    let renamed = part_path(&folder.path().join("big.model"), 1, 4);
    std::fs::copy(&paths[0], &renamed).unwrap();
    let error = Gguf::open(&renamed).unwrap_err();
    assert_error!(error, GgufError::SplitCount { name_count: 4, count: 3 }, "00001-of-00004");
    // A file that stands alone in the place of a part.
    std::fs::write(&paths[1], filled(&model())).unwrap();
    let error = Gguf::open(&paths[0]).unwrap_err();
    assert_error!(error, GgufError::SplitCount { name_count: 3, count: 1 }, "00002-of-00003");
}

#[test]
fn name_without_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &parts());
    let renamed = folder.path().join("renamed.gguf");
    std::fs::rename(&paths[0], &renamed).unwrap();
    let error = Gguf::open(&renamed).unwrap_err();
    assert_error!(error, GgufError::SplitName { count: 3 }, "renamed.gguf", "-00001-of-00003.gguf");
}

#[test]
fn tensor_count_that_disagrees() {
    let mut parts = parts();
    parts[0].set("split.tensors.count", 6).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Gguf::open(&write(folder.path(), &parts)[0]).unwrap_err();
    assert_error!(error, GgufError::SplitTensors { expected: 6, found: 5 }, 6, 5);
}

#[test]
fn tensor_in_two_parts() {
    let mut parts = parts();
    parts[2].tensor("t0", TensorType::F32, &[1]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Gguf::open(&write(folder.path(), &parts)[1]).unwrap_err();
    assert_error!(error, GgufError::DuplicateTensor { .. }, "\"t0\"");
}

#[test]
fn absurd_part_count() {
    let mut writer = model();
    writer.set("split.no", 0_u16).unwrap().set("split.count", u32::MAX).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = part_path(&folder.path().join("m"), 1, 99_999);
    std::fs::write(&path, filled(&writer)).unwrap();
    let error = Gguf::open(&path).unwrap_err();
    assert_error!(error, GgufError::TooMany { what: "part", .. }, u32::MAX, limits::MAX_PARTS);
}

#[test]
fn part_in_memory() {
    let error = Gguf::from_vec(filled(&parts()[1])).unwrap_err();
    assert_error!(error, GgufError::SplitInMemory { number: 2, count: 3 }, "part 2 of 3");
}

#[test]
fn file_that_only_looks_like_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = part_path(&folder.path().join("alone"), 2, 3);
    std::fs::write(&path, filled(&model())).unwrap();
    let model = Gguf::open(&path).unwrap();
    let id = model.tensor("t1").unwrap();
    assert_eq!((model.info(id).part, model.data(id).len()), (0, 11));
}
