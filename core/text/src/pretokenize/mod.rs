//! Pre-tokenizers: the rules that cut text into words before byte-level BPE merges within each word.
//!
//! [`rules`] names them, [`pattern`] and [`steps`] carry them out, [`chars`] and [`ranges`] are the characters they
//! speak of. The words of a text always join to the text again.

mod chars;
mod pattern;
mod ranges;
mod rules;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use chars::Categories;
pub(crate) use rules::{Rule, rule_for};
pub(crate) use steps::split;
