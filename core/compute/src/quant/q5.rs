//! Q5_0 and Q5_1: 32 elements of 5 bits.
//!
//! The lower four bits lie as in Q4_0; bit `i` of a little-endian u32 is the fifth bit of element `i`.
//! Q5_0: `scale f16, fifth bits 4 B, codes 16 B`, value = scale · (code − 16).
//! Q5_1: `scale f16, minimum f16, fifth bits 4 B, codes 16 B`, value = scale · code + minimum.

use super::bits::{extreme, nearest, range, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 32;
/// Bytes of a Q5_0 block.
pub const Q5_0_BYTES: usize = 22;
/// Bytes of a Q5_1 block.
pub const Q5_1_BYTES: usize = 24;

/// Decodes a Q5_0 block.
pub fn decode_q5_0(block: &[u8; Q5_0_BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = read_f16(block, 0);
    for (out, code) in out.iter_mut().zip(read_codes(&block[2..])) {
        *out = scale * (i32::from(code) - 16) as f32;
    }
}

/// Decodes a Q5_1 block.
pub fn decode_q5_1(block: &[u8; Q5_1_BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
    for (out, code) in out.iter_mut().zip(read_codes(&block[4..])) {
        *out = scale * f32::from(code) + minimum;
    }
}

/// Encodes a Q5_0 block; the value farthest from 0 gets code −16 and is kept best.
pub fn encode_q5_0(values: &[f32; ELEMENTS], block: &mut [u8; Q5_0_BYTES]) {
    let scale = write_f16(block, 0, extreme(values) / -16.0);
    write_codes(values.map(|value| (nearest(value, scale, -16, 15) + 16) as u8), &mut block[2..]);
}

/// Encodes a Q5_1 block.
pub fn encode_q5_1(values: &[f32; ELEMENTS], block: &mut [u8; Q5_1_BYTES]) {
    let (low, high) = range(values);
    let scale = write_f16(block, 0, (high - low) / 31.0);
    let minimum = write_f16(block, 2, low);
    write_codes(values.map(|value| nearest(value - minimum, scale, 0, 31) as u8), &mut block[4..]);
}

/// The 32 codes in 4 bytes of fifth bits and 16 bytes of lower bits.
fn read_codes(bytes: &[u8]) -> [u8; ELEMENTS] {
    let (fifth, lower) = bytes.split_at(4);
    std::array::from_fn(|i| {
        let low = if i < 16 { lower[i] & 15 } else { lower[i - 16] >> 4 };
        low | (fifth[i / 8] >> (i % 8) & 1) << 4
    })
}

fn write_codes(codes: [u8; ELEMENTS], bytes: &mut [u8]) {
    bytes.fill(0);
    let (fifth, lower) = bytes.split_at_mut(4);
    for (i, code) in codes.into_iter().enumerate() {
        lower[i % 16] |= (code & 15) << (i / 16 * 4);
        fifth[i / 8] |= (code >> 4) << (i % 8);
    }
}
