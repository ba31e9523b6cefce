//! Q3_K: 256 elements of 3 bits in 16 groups of 16, each with a signed 6-bit scale.
//!
//! `high bits 32 B, codes 64 B, group scales 12 B, scale f16`, value = scale · (group scale − 32) · (code − 4).
//!
//! The lower two bits lie as in Q2_K; bit `k` of high byte `i` is the third bit of element `32 k + i`. Group scale
//! `g`: lower four bits in byte `g % 8` (low half for g < 8), upper two in byte `8 + g % 4` at bit `2 (g / 4)`.

use super::bits::{extreme, nearest, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 256;
/// Bytes of a block.
pub const BYTES: usize = 110;

const GROUP: usize = 16;
const CODES: usize = 32;
const SCALES: usize = 96;
const SCALE: usize = 108;

/// The byte and the shift of an element's lower two bits.
fn place(element: usize) -> (usize, usize) {
    let (half, inside) = (element / 128, element % 128);
    (CODES + half * 32 + inside % 32, inside / 32 * 2)
}

/// The scale of a group, without the 32 that is subtracted.
fn group_scale(block: &[u8; BYTES], group: usize) -> u8 {
    let low = block[SCALES + group % 8] >> (group / 8 * 4) & 15;
    let high = block[SCALES + 8 + group % 4] >> (group / 4 * 2) & 3;
    low | high << 4
}

fn set_group_scale(block: &mut [u8; BYTES], group: usize, scale: u8) {
    block[SCALES + group % 8] |= (scale & 15) << (group / 8 * 4);
    block[SCALES + 8 + group % 4] |= (scale >> 4) << (group / 4 * 2);
}

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = read_f16(block, SCALE);
    for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let scale = scale * (i32::from(group_scale(block, group)) - 32) as f32;
        for (i, out) in out.iter_mut().enumerate() {
            let element = group * GROUP + i;
            let (byte, shift) = place(element);
            let high = block[element % 32] >> (element / 32) & 1;
            let code = block[byte] >> shift & 3 | high << 2;
            *out = scale * (i32::from(code) - 4) as f32;
        }
    }
}

/// Encodes a block; in each group the value farthest from 0 gets code −4.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let wanted: [f32; 16] = std::array::from_fn(|group| extreme(&values[group * GROUP..][..GROUP]) / -4.0);
    let scale = write_f16(block, SCALE, extreme(&wanted) / -32.0);
    for (group, values) in values.chunks_exact(GROUP).enumerate() {
        let steps = nearest(wanted[group], scale, -32, 31);
        set_group_scale(block, group, (steps + 32) as u8);
        let scale = scale * steps as f32;
        for (i, &value) in values.iter().enumerate() {
            let element = group * GROUP + i;
            let (byte, shift) = place(element);
            let code = (nearest(value, scale, -4, 3) + 4) as u8;
            block[byte] |= (code & 3) << shift;
            block[element % 32] |= (code >> 2) << (element / 32);
        }
    }
}
