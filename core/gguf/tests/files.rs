//! Opening: what is no file, no GGUF, or changes afterwards; and the kinds of error that an app sees.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{Raw, filled};
use inkling_base::{Classify, ErrorKind};
use inkling_gguf::{BASE_ALIGNMENT, Gguf, GgufError, GgufWriter, LooksLike, TensorType};

fn small() -> GgufWriter {
    let mut writer = GgufWriter::new();
    writer.set("general.name", "small").unwrap();
    writer.tensor("w", TensorType::F32, &[4, 2]).unwrap();
    writer
}

#[test]
fn missing_file() {
    let error = Gguf::open(Path::new("/no/such/model.gguf")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ModelNotFound { .. }));
    assert_error!(error, GgufError::NotFound, "/no/such/model.gguf");
}

#[test]
fn folder_and_device() {
    let folder = tempfile::tempdir().unwrap();
    let error = Gguf::open(folder.path()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ModelNotFound { .. }));
    assert_error!(error, GgufError::NotAFile { .. }, "a folder");
    #[cfg(unix)]
    assert_error!(Gguf::open(Path::new("/dev/zero")).unwrap_err(), GgufError::NotAFile { .. }, "a device");
}

#[test]
fn files_that_are_no_gguf() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Gguf::open(&path).unwrap_err()
    };
    assert_error!(open(b""), GgufError::Empty, "model.gguf", "empty");
    assert_error!(open(b"GG"), GgufError::TooShort { bytes: 2 }, 2);
    assert_error!(open(b"GGUF\x03\0\0\0"), GgufError::TooShort { bytes: 8 }, 8);
    let error = open(b"PK\x03\x04\0\0\0\0\0\0");
    assert!(matches!(error.kind(), ErrorKind::ModelCorrupt { .. }));
    assert_error!(error, GgufError::NotGguf { looks_like: Some(LooksLike::Zip), .. }, r"PK\x03\x04", "zip");
    assert_error!(open(b"just text"), GgufError::NotGguf { looks_like: None, .. }, "just tex");
}

#[test]
fn kinds_that_an_app_sees() {
    let kind = |raw: Raw| raw.error().kind();
    assert!(matches!(kind(Raw::header(1, 0, 0)), ErrorKind::UnsupportedModel { .. }));
    assert!(matches!(kind(Raw::header(3_u32.swap_bytes(), 0, 0)), ErrorKind::UnsupportedModel { .. }));
    let unknown = Raw::header(3, 1, 0).tensor("w", &[1], 99, 0).data(32);
    assert!(matches!(kind(unknown), ErrorKind::UnsupportedModel { .. }));
    let ErrorKind::ModelCorrupt { location } = kind(Raw::header(3, 1, 0).tensor("w", &[9], 0, 0).data(32)) else {
        panic!("not corrupt");
    };
    assert!(location.contains("\"w\""), "{location}");
    let missing = Raw::header(3, 0, 0).open().unwrap().metadata().require_u32("llama.block_count").unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::ModelCorrupt { location } if location.contains("llama.block_count")));
}

#[test]
fn changed_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let bytes = filled(&small());
    std::fs::write(&path, &bytes).unwrap();
    let model = Gguf::open(&path).unwrap();
    model.check_unchanged().unwrap();
    model.will_need(model.tensor("w").unwrap());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 + 1).unwrap();
    assert_error!(model.check_unchanged().unwrap_err(), GgufError::FileChanged { .. }, bytes.len(), bytes.len() + 1);
    // The right way to replace a model leaves the old one whole.
    let model = Gguf::open(&path).unwrap();
    std::fs::rename(&path, folder.path().join("old.gguf")).unwrap();
    std::fs::write(&path, b"another").unwrap();
    model.check_unchanged().unwrap();
    assert_eq!(model.data(model.tensor("w").unwrap()).len(), 32);
}

#[test]
fn a_model_is_shared_between_threads() {
    let model = Arc::new(Gguf::from_vec(filled(&small())).unwrap());
    let other = Arc::clone(&model);
    let sum = std::thread::spawn(move || -> u32 {
        other.data(other.tensor("w").unwrap()).iter().map(|&byte| u32::from(byte)).sum()
    });
    assert_eq!(sum.join().unwrap(), (1..=32).sum());
    assert_eq!(model.tensor("v"), None);
}

#[test]
fn a_model_inside_the_program_is_used_in_place() {
    // Some bytes of the program's own; what they hold does not matter to the alignment.
    let bytes: &'static [u8] = inkling_gguf::include_aligned!("files.rs");
    assert_eq!(bytes.as_ptr().addr() % BASE_ALIGNMENT, 0);
    assert!(matches!(Gguf::from_static(bytes), Err(GgufError::NotGguf { .. })));
    let file: &'static [u8] = Box::leak(filled(&small()).into_boxed_slice());
    let model = Gguf::from_static(file).unwrap();
    assert_eq!(model.data(model.tensor("w").unwrap())[..4], [1, 2, 3, 4]);
    assert_eq!(model.file_bytes(), file.len() as u64);
}
