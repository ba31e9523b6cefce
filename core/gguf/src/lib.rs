//! The GGUF file format: parse, validate, map, write.
