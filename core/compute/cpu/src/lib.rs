//! The CPU back end: quantised panels, SIMD kernels, a thread pool.
