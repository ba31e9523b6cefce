//! Decoding token by token: every piece of text as soon as it is certain, and never half a character.

use std::sync::Arc;

use crate::{DecodeOptions, TextError, Tokenizer};

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
        Self { tokenizer, options, pending: Vec::new(), after_special: true }
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
        let piece = self.tokenizer.piece(id, self.after_special)?;
        self.after_special = self.tokenizer.is_special(id);
        if self.options.keep_special || !self.tokenizer.is_hidden(id) {
            self.pending.extend_from_slice(&piece);
        }
        Ok(self.take_certain())
    }

    /// What is left when no more tokens come: U+FFFD for an unfinished character, else nothing.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        rest
    }

    /// Takes everything but an unfinished character off `pending`.
    fn take_certain(&mut self) -> String {
        let mut text = String::new();
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
        text
    }
}
