//! GGUF blocks taken apart: the codes and scales of one chunk of one row, nothing multiplied, nothing rounded.
//!
//! The bit layouts are those of ggml's block structs (`ggml-common.h`); `inkling_compute::quant` decodes the same
//! blocks to floats, and a test in `pack` compares the two on random bytes.

use inkling_gguf::TensorType;

use crate::format::BLOCK;

/// A chunk of a row: 32 columns, or 256 with two levels of scales. What a format lacks stays 0.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// f16 bits of the scale.
    pub(super) scale: u16,
    /// f16 bits of the minimum, with the sign to add it.
    pub(super) min: u16,
    /// 8-bit scales, one a part of a block.
    pub(super) scales: [i8; 16],
    /// 8-bit minima, one a part of a block.
    pub(super) mins: [i8; 16],
    /// One code a column: a nibble, or a signed byte.
    pub(super) codes: [u8; 256],
}

impl Chunk {
    pub(super) const EMPTY: Self = Self { scale: 0, min: 0, scales: [0; 16], mins: [0; 16], codes: [0; 256] };
}

/// The sign bit of an f16.
const NEGATIVE: u16 = 0x8000;

/// Takes the bytes of one block of a row apart. The block has the size that its type says.
pub(super) fn take_apart(kind: TensorType, block: &[u8], chunk: &mut Chunk) {
    match kind {
        TensorType::Q4_0 | TensorType::IQ4_NL => {
            chunk.scale = half(block, 0);
            nibbles(&block[2..], &mut chunk.codes);
        }
        TensorType::Q4_1 => {
            (chunk.scale, chunk.min) = (half(block, 0), half(block, 2));
            nibbles(&block[4..], &mut chunk.codes);
        }
        TensorType::Q5_0 => {
            chunk.scale = half(block, 0);
            five_bits(&block[2..6], &block[6..], &mut chunk.codes);
            chunk.codes[..BLOCK].iter_mut().for_each(|code| *code = code.wrapping_sub(16));
        }
        TensorType::Q5_1 => {
            (chunk.scale, chunk.min) = (half(block, 0), half(block, 2));
            five_bits(&block[4..8], &block[8..], &mut chunk.codes);
        }
        TensorType::Q8_0 => {
            chunk.scale = half(block, 0);
            chunk.codes[..BLOCK].copy_from_slice(&block[2..]);
        }
        TensorType::Q2_K => q2_k(block, chunk),
        TensorType::Q3_K => q3_k(block, chunk),
        TensorType::Q4_K => {
            k_scales(block, chunk);
            k_nibbles(&block[16..], &mut chunk.codes);
        }
        TensorType::Q5_K => {
            k_scales(block, chunk);
            k_nibbles(&block[48..], &mut chunk.codes);
            let high = &block[16..48];
            for (index, code) in chunk.codes.iter_mut().enumerate() {
                *code |= (high[index % BLOCK] >> (index / BLOCK) & 1) << 4;
            }
        }
        TensorType::Q6_K => q6_k(block, chunk),
        TensorType::IQ4_XS => iq4_xs(block, chunk),
        // `PanelFormat::of` lets nothing else through.
        other => unreachable!("{other:?} has no integer panel"),
    }
}

fn half(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

/// 16 bytes: column `j` in the low half of byte `j`, column `j + 16` in the high half.
fn nibbles(bytes: &[u8], codes: &mut [u8; 256]) {
    for (j, byte) in bytes[..16].iter().enumerate() {
        codes[j] = byte & 15;
        codes[j + 16] = byte >> 4;
    }
}

/// As [`nibbles`], with the fifth bit of column `j` in bit `j` of `high`.
fn five_bits(high: &[u8], low: &[u8], codes: &mut [u8; 256]) {
    nibbles(low, codes);
    for (j, code) in codes[..BLOCK].iter_mut().enumerate() {
        *code |= (high[j / 8] >> (j % 8) & 1) << 4;
    }
}

/// Scale, minimum and the eight 6-bit pairs at the head of Q4_K and Q5_K.
fn k_scales(block: &[u8], chunk: &mut Chunk) {
    chunk.scale = half(block, 0);
    chunk.min = half(block, 2) ^ NEGATIVE;
    let packed = &block[4..16];
    for j in 0..8 {
        let (scale, min) = if j < 4 {
            (packed[j] & 63, packed[j + 4] & 63)
        } else {
            (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
        };
        (chunk.scales[j], chunk.mins[j]) = (scale as i8, min as i8);
    }
}

/// 128 bytes: of each 32, the low halves are one block, the high halves the next.
fn k_nibbles(bytes: &[u8], codes: &mut [u8; 256]) {
    for (pair, bytes) in bytes[..128].chunks_exact(32).enumerate() {
        for (j, byte) in bytes.iter().enumerate() {
            codes[pair * 64 + j] = byte & 15;
            codes[pair * 64 + 32 + j] = byte >> 4;
        }
    }
}

/// 64 bytes: of each 32, bits 2j and 2j + 1 are block j.
fn two_bits(bytes: &[u8], codes: &mut [u8; 256]) {
    for (index, code) in codes.iter_mut().enumerate() {
        *code = bytes[index / 128 * 32 + index % 32] >> (index / 32 % 4 * 2) & 3;
    }
}

fn q2_k(block: &[u8], chunk: &mut Chunk) {
    for (part, byte) in block[..16].iter().enumerate() {
        (chunk.scales[part], chunk.mins[part]) = ((byte & 15) as i8, (byte >> 4) as i8);
    }
    two_bits(&block[16..80], &mut chunk.codes);
    chunk.scale = half(block, 80);
    chunk.min = half(block, 82) ^ NEGATIVE;
}

/// A set bit of the mask stands for 4 more; the codes are 4 too large either way, which is the layout's offset.
fn q3_k(block: &[u8], chunk: &mut Chunk) {
    let (mask, low, packed) = (&block[..32], &block[32..96], &block[96..108]);
    two_bits(low, &mut chunk.codes);
    for (index, code) in chunk.codes.iter_mut().enumerate() {
        *code |= (mask[index % 32] >> (index / 32) & 1) << 2;
    }
    for (part, scale) in chunk.scales.iter_mut().enumerate() {
        let low = packed[part % 8] >> (part / 8 * 4) & 15;
        let high = packed[8 + part % 4] >> (part / 4 * 2) & 3;
        *scale = (low | high << 4) as i8 - 32;
    }
    chunk.scale = half(block, 108);
}

fn q6_k(block: &[u8], chunk: &mut Chunk) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    for (index, code) in chunk.codes.iter_mut().enumerate() {
        // 128 columns use 64 bytes of low halves and 32 bytes of upper pairs.
        let (side, quarter, j) = (index / 128, index / 32 % 4, index % 32);
        let low = low[side * 64 + quarter % 2 * 32 + j] >> (quarter / 2 * 4) & 15;
        let high = high[side * 32 + j] >> (quarter * 2) & 3;
        *code = (low | high << 4).wrapping_sub(32);
    }
    for (scale, &byte) in chunk.scales.iter_mut().zip(scales) {
        *scale = byte as i8;
    }
    chunk.scale = half(block, 208);
}

fn iq4_xs(block: &[u8], chunk: &mut Chunk) {
    chunk.scale = half(block, 0);
    let high = half(block, 2);
    for j in 0..8 {
        let low = block[4 + j / 2] >> (j % 2 * 4) & 15;
        chunk.scales[j] = (low | ((high >> (2 * j) & 3) as u8) << 4) as i8 - 32;
    }
    for (block, (bytes, codes)) in block[8..].chunks_exact(16).zip(chunk.codes.chunks_exact_mut(32)).enumerate() {
        debug_assert!(block < 8);
        for (j, byte) in bytes.iter().enumerate() {
            codes[j] = byte & 15;
            codes[j + 16] = byte >> 4;
        }
    }
}
