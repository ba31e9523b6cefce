//! A sound file opens; the same file with some numbers overwritten is an error or a sound model.
#![no_main]

use inkling_gguf::GgufError;
use inkling_gguf_fuzz::{Plan, examine};

libfuzzer_sys::fuzz_target!(|plan: Plan| {
    match examine(&plan.file) {
        // A part of a split model is refused in memory, whatever else it holds, and its keys may be nonsense.
        Ok(()) | Err(GgufError::SplitInMemory { .. } | GgufError::MissingKey { .. }) => {}
        Err(GgufError::WrongType { key, .. } | GgufError::OutOfRange { key, .. }) if key == "split.count" => {}
        Err(GgufError::TooMany { what: "part", .. }) => {}
        Err(error) => panic!("a sound file was refused: {error}"),
    }
    // Damage may well go unnoticed; it must not be trusted.
    let _ = examine(&plan.damaged());
});
