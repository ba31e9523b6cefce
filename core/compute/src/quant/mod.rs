//! Block formats: what the bytes of a quantised row mean.
//!
//! Every format has an obvious scalar decoder here, one block at a time; it is the twin that every kernel is tested
//! against, and it gives the same bits as ggml's own definition. Every format also has an encoder that rounds to
//! the nearest code under a scale taken from the largest value (or from the smallest and the largest). The encoders
//! serve tests and writers of small or synthetic models; they search for nothing and are no peer of llama.cpp's.
//!
//! | module | formats | elements a block |
//! |---|---|---|
//! | `plain` | F32 F16 BF16 | 1 |
//! | [`q4`] | Q4_0 Q4_1 | 32 |
//! | [`q5`] | Q5_0 Q5_1 | 32 |
//! | [`q8`] | Q8_0 | 32 |
//! | [`q2_k`], [`q3_k`], [`q4_k`], [`q5_k`], [`q6_k`] | the K-quants | 256 |
//! | [`iq4`] | IQ4_NL, IQ4_XS | 32, 256 |
//!
//! A block's function takes arrays of fixed size, so none of them can be called with too few bytes.

mod bits;
pub mod iq4;
mod plain;
pub mod q2_k;
pub mod q3_k;
pub mod q4;
pub mod q4_k;
pub mod q5;
pub mod q5_k;
pub mod q6_k;
pub mod q8;

use inkling_gguf::TensorType;

use crate::ComputeError;

/// The formats that [`dequantize`] and [`quantize`] know.
pub const FORMATS: [TensorType; 15] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
];

/// Decodes `out.len()` elements from `bytes`, which must hold exactly that many.
pub fn dequantize(kind: TensorType, bytes: &[u8], out: &mut [f32]) -> Result<(), ComputeError> {
    match kind {
        TensorType::F32 => decode_blocks(bytes, out, plain::decode_f32),
        TensorType::F16 => decode_blocks(bytes, out, plain::decode_f16),
        TensorType::BF16 => decode_blocks(bytes, out, plain::decode_bf16),
        TensorType::Q4_0 => decode_blocks(bytes, out, q4::decode_q4_0),
        TensorType::Q4_1 => decode_blocks(bytes, out, q4::decode_q4_1),
        TensorType::Q5_0 => decode_blocks(bytes, out, q5::decode_q5_0),
        TensorType::Q5_1 => decode_blocks(bytes, out, q5::decode_q5_1),
        TensorType::Q8_0 => decode_blocks(bytes, out, q8::decode),
        TensorType::Q2_K => decode_blocks(bytes, out, q2_k::decode),
        TensorType::Q3_K => decode_blocks(bytes, out, q3_k::decode),
        TensorType::Q4_K => decode_blocks(bytes, out, q4_k::decode),
        TensorType::Q5_K => decode_blocks(bytes, out, q5_k::decode),
        TensorType::Q6_K => decode_blocks(bytes, out, q6_k::decode),
        TensorType::IQ4_NL => decode_blocks(bytes, out, iq4::decode_nl),
        TensorType::IQ4_XS => decode_blocks(bytes, out, iq4::decode_xs),
        other => Err(unsupported(other)),
    }
}

/// Encodes `values` into `bytes`, which must have exactly the room that they need.
///
/// Values that are not finite give some block, and so do values beyond what an f16 scale can reach.
pub fn quantize(kind: TensorType, values: &[f32], bytes: &mut [u8]) -> Result<(), ComputeError> {
    match kind {
        TensorType::F32 => encode_blocks(values, bytes, plain::encode_f32),
        TensorType::F16 => encode_blocks(values, bytes, plain::encode_f16),
        TensorType::BF16 => encode_blocks(values, bytes, plain::encode_bf16),
        TensorType::Q4_0 => encode_blocks(values, bytes, q4::encode_q4_0),
        TensorType::Q4_1 => encode_blocks(values, bytes, q4::encode_q4_1),
        TensorType::Q5_0 => encode_blocks(values, bytes, q5::encode_q5_0),
        TensorType::Q5_1 => encode_blocks(values, bytes, q5::encode_q5_1),
        TensorType::Q8_0 => encode_blocks(values, bytes, q8::encode),
        TensorType::Q2_K => encode_blocks(values, bytes, q2_k::encode),
        TensorType::Q3_K => encode_blocks(values, bytes, q3_k::encode),
        TensorType::Q4_K => encode_blocks(values, bytes, q4_k::encode),
        TensorType::Q5_K => encode_blocks(values, bytes, q5_k::encode),
        TensorType::Q6_K => encode_blocks(values, bytes, q6_k::encode),
        TensorType::IQ4_NL => encode_blocks(values, bytes, iq4::encode_nl),
        TensorType::IQ4_XS => encode_blocks(values, bytes, iq4::encode_xs),
        other => Err(unsupported(other)),
    }
}

fn unsupported(kind: TensorType) -> ComputeError {
    ComputeError::Unsupported { backend: "any", what: format!("tensors of type {}", kind.name()) }
}

const MISMATCH: ComputeError = ComputeError::BadBatch { why: "the bytes of a row do not match its number of elements" };

fn decode_blocks<const BYTES: usize, const ELEMENTS: usize>(
    bytes: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; ELEMENTS]),
) -> Result<(), ComputeError> {
    let (blocks, rest) = bytes.as_chunks::<BYTES>();
    let (out, out_rest) = out.as_chunks_mut::<ELEMENTS>();
    if blocks.len() != out.len() || !rest.is_empty() || !out_rest.is_empty() {
        return Err(MISMATCH);
    }
    for (block, out) in blocks.iter().zip(out) {
        decode(block, out);
    }
    Ok(())
}

fn encode_blocks<const BYTES: usize, const ELEMENTS: usize>(
    values: &[f32],
    bytes: &mut [u8],
    encode: impl Fn(&[f32; ELEMENTS], &mut [u8; BYTES]),
) -> Result<(), ComputeError> {
    let (values, rest) = values.as_chunks::<ELEMENTS>();
    let (blocks, blocks_rest) = bytes.as_chunks_mut::<BYTES>();
    if blocks.len() != values.len() || !rest.is_empty() || !blocks_rest.is_empty() {
        return Err(MISMATCH);
    }
    for (values, block) in values.iter().zip(blocks) {
        encode(values, block);
    }
    Ok(())
}
