//! Chat templates: Jinja2 as transformers runs it, byte for byte.
//!
//! A model's GGUF carries a Jinja template that turns messages into the text the model was trained on. It is code
//! from outside, so it runs in an interpreter of our own, in which every step takes fuel, every value is charged to a
//! meter and every operation asks before it allocates: whatever a template does, it ends within some hundred
//! milliseconds and a few dozen megabytes, with an error that says which limit it met.
//!
//! The settings are those of `transformers.utils.chat_template_utils`: an immutable sandbox, `trim_blocks`,
//! `lstrip_blocks`, loop controls, `{% generation %}`, `tojson` without ASCII escapes, `raise_exception`,
//! `strftime_now`, no autoescape.
//!
//! | module | what |
//! |---|---|
//! | `lexer`, `parser`, `parser_expr`, `ast` | source to tree |
//! | `interp`, `eval`, `ops`, `scope` | statements, expressions, operators, variables |
//! | `value`, `meter`, `print`, `json`, `text` | Python's values, their limits, `str`, `repr` and JSON |
//! | `filters`, `checks`, `functions`, `methods`, `methods_str`, `format`, `strftime` | what templates call |
//! | `input` | messages, tools, switches |

mod args;
mod ast;
mod checks;
mod error;
mod eval;
mod filters;
mod format;
mod functions;
mod input;
mod interp;
mod json;
mod lexer;
mod meter;
mod methods;
mod methods_str;
mod ops;
mod parser;
mod parser_expr;
mod print;
mod scope;
mod strftime;
mod text;
mod value;

use std::borrow::Cow;

use inkling_base::{Clock, ManualClock};
use serde_json::Value as Json;

pub use error::TemplateError;
pub use input::{Message, TemplateInput};

use crate::shield::{ControlTokens, Shield};
use interp::Interp;
use meter::Meter;

/// Bytes of source that are accepted; the largest templates in use have 30 thousand.
pub const MAX_SOURCE: usize = 256 << 10;

/// A parsed chat template. Parsing happens once, rendering as often as needed, from any thread.
#[derive(Debug)]
pub struct ChatTemplate {
    ast: ast::Ast,
    source: Box<str>,
}

/// A rendering in which text from outside cannot become a control token; see [`crate::shield`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text, with marks.
    pub text: String,
    /// The mark, where the text has any. The tokenizer drops it.
    pub shield: Option<char>,
}

impl Rendered {
    /// The text without marks: what [`ChatTemplate::render`] gives.
    pub fn plain(&self) -> Cow<'_, str> {
        match self.shield {
            Some(mark) => Cow::Owned(self.text.replace(mark, "")),
            None => Cow::Borrowed(&self.text),
        }
    }
}

impl ChatTemplate {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<ChatTemplate, TemplateError> {
        if source.len() > MAX_SOURCE {
            return Err(TemplateError::Limit { what: "bytes of source", limit: MAX_SOURCE as u64 });
        }
        let source = source.replace("\r\n", "\n").replace('\r', "\n").into_boxed_str();
        let ast = parser::parse(&source)?;
        Ok(ChatTemplate { ast, source })
    }

    /// The bytes that transformers gives for this input.
    pub fn render(&self, input: &TemplateInput, clock: &dyn Clock) -> Result<String, TemplateError> {
        self.run(input, clock, None)
    }

    /// Renders with every string of the input shielded against `control_tokens`, except variables that name a control
    /// token themselves (`bos_token`).
    pub fn render_shielded(
        &self,
        input: &TemplateInput,
        clock: &dyn Clock,
        control_tokens: &ControlTokens,
    ) -> Result<Rendered, TemplateError> {
        if control_tokens.is_empty() {
            return Ok(Rendered { text: self.render(input, clock)?, shield: None });
        }
        let strings = input.strings();
        let Some(mark) = control_tokens.pick_mark(strings.iter().copied().chain([&*self.source])) else {
            let why = "it uses every noncharacter and private character of Unicode".to_owned();
            return Err(TemplateError::Input { field: "messages", why });
        };
        let shield = Shield::new(control_tokens, mark);
        let text = self.run(input, clock, Some(&shield))?;
        let shield = text.contains(mark).then_some(mark);
        Ok(Rendered { text, shield })
    }

    fn run(
        &self,
        input: &TemplateInput,
        clock: &dyn Clock,
        shield: Option<&Shield<'_>>,
    ) -> Result<String, TemplateError> {
        let meter = Meter::for_input(input.bytes(), input.messages.len());
        let interp = Interp::new(&self.ast, &meter, clock, shield);
        for (symbol, name) in self.ast.names.iter().enumerate() {
            let Some(json) = input.variable(name) else { continue };
            let text = |text: &str| match shield {
                Some(shield) => shield.apply(text),
                None => text.to_owned(),
            };
            let is_token = |text: &str| shield.is_some_and(|shield| shield.is_token(text));
            let value = match &json {
                Json::String(token) if is_token(token) => json::from_json(&meter, &json, &str::to_owned)?,
                _ => json::from_json(&meter, &json, &text)?,
            };
            interp.define(symbol as ast::Symbol, value);
        }
        interp.run()
    }

    fn reads(&self, name: &str) -> bool {
        self.ast.names.iter().any(|known| &**known == name)
    }

    /// Whether thinking can be switched on or off with `enable_thinking`.
    pub fn supports_thinking(&self) -> bool {
        self.reads("enable_thinking")
    }

    /// Whether the template shows tools to the model.
    pub fn supports_tools(&self) -> bool {
        self.reads("tools")
    }

    /// Whether a system message reaches the model; found out by rendering one.
    pub fn supports_system(&self) -> bool {
        const PROBE: &str = "inkling-probe-7f3a";
        let input = TemplateInput {
            bos_token: Some("<s>".into()),
            eos_token: Some("</s>".into()),
            ..TemplateInput::new([Message::system(PROBE), Message::user("hello")])
        };
        self.render(&input, &ManualClock::default()).is_ok_and(|text| text.contains(PROBE))
    }
}
