//! What the fuzz targets share: asking a parsed model everything that it can be asked, and models made from
//! arbitrary bytes.

use arbitrary::{Arbitrary, Result, Unstructured};
use inkling_gguf::{Array, Gguf, GgufError, GgufWriter, StringArray, TensorType, Value};

/// Parses, and if that succeeds uses every accessor. Panics when an invariant is broken.
pub fn examine(bytes: &[u8]) -> Result<(), GgufError> {
    let model = Gguf::from_vec(bytes.to_vec())?;
    assert!(model.alignment().is_power_of_two());
    assert_eq!(model.file_bytes(), bytes.len() as u64);
    let metadata = model.metadata();
    for (key, value) in metadata.iter() {
        assert!(metadata.get(key).is_some_and(|found| found.kind() == value.kind()));
        // The answers may be errors; none may panic.
        let _ = (metadata.u64(key), metadata.i32(key), metadata.f32(key), metadata.bool(key), metadata.str(key));
        let _ = (metadata.u32s(key), metadata.i32s(key), metadata.f32s(key), metadata.bools(key));
        let _ = (metadata.u32_per_layer(key, 3), metadata.f32_per_layer(key, 1000), metadata.bytes(key));
        if let Ok(Some(strings)) = metadata.strings(key) {
            assert_eq!(strings.iter().map(<[u8]>::len).sum::<usize>(), strings.total_bytes());
            assert!(strings.get(strings.len()).is_none());
        }
    }
    let mut extents = Vec::new();
    for (id, tensor) in model.ids() {
        assert_eq!(model.tensor(&tensor.name), Some(id));
        let data = model.data(id);
        assert_eq!(data.len() as u64, tensor.bytes);
        assert_eq!(tensor.row_bytes() * tensor.rows(), tensor.bytes);
        assert!(data.as_ptr().addr().is_multiple_of(model.alignment().min(64) as usize));
        // Touches the data where it begins and ends, for the address sanitizer.
        assert_eq!(data.first().is_some(), data.last().is_some());
        extents.push(tensor.offset..tensor.offset + tensor.bytes);
    }
    extents.sort_by_key(|extent| extent.start);
    assert!(extents.windows(2).all(|pair| pair[0].end <= pair[1].start), "tensors overlap");
    Ok(())
}

/// A model of a few keys and tensors, and some damage to do to it.
#[derive(Debug)]
pub struct Plan {
    /// The file as written.
    pub file: Vec<u8>,
    /// Bytes to put at places, then where to cut.
    pub edits: Vec<(u16, Edit)>,
    /// The length to cut to, if any.
    pub cut: Option<u16>,
}

/// One piece of damage.
#[derive(Debug, Arbitrary)]
pub enum Edit {
    /// Another byte.
    Byte(u8),
    /// Another number, as lengths, counts and offsets are stored.
    Number(u64),
    /// A number that is likely to wrap when it is multiplied, added or rounded up.
    NearWrap { shift: u8, below: u8 },
}

impl Plan {
    /// The damaged file.
    pub fn damaged(&self) -> Vec<u8> {
        let mut file = self.file.clone();
        for (place, edit) in &self.edits {
            let place = usize::from(*place) % file.len();
            let bytes = match edit {
                Edit::Byte(byte) => vec![*byte],
                Edit::Number(number) => number.to_le_bytes().to_vec(),
                Edit::NearWrap { shift, below } => {
                    (u64::MAX >> (shift % 64)).wrapping_sub(u64::from(*below)).to_le_bytes().to_vec()
                }
            };
            for (old, new) in file[place..].iter_mut().zip(bytes) {
                *old = new;
            }
        }
        if let Some(cut) = self.cut {
            file.truncate(cut.into());
        }
        file
    }
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut writer = GgufWriter::new();
        if u.arbitrary()? {
            writer.alignment(8 << u.int_in_range(0..=5)?).expect("a power of two within the limits");
        }
        for index in 0..u.int_in_range(0..=6)? {
            let key = match u.arbitrary::<u8>()? {
                0..200 => format!("k{index}"),
                200..225 => "split.count".to_owned(),
                225..=255 => "general.name".to_owned(),
            };
            writer.set(&key, value(u)?).expect("values within the limits");
        }
        for index in 0..u.int_in_range(0..=4)? {
            let kind = *u.choose(TensorType::ALL)?;
            let mut dimensions = vec![kind.block_elements() * u.int_in_range(1..=3)?];
            for _ in 0..u.int_in_range(0..=3)? {
                dimensions.push(u.int_in_range(1..=3)?);
            }
            writer.tensor(&format!("t{index}"), kind, &dimensions).expect("shapes of whole blocks");
        }
        let bytes: u64 = writer.tensors().iter().map(|tensor| tensor.bytes).sum();
        let mut data = writer.write_to(Vec::new()).expect("memory takes all");
        data.push(&vec![u.arbitrary()?; bytes as usize]).expect("exactly the declared bytes");
        let file = data.finish().expect("nothing is missing");
        Ok(Self { file, edits: u.arbitrary()?, cut: u.arbitrary()? })
    }
}

fn value(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u.arbitrary::<u8>()?.into(),
        1 => u.arbitrary::<i8>()?.into(),
        2 => u.arbitrary::<u16>()?.into(),
        3 => u.arbitrary::<i16>()?.into(),
        4 => u.arbitrary::<u32>()?.into(),
        5 => u.arbitrary::<i32>()?.into(),
        6 => u.arbitrary::<u64>()?.into(),
        7 => u.arbitrary::<i64>()?.into(),
        8 => u.arbitrary::<f32>()?.into(),
        9 => u.arbitrary::<f64>()?.into(),
        10 => u.arbitrary::<bool>()?.into(),
        11 => Value::String(u.arbitrary::<Vec<u8>>()?.into()),
        _ => Value::Array(array(u, 1)?),
    })
}

fn array(u: &mut Unstructured<'_>, depth: u32) -> Result<Array> {
    Ok(match u.int_in_range(0..=if depth < 4 { 9 } else { 8 })? {
        0 => Array::U8(u.arbitrary()?),
        1 => Array::I8(u.arbitrary()?),
        2 => Array::U16(u.arbitrary()?),
        3 => Array::I32(u.arbitrary()?),
        4 => Array::U64(u.arbitrary()?),
        5 => Array::F32(u.arbitrary()?),
        6 => Array::F64(u.arbitrary()?),
        7 => Array::Bool(u.arbitrary()?),
        8 => Array::String(u.arbitrary::<Vec<Vec<u8>>>()?.iter().collect::<StringArray>()),
        _ => {
            let count = u.int_in_range(0..=3)?;
            Array::Array((0..count).map(|_| array(u, depth + 1)).collect::<Result<_>>()?)
        }
    })
}
