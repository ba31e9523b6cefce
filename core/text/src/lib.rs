//! Tokenizer built from the GGUF vocabulary, UTF-8-safe stream decoding, chat templates.
