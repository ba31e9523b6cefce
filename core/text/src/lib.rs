//! Tokenizer built from the GGUF vocabulary, UTF-8-safe stream decoding, chat templates.
//!
//! * [`Tokenizer`]: text to ids and back. `source` is what a file says about it, `vocabulary` its tokens, `specials`
//!   the tokens with a role, `partition` cuts text at special tokens.
//! * `pretokenize` and `bpe`: byte-level BPE; `spm`: SentencePiece; `wordpiece`: BERT.
//! * [`StreamDecoder`]: text as the tokens come.
//! * [`template`]: messages to text, by the model's own chat template; [`shield`] keeps user text from forging a turn.

mod bpe;
mod bytes;
mod error;
mod partition;
mod pretokenize;
pub mod shield;
mod source;
mod specials;
mod spm;
mod stream;
pub mod template;
mod tokenizer;
mod vocabulary;
mod wordpiece;

pub use error::TextError;
pub use source::{SpecialIds, TokenizerFlags, TokenizerSource};
pub use stream::StreamDecoder;
pub use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};
pub use vocabulary::TokenType;
