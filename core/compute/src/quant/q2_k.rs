//! Q2_K: 256 elements of 2 bits in 16 groups of 16, each with a 4-bit scale and a 4-bit minimum.
//!
//! `groups 16 B (scale low half, minimum high half), codes 64 B, scale f16, minimum f16`,
//! value = scale · group scale · code − minimum · group minimum.
//!
//! Each half of the block (128 elements) uses 32 code bytes; element `32 k + i` of the half is bits `2k, 2k + 1` of
//! byte `i`.

use super::bits::{nearest, range, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 256;
/// Bytes of a block.
pub const BYTES: usize = 84;

const GROUP: usize = 16;
const CODES: usize = 16;
const SCALE: usize = 80;
const MINIMUM: usize = 82;

/// The byte and the shift of an element's code.
fn place(element: usize) -> (usize, usize) {
    let (half, inside) = (element / 128, element % 128);
    (CODES + half * 32 + inside % 32, inside / 32 * 2)
}

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let (scale, minimum) = (read_f16(block, SCALE), read_f16(block, MINIMUM));
    for (group, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let scale = scale * f32::from(block[group] & 15);
        let minimum = minimum * f32::from(block[group] >> 4);
        for (i, out) in out.iter_mut().enumerate() {
            let (byte, shift) = place(group * GROUP + i);
            *out = scale * f32::from(block[byte] >> shift & 3) - minimum;
        }
    }
}

/// Encodes a block.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let wanted: [(f32, f32); 16] = std::array::from_fn(|group| {
        let (low, high) = range(&values[group * GROUP..][..GROUP]);
        ((high.max(0.0) - low.min(0.0)) / 3.0, -low.min(0.0))
    });
    let largest = wanted.iter().fold((0.0_f32, 0.0_f32), |most, each| (most.0.max(each.0), most.1.max(each.1)));
    let scale = write_f16(block, SCALE, largest.0 / 15.0);
    let minimum = write_f16(block, MINIMUM, largest.1 / 15.0);
    for (group, values) in values.chunks_exact(GROUP).enumerate() {
        let group_scale = nearest(wanted[group].0, scale, 0, 15);
        let group_minimum = nearest(wanted[group].1, minimum, 0, 15);
        block[group] = (group_scale | group_minimum << 4) as u8;
        let (scale, minimum) = (scale * group_scale as f32, minimum * group_minimum as f32);
        for (i, &value) in values.iter().enumerate() {
            let (byte, shift) = place(group * GROUP + i);
            block[byte] |= (nearest(value + minimum, scale, 0, 3) as u8) << shift;
        }
    }
}
