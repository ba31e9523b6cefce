//! Q6_K: 256 elements of 6 bits in 16 groups of 16, each with a signed 8-bit scale.
//!
//! `lower four bits 128 B, upper two bits 64 B, group scales 16 B, scale f16`,
//! value = scale · group scale · (code − 32).
//!
//! Each half of the block (128 elements) uses 64 lower and 32 upper bytes. Element `i` of the half has its lower
//! bits in byte `i % 64` (low half of the byte for i < 64), its upper bits in byte `i % 32` at bit `2 (i / 32)`.

use super::bits::{extreme, nearest, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 256;
/// Bytes of a block.
pub const BYTES: usize = 210;

const GROUP: usize = 16;
const UPPER: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

/// An element's lower byte and shift, upper byte and shift.
fn place(element: usize) -> [(usize, usize); 2] {
    let (half, inside) = (element / 128, element % 128);
    [(half * 64 + inside % 64, inside / 64 * 4), (UPPER + half * 32 + inside % 32, inside / 32 * 2)]
}

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = read_f16(block, SCALE);
    for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let scale = scale * f32::from(block[SCALES + group].cast_signed());
        for (i, out) in out.iter_mut().enumerate() {
            let [(lower, lower_shift), (upper, upper_shift)] = place(group * GROUP + i);
            let code = block[lower] >> lower_shift & 15 | (block[upper] >> upper_shift & 3) << 4;
            *out = scale * (i32::from(code) - 32) as f32;
        }
    }
}

/// Encodes a block; in each group the value farthest from 0 gets code −32.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let wanted: [f32; 16] = std::array::from_fn(|group| extreme(&values[group * GROUP..][..GROUP]) / -32.0);
    let scale = write_f16(block, SCALE, extreme(&wanted) / -128.0);
    for (group, values) in values.chunks_exact(GROUP).enumerate() {
        let steps = nearest(wanted[group], scale, -128, 127);
        block[SCALES + group] = (steps as i8).cast_unsigned();
        let scale = scale * steps as f32;
        for (i, &value) in values.iter().enumerate() {
            let [(lower, lower_shift), (upper, upper_shift)] = place(group * GROUP + i);
            let code = (nearest(value, scale, -32, 31) + 32) as u8;
            block[lower] |= (code & 15) << lower_shift;
            block[upper] |= (code >> 4) << upper_shift;
        }
    }
}
