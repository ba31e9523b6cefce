//! The CPU back end: quantised panels, SIMD kernels, a thread pool.

mod activations;
mod aligned;
mod format;
mod isa;
mod kernels;
mod pack;
mod pool;
#[cfg(test)]
mod tests_support;

pub use isa::Isa;
pub use pack::LAYOUT_VERSION;

/// The name that users type.
pub const NAME: &str = "cpu";
