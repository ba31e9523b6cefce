//! For tests only: writers of small GGUFs, golden data, the back-end conformance suite.
//!
//! | module | what |
//! |---|---|
//! | [`golden`] | the reference folder, its models and logits, the real model in the cache folder |
//! | [`random`] | seeded numbers, the same on every machine |
//! | [`tensors`] | random tensors in any format, and a GGUF around them |
//! | [`decoder`] | [`RandomDecoder`](decoder::RandomDecoder): a spec and weights of any shape, for back ends |
//! | [`tiny`] | [`TinyModel`](tiny::TinyModel): a whole small model file with tokenizer and template, for the engine |
//! | [`scripted`] | [`ScriptedDecoder`](scripted::ScriptedDecoder): says what a test wants; a tokenizer of bytes |
//! | [`whole`] | whole model files on a back end |
//! | [`allocations`] | an allocator that counts |
//! | [`conformance`] | what every back end must pass |
//!
//! Everything here panics where a test should fail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests fails by panicking")]

pub mod allocations;
pub mod conformance;
pub mod decoder;
pub mod golden;
pub mod random;
pub mod scripted;
pub mod tensors;
pub mod tiny;
pub mod whole;
