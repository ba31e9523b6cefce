//! Thinking spans apart from the answer, across token borders.
//!
//! A model may think aloud before it answers, between two markers. A span is recognised only before the answer's
//! first visible character, so that an answer which mentions a marker stays whole; white space before the opening
//! marker is dropped with it, as are line breaks at the beginning of the thoughts and of the answer behind them. As
//! little is held back as possible: only what may still become a marker.

use crate::answer::USUAL_TEXT;
use crate::stop::StopMatcher;

/// The markers around a model's thoughts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinkingMarkers {
    /// Before them.
    pub open: String,
    /// After them.
    pub close: String,
}

/// The pairs that models use.
const KNOWN: [(&str, &str); 4] = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought\n", "<channel|>"),
];

impl ThinkingMarkers {
    /// Markers with these texts.
    pub fn new(open: impl Into<String>, close: impl Into<String>) -> Self {
        Self { open: open.into(), close: close.into() }
    }

    /// The pair that a chat template names, if any: a template that never mentions both marks belongs to a model
    /// that was not taught to think.
    pub fn in_template(source: &str) -> Option<Self> {
        let named = |marker: &str| source.contains(marker.trim_end());
        KNOWN.iter().find(|(open, close)| named(open) && named(close)).map(|(open, close)| Self::new(*open, *close))
    }

    /// Whether a rendered prompt ends inside a thinking span that the template opened.
    pub fn opened_by(&self, prompt: &str) -> bool {
        prompt.trim_end().ends_with(self.open.trim_end())
    }
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Thoughts.
    Thinking,
    /// The answer.
    Answer,
}

/// Text of both channels that may be delivered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Channels {
    /// Thoughts.
    pub thinking: String,
    /// The answer.
    pub answer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing visible yet: a span may open.
    Start,
    /// Inside the span, before its first visible character or not.
    Thinking { fresh: bool },
    /// Behind the span, before the answer's first character or not.
    Answer { fresh: bool },
}

/// Separates one answer.
#[derive(Debug)]
pub struct ThinkingSplitter {
    state: State,
    open: String,
    close: StopMatcher,
    /// In [`State::Start`]: what may still become the opening marker.
    held: String,
}

impl ThinkingSplitter {
    /// A splitter; without markers, or with an empty one, all text is the answer. `opened` says that the prompt ended
    /// inside a span.
    pub fn new(markers: Option<&ThinkingMarkers>, opened: bool) -> Self {
        let markers = markers.filter(|markers| !markers.open.is_empty() && !markers.close.is_empty());
        let state = match (markers, opened) {
            (None, _) => State::Answer { fresh: false },
            (Some(_), false) => State::Start,
            (Some(_), true) => State::Thinking { fresh: true },
        };
        let open = markers.map_or_else(String::new, |markers| markers.open.clone());
        let close = markers.and_then(|markers| StopMatcher::new(std::slice::from_ref(&markers.close)).ok());
        Self { state, open, close: close.unwrap_or_default(), held: String::with_capacity(USUAL_TEXT) }
    }

    /// Where the text is now.
    pub fn channel(&self) -> Channel {
        if matches!(self.state, State::Thinking { .. }) { Channel::Thinking } else { Channel::Answer }
    }

    /// Takes more text and appends what may be delivered to `out`.
    pub fn push(&mut self, text: &str, out: &mut Channels) {
        match self.state {
            State::Start => self.start(text, out),
            State::Thinking { fresh } => self.think(text, fresh, out),
            State::Answer { fresh } => self.answer(text, fresh, out),
        }
    }

    /// The end of the text: what was held back is delivered.
    pub fn finish(&mut self, out: &mut Channels) {
        match self.state {
            State::Start => out.answer.push_str(&self.held),
            State::Thinking { .. } => self.close.finish(&mut out.thinking),
            State::Answer { .. } => {}
        }
        self.held.clear();
    }

    fn start(&mut self, text: &str, out: &mut Channels) {
        self.held.push_str(text);
        let visible = self.held.trim_start();
        if let Some(rest) = visible.strip_prefix(self.open.as_str()) {
            let rest = rest.to_owned();
            self.held.clear();
            self.state = State::Thinking { fresh: true };
            self.think(&rest, true, out);
        } else if !self.open.starts_with(visible) {
            out.answer.push_str(&self.held);
            self.held.clear();
            self.state = State::Answer { fresh: false };
        }
    }

    fn think(&mut self, text: &str, fresh: bool, out: &mut Channels) {
        let text = if fresh { text.trim_start_matches('\n') } else { text };
        if text.is_empty() {
            return;
        }
        self.state = State::Thinking { fresh: false };
        // The matcher drops what follows the marker, so it gets the text up to each place where the marker can end.
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let (piece, after) = rest.split_at(character.len_utf8());
            rest = after;
            if self.close.push(piece, &mut out.thinking).is_some() {
                self.state = State::Answer { fresh: true };
                self.answer(rest, true, out);
                return;
            }
        }
    }

    fn answer(&mut self, text: &str, fresh: bool, out: &mut Channels) {
        let text = if fresh { text.trim_start_matches('\n') } else { text };
        if !text.is_empty() {
            self.state = State::Answer { fresh: false };
            out.answer.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(opened: bool, pieces: &[&str]) -> (String, String) {
        let mut splitter = ThinkingSplitter::new(Some(&ThinkingMarkers::new("<think>", "</think>")), opened);
        let mut out = Channels::default();
        pieces.iter().for_each(|piece| splitter.push(piece, &mut out));
        splitter.finish(&mut out);
        (out.thinking, out.answer)
    }

    fn expect(opened: bool, text: &str, thinking: &str, answer: &str) {
        let want = (thinking.to_owned(), answer.to_owned());
        assert_eq!(run(opened, &[text]), want, "{text:?} whole");
        let characters: Vec<String> = text.chars().map(String::from).collect();
        let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(run(opened, &characters), want, "{text:?} by characters");
    }

    #[test]
    fn separates() {
        expect(false, "<think>\nhm\n</think>\n\nYes.", "hm\n", "Yes.");
        expect(false, "\n <think>hm</think>Yes.", "hm", "Yes.");
        expect(false, "<think>\n\n</think>\n\nYes.", "", "Yes.");
        expect(true, "\nhm < 3</think>\nYes.", "hm < 3", "Yes.");
        expect(true, "never ends </thin", "never ends </thin", "");
        expect(false, "Yes.", "", "Yes.");
        expect(false, " <thinker", "", " <thinker");
        expect(false, "<thi", "", "<thi");
        expect(false, "say <think>x</think>", "", "say <think>x</think>");
        expect(false, "<think>a</think>b<think>c</think>", "a", "b<think>c</think>");
    }

    #[test]
    fn delivers_at_once_what_cannot_be_a_marker() {
        let mut splitter = ThinkingSplitter::new(Some(&ThinkingMarkers::new("<think>", "</think>")), false);
        let mut out = Channels::default();
        splitter.push("<", &mut out);
        assert_eq!(out, Channels::default());
        splitter.push("b", &mut out);
        assert_eq!(out.answer, "<b");
        splitter.push(" <", &mut out);
        assert_eq!(out.answer, "<b <");
    }

    #[test]
    fn finds_the_markers_of_a_template() {
        let qwen = "{% if '<think>' in content %}{{ content.split('</think>')[-1] }}{% endif %}";
        assert_eq!(ThinkingMarkers::in_template(qwen), Some(ThinkingMarkers::new("<think>", "</think>")));
        assert_eq!(ThinkingMarkers::in_template("{{ messages }}"), None);
        let markers = ThinkingMarkers::new("<think>", "</think>");
        assert!(markers.opened_by("<|im_start|>assistant\n<think>\n"));
        assert!(!markers.opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    }

    proptest! {
        #[test]
        fn borders_do_not_matter(
            opened in any::<bool>(),
            pieces in proptest::collection::vec("(<think>|</think>|<|/|think|>|\n| |ä|a){0,3}", 0..12),
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(run(opened, &pieces), run(opened, &[&pieces.concat()]));
        }
    }
}
