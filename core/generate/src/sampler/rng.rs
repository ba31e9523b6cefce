//! The random numbers of one turn: xoshiro256++ (Blackman and Vigna, <https://prng.di.unimi.it>), seeded through
//! SplitMix64 as its authors advise. Integer arithmetic only, so a seed gives the same numbers everywhere; one number
//! is drawn for each token that is not chosen greedily.

/// A generator of 64-bit numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    /// The stream that belongs to `seed`.
    pub(crate) fn new(mut seed: u64) -> Self {
        Self(std::array::from_fn(|_| split_mix(&mut seed)))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A multiple of 2⁻⁵³ in [0, 1), each equally likely.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A seed that nobody chose, from the randomness that the standard library seeds its hash maps with.
pub(crate) fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the authors' C programs.
    #[test]
    fn reference_vectors() {
        let mut state = 0;
        let first = [split_mix(&mut state), split_mix(&mut state), split_mix(&mut state)];
        assert_eq!(first, [16_294_208_416_658_607_535, 7_960_286_522_194_355_700, 487_617_019_471_545_679]);
        let mut rng = Rng([1, 2, 3, 4]);
        let first: [u64; 6] = std::array::from_fn(|_| rng.next());
        assert_eq!(
            first,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386,
                9_228_616_714_210_784_205,
                9_973_669_472_204_895_162
            ]
        );
    }

    #[test]
    fn units_are_below_one_and_spread() {
        let mut rng = Rng::new(7);
        let units: Vec<f64> = (0..10_000).map(|_| rng.unit()).collect();
        assert!(units.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = units.iter().sum::<f64>() / units.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
