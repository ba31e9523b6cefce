//! What every back end must pass.
//!
//! [`check`] runs every check of `checks` on every case of `cases` that it is meant for: agreement with the reference
//! back end on random decoders (every format with every cache type, ragged sizes, all that a spec can say), and the
//! promises of the contract (a row depends on its own sequence alone, errors change nothing). What a back end or a
//! device cannot do yet is data, an [`ExpectedFailure`] with its reason; one that passes must be taken off the list.

mod cases;
mod checks;
mod driver;

use inkling_compute::{Backend, KvType};
use inkling_gguf::TensorType;

pub use cases::Case;

/// How near a back end is expected to come. All numbers are normalised mean squared errors of logits.
#[derive(Debug, Clone, Copy)]
pub struct Expectations {
    /// Against the reference with F32, F16 and BF16 weights and an f32 cache.
    pub float: f64,
    /// Added for quantised weights, for back ends that quantise activations to meet them.
    pub quantised: f64,
    /// Added for an f16 cache.
    pub f16_cache: f64,
    /// Added for a q8_0 cache.
    pub q8_0_cache: f64,
    /// Added for a q4_0 cache.
    pub q4_0_cache: f64,
    /// Between two ways to the same logits in one back end: chunks, batches, threads. Not asked where the back end
    /// says that they are the same to the bit ([`inkling_compute::DeviceInfo::exact_batches`]): they must be.
    pub same: f64,
    /// What is known to fail.
    pub failures: &'static [ExpectedFailure],
}

/// A check that is known to fail on a case.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedFailure {
    /// The check's name.
    pub check: &'static str,
    /// The case's name, or its beginning followed by `*`.
    pub case: &'static str,
    /// Why it fails, and what it would take.
    pub reason: &'static str,
}

impl ExpectedFailure {
    fn covers(&self, check: &str, case: &str) -> bool {
        let same_case = match self.case.strip_suffix('*') {
            Some(beginning) => case.starts_with(beginning),
            None => case == self.case,
        };
        self.check == check && same_case
    }
}

impl Expectations {
    /// How far logits may be from the reference's with these formats.
    pub fn limit(&self, weights: TensorType, cache: KvType) -> f64 {
        let weights = if weights.is_quantised() { self.quantised } else { 0.0 };
        let cache = match cache {
            KvType::F32 => 0.0,
            KvType::F16 => self.f16_cache,
            KvType::Q8_0 => self.q8_0_cache,
            _ => self.q4_0_cache,
        };
        self.float + weights + cache
    }
}

/// Runs everything, prints the worst numbers, and panics with the list of what is not as expected.
pub fn check(backend: &dyn Backend, expectations: &Expectations) {
    let exact = backend.probe().expect("a back end that is checked must run here").exact_batches;
    let mut wrong = Vec::new();
    let mut done = 0;
    for case in cases::all() {
        let context = checks::Context { backend, case: &case, model: case.decoder.build(), expectations, exact };
        for check in checks::ALL.iter().filter(|check| case.promises || !check.promise) {
            let expected = expectations.failures.iter().find(|failure| failure.covers(check.name, &case.name));
            let result = (check.run)(&context);
            done += 1;
            match (result, expected) {
                (Ok(()), None) | (Err(_), Some(_)) => {}
                (Err(what), None) => wrong.push(format!("{} on {}: {what}", check.name, case.name)),
                (Ok(()), Some(failure)) => wrong.push(format!(
                    "{} on {} passes although it was expected to fail ({})",
                    check.name, case.name, failure.reason
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {} of {done} checks:\n{}", backend.name(), wrong.len(), wrong.join("\n"));
    eprintln!("{}: {done} checks, {} expected failures", backend.name(), expectations.failures.len());
}
