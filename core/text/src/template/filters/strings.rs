//! Filters on text.

use super::super::args::{CallArgs, int, size, str};
use super::super::error::TemplateError;
use super::super::format;
use super::super::interp::Interp;
use super::super::json::Dumps;
use super::super::meter::Buffer;
use super::super::methods_str::{capitalize, pad, replace, splitlines, strip};
use super::super::text::is_space;
use super::super::value::Value;

pub(super) fn apply(interp: &mut Interp<'_>, name: &str, value: Value, args: CallArgs) -> Result<Value, TemplateError> {
    if name == "tojson" {
        return to_json(interp, &value, args);
    }
    let text = interp.printer.to_str(&value)?;
    interp.meter().burn_bytes(4 * text.len())?;
    interp.meter().check(3 * text.len() as u64)?;
    match name {
        "string" => {
            args.none(name)?;
            match value {
                Value::Str(_) => Ok(value),
                _ => interp.string(text),
            }
        }
        "safe" => {
            args.none(name)?;
            Value::text(interp.meter(), text, true)
        }
        "e" | "escape" if value.is_markup() => Ok(value),
        "e" | "escape" | "forceescape" => {
            args.none(name)?;
            let mut out = interp.printer.buffer();
            escape(&mut out, &text)?;
            Value::text(interp.meter(), out.into_string(), true)
        }
        "lower" | "upper" | "capitalize" | "title" => {
            args.none(name)?;
            let changed = match name {
                "lower" => text.to_lowercase(),
                "upper" => text.to_uppercase(),
                "capitalize" => capitalize(&text),
                _ => title(&text),
            };
            interp.string(interp.reshield(&[&text], changed))
        }
        "trim" => {
            let [chars] = args.bind(name, ["chars"])?;
            let chars = match &chars {
                None | Some(Value::None) => None,
                Some(chars) => Some(str(name, chars)?),
            };
            interp.string(strip(&text, chars, true, true))
        }
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let (Some(old), Some(new)) = (old, new) else {
                return Err(TemplateError::runtime("replace needs what and by what"));
            };
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => int(name, &count)?,
            };
            let (old, new) = (interp.printer.to_str(&old)?, interp.printer.to_str(&new)?);
            replace(interp, &text, &old, &new, count)
        }
        "center" => {
            let [width] = args.bind(name, ["width"])?;
            let width = width.map_or(Ok(80), |width| size(name, &width))?;
            pad(interp, &text, name, width, ' ')
        }
        "indent" => indent(interp, &text, args),
        "format" => {
            let values = if args.named.is_empty() {
                Value::tuple(interp.meter(), args.pos)?
            } else if args.pos.is_empty() {
                let entries = args
                    .named
                    .into_iter()
                    .map(|(name, value)| Ok((interp.string(&*name)?, value)))
                    .collect::<Result<_, TemplateError>>()?;
                Value::dict(interp.meter(), entries)?
            } else {
                return Err(TemplateError::runtime("can't handle positional and keyword arguments at the same time"));
            };
            format::percent(interp, &text, &values)
        }
        "truncate" => truncate(interp, &text, args),
        "wordcount" => {
            args.none(name)?;
            let words = text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty());
            Ok(Value::Int(words.count() as i128))
        }
        "wordwrap" => word_wrap(interp, &text, args),
        "striptags" => {
            args.none(name)?;
            interp.string(strip_tags(&text))
        }
        _ => {
            args.none(name)?;
            interp.string(url_encode(&text))
        }
    }
}

/// Writes `text` with HTML's special characters escaped as MarkupSafe does.
pub(in super::super) fn escape(out: &mut Buffer, text: &str) -> Result<(), TemplateError> {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let entity = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&#34;",
            '\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[plain..at])?;
        out.push_str(entity)?;
        plain = at + 1;
    }
    out.push_str(&text[plain..])
}

/// Jinja2's `title`: words begin after whitespace, a hyphen or an opening bracket.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        let border = is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
        if border {
            out.push(c);
        } else if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        start = border;
    }
    out
}

fn indent(interp: &Interp<'_>, text: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [width, first, blank] = args.bind("indent", ["width", "first", "blank"])?;
    let indentation = match &width {
        None => "    ".to_owned(),
        Some(Value::Str(text)) => text.as_str().to_owned(),
        Some(width) => {
            let width = size("indent", width)?;
            interp.meter().check(width as u64)?;
            " ".repeat(width)
        }
    };
    let first = first.is_some_and(|first| first.truthy());
    let blank = blank.is_some_and(|blank| blank.truthy());
    let with_end = format!("{text}\n");
    let mut out = interp.printer.buffer();
    for (at, line) in splitlines(&with_end, false).into_iter().enumerate() {
        if at > 0 {
            out.push('\n')?;
        }
        if if at == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&indentation)?;
        }
        out.push_str(line)?;
    }
    interp.string(out.into_string())
}

fn truncate(interp: &Interp<'_>, text: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [length, kill_words, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = length.map_or(Ok(255), |length| size("truncate", &length))?;
    let leeway = leeway.filter(|leeway| !matches!(leeway, Value::None));
    let leeway = leeway.map_or(Ok(5), |leeway| size("truncate", &leeway))?;
    let end = end.map_or(Ok("...".to_owned()), |end| interp.printer.to_str(&end))?;
    let room = length.checked_sub(end.chars().count());
    let room = room.ok_or_else(|| TemplateError::runtime("truncate: the end is longer than the length"))?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return interp.string(text);
    }
    let cut = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    let kept = &text[..cut];
    let kept = match kill_words.is_some_and(|kill| kill.truthy()) {
        true => kept,
        false => kept.rfind(' ').map_or(kept, |at| &kept[..at]),
    };
    interp.string(format!("{kept}{end}"))
}

/// Breaks lines at spaces; the common case of Python's `textwrap` without tabs.
fn word_wrap(interp: &Interp<'_>, text: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [width, long, string, hyphens] =
        args.bind("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    if long.is_some() || hyphens.is_some() {
        return Err(TemplateError::runtime("wordwrap is supported with a width and a wrapstring only"));
    }
    let width = width.map_or(Ok(79), |width| size("wordwrap", &width))?.max(1);
    let separator = string.map_or(Ok("\n".to_owned()), |string| interp.printer.to_str(&string))?;
    let mut out = interp.printer.buffer();
    for (at, line) in splitlines(text, false).into_iter().enumerate() {
        if at > 0 {
            out.push_str(&separator)?;
        }
        let mut column = 0;
        for word in line.split(' ') {
            let mut word = word;
            let mut length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                out.push_str(&separator)?;
                column = 0;
            } else if column > 0 {
                out.push(' ')?;
                column += 1;
            }
            while length > width {
                let cut = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
                out.push_str(&word[..cut])?;
                out.push_str(&separator)?;
                word = &word[cut..];
                length -= width;
            }
            out.push_str(word)?;
            column += length;
        }
    }
    interp.string(out.into_string())
}

/// Without comments and tags, runs of whitespace as one space.
fn strip_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let close = match rest[at..].starts_with("<!--") {
            true => rest[at..].find("-->").map(|end| at + end + 3),
            false => rest[at..].find('>').map(|end| at + end + 1),
        };
        let Some(close) = close else { break };
        plain.push_str(&rest[..at]);
        rest = &rest[close..];
    }
    plain.push_str(rest);
    plain.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn to_json(interp: &Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [ensure_ascii, indent, separators, sort_keys] =
        args.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])?;
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.as_str().to_owned()),
        Some(width) => {
            let width = size("tojson", &width)?;
            interp.meter().check(width as u64)?;
            Some(" ".repeat(width))
        }
    };
    let (item_separator, key_separator) = match separators {
        None | Some(Value::None) => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => match &interp.items(&pair)?[..] {
            [item, key] => (str("tojson", item)?.to_owned(), str("tojson", key)?.to_owned()),
            _ => return Err(TemplateError::runtime("separators are two strings")),
        },
    };
    let truthy = |value: Option<Value>| value.is_some_and(|value| value.truthy());
    let dumps = Dumps {
        ensure_ascii: truthy(ensure_ascii),
        indent,
        item_separator,
        key_separator,
        sort_keys: truthy(sort_keys),
    };
    let mut out = interp.printer.buffer();
    dumps.write(&interp.printer, &mut out, value)?;
    interp.string(out.into_string())
}
