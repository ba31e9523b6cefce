//! Small files that are models for whoever only reads their headers.

use inkling_gguf::{GgufWriter, TensorType};

/// A GGUF of exactly `size` bytes, with contents by `seed`.
pub(crate) fn gguf(size: u64, seed: u8) -> Vec<u8> {
    let mut bytes = header(1, seed);
    let rest = size - bytes.len() as u64 + 4;
    // The size of the header does not depend on the number, and data is padded to whole units of 32 bytes.
    let elements = rest / 4 / 8 * 8;
    bytes = header(elements, seed);
    assert!(bytes.len() as u64 <= size && size - (bytes.len() as u64) < 64);
    bytes
}

fn header(elements: u64, seed: u8) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "test").unwrap();
    writer.set("general.name", format!("model {seed:03}")).unwrap();
    let tensor = writer.tensor("data", TensorType::F32, &[elements]).unwrap();
    let mut data = writer.write_to(Vec::new()).unwrap();
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes: Vec<u8> = (0..elements * 4)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let _ = tensor;
    data.push(&bytes).unwrap();
    data.finish().unwrap()
}
