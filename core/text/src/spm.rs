//! SentencePiece's BPE (Llama 2, Gemma, Phi-3): characters join to ever longer tokens, best score first.
//!
//! There are no merge rules; any two neighbours whose texts together are a token may join, and the token's score
//! says how soon. Spaces are written `▁`, and a character that no token covers falls back to its bytes. A heap of
//! candidates makes it n log n in the length of the text, or of its longest word: most vocabularies have no token
//! that goes on after a word's end, and then words cannot influence each other and are encoded one by one.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::TextError;
use crate::bytes::hex_byte;
use crate::vocabulary::Vocabulary;

const NONE: u32 = u32::MAX;

/// The scores and byte tokens of a vocabulary.
#[derive(Debug)]
pub(crate) struct Spm {
    scores: Vec<f32>,
    byte_tokens: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Whether no token has a `▁` after another character, so that no two words ever join.
    words_part: bool,
}

/// Buffers that are kept from word to word.
#[derive(Debug, Default)]
struct Scratch {
    symbols: Vec<Symbol>,
    heap: BinaryHeap<Candidate>,
}

/// A stretch of the text that is one token so far, or one character.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: u32,
    /// 0 once it has joined its left neighbour.
    length: u32,
    previous: u32,
    next: u32,
}

/// Two neighbours whose texts together are a token.
#[derive(Debug, PartialEq)]
struct Candidate {
    score: f32,
    left: u32,
    length: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    /// The best score is greatest; of equal scores the leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Spm {
    /// `scores` is empty (all zero) or as long as the vocabulary.
    pub(crate) fn new(vocabulary: &Vocabulary, mut scores: Vec<f32>, unknown: Option<u32>) -> Result<Self, TextError> {
        if scores.is_empty() {
            scores = vec![0.0; vocabulary.len()];
        }
        for (id, score) in scores.iter_mut().enumerate() {
            if score.is_nan() {
                return Err(TextError::BadScore { id: id as u32 });
            }
            // -0 and 0 are equal to SentencePiece but not to `total_cmp`.
            *score += 0.0;
        }
        let byte = |byte: u8| {
            let plain = || vocabulary.find_text(&[byte]);
            vocabulary.find(&hex_byte(byte)).or_else(plain)
        };
        let byte_tokens = (0..=u8::MAX).map(byte).collect();
        let words_part = vocabulary
            .iter()
            .filter(|(_, kind)| kind.is_text())
            .all(|(id, _)| std::str::from_utf8(vocabulary.text(id)).map_or(true, |text| word_end(text).is_none()));
        Ok(Self { scores, byte_tokens, unknown, words_part })
    }

    /// Appends the tokens of a text whose spaces are already `▁`.
    pub(crate) fn encode(&self, vocabulary: &Vocabulary, text: &str, out: &mut Vec<u32>) -> Result<(), TextError> {
        let mut scratch = Scratch::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = if self.words_part { word_end(rest) } else { None };
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.encode_word(vocabulary, word, &mut scratch, out)?;
            rest = after;
        }
        Ok(())
    }

    fn encode_word(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        Scratch { symbols, heap }: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), TextError> {
        fill(symbols, text);
        for at in 0..symbols.len() as u32 {
            self.offer(vocabulary, text, symbols, heap, at);
        }
        while let Some(candidate) = heap.pop() {
            let left = symbols[candidate.left as usize];
            if left.length == 0 || left.next == NONE {
                continue;
            }
            let right = symbols[left.next as usize];
            if left.length + right.length != candidate.length {
                continue;
            }
            symbols[left.next as usize].length = 0;
            let joined = &mut symbols[candidate.left as usize];
            joined.length = candidate.length;
            joined.next = right.next;
            if right.next != NONE {
                symbols[right.next as usize].previous = candidate.left;
            }
            self.offer(vocabulary, text, symbols, heap, candidate.left);
            if left.previous != NONE {
                self.offer(vocabulary, text, symbols, heap, left.previous);
            }
        }
        for symbol in symbols.iter().filter(|symbol| symbol.length > 0) {
            let piece = &text.as_bytes()[symbol.start as usize..(symbol.start + symbol.length) as usize];
            match vocabulary.find_text(piece) {
                Some(id) => out.push(id),
                None => self.fall_back(piece, out)?,
            }
        }
        Ok(())
    }

    fn offer(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        symbols: &[Symbol],
        heap: &mut BinaryHeap<Candidate>,
        left: u32,
    ) {
        let symbol = symbols[left as usize];
        if symbol.next == NONE {
            return;
        }
        let length = symbol.length + symbols[symbol.next as usize].length;
        let together = &text.as_bytes()[symbol.start as usize..(symbol.start + length) as usize];
        if let Some(id) = vocabulary.find_text(together) {
            heap.push(Candidate { score: self.scores[id as usize], left, length });
        }
    }

    /// A character that is no token: its bytes, or the unknown token for all of it.
    fn fall_back(&self, character: &[u8], out: &mut Vec<u32>) -> Result<(), TextError> {
        let bytes = || character.iter().map(|&byte| self.byte_tokens[byte as usize]);
        if bytes().all(|token| token.is_some()) {
            out.extend(bytes().flatten());
            return Ok(());
        }
        out.push(self.unknown.ok_or(TextError::NotEncodable { byte: character[0] })?);
        Ok(())
    }
}

/// Where the first word ends: before a `▁` that follows another character.
fn word_end(text: &str) -> Option<usize> {
    let start = text.len() - text.trim_start_matches('▁').len();
    text[start..].find('▁').map(|end| start + end)
}

/// One symbol a character.
fn fill(symbols: &mut Vec<Symbol>, text: &str) {
    symbols.clear();
    symbols.extend(text.char_indices().zip(0u32..).map(|((start, c), at)| Symbol {
        start: start as u32,
        length: c.len_utf8() as u32,
        previous: at.checked_sub(1).unwrap_or(NONE),
        next: at + 1,
    }));
    if let Some(last) = symbols.last_mut() {
        last.next = NONE;
    }
}
