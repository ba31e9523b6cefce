//! Downloads as their watchers see them: a handle, its events, its end.
//!
//! A download belongs to its store. Letting go of a handle changes nothing; whoever asks for the same model again gets
//! another handle on the same download.

mod board;
mod event;

pub(crate) use board::{Board, Seen};
pub use event::{DownloadEvent, Transfer, WaitReason};
