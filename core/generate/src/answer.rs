//! From token ids to what a reader sees: characters, thoughts apart from the answer, nothing behind a stop string.

use std::sync::Arc;

use inkling_text::{DecodeOptions, StreamDecoder, TextError, Tokenizer};

use crate::{Channels, GenerateError, StopMatcher, ThinkingMarkers, ThinkingSplitter};

/// The text of one answer as its tokens come.
#[derive(Debug)]
pub struct AnswerText {
    tokenizer: Arc<Tokenizer>,
    decoder: StreamDecoder,
    markers: Option<ThinkingMarkers>,
    splitter: ThinkingSplitter,
    stop: StopMatcher,
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
        })
    }

    /// Whether the token ends the answer.
    pub fn is_end(&self, token: u32) -> bool {
        self.tokenizer.is_end(token)
    }

    /// The next token's text. Nothing may follow a piece that has a stop string.
    pub fn push(&mut self, token: u32) -> Result<Piece, TextError> {
        let mut text = self.decoder.push(token)?;
        // Control tokens have no text, but some models mark their thoughts with them.
        if text.is_empty() && self.is_marker_part(token) {
            text = self.tokenizer.token_text(token).unwrap_or_default().to_owned();
        }
        let mut channels = Channels::default();
        self.splitter.push(&text, &mut channels);
        Ok(self.deliver(channels))
    }

    /// The end: everything that was held back.
    pub fn finish(&mut self) -> Piece {
        let rest = self.decoder.finish();
        let mut channels = Channels::default();
        self.splitter.push(&rest, &mut channels);
        self.splitter.finish(&mut channels);
        let mut piece = self.deliver(channels);
        if piece.stop.is_none() {
            self.stop.finish(&mut piece.answer);
        }
        piece
    }

    fn deliver(&mut self, channels: Channels) -> Piece {
        let mut answer = String::new();
        let stop = self.stop.push(&channels.answer, &mut answer);
        Piece { thinking: channels.thinking, answer, stop }
    }

    fn is_marker_part(&self, token: u32) -> bool {
        let Some(markers) = &self.markers else { return false };
        let is_part = |text: &str| !text.is_empty() && (markers.open.contains(text) || markers.close.contains(text));
        let control = matches!(self.tokenizer.token_type(token), Some(inkling_text::TokenType::Control));
        control && self.tokenizer.token_text(token).is_some_and(is_part)
    }
}
