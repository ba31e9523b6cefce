//! What the formats share: half-precision fields, rounding to a code, extremes of a block.

use half::f16;

/// The f16 at `at`, as f32.
pub(super) fn read_f16(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Writes `value` as an f16 at `at` and returns what a decoder will read there: codes must be chosen for that scale.
pub(super) fn write_f16(block: &mut [u8], at: usize, value: f32) -> f32 {
    let stored = f16::from_f32(value);
    block[at..at + 2].copy_from_slice(&stored.to_le_bytes());
    stored.to_f32()
}

/// The code nearest to `value / scale`, inside `low..=high`; 0 where that is allowed if the scale is 0.
pub(super) fn nearest(value: f32, scale: f32, low: i32, high: i32) -> i32 {
    let steps = if scale == 0.0 { 0.0 } else { value / scale };
    // A cast from float saturates and takes NaN to 0, so no value can panic here.
    (steps.round() as i32).clamp(low, high)
}

/// The value that is farthest from 0, with its sign; 0 for an empty slice.
pub(super) fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most: f32, &value| if value.abs() > most.abs() { value } else { most })
}

/// The smallest and the largest value.
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
}

/// The index of the entry of an ascending table that is nearest to `value`; the lower one wins a tie.
pub(super) fn nearest_entry(table: &[i8], value: f32) -> usize {
    (0..table.len()).fold(0, |best, index| {
        let distance = |index: usize| (f32::from(table[index]) - value).abs();
        if distance(index) < distance(best) { index } else { best }
    })
}
