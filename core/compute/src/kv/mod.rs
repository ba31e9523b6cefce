//! Keys and values of many sequences, in pages.
//!
//! A page holds [`PAGE_POSITIONS`] consecutive positions of one sequence for all layers. Pages are counted
//! references: [`KvCache::fork`] shares the pages of a prefix, and the first append to a shared page copies it.
//! Where the bytes live is the [`PageStore`]'s business: [`HostPages`] for back ends that compute on the CPU, a
//! device buffer for a GPU.
//!
//! Invariant: a sequence of length `n` owns exactly `ceil(n / PAGE_POSITIONS)` pages, plus those that
//! [`KvCache::prepare`] has made ready for a pass that is still running.

mod cache;
mod host;
mod layout;

pub use cache::{KvCache, PageId, PageStore, SequenceId};
pub use host::HostPages;
pub use layout::{KvLayer, KvLayout, KvType, PAGE_POSITIONS};
