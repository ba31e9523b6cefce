//! Q4_K: 256 elements of 4 bits in 8 groups of 32, each with a 6-bit scale and a 6-bit minimum.
//!
//! `scale f16, minimum f16, groups 12 B, codes 128 B`,
//! value = scale · group scale · code − minimum · group minimum.
//!
//! Groups `2k` and `2k + 1` share 32 code bytes: the low halves and the high halves.

use super::bits::{nearest, range, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 256;
/// Bytes of a block.
pub const BYTES: usize = 144;

pub(super) const GROUP: usize = 32;
pub(super) const GROUPS: usize = 4;
const CODES: usize = 16;

/// Scale and minimum of group 0 to 7 in the 12 bytes of Q4_K and Q5_K.
///
/// The first four groups keep their six bits in bytes `g` (scale) and `4 + g` (minimum). The last four have their
/// lower four bits together in byte `4 + g` (scale in the low half), and the upper two where the first four left
/// room: the top of bytes `g - 4` (scale) and `g` (minimum).
pub fn group_scale_and_minimum(packed: &[u8; 12], group: usize) -> (u8, u8) {
    if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let low = packed[group + 4];
        (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
    }
}

fn set_group(packed: &mut [u8], group: usize, scale: u8, minimum: u8) {
    if group < 4 {
        packed[group] |= scale;
        packed[group + 4] |= minimum;
    } else {
        packed[group + 4] |= scale & 15 | minimum << 4;
        packed[group - 4] |= scale >> 4 << 6;
        packed[group] |= minimum >> 4 << 6;
    }
}

/// The 12 bytes that pack a Q4_K or Q5_K block's group scales and minima.
pub(super) fn packed_groups(block: &[u8]) -> [u8; 12] {
    std::array::from_fn(|i| block[GROUPS + i])
}

/// Scale and minimum of each group in effect, after the block's own.
pub(super) fn groups(block: &[u8]) -> [(f32, f32); 8] {
    let (scale, minimum) = (read_f16(block, 0), read_f16(block, 2));
    let packed = packed_groups(block);
    std::array::from_fn(|group| {
        let (group_scale, group_minimum) = group_scale_and_minimum(&packed, group);
        (scale * f32::from(group_scale), minimum * f32::from(group_minimum))
    })
}

/// Chooses and writes scales and minima for codes up to `top`; returns those in effect.
pub(super) fn write_groups(values: &[f32; ELEMENTS], top: f32, block: &mut [u8]) -> [(f32, f32); 8] {
    let wanted: [(f32, f32); 8] = std::array::from_fn(|group| {
        let (low, high) = range(&values[group * GROUP..][..GROUP]);
        ((high.max(0.0) - low.min(0.0)) / top, -low.min(0.0))
    });
    let largest = wanted.iter().fold((0.0_f32, 0.0_f32), |most, each| (most.0.max(each.0), most.1.max(each.1)));
    let scale = write_f16(block, 0, largest.0 / 63.0);
    let minimum = write_f16(block, 2, largest.1 / 63.0);
    for (group, &(wanted_scale, wanted_minimum)) in wanted.iter().enumerate() {
        let group_scale = nearest(wanted_scale, scale, 0, 63) as u8;
        let group_minimum = nearest(wanted_minimum, minimum, 0, 63) as u8;
        set_group(&mut block[GROUPS..GROUPS + 12], group, group_scale, group_minimum);
    }
    groups(block)
}

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    for (group, ((scale, minimum), out)) in groups(block).into_iter().zip(out.chunks_exact_mut(GROUP)).enumerate() {
        let codes = &block[CODES + group / 2 * GROUP..][..GROUP];
        for (out, &code) in out.iter_mut().zip(codes) {
            *out = scale * f32::from(code >> (group % 2 * 4) & 15) - minimum;
        }
    }
}

/// Encodes a block.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let groups = write_groups(values, 15.0, block);
    for (group, ((scale, minimum), values)) in groups.into_iter().zip(values.chunks_exact(GROUP)).enumerate() {
        let codes = &mut block[CODES + group / 2 * GROUP..][..GROUP];
        for (code, value) in codes.iter_mut().zip(values) {
            *code |= (nearest(value + minimum, scale, 0, 15) as u8) << (group % 2 * 4);
        }
    }
}
