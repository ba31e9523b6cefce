//! Decoding token by token: every piece of text as soon as it is certain, and never half a character.

use std::sync::Arc;

use crate::{DecodeOptions, TextError, Tokenizer};

/// Bytes of a token that there is room for from the beginning; longer ones are rare and make it grow.
const USUAL_TOKEN: usize = 128;

/// Turns tokens into text as they come.
///
/// The pieces join to what [`Tokenizer::decode`] gives for all tokens at once. At most the bytes of one unfinished
/// character are held back; a byte that cannot belong to any character becomes U+FFFD at once.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    tokenizer: Arc<Tokenizer>,
    options: DecodeOptions,
    /// The start of a character whose other bytes have not come yet; at most three bytes between two calls.
    pending: Vec<u8>,
    after_special: bool,
}

impl StreamDecoder {
    pub(crate) fn new(tokenizer: Arc<Tokenizer>, options: DecodeOptions) -> Self {
        Self { tokenizer, options, pending: Vec::with_capacity(USUAL_TOKEN), after_special: true }
    }

    /// Says which tokens came before the first one, so that a raw continuation keeps the space between the prompt's
    /// last word and its own first. Without it, text starts here.
    #[must_use]
    pub fn after(mut self, prompt: &[u32]) -> Self {
        self.after_special = prompt.last().is_none_or(|&id| self.tokenizer.is_special(id));
        self
    }

    /// The text that `id` completes, which may be empty.
    pub fn push(&mut self, id: u32) -> Result<String, TextError> {
        let mut text = String::new();
        self.push_into(id, &mut text)?;
        Ok(text)
    }

    /// As [`StreamDecoder::push`], appended to `out`: nothing is allocated where `out` has room.
    pub fn push_into(&mut self, id: u32, out: &mut String) -> Result<(), TextError> {
        let before = self.pending.len();
        self.tokenizer.append_piece(id, self.after_special, &mut self.pending)?;
        self.after_special = self.tokenizer.is_special(id);
        if self.tokenizer.is_hidden(id) && !self.options.keep_special {
            self.pending.truncate(before);
        }
        self.take_certain(out);
        Ok(())
    }

    /// What is left when no more tokens come: U+FFFD for an unfinished character, else nothing.
    pub fn finish(&mut self) -> String {
        let mut rest = String::new();
        self.finish_into(&mut rest);
        rest
    }

    /// As [`StreamDecoder::finish`], appended to `out`.
    pub fn finish_into(&mut self, out: &mut String) {
        for chunk in self.pending.utf8_chunks() {
            out.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.clear();
    }

    /// Takes everything but an unfinished character off `pending`.
    fn take_certain(&mut self, text: &mut String) {
        let mut taken = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            taken += chunk.valid().len();
            let broken = chunk.invalid();
            let last = taken + broken.len() == self.pending.len();
            // Only at the very end may bytes that are no character yet become one.
            if last && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none()) {
                break;
            }
            if !broken.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                taken += broken.len();
            }
        }
        self.pending.drain(..taken);
    }
}
