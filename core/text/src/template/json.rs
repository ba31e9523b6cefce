//! `tojson` as transformers defines it, `json.dumps` with `ensure_ascii=False`, and the way from JSON to values.

use std::sync::Arc;

use super::error::TemplateError;
use super::meter::{Buffer, Meter};
use super::print::Printer;
use super::text::float_repr;
use super::value::{Dict, List, MAX_DEPTH, Value};

/// The arguments of `json.dumps` that a template may give.
pub(super) struct Dumps {
    pub(super) ensure_ascii: bool,
    /// The text of one level of indentation; `None` writes everything on one line.
    pub(super) indent: Option<String>,
    pub(super) item_separator: String,
    pub(super) key_separator: String,
    pub(super) sort_keys: bool,
}

impl Dumps {
    /// Writes `value` as JSON.
    pub(super) fn write(&self, p: &Printer, out: &mut Buffer, value: &Value) -> Result<(), TemplateError> {
        self.value(p, out, value, 0)
    }

    fn value(&self, p: &Printer, out: &mut Buffer, value: &Value, level: usize) -> Result<(), TemplateError> {
        p.meter.burn(1)?;
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Int(value) => out.push_str(&value.to_string()),
            Value::Float(value) => out.push_str(&json_float(*value)),
            Value::Str(text) => self.string(p, out, text.as_str()),
            Value::List(list) | Value::Tuple(list) => self.list(p, out, list, level),
            Value::Dict(dict) => self.dict(p, out, dict, level),
            other => {
                Err(TemplateError::runtime(format!("Object of type {} is not JSON serializable", other.type_name())))
            }
        }
    }

    fn list(&self, p: &Printer, out: &mut Buffer, list: &List, level: usize) -> Result<(), TemplateError> {
        if list.items.is_empty() {
            return out.push_str("[]");
        }
        out.push('[')?;
        for (at, item) in list.items.iter().enumerate() {
            self.before_item(out, at, level + 1)?;
            self.value(p, out, item, level + 1)?;
        }
        self.newline(out, level)?;
        out.push(']')
    }

    fn dict(&self, p: &Printer, out: &mut Buffer, dict: &Dict, level: usize) -> Result<(), TemplateError> {
        if dict.entries.is_empty() {
            return out.push_str("{}");
        }
        let mut entries: Vec<(String, &Value)> = Vec::with_capacity(dict.entries.len());
        for (key, value) in &dict.entries {
            let key = match key {
                Value::Str(text) => text.as_str().to_owned(),
                Value::Bool(true) => "true".into(),
                Value::Bool(false) => "false".into(),
                Value::None => "null".into(),
                Value::Int(value) => value.to_string(),
                Value::Float(value) => json_float(*value),
                other => {
                    let what = format!("keys must be str, int, float, bool or None, not {}", other.type_name());
                    return Err(TemplateError::runtime(what));
                }
            };
            p.meter.check(key.len() as u64)?;
            entries.push((key, value));
        }
        if self.sort_keys {
            p.meter.burn(entries.len() as u64 * 16)?;
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        out.push('{')?;
        for (at, (key, value)) in entries.into_iter().enumerate() {
            self.before_item(out, at, level + 1)?;
            self.string(p, out, &key)?;
            out.push_str(&self.key_separator)?;
            self.value(p, out, value, level + 1)?;
        }
        self.newline(out, level)?;
        out.push('}')
    }

    fn before_item(&self, out: &mut Buffer, at: usize, level: usize) -> Result<(), TemplateError> {
        if at > 0 {
            out.push_str(&self.item_separator)?;
        }
        self.newline(out, level)
    }

    fn newline(&self, out: &mut Buffer, level: usize) -> Result<(), TemplateError> {
        if let Some(indent) = &self.indent {
            out.push('\n')?;
            for _ in 0..level {
                out.push_str(indent)?;
            }
        }
        Ok(())
    }

    fn string(&self, p: &Printer, out: &mut Buffer, text: &str) -> Result<(), TemplateError> {
        out.push('"')?;
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let escape = match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '\x08' => "\\b".to_owned(),
                '\x0c' => "\\f".to_owned(),
                '\0'..='\x1f' => format!("\\u{:04x}", c as u32),
                ' '..='~' => continue,
                _ if !self.ensure_ascii || Some(c) == p.shield => continue,
                _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            };
            out.push_str(&text[plain..at])?;
            out.push_str(&escape)?;
            plain = at + c.len_utf8();
        }
        out.push_str(&text[plain..])?;
        out.push('"')
    }
}

fn json_float(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".into(),
        v if v == f64::INFINITY => "Infinity".into(),
        v if v == f64::NEG_INFINITY => "-Infinity".into(),
        v => float_repr(v),
    }
}

/// The value of a JSON document; strings go through `text` first.
pub(super) fn from_json(
    meter: &Arc<Meter>,
    json: &serde_json::Value,
    text: &dyn Fn(&str) -> String,
) -> Result<Value, TemplateError> {
    convert(meter, json, text, MAX_DEPTH)
}

fn convert(
    meter: &Arc<Meter>,
    json: &serde_json::Value,
    text: &dyn Fn(&str) -> String,
    levels: u16,
) -> Result<Value, TemplateError> {
    use serde_json::Value as Json;
    if levels == 0 {
        return Err(TemplateError::Limit { what: "nesting of values", limit: MAX_DEPTH.into() });
    }
    Ok(match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value.into()),
            (None, Some(value)) => Value::Int(value.into()),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(value) => Value::string(meter, text(value))?,
        Json::Array(items) => {
            let items = items.iter().map(|item| convert(meter, item, text, levels - 1)).collect::<Result<_, _>>()?;
            Value::list(meter, items)?
        }
        Json::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((Value::string(meter, text(key))?, convert(meter, value, text, levels - 1)?)))
                .collect::<Result<_, TemplateError>>()?;
            Value::dict(meter, entries)?
        }
    })
}
