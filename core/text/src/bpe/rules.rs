//! The merge rules, as a map from a pair of pieces to the rule's rank and the piece it makes.

use std::collections::HashMap as StdMap;

use hashbrown::HashMap;

use crate::TextError;
use crate::vocabulary::Vocabulary;

#[derive(Debug)]
pub(super) struct Rules {
    by_pair: HashMap<(u32, u32), Merge>,
    /// Pieces that are no tokens, numbered from the vocabulary's size.
    extra: StdMap<Box<[u8]>, u32>,
    tokens: u32,
}

/// What a pair becomes; a lower rank goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) rank: u32,
    pub(super) piece: u32,
}

impl Rules {
    /// Reads the rules. Of two with the same pair the first counts.
    pub(super) fn new(vocabulary: &Vocabulary, merges: &[&[u8]]) -> Result<Self, TextError> {
        let mut this = Self {
            by_pair: HashMap::with_capacity(merges.len()),
            extra: StdMap::new(),
            tokens: vocabulary.len() as u32,
        };
        let mut whole = Vec::new();
        for (index, rule) in merges.iter().enumerate() {
            let (left, right) = halves(rule).ok_or_else(|| TextError::BadMerge {
                index,
                rule: String::from_utf8_lossy(&rule[..rule.len().min(200)]).into_owned(),
            })?;
            whole.clear();
            whole.extend_from_slice(left);
            whole.extend_from_slice(right);
            let pair = (this.piece(vocabulary, left), this.piece(vocabulary, right));
            let merge = Merge { rank: index as u32, piece: this.piece(vocabulary, &whole) };
            this.by_pair.entry(pair).or_insert(merge);
        }
        Ok(this)
    }

    pub(super) fn get(&self, left: u32, right: u32) -> Option<Merge> {
        self.by_pair.get(&(left, right)).copied()
    }

    /// The number of a piece, a new one if need be.
    pub(super) fn piece(&mut self, vocabulary: &Vocabulary, text: &[u8]) -> u32 {
        self.find_piece(vocabulary, text).unwrap_or_else(|| {
            // At most three pieces per rule and one per byte, and both counts fit far below 2^32 on a file of 4 GiB.
            let number = self.tokens.saturating_add(self.extra.len() as u32).min(super::NO_PIECE - 1);
            self.extra.insert(text.into(), number);
            number
        })
    }

    pub(super) fn find_piece(&self, vocabulary: &Vocabulary, text: &[u8]) -> Option<u32> {
        vocabulary.find_text(text).or_else(|| self.extra.get(text).copied())
    }
}

/// The two halves of a rule: the space that parts them is the first one that is not at the very start, because a
/// half may begin with a space.
fn halves(rule: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = rule.iter().skip(1).position(|&byte| byte == b' ')? + 1;
    let (left, right) = (&rule[..space], &rule[space + 1..]);
    (!right.is_empty()).then_some((left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_two_halves() {
        assert_eq!(halves(b"a b"), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(halves(b"  b"), Some((&b" "[..], &b"b"[..])));
        assert_eq!(halves(b"a  "), Some((&b"a"[..], &b" "[..])));
        for bad in ["", " ", "a", "a ", " b"] {
            assert_eq!(halves(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
