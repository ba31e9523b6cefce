//! Conversations with a model: who speaks, who waits, and how an answer reaches its reader.
//!
//! | module | what it holds |
//! |---|---|
//! | [`model`] | [`Model`]: a loaded model; raw completion, logits, likelihoods |
//! | [`options`] | [`LoadOptions`]: how it is loaded |
//! | [`session`] | [`Session`]: a conversation |
//! | [`turn`] | [`Turn`]: a running answer; [`Canceller`], [`Response`] |
//! | [`error`] | [`SessionError`] |
//!
//! Inside: `engine` (the thread that owns decoder and cache), [`owner`] (who lends a model), `outbox` (the bounded queue to a reader), `sink` (the
//! scheduler's end of it), `history` (the messages).
//!
//! # The life of a turn
//!
//! [`Session::stream`] renders and tokenizes on the caller's thread, so that everything that can be refused is refused
//! there, and hands the checked job to the engine thread. That thread is ours and lives as long as the model; nobody
//! decodes inside a polled future. It computes only for turns whose reader keeps up, and looks for cancelled turns
//! between two passes. Whatever happens, also a panic inside a back end, each turn ends exactly once.

mod engine;
pub mod error;
mod history;
pub mod model;
pub mod options;
mod outbox;
pub mod owner;
pub mod session;
mod sink;
pub mod turn;

pub use error::SessionError;
pub use inkling_generate::{
    Event, FinishReason, GenerationOptions, LogProb, Phase, SamplingOptions, Stats, TokenLogProbs,
};
pub use inkling_text::template::Message;
pub use model::{CompletionPrompt, Model, ModelParts};
pub use options::LoadOptions;
pub use owner::Owner;
pub use session::{Session, SessionConfig};
pub use turn::{Canceller, Polled, Response, Turn};
