//! The CPU back end keeps the contract and agrees with the reference, with the best instruction set of this machine.
//! That all others give the same bits is shown by `same_bits`.

use inkling_compute_cpu::Cpu;
use inkling_testkit::conformance::{Expectations, check};

#[test]
fn agrees_with_the_reference() {
    // Floats: sums in f32. Quantised: activations are rounded to 8 bits as well. Caches: their own rounding. Nibbles are
    // coarse: where the activations were rounded, many come out one step off (with float weights the error is below 2e-3).
    let expectations = Expectations {
        float: 1e-9,
        quantised: 2e-3,
        f16_cache: 1e-6,
        q8_0_cache: 2e-3,
        q4_0_cache: 1.5e-2,
        same: 0.0,
        failures: &[],
    };
    check(&Cpu::default(), &expectations);
}
