//! Q4_0 and Q4_1: 32 elements of 4 bits.
//!
//! Byte `i` of the codes holds element `i` in its low half and element `i + 16` in its high half.
//! Q4_0: `scale f16, codes 16 B`, value = scale · (code − 8).
//! Q4_1: `scale f16, minimum f16, codes 16 B`, value = scale · code + minimum.

use super::bits::{extreme, nearest, range, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 32;
/// Bytes of a Q4_0 block.
pub const Q4_0_BYTES: usize = 18;
/// Bytes of a Q4_1 block.
pub const Q4_1_BYTES: usize = 20;

/// Decodes a Q4_0 block.
pub fn decode_q4_0(block: &[u8; Q4_0_BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = read_f16(block, 0);
    for i in 0..16 {
        let codes = i32::from(block[2 + i]);
        out[i] = scale * ((codes & 15) - 8) as f32;
        out[i + 16] = scale * ((codes >> 4) - 8) as f32;
    }
}

/// Decodes a Q4_1 block.
pub fn decode_q4_1(block: &[u8; Q4_1_BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
    for i in 0..16 {
        let codes = block[4 + i];
        out[i] = scale * f32::from(codes & 15) + minimum;
        out[i + 16] = scale * f32::from(codes >> 4) + minimum;
    }
}

/// Encodes a Q4_0 block; the value farthest from 0 gets code −8 and is kept best.
pub fn encode_q4_0(values: &[f32; ELEMENTS], block: &mut [u8; Q4_0_BYTES]) {
    let scale = write_f16(block, 0, extreme(values) / -8.0);
    let code = |value| (nearest(value, scale, -8, 7) + 8) as u8;
    for i in 0..16 {
        block[2 + i] = code(values[i]) | code(values[i + 16]) << 4;
    }
}

/// Encodes a Q4_1 block.
pub fn encode_q4_1(values: &[f32; ELEMENTS], block: &mut [u8; Q4_1_BYTES]) {
    let (low, high) = range(values);
    let scale = write_f16(block, 0, (high - low) / 15.0);
    let minimum = write_f16(block, 2, low);
    let code = |value: f32| nearest(value - minimum, scale, 0, 15) as u8;
    for i in 0..16 {
        block[4 + i] = code(values[i]) | code(values[i + 16]) << 4;
    }
}
