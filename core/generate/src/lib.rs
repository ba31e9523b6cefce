//! The decode loop: sampler, stop strings, thinking spans, sequences over the KV cache.
