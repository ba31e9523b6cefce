//! The built binary as people use it, on the tiny model inside it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod commands;
mod models;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
