//! Random data for tests, from a seed.

fn next(state: &mut u64) -> u64 {
    // SplitMix64.
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `count` values between -4 and 4.
pub(crate) fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    (0..count).map(|_| (next(&mut state) >> 40) as f32 / (1 << 21) as f32 - 4.0).collect()
}

/// `count` bytes.
pub(crate) fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    (0..count).map(|_| next(&mut state) as u8).collect()
}
