//! Any bytes at all: an error or a sound model, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Whether the bytes are a model is not the question here.
    let _ = inkling_gguf_fuzz::examine(bytes);
});
