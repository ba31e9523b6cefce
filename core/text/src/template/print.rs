//! `str(value)` and `repr(value)`.
//!
//! Everything goes through a [`Buffer`], so that a small value which prints large ends at the meter.

use std::sync::Arc;

use super::error::TemplateError;
use super::meter::{Buffer, Meter};
use super::text::{float_repr, is_printable};
use super::value::{List, Value};

/// Writes values; knows the shield, which is part of no value and therefore never escaped.
#[derive(Debug, Clone)]
pub(super) struct Printer {
    pub(super) meter: Arc<Meter>,
    pub(super) shield: Option<char>,
}

impl Printer {
    pub(super) fn buffer(&self) -> Buffer {
        Buffer::new(&self.meter)
    }

    /// `str(value)`.
    pub(super) fn to_str(&self, value: &Value) -> Result<String, TemplateError> {
        let mut out = self.buffer();
        self.write_str(&mut out, value)?;
        Ok(out.into_string())
    }

    /// Writes `str(value)`.
    pub(super) fn write_str(&self, out: &mut Buffer, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::Str(text) => out.push_str(text.as_str()),
            Value::Undefined(_) => Ok(()),
            other => self.write_repr(out, other),
        }
    }

    /// Writes `repr(value)`.
    pub(super) fn write_repr(&self, out: &mut Buffer, value: &Value) -> Result<(), TemplateError> {
        self.meter.burn(1)?;
        match value {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&float_repr(*value)),
            Value::Str(text) if text.markup => {
                out.push_str("Markup(")?;
                self.write_quoted(out, text.as_str())?;
                out.push(')')
            }
            Value::Str(text) => self.write_quoted(out, text.as_str()),
            Value::List(list) => self.write_items(out, "[", list, "]"),
            Value::Tuple(list) if list.items.len() == 1 => self.write_items(out, "(", list, ",)"),
            Value::Tuple(list) => self.write_items(out, "(", list, ")"),
            Value::View(view) => {
                out.push_str(view.kind)?;
                self.write_items(out, "([", &view.list, "])")
            }
            Value::Dict(dict) => {
                out.push('{')?;
                for (at, (key, value)) in dict.entries.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ")?;
                    }
                    self.write_repr(out, key)?;
                    out.push_str(": ")?;
                    self.write_repr(out, value)?;
                }
                out.push('}')
            }
            Value::Range(range) if range.step == 1 => out.push_str(&format!("range({}, {})", range.start, range.stop)),
            Value::Range(range) => out.push_str(&format!("range({}, {}, {})", range.start, range.stop, range.step)),
            // Python prints an address here, so no template can mean it.
            other => Err(TemplateError::runtime(format!("a {} cannot be printed", other.type_name()))),
        }
    }

    fn write_items(&self, out: &mut Buffer, open: &str, list: &List, close: &str) -> Result<(), TemplateError> {
        out.push_str(open)?;
        for (at, item) in list.items.iter().enumerate() {
            if at > 0 {
                out.push_str(", ")?;
            }
            self.write_repr(out, item)?;
        }
        out.push_str(close)
    }

    /// A string literal: single quotes, unless that would need more escapes.
    fn write_quoted(&self, out: &mut Buffer, text: &str) -> Result<(), TemplateError> {
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        out.push(quote)?;
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let escape = match c {
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                c if c == quote => format!("\\{c}"),
                ' '..='~' => continue,
                c if Some(c) == self.shield || is_printable(c) => continue,
                c if (c as u32) < 0x100 => format!("\\x{:02x}", c as u32),
                c if (c as u32) < 0x1_0000 => format!("\\u{:04x}", c as u32),
                c => format!("\\U{:08x}", c as u32),
            };
            out.push_str(&text[plain..at])?;
            out.push_str(&escape)?;
            plain = at + c.len_utf8();
        }
        out.push_str(&text[plain..])?;
        out.push(quote)
    }
}
