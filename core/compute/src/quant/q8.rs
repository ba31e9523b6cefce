//! Q8_0: 32 signed bytes with one scale: `scale f16, codes 32 B`, value = scale · code.
//!
//! Also how a q8_0 cache stores keys and values.

use super::bits::{extreme, nearest, read_f16, write_f16};

/// Elements of a block.
pub const ELEMENTS: usize = 32;
/// Bytes of a block.
pub const BYTES: usize = 34;

/// Decodes a block.
pub fn decode(block: &[u8; BYTES], out: &mut [f32; ELEMENTS]) {
    let scale = read_f16(block, 0);
    for (out, &code) in out.iter_mut().zip(&block[2..]) {
        *out = scale * f32::from(code.cast_signed());
    }
}

/// Encodes a block.
pub fn encode(values: &[f32; ELEMENTS], block: &mut [u8; BYTES]) {
    let scale = write_f16(block, 0, extreme(values).abs() / 127.0);
    for (code, &value) in block[2..].iter_mut().zip(values) {
        *code = (nearest(value, scale, -127, 127) as i8).cast_unsigned();
    }
}
