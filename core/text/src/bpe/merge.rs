//! Merging within one word.
//!
//! Most words have a few bytes: the best pair is found by looking at all of them. A long word (a line of one letter,
//! a language without spaces) goes through a heap of candidates instead, in n log n steps. Both take the lowest rank
//! and, of equal ranks, the leftmost pair, and so give the same pieces.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::rules::Rules;

/// Up to this many pieces, looking at all pairs is faster than keeping a heap.
const SHORT: usize = 24;

/// "No neighbour", "no rule" and the like.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Piece {
    number: u32,
    /// Length in bytes; 0 once it has joined its left neighbour.
    length: u32,
    previous: u32,
    next: u32,
    /// Rank of the rule that joins it with the next piece; used for short words.
    rank: u32,
    /// The piece that this rule makes.
    joined: u32,
}

/// A pair that could be joined: rank, place, and the numbers that it was found with.
type Candidate = Reverse<(u32, u32, u32, u32)>;

/// Buffers that are kept from word to word.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pieces: Vec<Piece>,
    heap: BinaryHeap<Candidate>,
    /// A word spelled in the printable characters of byte-level BPE.
    pub(super) spelled: String,
}

impl Scratch {
    pub(super) fn start(&mut self) {
        self.pieces.clear();
    }

    pub(super) fn push(&mut self, number: u32, length: u32) {
        let at = self.pieces.len() as u32;
        let previous = at.checked_sub(1).unwrap_or(NONE);
        self.pieces.push(Piece { number, length, previous, next: at + 1, rank: NONE, joined: NONE });
    }

    /// The pieces that are left, with where they start and end in the word.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (u32, usize, usize)> + '_ {
        let mut end = 0;
        self.pieces.iter().filter(|piece| piece.length > 0).map(move |piece| {
            let start = end;
            end += piece.length as usize;
            (piece.number, start, end)
        })
    }

    pub(super) fn merge(&mut self, rules: &Rules) {
        if let Some(last) = self.pieces.last_mut() {
            last.next = NONE;
        }
        if self.pieces.len() <= SHORT { self.merge_short(rules) } else { self.merge_long(rules) }
    }

    fn merge_short(&mut self, rules: &Rules) {
        let pieces = &mut self.pieces;
        let rate = |pieces: &mut [Piece], at: usize| {
            let found = match pieces[at].next {
                NONE => None,
                next => rules.get(pieces[at].number, pieces[next as usize].number),
            };
            let piece = &mut pieces[at];
            (piece.rank, piece.joined) = found.map_or((NONE, NONE), |merge| (merge.rank, merge.piece));
        };
        for at in 0..pieces.len() {
            rate(pieces, at);
        }
        // `min_by_key` gives the first of equals, which is the leftmost.
        while let Some(best) = (0..pieces.len()).min_by_key(|&at| pieces[at].rank) {
            let Piece { rank, joined, previous, .. } = pieces[best];
            if rank == NONE {
                break;
            }
            join(pieces, best, joined);
            rate(pieces, best);
            if previous != NONE {
                rate(pieces, previous as usize);
            }
        }
    }

    fn merge_long(&mut self, rules: &Rules) {
        let Self { pieces, heap, .. } = self;
        heap.clear();
        let offer = |pieces: &[Piece], heap: &mut BinaryHeap<Candidate>, at: u32| {
            let piece = pieces[at as usize];
            if piece.next != NONE {
                let right = pieces[piece.next as usize].number;
                if let Some(merge) = rules.get(piece.number, right) {
                    heap.push(Reverse((merge.rank, at, piece.number, right)));
                }
            }
        };
        for at in 0..pieces.len() as u32 {
            offer(pieces, heap, at);
        }
        while let Some(Reverse((_, at, left, right))) = heap.pop() {
            let piece = pieces[at as usize];
            let current = piece.length > 0
                && piece.number == left
                && piece.next != NONE
                && pieces[piece.next as usize].number == right;
            let Some(merge) = rules.get(left, right).filter(|_| current) else { continue };
            join(pieces, at as usize, merge.piece);
            offer(pieces, heap, at);
            if piece.previous != NONE {
                offer(pieces, heap, piece.previous);
            }
        }
    }
}

/// Joins a piece with the one after it.
fn join(pieces: &mut [Piece], at: usize, number: u32) {
    let next = pieces[at].next as usize;
    let right = pieces[next];
    pieces[next].length = 0;
    pieces[next].rank = NONE;
    pieces[at].number = number;
    pieces[at].length += right.length;
    pieces[at].next = right.next;
    if right.next != NONE {
        pieces[right.next as usize].previous = at as u32;
    }
}
