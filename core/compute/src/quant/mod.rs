//! Block formats: what the bytes of a quantised row mean.
//!
//! Every format has an obvious scalar decoder here; it is the twin that every kernel is tested against.

use half::{bf16, f16};
use inkling_gguf::TensorType;

use crate::ComputeError;

/// Decodes `out.len()` elements from `bytes`, which must hold exactly that many.
pub fn dequantize(kind: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<(), ComputeError> {
    match kind {
        TensorType::F32 => decode(bytes, out, f32::from_le_bytes),
        TensorType::F16 => decode(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
        TensorType::BF16 => decode(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        other => Err(ComputeError::Unsupported { backend: "any", what: format!("tensors of type {}", other.name()) }),
    }
}

fn decode<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) -> Result<(), ComputeError> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if chunks.len() != out.len() || !rest.is_empty() {
        return Err(ComputeError::BadBatch { why: "the bytes of a row do not match its number of elements" });
    }
    for (out, chunk) in out.iter_mut().zip(chunks) {
        *out = value(*chunk);
    }
    Ok(())
}
