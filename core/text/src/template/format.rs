//! `"…" % values` and `"…".format(values)`.
//!
//! Widths and precisions are checked before anything is padded.

use super::args::{CallArgs, size};
use super::error::TemplateError;
use super::interp::Interp;
use super::meter::Buffer;
use super::ops::Number;
use super::text::float_repr;
use super::value::Value;

/// Digits after the point that a float may be asked for.
const MAX_PRECISION: usize = 400;

fn bad<T>(what: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::runtime(what))
}

/// How one value is laid out.
#[derive(Debug, Default)]
struct Layout {
    left: bool,
    center: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    grouping: Option<char>,
    fill: Option<char>,
    aligned: bool,
    width: usize,
    precision: Option<usize>,
}

impl Layout {
    /// Writes `sign` and `body` padded to the width.
    fn write(&self, out: &mut Buffer, interp: &Interp<'_>, sign: &str, body: &str) -> Result<(), TemplateError> {
        let length = sign.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        interp.meter().check(4 * missing as u64)?;
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let run = |count: usize| fill.to_string().repeat(count);
        if self.center {
            out.push_str(&run(missing / 2))?;
            out.push_str(sign)?;
            out.push_str(body)?;
            return out.push_str(&run(missing - missing / 2));
        }
        if self.left {
            out.push_str(sign)?;
            out.push_str(body)?;
            return out.push_str(&run(missing));
        }
        if self.zero && !self.aligned {
            out.push_str(sign)?;
            out.push_str(&run(missing))?;
            return out.push_str(body);
        }
        out.push_str(&run(missing))?;
        out.push_str(sign)?;
        out.push_str(body)
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }

    fn text(&self, out: &mut Buffer, interp: &Interp<'_>, text: &str) -> Result<(), TemplateError> {
        match self.precision {
            Some(limit) => {
                let end = text.char_indices().nth(limit).map_or(text.len(), |(at, _)| at);
                self.write(out, interp, "", &text[..end])
            }
            None => self.write(out, interp, "", text),
        }
    }

    fn integer(&self, out: &mut Buffer, interp: &Interp<'_>, value: i128, kind: char) -> Result<(), TemplateError> {
        let magnitude = value.unsigned_abs();
        let (prefix, mut digits) = match kind {
            'x' => ("0x", format!("{magnitude:x}")),
            'X' => ("0X", format!("{magnitude:X}")),
            'o' => ("0o", format!("{magnitude:o}")),
            'b' => ("0b", format!("{magnitude:b}")),
            _ => ("", magnitude.to_string()),
        };
        if let Some(precision) = self.precision {
            interp.meter().check(precision as u64)?;
            digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
        }
        if let Some(separator) = self.grouping {
            digits = group(&digits, separator);
        }
        let sign = format!("{}{}", self.sign(value < 0), if self.alternate { prefix } else { "" });
        self.write(out, interp, &sign, &digits)
    }

    fn float(&self, out: &mut Buffer, interp: &Interp<'_>, value: f64, kind: char) -> Result<(), TemplateError> {
        let precision = self.precision.unwrap_or(6);
        if precision > MAX_PRECISION {
            return Err(TemplateError::Limit { what: "digits of a float", limit: MAX_PRECISION as u64 });
        }
        let magnitude = value.abs();
        let mut body = match kind.to_ascii_lowercase() {
            _ if !value.is_finite() => float_repr(magnitude),
            'f' => format!("{magnitude:.precision$}"),
            'e' => exponent(&format!("{magnitude:.precision$e}")),
            '%' => format!("{:.precision$}%", magnitude * 100.0),
            _ => general(magnitude, precision.max(1), self.alternate),
        };
        if kind.is_ascii_uppercase() {
            body = body.to_uppercase();
        }
        if let Some(separator) = self.grouping {
            let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
            body = format!("{}{}", group(&body[..end], separator), &body[end..]);
        }
        self.write(out, interp, self.sign(value.is_sign_negative() && !value.is_nan()), &body)
    }
}

/// Digits in groups of three.
fn group(digits: &str, separator: char) -> String {
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// Rust's `1.5e7` as C's `1.5e+07`.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let value: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if value < 0 { '-' } else { '+' }, value.abs())
}

/// C's `%g`.
fn general(magnitude: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = format!("{magnitude:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') && !keep_zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i32 {
        let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
        exponent(&format!("{}e{power}", trim(mantissa)))
    } else {
        trim(&format!("{magnitude:.*}", (precision as i32 - 1 - power).max(0) as usize))
    }
}

/// `format % values`.
pub(super) fn percent(interp: &mut Interp<'_>, format: &str, values: &Value) -> Result<Value, TemplateError> {
    let tuple = match values {
        Value::Tuple(list) => list.items.clone(),
        other => vec![other.clone()],
    };
    let mut next = tuple.iter();
    let mut used_mapping = false;
    let mut out = interp.printer.buffer();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at])?;
        rest = &rest[at + 1..];
        let mut keyed = None;
        if let Some(after) = rest.strip_prefix('(') {
            let Some(end) = after.find(')') else { return bad("incomplete format key") };
            let Value::Dict(dict) = values else { return bad("format requires a mapping") };
            let Some(found) = dict.get_str(&after[..end]) else {
                return bad(format!("key '{}' is missing", &after[..end]));
            };
            keyed = Some(found.clone());
            used_mapping = true;
            rest = &after[end + 1..];
        }
        let mut layout = Layout::default();
        while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => layout.left = true,
                '0' => layout.zero = true,
                '+' => layout.plus = true,
                ' ' => layout.space = true,
                _ => layout.alternate = true,
            }
            rest = &rest[1..];
        }
        let mut star = |rest: &mut &str| -> Result<Option<usize>, TemplateError> {
            if let Some(after) = rest.strip_prefix('*') {
                *rest = after;
                return match next.next() {
                    Some(value) => size("a width", value).map(Some),
                    None => bad("not enough arguments for format string"),
                };
            }
            number(rest)
        };
        layout.width = star(&mut rest)?.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            layout.precision = Some(star(&mut rest)?.unwrap_or(0));
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let Some(kind) = rest.chars().next() else { return bad("incomplete format") };
        rest = &rest[kind.len_utf8()..];
        if kind == '%' {
            out.push('%')?;
            continue;
        }
        let value = match keyed {
            Some(value) => value,
            None => match next.next() {
                Some(value) => value.clone(),
                None => return bad("not enough arguments for format string"),
            },
        };
        percent_one(interp, &mut out, layout, kind, &value)?;
    }
    out.push_str(rest)?;
    if next.next().is_some() && !used_mapping && !matches!(values, Value::Dict(_)) {
        return bad("not all arguments converted during string formatting");
    }
    interp.string(out.into_string())
}

fn percent_one(
    interp: &Interp<'_>,
    out: &mut Buffer,
    mut layout: Layout,
    kind: char,
    value: &Value,
) -> Result<(), TemplateError> {
    let wrong = |kind: char| bad(format!("%{kind} format: a number is required, not {}", value.type_name()));
    match (kind, Number::of(value)) {
        ('s', _) => {
            layout.zero = false;
            layout.text(out, interp, &interp.printer.to_str(value)?)
        }
        ('r' | 'a', _) => {
            let mut text = interp.printer.buffer();
            interp.printer.write_repr(&mut text, value)?;
            layout.zero = false;
            layout.text(out, interp, text.as_str())
        }
        ('d' | 'i' | 'u', Some(Number::Int(value))) => layout.integer(out, interp, value, 'd'),
        ('d' | 'i' | 'u', Some(Number::Float(value))) if value.is_finite() => {
            layout.integer(out, interp, value.trunc() as i128, 'd')
        }
        ('x' | 'X' | 'o', Some(Number::Int(value))) => layout.integer(out, interp, value, kind),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Some(Number::Int(value))) => layout.float(out, interp, value as f64, kind),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Some(Number::Float(value))) => layout.float(out, interp, value, kind),
        ('c', Some(Number::Int(code))) => match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(c) => layout.write(out, interp, "", &c.to_string()),
            None => bad("%c arg not in range(0x110000)"),
        },
        ('c', None) => match value.as_str() {
            Some(text) if text.chars().count() == 1 => layout.write(out, interp, "", text),
            _ => bad("%c requires int or char"),
        },
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G', _) => wrong(kind),
        _ => bad(format!("unsupported format character '{kind}'")),
    }
}

/// The decimal number at the start of `rest`.
fn number(rest: &mut &str) -> Result<Option<usize>, TemplateError> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return Ok(None);
    }
    let limit = || TemplateError::Limit { what: "a width", limit: u32::MAX.into() };
    let value = rest[..end].parse::<u32>().map_err(|_| limit())?;
    *rest = &rest[end..];
    Ok(Some(value as usize))
}

/// `format.format(args)`.
pub(super) fn braces(interp: &mut Interp<'_>, format: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let mut out = interp.printer.buffer();
    let mut automatic = 0;
    let mut manual = false;
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at])?;
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if rest.starts_with(brace) {
            out.push_str(brace)?;
            rest = &rest[1..];
            continue;
        }
        if brace == "}" {
            return bad("Single '}' encountered in format string");
        }
        let Some(end) = rest.find(['}', '{']).filter(|end| rest[*end..].starts_with('}')) else {
            return bad("a replacement field is not closed, or is nested");
        };
        let field = &rest[..end];
        rest = &rest[end + 1..];
        let (field, spec) = field.split_once(':').unwrap_or((field, ""));
        let (path, conversion) = field.split_once('!').unwrap_or((field, ""));
        let name_end = path.find(['.', '[']).unwrap_or(path.len());
        let name = &path[..name_end];
        let value = if name.is_empty() {
            automatic += 1;
            args.pos.get(automatic - 1).cloned()
        } else if let Ok(index) = name.parse::<usize>() {
            manual = true;
            args.pos.get(index).cloned()
        } else {
            args.named.iter().find(|(known, _)| &**known == name).map(|(_, value)| value.clone())
        };
        if manual && automatic > 0 {
            return bad("automatic and manual field numbering are mixed");
        }
        let Some(mut value) = value else { return bad(format!("no value for the field '{name}'")) };
        let mut steps = &path[name_end..];
        while !steps.is_empty() {
            if let Some(after) = steps.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                value = interp.attribute(&value, &after[..end].into())?;
                steps = &after[end..];
            } else if let Some((item, after)) = steps.strip_prefix('[').and_then(|item| item.split_once(']')) {
                let key = match item.parse::<u32>() {
                    Ok(index) => Value::Int(index.into()),
                    Err(_) => interp.string(item)?,
                };
                value = interp.item(&value, &key)?;
                steps = after;
            } else {
                return bad("bad field name in format string");
            }
        }
        match conversion {
            "" => brace_one(interp, &mut out, &value, spec)?,
            "s" => {
                let text = interp.printer.to_str(&value)?;
                let text = interp.string(text)?;
                brace_one(interp, &mut out, &text, spec)?;
            }
            "r" => {
                let mut text = interp.printer.buffer();
                interp.printer.write_repr(&mut text, &value)?;
                let text = interp.string(text.into_string())?;
                brace_one(interp, &mut out, &text, spec)?;
            }
            other => return bad(format!("unknown conversion '{other}'")),
        }
    }
    out.push_str(rest)?;
    interp.string(out.into_string())
}

/// Python's `format(value, spec)`.
fn brace_one(interp: &Interp<'_>, out: &mut Buffer, value: &Value, spec: &str) -> Result<(), TemplateError> {
    if spec.is_empty() {
        return interp.printer.write_str(out, value);
    }
    let mut layout = Layout { fill: None, ..Layout::default() };
    let mut rest = spec;
    let mut chars = spec.chars();
    let align = match (chars.next(), chars.next()) {
        (Some(fill), Some(align @ ('<' | '>' | '^' | '='))) => {
            layout.fill = Some(fill);
            rest = chars.as_str();
            Some(align)
        }
        (Some(align @ ('<' | '>' | '^' | '=')), _) => {
            rest = &spec[1..];
            Some(align)
        }
        _ => None,
    };
    if let Some(after) = rest.strip_prefix(['+', '-', ' ']) {
        layout.plus = rest.starts_with('+');
        layout.space = rest.starts_with(' ');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('#') {
        layout.alternate = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('0') {
        layout.zero = true;
        rest = after;
    }
    layout.width = number(&mut rest)?.unwrap_or(0);
    if let Some(after) = rest.strip_prefix([',', '_']) {
        layout.grouping = rest.chars().next();
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        layout.precision = Some(number(&mut rest)?.ok_or_else(|| TemplateError::runtime("missing precision"))?);
    }
    let mut kinds = rest.chars();
    let kind = kinds.next();
    if kinds.next().is_some() {
        return bad(format!("invalid format specifier '{spec}'"));
    }
    let number = Number::of(value).filter(|_| !(matches!(value, Value::Bool(_)) && kind.is_none()));
    layout.left = align == Some('<') || (align.is_none() && number.is_none());
    layout.center = align == Some('^');
    layout.aligned = matches!(align, Some('<' | '>' | '^'));
    layout.zero |= align == Some('=');
    match (number, kind) {
        (None, None | Some('s')) => match value.as_str() {
            Some(text) => layout.text(out, interp, text),
            None if matches!(value, Value::Bool(_)) => layout.text(out, interp, &interp.printer.to_str(value)?),
            None => bad(format!("unsupported format string passed to {}", value.type_name())),
        },
        (Some(Number::Int(value)), None | Some('d' | 'x' | 'X' | 'o' | 'b')) => {
            layout.integer(out, interp, value, kind.unwrap_or('d'))
        }
        (Some(Number::Int(value)), Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
            layout.float(out, interp, value as f64, kind.unwrap_or('f'))
        }
        (Some(Number::Float(value)), Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
            layout.float(out, interp, value, kind.unwrap_or('f'))
        }
        (Some(Number::Float(value)), None) if layout.precision.is_none() => {
            let body = float_repr(value.abs());
            layout.write(out, interp, layout.sign(value.is_sign_negative()), &body)
        }
        (Some(Number::Float(value)), None) => layout.float(out, interp, value, 'g'),
        _ => bad(format!("unknown format code in '{spec}' for a {}", value.type_name())),
    }
}
