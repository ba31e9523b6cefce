//! Random blocks whose elements have mean 0 and a given standard deviation.
//!
//! Codes are random bytes; scales follow from what uniform codes give. Where a format's codes are not symmetric, the
//! sign of the scale is random, or the minimum is chosen to cancel the mean, so that no row has a bias.

use half::{bf16, f16};
use inkling_gguf::TensorType;

use super::tensors::Content;

/// SplitMix64: fast, and the same everywhere.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seeds: [u64; 3]) -> Self {
        let mut random = Self(0x9E37_79B9_7F4A_7C15);
        for seed in seeds {
            random.0 ^= seed;
            random.0 = random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, out: &mut [u8]) {
        let (chunks, rest) = out.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = self.next().to_le_bytes();
        }
        let last = self.next().to_le_bytes();
        let bytes = rest.len();
        rest.copy_from_slice(&last[..bytes]);
    }

    /// 1 or -1.
    fn sign(&mut self) -> f64 {
        if self.next() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// Near normal, with mean 0 and standard deviation 1: the sum of four uniform numbers.
    fn normal(&mut self) -> f64 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum();
        // The sum of four has mean 2 · 65535 and variance 4 · 65536² / 12.
        (sum as f64 - 131_070.0) / (65_536.0 / 3.0_f64.sqrt())
    }
}

/// Standard deviations of uniform whole numbers: √((n² - 1) / 12).
const UNIFORM_4: f64 = 1.118_034;
const UNIFORM_16: f64 = 4.609_772;
const UNIFORM_32: f64 = 9.233_093;
/// Root mean squares of what formats multiply: 3-bit codes -4…3, 6-bit codes -32…31, bytes -128…127, and the
/// levels of IQ4_NL.
const RMS_3_BITS: f64 = 2.345_208;
const RMS_6_BITS: f64 = 18.479_719;
const RMS_8_BITS: f64 = 73.901_962;
const RMS_LEVELS: f64 = 67.438_861;
/// Of the scales: 8…15 in Q2_K, 0…63 in Q4_K and Q5_K.
const RMS_UPPER_NIBBLE: f64 = 11.726_039;
const RMS_6_BIT_SCALE: f64 = 36.517_119;

/// Makes the bytes of one tensor.
pub(super) struct Filler<'a> {
    kind: TensorType,
    content: &'a Content,
}

impl<'a> Filler<'a> {
    pub(super) fn new(kind: TensorType, content: &'a Content) -> Self {
        Self { kind, content }
    }

    /// The bytes of `elements` elements from the one numbered `first`; both are whole blocks.
    pub(super) fn make(&self, first: usize, elements: usize, mut random: Random) -> Vec<u8> {
        match self.content {
            Content::Numbers(numbers) => {
                numbers[first..first + elements].iter().flat_map(|number| number.to_le_bytes()).collect()
            }
            Content::Around { mean, deviation } => {
                floats(elements, |random| mean + deviation * random.normal(), &mut random, self.kind)
            }
            Content::Noise { deviation } if !self.kind.is_quantised() => {
                floats(elements, |random| deviation * random.normal(), &mut random, self.kind)
            }
            Content::Noise { deviation } => {
                let block_bytes = self.kind.block_bytes() as usize;
                let mut out = vec![0; elements / self.kind.block_elements() as usize * block_bytes];
                random.bytes(&mut out);
                for block in out.chunks_exact_mut(block_bytes) {
                    scale(self.kind, block, *deviation, &mut random);
                }
                out
            }
        }
    }
}

fn floats(elements: usize, value: impl Fn(&mut Random) -> f64, random: &mut Random, kind: TensorType) -> Vec<u8> {
    let mut out = Vec::with_capacity(elements * kind.block_bytes() as usize);
    for _ in 0..elements {
        let value = value(random) as f32;
        match kind {
            TensorType::F16 => out.extend_from_slice(&f16::from_f32(value).to_le_bytes()),
            TensorType::BF16 => out.extend_from_slice(&bf16::from_f32(value).to_le_bytes()),
            _ => out.extend_from_slice(&value.to_le_bytes()),
        }
    }
    out
}

/// Puts the scales into a block of random bytes.
fn scale(kind: TensorType, block: &mut [u8], deviation: f64, random: &mut Random) {
    let mut half = |at: usize, value: f64| block[at..at + 2].copy_from_slice(&f16::from_f64(value).to_le_bytes());
    match kind {
        TensorType::Q4_0 => half(0, random.sign() * deviation / UNIFORM_16),
        TensorType::Q5_0 => half(0, random.sign() * deviation / UNIFORM_32),
        TensorType::Q8_0 => half(0, random.sign() * deviation / RMS_8_BITS),
        TensorType::IQ4_NL => half(0, random.sign() * deviation / RMS_LEVELS),
        TensorType::Q4_1 => {
            half(0, deviation / UNIFORM_16);
            half(2, -7.5 * deviation / UNIFORM_16);
        }
        TensorType::Q5_1 => {
            half(0, deviation / UNIFORM_32);
            half(2, -15.5 * deviation / UNIFORM_32);
        }
        // Scales and minima first, then codes, then the scale of the scales.
        TensorType::Q2_K => {
            let step = deviation / (UNIFORM_4 * RMS_UPPER_NIBBLE);
            half(80, step);
            half(82, 1.5 * step);
            for both in &mut block[..16] {
                let scale = 8 + (*both & 7);
                *both = scale | scale << 4;
            }
        }
        TensorType::Q3_K => half(108, deviation / (RMS_3_BITS * RMS_6_BITS)),
        TensorType::Q4_K | TensorType::Q5_K => {
            let (spread, mean) = if kind == TensorType::Q4_K { (UNIFORM_16, 7.5) } else { (UNIFORM_32, 15.5) };
            let step = deviation / (spread * RMS_6_BIT_SCALE);
            half(0, step);
            half(2, mean * step);
            // Each minimum is its scale: bytes 4…7 repeat 0…3, and the last four hold each nibble twice.
            let scales = &mut block[4..16];
            scales.copy_within(0..4, 4);
            for both in &mut scales[8..] {
                *both = (*both & 15) | *both << 4;
            }
        }
        TensorType::Q6_K => half(208, deviation / (RMS_6_BITS * RMS_8_BITS)),
        TensorType::IQ4_XS => half(0, deviation / (RMS_LEVELS * RMS_6_BITS)),
        // `quant` gives no other type.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use inkling_compute::quant::dequantize;

    use super::*;
    use inkling_compute::quant::FORMATS;

    #[test]
    fn every_type_has_the_mean_and_deviation_asked_for() {
        const ELEMENTS: usize = 1 << 16;
        for kind in FORMATS {
            for deviation in [0.01, 0.06] {
                let bytes = Filler::new(kind, &Content::Noise { deviation }).make(0, ELEMENTS, Random::new([1, 2, 3]));
                let mut values = vec![0.0_f32; ELEMENTS];
                dequantize(kind, &bytes, &mut values).unwrap();
                let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / ELEMENTS as f64;
                let square = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / ELEMENTS as f64;
                assert!(mean.abs() < 0.03 * deviation, "{kind}: mean {mean}");
                assert!((square.sqrt() / deviation - 1.0).abs() < 0.03, "{kind}: deviation {}", square.sqrt());
            }
        }
    }

    #[test]
    fn chunks_differ_and_repeat() {
        let content = Content::Noise { deviation: 1.0 };
        let make = |chunk| Filler::new(TensorType::Q4_0, &content).make(0, 1024, Random::new([7, 0, chunk]));
        assert_eq!(make(0), make(0));
        assert_ne!(make(0), make(1));
    }
}
