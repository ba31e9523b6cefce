//! Q5_K: 256 elements of 5 bits in 8 groups of 32, each with a 6-bit scale and a 6-bit minimum.
//!
//! `scale f16, minimum f16, groups 12 B, fifth bits 32 B, codes 128 B`; as Q4_K, and bit `g` of fifth byte `i`
//! belongs to element `i` of group `g`.

use super::bits::nearest;
use super::q4_k::{GROUP, groups, write_groups};

/// Elements of a block.
pub const ELEMENTS: usize = 256;
/// Bytes of a block.
pub const BYTES: usize = 176;

const FIFTH: usize = 16;
const CODES: usize = 48;

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    for (group, ((scale, minimum), out)) in groups(block).into_iter().zip(out.chunks_exact_mut(GROUP)).enumerate() {
        for (i, out) in out.iter_mut().enumerate() {
            let low = block[CODES + group / 2 * GROUP + i] >> (group % 2 * 4) & 15;
            let fifth = block[FIFTH + i] >> group & 1;
            *out = scale * f32::from(low | fifth << 4) - minimum;
        }
    }
}

/// Encodes a block.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    block.fill(0);
    let groups = write_groups(values, 31.0, block);
    for (group, ((scale, minimum), values)) in groups.into_iter().zip(values.chunks_exact(GROUP)).enumerate() {
        for (i, value) in values.iter().enumerate() {
            let code = nearest(value + minimum, scale, 0, 31) as u8;
            block[CODES + group / 2 * GROUP + i] |= (code & 15) << (group % 2 * 4);
            block[FIFTH + i] |= (code >> 4) << group;
        }
    }
}
