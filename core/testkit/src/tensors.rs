//! Random tensors in any format, and a GGUF around them.

use inkling_compute::quant;
use inkling_gguf::{GgufWriter, TensorId, TensorType};

use crate::random::Random;

struct Tensor {
    name: String,
    kind: TensorType,
    dimensions: Vec<u64>,
    bytes: Vec<u8>,
}

/// Tensors in the order in which they will lie in the file.
pub struct Tensors {
    random: Random,
    tensors: Vec<Tensor>,
}

/// `kind`, or what stands in where `columns` are no whole number of its blocks: Q8_0, or F16 where that does not
/// fit either.
pub fn fitting(kind: TensorType, columns: usize) -> TensorType {
    [kind, TensorType::Q8_0]
        .into_iter()
        .find(|kind| kind.row_bytes(columns as u64).is_some())
        .unwrap_or(TensorType::F16)
}

impl Tensors {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), tensors: Vec::new() }
    }

    /// A matrix with deviation `gain / √columns`, so that its product with a vector keeps the vector's scale. A kind
    /// that does not fit the columns is replaced as [`fitting`] says.
    pub fn matrix(&mut self, name: &str, kind: TensorType, rows: usize, columns: usize, gain: f32) -> TensorId {
        let scale = gain / (columns as f32).sqrt();
        let values: Vec<f32> = (0..rows * columns).map(|_| self.random.normal() * scale).collect();
        self.add(name, fitting(kind, columns), &[columns as u64, rows as u64], &values)
    }

    /// An F32 vector around `mean`.
    pub fn vector(&mut self, name: &str, len: usize, mean: f32, deviation: f32) -> TensorId {
        let values: Vec<f32> = (0..len).map(|_| mean + deviation * self.random.normal()).collect();
        self.add(name, TensorType::F32, &[len as u64], &values)
    }

    /// A tensor with these values.
    pub fn add(&mut self, name: &str, kind: TensorType, dimensions: &[u64], values: &[f32]) -> TensorId {
        let mut bytes = vec![0; kind.row_bytes(values.len() as u64).unwrap() as usize];
        quant::quantize(kind, values, &mut bytes).unwrap();
        self.tensors.push(Tensor { name: name.to_owned(), kind, dimensions: dimensions.to_vec(), bytes });
        TensorId((self.tensors.len() - 1) as u32)
    }

    /// The file with the keys of `writer`.
    pub fn into_file(self, mut writer: GgufWriter) -> Vec<u8> {
        for tensor in &self.tensors {
            writer.tensor(&tensor.name, tensor.kind, &tensor.dimensions).unwrap();
        }
        let mut data = writer.write_to(Vec::new()).unwrap();
        for tensor in &self.tensors {
            data.push(&tensor.bytes).unwrap();
        }
        data.finish().unwrap()
    }
}
