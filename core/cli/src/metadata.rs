//! Metadata values as JSON, long arrays cut.

use inkling::developer::{Array, Value};
use serde_json::{Value as Json, json};

/// Elements of an array that are printed; a vocabulary has hundreds of thousands.
const ELEMENTS: usize = 16;

/// The value; an array of more than [`ELEMENTS`] becomes `{"length": …, "first": […]}`.
pub(crate) fn as_json(value: &Value) -> Json {
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::String(v) => text(v),
        Value::Array(v) => array(v),
    }
}

fn text(bytes: &[u8]) -> Json {
    Json::String(String::from_utf8_lossy(bytes).into_owned())
}

fn array(array: &Array) -> Json {
    let first: Vec<Json> = match array {
        Array::U8(v) => some(v.iter()),
        Array::I8(v) => some(v.iter()),
        Array::U16(v) => some(v.iter()),
        Array::I16(v) => some(v.iter()),
        Array::U32(v) => some(v.iter()),
        Array::I32(v) => some(v.iter()),
        Array::U64(v) => some(v.iter()),
        Array::I64(v) => some(v.iter()),
        Array::F32(v) => some(v.iter()),
        Array::F64(v) => some(v.iter()),
        Array::Bool(v) => some(v.iter()),
        Array::String(v) => v.iter().take(ELEMENTS).map(text).collect(),
        Array::Array(v) => v.iter().take(ELEMENTS).map(self::array).collect(),
    };
    if array.len() > ELEMENTS { json!({ "length": array.len(), "first": first }) } else { Json::Array(first) }
}

fn some<T: serde::Serialize>(elements: impl Iterator<Item = T>) -> Vec<Json> {
    elements.take(ELEMENTS).map(|element| json!(element)).collect()
}
