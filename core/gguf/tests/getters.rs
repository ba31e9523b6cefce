//! The typed getters: absent, right, of another width, of another type.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;

use common::filled;
use inkling_gguf::{Gguf, GgufError, GgufWriter, Metadata, StringArray, Value};

fn with<V: Into<Value>>(value: V) -> Gguf {
    let mut writer = GgufWriter::new();
    writer.set("key", value).unwrap();
    Gguf::from_vec(filled(&writer)).unwrap()
}

#[test]
fn absent_keys() {
    let metadata = Metadata::default();
    assert_eq!(metadata.u32("key").unwrap(), None);
    assert_eq!(metadata.str("key").unwrap(), None);
    assert_eq!(metadata.strings("key").unwrap(), None);
    assert_eq!(metadata.u32s("key").unwrap(), None);
    assert_eq!(metadata.f32_per_layer("key", 3).unwrap(), None);
    assert_error!(metadata.require_u32("key").unwrap_err(), GgufError::MissingKey { .. }, "\"key\"");
    assert_error!(metadata.require_strings("key").unwrap_err(), GgufError::MissingKey { .. }, "\"key\"");
}

#[test]
fn integers_of_any_width_convert_when_they_fit() {
    for value in [Value::U8(7), Value::I8(7), Value::U16(7), Value::I16(7), Value::U64(7), Value::I64(7)] {
        let model = with(value);
        assert_eq!(model.metadata().u32("key").unwrap(), Some(7));
        assert_eq!(model.metadata().i64("key").unwrap(), Some(7));
    }
    assert_eq!(with(u64::MAX).metadata().u64("key").unwrap(), Some(u64::MAX));
    let error = with(-1_i32).metadata().u32("key").unwrap_err();
    assert_error!(error, GgufError::OutOfRange { value: -1, index: None, target: "u32", .. }, "\"key\"", -1);
    let error = with(1_u64 << 32).metadata().u32("key").unwrap_err();
    assert_error!(error, GgufError::OutOfRange { .. }, 1_u64 << 32);
    let error = with(u64::MAX).metadata().i64("key").unwrap_err();
    assert_error!(error, GgufError::OutOfRange { .. }, u64::MAX, "i64");
}

#[test]
fn types_are_not_mixed() {
    assert_error!(with(1.0_f32).metadata().u32("key").unwrap_err(), GgufError::WrongType { .. }, "f32", "integer");
    assert_error!(with(1_u32).metadata().f32("key").unwrap_err(), GgufError::WrongType { .. }, "u32", "float");
    assert_error!(with(1_u8).metadata().bool("key").unwrap_err(), GgufError::WrongType { .. }, "u8", "bool");
    assert_error!(with(true).metadata().u32("key").unwrap_err(), GgufError::WrongType { .. }, "bool", "integer");
    assert_error!(with(vec![1_u32]).metadata().u32("key").unwrap_err(), GgufError::WrongType { .. }, "1 × u32");
    assert_error!(with("a").metadata().strings("key").unwrap_err(), GgufError::WrongType { .. }, "string");
    assert_error!(with(vec![1_u32]).metadata().f32s("key").unwrap_err(), GgufError::WrongType { .. }, "u32");
    assert_error!(with(vec![1.0_f32]).metadata().u32s("key").unwrap_err(), GgufError::WrongType { .. }, "f32");
}

#[test]
fn floats_of_both_widths() {
    assert_eq!(with(0.1_f64).metadata().f32("key").unwrap(), Some(0.1));
    assert_eq!(with(0.5_f32).metadata().f64("key").unwrap(), Some(0.5));
    assert_eq!(with(vec![0.1_f64, 2.0]).metadata().f32s("key").unwrap().unwrap()[..], [0.1, 2.0]);
    assert_eq!(with(vec![0.5_f32]).metadata().f32_per_layer("key", 1).unwrap(), Some(vec![0.5]));
}

#[test]
fn arrays_of_integers() {
    assert_eq!(with(vec![1_u32, 2]).metadata().u32s("key").unwrap().unwrap()[..], [1, 2]);
    assert_eq!(with(vec![1_i8, 2]).metadata().u32s("key").unwrap().unwrap()[..], [1, 2]);
    assert_eq!(with(vec![1_u64, 2]).metadata().i32s("key").unwrap().unwrap()[..], [1, 2]);
    assert_eq!(with(Vec::<u16>::new()).metadata().i32s("key").unwrap().unwrap()[..], []);
    let error = with(vec![1_i32, -2]).metadata().u32s("key").unwrap_err();
    assert_error!(error, GgufError::OutOfRange { index: Some(1), value: -2, .. }, "\"key\"", -2, "index 1");
}

#[test]
fn bools_and_strings() {
    assert_eq!(with(vec![true, false]).metadata().bools("key").unwrap(), Some(&[true, false][..]));
    assert_eq!(with(vec![true, false]).metadata().bool_per_layer("key", 2).unwrap(), Some(vec![true, false]));
    assert_eq!(with(true).metadata().bool_per_layer("key", 3).unwrap(), Some(vec![true; 3]));
    assert_eq!(with("Grüße").metadata().require_str("key").unwrap(), "Grüße");
    let words: StringArray = ["a", "bc", ""].into_iter().collect();
    assert_eq!(with(words.clone()).metadata().require_strings("key").unwrap(), &words);
}

#[test]
fn keys_keep_the_order_of_the_file() {
    let mut writer = GgufWriter::new();
    for key in ["z", "a", "m"] {
        writer.set(key, key).unwrap();
    }
    writer.set("a", 5_u8).unwrap();
    let model = Gguf::from_vec(filled(&writer)).unwrap();
    assert_eq!(model.metadata().iter().map(|(key, _)| key).collect::<Vec<_>>(), ["z", "a", "m"]);
    assert_eq!(model.metadata().get("a"), Some(&Value::U8(5)));
}
