//! The reference back end keeps the contract that it is the measure of. (Agreement with itself is no test; its numbers
//! are compared with other implementations' in `conformance_models.rs`.)

use inkling_compute_reference::Reference;
use inkling_testkit::conformance::{Expectations, check};

#[test]
fn keeps_the_contract() {
    let exactly = Expectations {
        float: 0.0,
        quantised: 0.0,
        f16_cache: 0.0,
        q8_0_cache: 0.0,
        q4_0_cache: 0.0,
        same: 0.0,
        failures: &[],
    };
    check(&Reference, &exactly);
}
