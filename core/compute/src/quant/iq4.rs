//! IQ4_NL and IQ4_XS: codes of 4 bits that name one of 16 unevenly spaced levels.
//!
//! IQ4_NL: 32 elements, `scale f16, codes 16 B` laid out as in Q4_0, value = scale · level.
//! IQ4_XS: 256 elements in 8 groups of 32, `scale f16, upper scale bits u16, lower scale bits 4 B, codes 128 B`,
//! value = scale · (group scale − 32) · level; each group's 16 code bytes are laid out as in Q4_0.

use super::bits::{extreme, nearest, nearest_entry, read_f16, write_f16};

/// What the codes stand for.
pub const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Elements of an IQ4_NL block.
pub const NL_ELEMENTS: usize = 32;
/// Bytes of an IQ4_NL block.
pub const NL_BYTES: usize = 18;
/// Elements of an IQ4_XS block.
pub const XS_ELEMENTS: usize = 256;
/// Bytes of an IQ4_XS block.
pub const XS_BYTES: usize = 136;

const XS_UPPER: usize = 2;
const XS_LOWER: usize = 4;
const XS_CODES: usize = 8;

/// Decodes an IQ4_NL block.
pub fn decode_nl(block: &[u8; NL_BYTES], out: &mut [f32; NL_ELEMENTS]) {
    decode_group(read_f16(block, 0), &block[2..], out);
}

/// Encodes an IQ4_NL block.
pub fn encode_nl(values: &[f32; NL_ELEMENTS], block: &mut [u8; NL_BYTES]) {
    let scale = write_f16(block, 0, wanted_scale(values));
    encode_group(scale, values, &mut block[2..]);
}

/// The scale of a group of an IQ4_XS block, without the 32 that is subtracted.
pub fn xs_group_scale(block: &[u8; XS_BYTES], group: usize) -> u8 {
    let lower = block[XS_LOWER + group / 2] >> (group % 2 * 4) & 15;
    let upper = block[XS_UPPER + group / 4] >> (group % 4 * 2) & 3;
    lower | upper << 4
}

/// Decodes an IQ4_XS block.
pub fn decode_xs(block: &[u8; XS_BYTES], out: &mut [f32; XS_ELEMENTS]) {
    let scale = read_f16(block, 0);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let scale = scale * (i32::from(xs_group_scale(block, group)) - 32) as f32;
        decode_group(scale, &block[XS_CODES + group * 16..][..16], out);
    }
}

/// Encodes an IQ4_XS block.
pub fn encode_xs(values: &[f32; XS_ELEMENTS], block: &mut [u8; XS_BYTES]) {
    block.fill(0);
    let wanted: [f32; 8] = std::array::from_fn(|group| wanted_scale(&values[group * 32..][..32]));
    let scale = write_f16(block, 0, extreme(&wanted) / -32.0);
    for (group, values) in values.chunks_exact(32).enumerate() {
        let steps = nearest(wanted[group], scale, -32, 31);
        let stored = (steps + 32) as u8;
        block[XS_LOWER + group / 2] |= (stored & 15) << (group % 2 * 4);
        block[XS_UPPER + group / 4] |= (stored >> 4) << (group % 4 * 2);
        encode_group(scale * steps as f32, values, &mut block[XS_CODES + group * 16..][..16]);
    }
}

/// The scale under which the value farthest from 0 is the first level.
fn wanted_scale(values: &[f32]) -> f32 {
    extreme(values) / f32::from(LEVELS[0])
}

fn decode_group(scale: f32, codes: &[u8], out: &mut [f32]) {
    let (first, second) = out.split_at_mut(16);
    for ((&code, first), second) in codes.iter().zip(first).zip(second) {
        *first = scale * f32::from(LEVELS[usize::from(code & 15)]);
        *second = scale * f32::from(LEVELS[usize::from(code >> 4)]);
    }
}

fn encode_group(scale: f32, values: &[f32], codes: &mut [u8]) {
    // Under a scale of 0 every code means 0; the level nearest to 0 says it best.
    let code = |value: f32| nearest_entry(&LEVELS, if scale == 0.0 { 0.0 } else { value / scale }) as u8;
    for (i, byte) in codes.iter_mut().enumerate() {
        *byte = code(values[i]) | code(values[i + 16]) << 4;
    }
}
