//! From token ids to what a reader sees: characters, thoughts apart from the answer, nothing behind a stop string.
//!
//! What is delivered is owned by its reader, so each delivered text is one allocation; everything on the way to it
//! lives in buffers that are kept from token to token.

use std::sync::Arc;

use inkling_text::{DecodeOptions, StreamDecoder, TextError, Tokenizer};

use crate::{Channels, GenerateError, StopMatcher, ThinkingMarkers, ThinkingSplitter};

/// Bytes of text that there is room for from the beginning; a longer piece makes it grow.
pub(crate) const USUAL_TEXT: usize = 128;

/// The text of one answer as its tokens come.
#[derive(Debug)]
pub struct AnswerText {
    tokenizer: Arc<Tokenizer>,
    decoder: StreamDecoder,
    markers: Option<ThinkingMarkers>,
    splitter: ThinkingSplitter,
    stop: StopMatcher,
    /// The text of the newest token.
    text: String,
    /// Its answer, before stop strings are looked for.
    channels: Channels,
}

/// Text that may be delivered, and the index of the stop string behind it, if the answer came to one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Thoughts.
    pub thinking: String,
    /// The answer.
    pub answer: String,
    /// The stop string that is complete.
    pub stop: Option<usize>,
}

impl AnswerText {
    /// The answer to `prompt`. `opened` says that the prompt ends inside a thinking span.
    pub fn new(
        tokenizer: &Arc<Tokenizer>,
        prompt: &[u32],
        markers: Option<ThinkingMarkers>,
        opened: bool,
        stops: &[String],
    ) -> Result<Self, GenerateError> {
        Ok(Self {
            tokenizer: Arc::clone(tokenizer),
            decoder: tokenizer.stream(DecodeOptions::default()).after(prompt),
            splitter: ThinkingSplitter::new(markers.as_ref(), opened),
            stop: StopMatcher::new(stops)?,
            markers,
            text: String::with_capacity(USUAL_TEXT),
            channels: Channels { answer: String::with_capacity(USUAL_TEXT), thinking: String::new() },
        })
    }

    /// Whether the token ends the answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.tokenizer.is_end(token)
    }

    /// The next token's text. Nothing may follow a piece that has a stop string.
    pub fn push(&mut self, token: u32) -> Result<Piece, TextError> {
        self.text.clear();
        self.decoder.push_into(token, &mut self.text)?;
        // Control tokens have no text, but some models mark their thoughts with them.
        if self.text.is_empty() && self.is_marker_part(token) {
            self.text.push_str(self.tokenizer.token_text(token).unwrap_or_default());
        }
        self.splitter.push(&self.text, &mut self.channels);
        Ok(self.deliver())
    }

    /// The end: everything that was held back.
    pub fn finish(&mut self) -> Piece {
        self.text.clear();
        self.decoder.finish_into(&mut self.text);
        self.splitter.push(&self.text, &mut self.channels);
        self.splitter.finish(&mut self.channels);
        let mut piece = self.deliver();
        if piece.stop.is_none() {
            self.stop.finish(&mut piece.answer);
        }
        piece
    }

    fn deliver(&mut self) -> Piece {
        let mut answer = String::with_capacity(self.stop.held().len() + self.channels.answer.len());
        let stop = self.stop.push(&self.channels.answer, &mut answer);
        self.channels.answer.clear();
        Piece { thinking: std::mem::take(&mut self.channels.thinking), answer, stop }
    }

    fn is_marker_part(&self, token: u32) -> bool {
        let Some(markers) = &self.markers else { return false };
        let is_part = |text: &str| !text.is_empty() && (markers.open.contains(text) || markers.close.contains(text));
        let control = matches!(self.tokenizer.token_type(token), Some(inkling_text::TokenType::Control));
        control && self.tokenizer.token_text(token).is_some_and(is_part)
    }
}
