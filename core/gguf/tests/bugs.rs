//! The classes of bugs that GGUF readers have had, one test each: a typed error that names the key or tensor.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::{Raw, filled};
use inkling_gguf::{Gguf, GgufError, GgufWriter, Place, ShapeError, TensorType, Value, limits};

const F32: u32 = 0;

fn tensor(dimensions: &[u64], kind: u32, offset: u64) -> Raw {
    Raw::header(3, 1, 0).tensor("w", dimensions, kind, offset)
}

#[test]
fn count_wrap() {
    // 2^61 strings of at least 8 bytes wrap to 0 bytes; 2^64 - 1 tensors or keys wrap any reservation.
    for tensors in [u64::MAX, 1 << 63, 1 << 40] {
        assert_error!(
            Raw::header(3, tensors, 0).error(),
            GgufError::TooMany { what: "tensor", count, .. } if *count == tensors,
            tensors
        );
        assert_error!(Raw::header(3, 0, tensors).error(), GgufError::TooMany { what: "metadata key", .. }, tensors);
    }
    let error = Raw::header(3, 0, 1).key("tokens", 9).u32(8).u64(1 << 61).error();
    assert_error!(error, GgufError::SizeOverflow { count: 2_305_843_009_213_693_952, unit: 8, .. }, "tokens");
    let error = Raw::header(3, 0, 1).key("tokens", 9).u32(4).u64((1 << 62) + 1).u32(0).error();
    assert_error!(error, GgufError::SizeOverflow { .. }, "tokens");
}

#[test]
fn count_past_the_end() {
    assert_error!(Raw::header(3, 5, 0).error(), GgufError::CountPastEnd { what: "tensor", count: 5, left: 0 }, 5);
    let error = Raw::header(2, 0, 1000).bytes(&[0; 500]).error();
    assert_error!(error, GgufError::CountPastEnd { what: "metadata key", count: 1000, left: 500 }, 1000, 500);
    let error = Raw::header(3, 0, 1).key("tokens", 9).u32(8).u64(1 << 20).bytes(&[0; 64]).error();
    assert_error!(error, GgufError::PastEnd { needed: 8_388_608, left: 64, .. }, "tokens");
}

#[test]
fn dimension_product_wrap() {
    for dimensions in [&[1 << 32, 1 << 32][..], &[1 << 16; 4], &[u64::MAX, 2], &[1 << 63], &[3, u64::MAX / 3 + 1]] {
        assert_error!(
            tensor(dimensions, F32, 0).data(64).error(),
            GgufError::BadShape { source: ShapeError::TooManyElements, .. },
            "\"w\""
        );
    }
    // 2^61 f64 are fewer than 2^63 elements, and 2^64 bytes.
    let error = tensor(&[1 << 31, 1 << 30], TensorType::F64.number(), 0).data(64).error();
    assert_error!(error, GgufError::TensorSizeOverflow { rows: 1_073_741_824, .. }, "\"w\"");
    // No wrap, only absurd.
    let error = tensor(&[1 << 20, 1 << 20], F32, 0).data(64).error();
    assert_error!(error, GgufError::TensorPastEnd { end, .. } if *end == 96 + (1 << 42), "\"w\"", 160);
}

#[test]
fn padding_wrap() {
    // Offsets just below 2^64 round up to 0, and start + offset wraps into the header.
    for offset in [u64::MAX - 31, u64::MAX - 63, u64::MAX - 95] {
        let error = tensor(&[8], F32, offset).data(64).error();
        assert_error!(error, GgufError::ExtentOverflow { .. }, "\"w\"", offset);
    }
    // The last end that does not wrap, and a middling one.
    for offset in [u64::MAX - 127, 1 << 63] {
        let error = tensor(&[8], F32, offset).data(64).error();
        assert_error!(error, GgufError::TensorPastEnd { .. }, "\"w\"");
    }
}

#[test]
fn alignment_zero_huge_or_crooked() {
    for alignment in [0, 1, 4, 7, 33, 48, 1 << 22, 1 << 31, u32::MAX] {
        let error = Raw::header(3, 0, 1).key_u32("general.alignment", alignment).error();
        assert_error!(error, GgufError::BadAlignment { found } if *found == u64::from(alignment), alignment);
    }
    let error = Raw::header(3, 0, 1).key("general.alignment", 8).string(b"32").error();
    assert_error!(error, GgufError::WrongType { .. }, "general.alignment", "string");
    for alignment in [8, 16, 64, 4096, 1 << 21] {
        let mut writer = GgufWriter::new();
        writer.alignment(alignment).unwrap();
        writer.tensor("a", TensorType::I8, &[3]).unwrap();
        let b = writer.tensor("b", TensorType::I8, &[2]).unwrap();
        let model = Gguf::from_vec(filled(&writer)).unwrap();
        assert_eq!(model.alignment(), u64::from(alignment));
        assert_eq!(model.info(b).offset % u64::from(alignment), 0);
        assert_eq!(model.data(b), [4, 5]);
    }
}

#[test]
fn string_past_the_end() {
    let key = Raw::header(3, 0, 1).u64(200).bytes(&[b'k'; 100]).error();
    assert_error!(key, GgufError::PastEnd { place: Place::Key { index: 0 }, needed: 200, left: 100, .. }, "number 0");
    for bytes in [2, 1 << 40, u64::MAX - 8, u64::MAX] {
        let error = Raw::header(3, 0, 1).key("name", 8).u64(bytes).u8(b'x').error();
        assert_error!(error, GgufError::PastEnd { needed, left: 1, .. } if *needed == bytes, "name");
        let error = Raw::header(3, 0, 1).key("tokens", 9).u32(8).u64(2).string(b"ok").u64(bytes).u8(0).error();
        assert_error!(error, GgufError::PastEnd { left: 1, .. }, "tokens");
    }
}

#[test]
fn array_of_arrays() {
    // Two levels are read.
    let raw = Raw::header(3, 0, 1).key("nested", 9).u32(9).u64(2);
    let model = raw.u32(0).u64(3).bytes(&[1, 2, 3]).u32(8).u64(1).string(b"a").open().unwrap();
    assert_eq!(model.metadata().array("nested").unwrap().map(|array| array.len()), Some(2));
    // Getters of flat arrays refuse it.
    assert_error!(model.metadata().u32s("nested").unwrap_err(), GgufError::WrongType { .. }, "nested", "array");
    // A recursion of 100 000 levels, which would end a stack.
    let mut raw = Raw::header(3, 0, 1).key("nested", 9);
    for _ in 0..100_000 {
        raw = raw.u32(9).u64(1);
    }
    assert_error!(raw.error(), GgufError::ArrayTooDeep { .. }, "nested", limits::MAX_ARRAY_DEPTH);
    // Many empty ones: 12 bytes of file each.
    let count = limits::MAX_NESTED_ARRAYS + 1;
    let mut raw = Raw::header(3, 0, 1).key("nested", 9).u32(9).u64(count);
    raw.0.resize(raw.0.len() + 12 * count as usize, 0);
    assert_error!(raw.error(), GgufError::TooManyNestedArrays { .. }, "nested");
}

#[test]
fn wrong_value_type() {
    for number in [13, 255, u32::MAX] {
        let error = Raw::header(3, 0, 1).key("x", number).u64(0).error();
        assert_error!(error, GgufError::UnknownValueType { .. }, "\"x\"", number);
        let error = Raw::header(3, 0, 1).key("x", 9).u32(number).u64(0).error();
        assert_error!(error, GgufError::UnknownValueType { .. }, "\"x\"", number);
    }
    let error = Raw::header(3, 0, 1).key("flag", 7).u8(2).error();
    assert_error!(error, GgufError::BadBool { found: 2, .. }, "flag");
    let error = Raw::header(3, 0, 1).key("flags", 9).u32(7).u64(3).bytes(&[0, 1, 9]).error();
    assert_error!(error, GgufError::BadBool { found: 9, .. }, "flags");
    let model = Raw::header(3, 0, 1).key_u32("general.architecture", 1).open().unwrap();
    let error = model.metadata().require_str("general.architecture").unwrap_err();
    assert_error!(error, GgufError::WrongType { .. }, "general.architecture", "u32", "string");
}

#[test]
fn block_count_past_arrays() {
    let mut writer = GgufWriter::new();
    writer.set("llama.block_count", 4_000_000_000_u32).unwrap();
    writer.set("llama.attention.head_count_kv", vec![8_u32, 8, 4]).unwrap();
    writer.set("llama.attention.head_count", 32_u32).unwrap();
    let model = Gguf::from_vec(filled(&writer)).unwrap();
    let metadata = model.metadata();
    let heads = |count| metadata.u32_per_layer("llama.attention.head_count_kv", count);
    assert_eq!(heads(3).unwrap(), Some(vec![8, 8, 4]));
    assert_eq!(heads(2).unwrap(), Some(vec![8, 8]));
    assert_error!(heads(4).unwrap_err(), GgufError::ArrayTooShort { needed: 4, found: 3, .. }, "head_count_kv", 4, 3);
    assert_eq!(metadata.u32_per_layer("llama.attention.head_count", 5).unwrap(), Some(vec![32; 5]));
    // The count itself must not allocate 16 GB.
    let layers = metadata.require_u32("llama.block_count").unwrap() as usize;
    let error = metadata.u32_per_layer("llama.attention.head_count", layers).unwrap_err();
    assert_error!(error, GgufError::TooManyLayers { .. }, "head_count", layers);
}

#[test]
fn duplicate_keys() {
    let error = Raw::header(3, 0, 3).key_u32("a", 1).key_u32("b", 1).key_u32("a", 2).error();
    assert_error!(error, GgufError::DuplicateKey { .. }, "\"a\"");
}

#[test]
fn duplicate_tensors() {
    let raw = Raw::header(3, 2, 0).tensor("w", &[8], F32, 0).tensor("w", &[8], F32, 32);
    assert_error!(raw.data(64).error(), GgufError::DuplicateTensor { .. }, "\"w\"");
}

#[test]
fn truncated_file() {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama").unwrap();
    writer.set("numbers", vec![1_u16, 2, 3]).unwrap();
    writer.set("tokens", ["a", "", "ß"].into_iter().collect::<inkling_gguf::StringArray>()).unwrap();
    writer.tensor("a", TensorType::Q8_0, &[32, 2]).unwrap();
    let last = writer.tensor("b", TensorType::F32, &[5]).unwrap();
    let file = filled(&writer);
    let model = Gguf::from_vec(file.clone()).unwrap();
    let end = (model.info(last).offset + model.info(last).bytes) as usize;
    assert!(end < file.len(), "the writer pads the end");
    for cut in 0..end {
        let error = Gguf::from_vec(file[..cut].to_vec()).expect_err("accepted a truncated file");
        let expected = match cut {
            0 => matches!(error, GgufError::Empty),
            1..24 => matches!(error, GgufError::TooShort { .. }),
            _ => matches!(
                error,
                GgufError::PastEnd { .. } | GgufError::CountPastEnd { .. } | GgufError::TensorPastEnd { .. }
            ),
        };
        assert!(expected, "cut at {cut}: {error:?}");
    }
    // Padding after the last tensor carries nothing.
    for cut in end..=file.len() {
        assert!(Gguf::from_vec(file[..cut].to_vec()).is_ok(), "cut at {cut}");
    }
}

#[test]
fn zero_dimensions() {
    for dimensions in [&[0][..], &[0, 4], &[4, 0], &[4, 4, 0, 4]] {
        let axis = dimensions.iter().position(|&dimension| dimension == 0).unwrap();
        assert_error!(
            tensor(dimensions, F32, 0).data(64).error(),
            GgufError::BadShape { source: ShapeError::ZeroDimension { axis: found }, .. } if *found == axis,
            "\"w\""
        );
    }
    // A tensor without dimensions is one number.
    let model = tensor(&[], F32, 0).data(4).open().unwrap();
    assert_eq!((model.tensors()[0].elements(), model.tensors()[0].bytes), (1, 4));
}

#[test]
fn too_many_dimensions() {
    for rank in [5, 1000, u32::MAX] {
        let error = Raw::header(3, 1, 0).string(b"w").u32(rank).bytes(&[1; 200]).error();
        assert_error!(
            error,
            GgufError::BadShape { source: ShapeError::TooManyDimensions { found }, .. } if *found == u64::from(rank),
            "\"w\"",
            rank
        );
    }
}

#[test]
fn row_not_a_multiple_of_the_block() {
    for &kind in TensorType::ALL.iter().filter(|kind| kind.is_quantised()) {
        let columns = kind.block_elements() + 1;
        let error = tensor(&[columns, 2], kind.number(), 0).data(4096).error();
        assert_error!(error, GgufError::RaggedRow { .. }, "\"w\"", columns, kind.block_elements());
        // Two rows of one and a half blocks are three whole blocks, and still not rows.
        let columns = kind.block_elements() / 2 * 3;
        let error = tensor(&[columns, 2], kind.number(), 0).data(4096).error();
        assert_error!(error, GgufError::RaggedRow { .. }, "\"w\"", columns);
    }
}

#[test]
fn unknown_and_removed_tensor_types() {
    for number in [43, 1000, u32::MAX] {
        let error = tensor(&[32], number, 0).data(64).error();
        assert_error!(error, GgufError::UnsupportedTensorType { removed: None, .. }, "\"w\"", number);
    }
    let error = tensor(&[32], 31, 0).data(64).error();
    assert_error!(error, GgufError::UnsupportedTensorType { .. }, "\"w\"", "Q4_0_4_4");
}

#[test]
fn overlapping_tensors() {
    // In the order of the file and against it; equal, nested and partly.
    for (first, second) in [((0, 16), (32, 8)), ((32, 8), (0, 16)), ((0, 8), (0, 8)), ((0, 64), (32, 8))] {
        let raw = Raw::header(3, 2, 0).tensor("a", &[first.1], F32, first.0).tensor("b", &[second.1], F32, second.0);
        let error = raw.data(512).error();
        assert_error!(error, GgufError::Overlap { bytes, .. } if *bytes >= 32, "\"a\"", "\"b\"");
    }
    // Out of order alone is no fault.
    let raw = Raw::header(3, 2, 0).tensor("a", &[8], F32, 32).tensor("b", &[8], F32, 0);
    assert!(raw.data(64).open().is_ok());
}

#[test]
fn misaligned_tensor() {
    let error = tensor(&[8], F32, 16).data(64).error();
    assert_error!(error, GgufError::Misaligned { offset: 16, alignment: 32, .. }, "\"w\"", 16, 32);
}

#[test]
fn absurd_gaps() {
    let far = (limits::MAX_GAP_BYTES + 32).next_multiple_of(32);
    let error = tensor(&[8], F32, far).data(far as usize + 32).error();
    assert_error!(error, GgufError::Gap { after: None, bytes, .. } if *bytes == far, "\"w\"", "before the first");
    let raw = Raw::header(3, 2, 0).tensor("a", &[8], F32, 0).tensor("b", &[8], F32, 32 + far);
    assert_error!(raw.data(far as usize + 64).error(), GgufError::Gap { .. }, "\"a\"", "\"b\"");
    let error = tensor(&[8], F32, 0).data(far as usize + 32).error();
    assert_error!(error, GgufError::Gap { before: None, .. }, "\"w\"", "after the last");
    assert!(tensor(&[8], F32, 0).data(limits::MAX_GAP_BYTES as usize + 32).open().is_ok());
}

#[test]
fn names_too_long_empty_or_not_text() {
    let long = "n".repeat(65);
    let error = Raw::header(3, 1, 0).tensor(&long, &[8], F32, 0).data(32).error();
    assert_error!(error, GgufError::TooLong { bytes: 65, limit: 64, .. }, 65, 64, "tensor number 0");
    assert!(Raw::header(3, 1, 0).tensor(&long[1..], &[8], F32, 0).data(32).open().is_ok());
    let error = Raw::header(3, 0, 1).key_u32(&"k".repeat(65_536), 1).error();
    assert_error!(error, GgufError::TooLong { bytes: 65_536, .. }, "key number 0");
    let error = Raw::header(3, 0, 1).key_u32("", 1).error();
    assert_error!(error, GgufError::EmptyName { .. }, "key number 0");
    let error = Raw::header(3, 1, 0).tensor("", &[8], F32, 0).data(32).error();
    assert_error!(error, GgufError::EmptyName { .. }, "tensor number 0");
    let error = Raw::header(3, 0, 1).string(b"caf\xe9").u32(4).u32(0).error();
    assert_error!(error, GgufError::NotUtf8 { valid_bytes: 3, .. }, "key number 0");
    let error = Raw::header(3, 1, 0).string(b"\xff").u32(1).u64(8).u32(0).u64(0).data(32).error();
    assert_error!(error, GgufError::NotUtf8 { valid_bytes: 0, .. }, "tensor number 0");
}

#[test]
fn versions_and_byte_orders() {
    assert_error!(Raw::header(1, 0, 0).error(), GgufError::VersionOne, "version 1");
    for version in [0, 4, 1 << 15, 1 << 16, 0x0103_0000 | 1] {
        assert_error!(Raw::header(version, 0, 0).error(), GgufError::UnknownVersion { .. }, version);
    }
    for version in [1_u32, 2, 3, 4] {
        let error = Raw::header(version.swap_bytes(), 0, 0).error();
        assert_error!(error, GgufError::BigEndian { version: found } if *found == version, "big-endian", version);
    }
    for version in [2, 3] {
        assert_eq!(Raw::header(version, 0, 0).open().unwrap().version(), version);
    }
}

#[test]
fn strings_of_any_bytes_survive() {
    let raw = Raw::header(3, 0, 2).key("raw", 8).string(b"\xf0\x28").key("tokens", 9).u32(8).u64(1).string(b"\x80");
    let model = raw.open().unwrap();
    let metadata = model.metadata();
    assert_eq!(metadata.bytes("raw").unwrap(), Some(&b"\xf0\x28"[..]));
    assert_error!(metadata.str("raw").unwrap_err(), GgufError::WrongType { .. }, "raw", "UTF-8");
    assert_eq!(metadata.require_strings("tokens").unwrap().get(0), Some(&b"\x80"[..]));
    assert_eq!(metadata.get("raw"), Some(&Value::String((*b"\xf0\x28").into())));
}
