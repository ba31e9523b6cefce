//! What is written is read back unchanged, and no damage to a file makes the reader panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use inkling_gguf::{Array, Gguf, GgufWriter, PartLimit, StringArray, TensorType, Value, part_path};
use proptest::collection::vec;
use proptest::prelude::*;

fn array() -> impl Strategy<Value = Array> {
    let flat = prop_oneof![
        vec(any::<u8>(), 0..20).prop_map(|values| Array::U8(values.into())),
        vec(any::<i8>(), 0..20).prop_map(|values| Array::I8(values.into())),
        vec(any::<u16>(), 0..20).prop_map(|values| Array::U16(values.into())),
        vec(any::<i16>(), 0..20).prop_map(|values| Array::I16(values.into())),
        vec(any::<u32>(), 0..20).prop_map(|values| Array::U32(values.into())),
        vec(any::<i32>(), 0..20).prop_map(|values| Array::I32(values.into())),
        vec(any::<u64>(), 0..20).prop_map(|values| Array::U64(values.into())),
        vec(any::<i64>(), 0..20).prop_map(|values| Array::I64(values.into())),
        vec(any::<f32>(), 0..20).prop_map(|values| Array::F32(values.into())),
        vec(any::<f64>(), 0..20).prop_map(|values| Array::F64(values.into())),
        vec(any::<bool>(), 0..20).prop_map(|values| Array::Bool(values.into())),
        vec(vec(any::<u8>(), 0..9), 0..20).prop_map(|strings| Array::String(strings.iter().collect::<StringArray>())),
    ];
    // Three levels of nesting around a flat array are as deep as the limit allows.
    flat.prop_recursive(3, 20, 4, |inner| vec(inner, 0..4).prop_map(|arrays| Array::Array(arrays.into())))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::String(bytes.into())),
        array().prop_map(Value::Array),
    ]
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    kind: TensorType,
    dimensions: Vec<u64>,
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let kind = proptest::sample::select(TensorType::ALL);
    (".{1,10}", kind, vec(1..4_u64, 0..=4)).prop_map(|(name, kind, mut dimensions)| {
        match dimensions.first_mut() {
            Some(columns) => *columns *= kind.block_elements(),
            None if kind.is_quantised() => dimensions.push(kind.block_elements()),
            None => {}
        }
        Tensor { name, kind, dimensions }
    })
}

#[derive(Debug, Clone)]
struct Model {
    alignment: u32,
    keys: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

fn model() -> impl Strategy<Value = Model> {
    let keys = vec((".{1,12}", value()), 0..8);
    (3..8_u32, keys, vec(tensor(), 0..6)).prop_map(|(shift, mut keys, mut tensors)| {
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        keys.dedup_by(|a, b| a.0 == b.0);
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        tensors.dedup_by(|a, b| a.name == b.name);
        keys.reverse();
        tensors.reverse();
        Model { alignment: 1 << shift, keys, tensors }
    })
}

impl Model {
    fn writer(&self) -> GgufWriter {
        let mut writer = GgufWriter::new();
        for (key, value) in &self.keys {
            writer.set(key, value.clone()).unwrap();
        }
        for tensor in &self.tensors {
            writer.tensor(&tensor.name, tensor.kind, &tensor.dimensions).unwrap();
        }
        writer.alignment(self.alignment).unwrap();
        writer
    }
}

/// The data of a tensor: bytes that differ from tensor to tensor.
fn data(name: &str, bytes: u64) -> Vec<u8> {
    let seed = name.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    (0..bytes).map(|index| seed.wrapping_add(index as u8)).collect()
}

/// Pushes all data in pieces of `piece` bytes.
fn fill(writer: &GgufWriter, piece: usize) -> Vec<u8> {
    let mut out = writer.write_to(Vec::new()).unwrap();
    let all: Vec<u8> = writer.tensors().iter().flat_map(|tensor| data(&tensor.name, tensor.bytes)).collect();
    for piece in all.chunks(piece) {
        out.push(piece).unwrap();
    }
    out.finish().unwrap()
}

/// Compares through the debug form, so that NaN equals NaN.
fn same(a: &Value, b: &Value) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}

fn check(model: &Model, read: &Gguf) {
    let mut keys = read.metadata().iter();
    for (key, value) in &model.keys {
        let (found, read) = keys.next().unwrap();
        assert_eq!(found, key);
        assert!(same(read, value), "{read:?} is not {value:?}");
    }
    assert_eq!(read.tensors().len(), model.tensors.len());
    for ((id, read_tensor), tensor) in read.ids().zip(&model.tensors) {
        assert_eq!((&read_tensor.name, read_tensor.kind), (&tensor.name, tensor.kind));
        assert_eq!(read_tensor.shape.dimensions(), tensor.dimensions);
        assert_eq!(read.tensor(&tensor.name), Some(id));
        assert_eq!(read.data(id), data(&tensor.name, read_tensor.bytes));
        assert_eq!(read.data(id).as_ptr().addr() % read.alignment().min(64) as usize, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(model in model(), piece in 1..500_usize) {
        let read = Gguf::from_vec(fill(&model.writer(), piece)).unwrap();
        prop_assert_eq!(read.alignment(), u64::from(model.alignment));
        check(&model, &read);
    }

    #[test]
    fn what_is_written_in_parts_is_read(model in model(), limit in 1..4_u64) {
        let folder = tempfile::tempdir().unwrap();
        let parts = model.writer().into_parts(PartLimit::Tensors(limit)).unwrap();
        let path = |number: usize| match parts.len() {
            1 => folder.path().join("one.gguf"),
            count => part_path(&folder.path().join("many"), number as u32, count as u32),
        };
        for (index, part) in parts.iter().enumerate() {
            std::fs::write(path(index + 1), fill(part, 100)).unwrap();
        }
        check(&model, &Gguf::open(&path(parts.len())).unwrap());
    }

    #[test]
    fn damage_is_an_error_or_harmless(
        model in model(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        numbers in vec((any::<prop::sample::Index>(), any::<u64>(), 0..64_u32), 0..2),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut file = fill(&model.writer(), 64);
        for (place, byte) in edits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        for (place, number, shift) in numbers {
            let place = place.index(file.len());
            for (old, new) in file[place..].iter_mut().zip((number >> shift).to_le_bytes()) {
                *old = new;
            }
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let bytes = file.len() as u64;
        match Gguf::from_vec(file) {
            Ok(read) => {
                for (id, tensor) in read.ids() {
                    prop_assert_eq!(read.data(id).len() as u64, tensor.bytes);
                    prop_assert!(tensor.offset + tensor.bytes <= bytes);
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_bytes_after_the_magic_are_no_trouble(version in 2..4_u8, rest in vec(any::<u8>(), 0..300)) {
        let mut file = b"GGUF".to_vec();
        file.extend([version, 0, 0, 0]);
        file.extend(rest);
        if let Ok(read) = Gguf::from_vec(file) {
            prop_assert!(read.tensors().len() < 300);
        }
    }
}

#[test]
fn a_writer_wants_exactly_its_data() {
    let mut writer = GgufWriter::new();
    writer.tensor("a", TensorType::F32, &[2]).unwrap();
    writer.tensor("b", TensorType::F32, &[1]).unwrap();
    let mut out = writer.write_to(Vec::new()).unwrap();
    assert_eq!(out.next_tensor().map(|tensor| tensor.name.as_str()), Some("a"));
    out.push(&[0; 9]).unwrap();
    assert_eq!(out.next_tensor().map(|tensor| tensor.name.as_str()), Some("b"));
    let error = out.finish().unwrap_err();
    assert_eq!(error.to_string(), "the data of tensor \"b\" is 3 bytes short");
    let mut out = writer.write_to(Vec::new()).unwrap();
    let error = out.push(&[0; 15]).unwrap_err();
    assert!(matches!(error, inkling_gguf::GgufError::TooMuchData { given: 3 }), "{error}");
}

#[test]
fn a_writer_refuses_what_a_reader_would() {
    let mut writer = GgufWriter::new();
    writer.tensor("a", TensorType::F32, &[2]).unwrap();
    assert!(writer.tensor("a", TensorType::F32, &[2]).is_err());
    assert!(writer.tensor("", TensorType::F32, &[2]).is_err());
    assert!(writer.tensor(&"n".repeat(65), TensorType::F32, &[2]).is_err());
    assert!(writer.tensor("b", TensorType::Q4_K, &[255]).is_err());
    assert!(writer.tensor("b", TensorType::F32, &[0]).is_err());
    assert!(writer.tensor("b", TensorType::F32, &[1 << 62]).is_err());
    assert!(writer.set("", 1_u32).is_err());
    assert!(writer.alignment(24).is_err());
    assert!(writer.set("general.alignment", "32").is_err());
    let too_deep = (0..4).fold(Array::U8([1].into()), |inner, _| Array::Array([inner].into()));
    assert!(writer.set("deep", Value::Array(too_deep)).is_err());
    assert_eq!(writer.tensors().len(), 1);
}
