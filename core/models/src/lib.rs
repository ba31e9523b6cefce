//! Reads a GGUF's metadata into a DecoderSpec: pure data, one small file per family.
