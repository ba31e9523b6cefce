//! Methods of Python's `str`.
//!
//! Each asks the meter before it makes a string, so that no width, count or replacement is too large for memory.

use super::args::{CallArgs, int, size, str};
use super::checks::cased;
use super::error::TemplateError;
use super::format;
use super::interp::Interp;
use super::text::{is_printable, is_space};
use super::value::{Text, Value};

/// The methods that a template may call.
pub(super) const STR: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// Calls `text.name(args)`.
pub(super) fn call(interp: &mut Interp<'_>, on: &Text, name: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let text = on.as_str();
    // Most methods walk the text once or twice and give back about as much.
    interp.meter().burn_bytes(4 * text.len())?;
    interp.meter().check(2 * text.len() as u64)?;
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = args.bind(name, ["chars"])?;
            let chars = match &chars {
                None | Some(Value::None) => None,
                Some(chars) => Some(str(name, chars)?),
            };
            interp.string(strip(text, chars, name != "rstrip", name != "lstrip"))
        }
        "split" | "rsplit" => split(interp, text, name == "rsplit", args),
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            let keep = keep.is_some_and(|keep| keep.truthy());
            strings(interp, splitlines(text, keep))
        }
        "startswith" | "endswith" => affix(interp, text, name, args),
        "replace" => {
            let [old, new, count] = args.bind(name, ["old", "new", "count"])?;
            let (Some(old), Some(new)) = (old, new) else {
                return Err(TemplateError::runtime("replace needs what and by what"));
            };
            let count = count.map_or(Ok(-1), |count| int(name, &count))?;
            replace(interp, text, str(name, &old)?, str(name, &new)?, count)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(interp, text, name, args),
        "join" => {
            let [items] = args.bind(name, ["iterable"])?;
            let items = interp.items(&items.ok_or_else(|| TemplateError::runtime("join needs items"))?)?;
            let mut out = interp.printer.buffer();
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(text)?;
                }
                out.push_str(str("join", item)?)?;
            }
            interp.string(out.into_string())
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let [width, fill] = args.bind(name, ["width", "fillchar"])?;
            let width = width.ok_or_else(|| TemplateError::runtime(format!("{name} needs a width")))?;
            let fill = fill.map_or(Ok(' '), |fill| single_char(&fill))?;
            pad(interp, text, name, size(name, &width)?, fill)
        }
        "partition" | "rpartition" => {
            let [separator] = args.bind(name, ["sep"])?;
            let separator = separator.ok_or_else(|| TemplateError::runtime("partition needs a separator"))?;
            let separator = interp.needle(text, nonempty(str(name, &separator)?)?).into_owned();
            let at = if name == "partition" { text.find(&separator) } else { text.rfind(&separator) };
            let parts = match at {
                Some(at) => [&text[..at], &separator, &text[at + separator.len()..]],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            let parts = parts.iter().map(|part| interp.string(*part)).collect::<Result<_, _>>()?;
            Value::tuple(interp.meter(), parts)
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = args.bind(name, ["affix"])?;
            let affix = affix.ok_or_else(|| TemplateError::runtime(format!("{name} needs a string")))?;
            let affix = interp.needle(text, str(name, &affix)?);
            let rest = if name == "removeprefix" { text.strip_prefix(&*affix) } else { text.strip_suffix(&*affix) };
            interp.string(rest.unwrap_or(text))
        }
        "format" => format::braces(interp, text, args),
        "format_map" => {
            let [mapping] = args.bind(name, ["mapping"])?;
            let Some(Value::Dict(dict)) = mapping else {
                return Err(TemplateError::runtime("format_map needs a dict"));
            };
            let named = dict
                .entries
                .iter()
                .map(|(key, value)| Ok((str(name, key)?.into(), value.clone())))
                .collect::<Result<_, TemplateError>>()?;
            format::braces(interp, text, CallArgs { pos: Vec::new(), named })
        }
        "expandtabs" => {
            let [width] = args.bind(name, ["tabsize"])?;
            let width = width.map_or(Ok(8), |width| size(name, &width))?;
            expand_tabs(interp, text, width)
        }
        _ => {
            args.none(name)?;
            if name.starts_with("is") {
                return Ok(Value::Bool(classify(text, name)));
            }
            let changed = match name {
                "lower" => text.to_lowercase(),
                "casefold" => text.to_lowercase().replace('ß', "ss"),
                "upper" => text.to_uppercase(),
                "title" => title(text),
                "capitalize" => capitalize(text),
                "swapcase" => text.chars().flat_map(swap_case).collect(),
                _ => return Err(TemplateError::runtime(format!("'str' has no method '{name}'"))),
            };
            interp.string(interp.reshield(&[text], changed))
        }
    }
}

fn nonempty(separator: &str) -> Result<&str, TemplateError> {
    if separator.is_empty() { Err(TemplateError::runtime("empty separator")) } else { Ok(separator) }
}

fn single_char(value: &Value) -> Result<char, TemplateError> {
    let mut chars = str("a fill character", value)?.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(TemplateError::runtime("the fill character must be exactly one character long")),
    }
}

/// A list of strings.
pub(super) fn strings<'s>(
    interp: &Interp<'_>,
    parts: impl IntoIterator<Item = &'s str>,
) -> Result<Value, TemplateError> {
    let mut items = Vec::new();
    for part in parts {
        interp.meter().burn(1)?;
        interp.meter().check(items.len() as u64 * size_of::<Value>() as u64)?;
        items.push(interp.string(part)?);
    }
    Value::list(interp.meter(), items)
}

/// `strip`, `lstrip` and `rstrip`.
pub(super) fn strip<'t>(text: &'t str, chars: Option<&str>, left: bool, right: bool) -> &'t str {
    let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(strips) } else { text };
    if right { text.trim_end_matches(strips) } else { text }
}

fn split(interp: &mut Interp<'_>, text: &str, from_right: bool, args: CallArgs) -> Result<Value, TemplateError> {
    let [separator, limit] = args.bind("split", ["sep", "maxsplit"])?;
    let limit = limit.map_or(Ok(-1), |limit| int("split", &limit))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(text.len() + 1);
    let parts: Vec<&str> = match &separator {
        None | Some(Value::None) => split_space(text, from_right, limit),
        Some(separator) => {
            let separator = interp.needle(text, nonempty(str("split", separator)?)?).into_owned();
            interp.meter().check((text.len() / separator.len() + 1) as u64 * 16)?;
            if from_right {
                let mut parts: Vec<&str> = text.rsplitn(limit + 1, &*separator).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(limit + 1, &*separator).collect()
            }
        }
    };
    strings(interp, parts)
}

/// Splits at runs of whitespace, at most `limit` times; what is left keeps its inner whitespace.
fn split_space(text: &str, from_right: bool, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_right { rest.trim_end_matches(is_space) } else { rest.trim_start_matches(is_space) };
        if rest.is_empty() {
            break;
        }
        let cut = match (from_right, parts.len() < limit) {
            (_, false) => None,
            (true, true) => rest.rfind(is_space),
            (false, true) => rest.find(is_space),
        };
        let Some(cut) = cut else {
            parts.push(if from_right { rest.trim_start_matches(is_space) } else { rest.trim_end_matches(is_space) });
            if parts.len() > limit {
                // The last part keeps the whitespace at its far end.
                parts.pop();
                parts.push(rest);
            }
            break;
        };
        if from_right {
            let width = rest[cut..].chars().next().map_or(1, char::len_utf8);
            parts.push(&rest[cut + width..]);
            rest = &rest[..cut];
        } else {
            parts.push(&rest[..cut]);
            rest = &rest[cut..];
        }
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// Python's line borders.
pub(super) fn splitlines(text: &str, keep: bool) -> Vec<&str> {
    let is_border = |c: char| {
        matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(is_border) else {
            lines.push(rest);
            break;
        };
        let width =
            if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keep { at + width } else { at }]);
        rest = &rest[at + width..];
    }
    lines
}

/// The part of `text` between two Python indices, and how many characters come before it.
fn window(text: &str, start: Option<Value>, end: Option<Value>) -> Result<Option<(&str, usize)>, TemplateError> {
    let bound = |value: Option<Value>| match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => int("an index", &value).map(Some),
    };
    let (start, end) = (bound(start)?, bound(end)?);
    if start.is_none() && end.is_none() {
        return Ok(Some((text, 0)));
    }
    let count = text.chars().count() as i128;
    let clamp = |bound: i128| if bound < 0 { (bound.saturating_add(count)).max(0) } else { bound };
    let start = clamp(start.unwrap_or(0));
    let end = clamp(end.unwrap_or(count)).min(count);
    if start > end {
        return Ok(None);
    }
    let byte = |at: i128| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Ok(Some((&text[byte(start)..byte(end)], start as usize)))
}

fn affix(interp: &mut Interp<'_>, text: &str, name: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [affixes, start, end] = args.bind(name, ["affix", "start", "end"])?;
    let affixes = match affixes {
        Some(Value::Tuple(list)) => list.items.clone(),
        Some(single) => vec![single],
        None => return Err(TemplateError::runtime(format!("{name} needs a string"))),
    };
    let Some((part, _)) = window(text, start, end)? else { return Ok(Value::Bool(false)) };
    for affix in &affixes {
        let affix = interp.needle(part, str(name, affix)?);
        let found = if name == "startswith" {
            interp.without_mark_before(part).starts_with(&*affix) || part.starts_with(&*affix)
        } else {
            interp.without_mark_after(part).ends_with(&*affix) || part.ends_with(&*affix)
        };
        if found {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn search(interp: &mut Interp<'_>, text: &str, name: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [needle, start, end] = args.bind(name, ["sub", "start", "end"])?;
    let needle = needle.ok_or_else(|| TemplateError::runtime(format!("{name} needs a string")))?;
    let needle = str(name, &needle)?;
    let found = match window(text, start, end)? {
        None => None,
        Some((part, before)) => {
            let needle = interp.needle(part, needle);
            if name == "count" {
                let count = if needle.is_empty() { part.chars().count() + 1 } else { part.matches(&*needle).count() };
                return Ok(Value::Int(count as i128));
            }
            let at = if name.starts_with('r') { part.rfind(&*needle) } else { part.find(&*needle) };
            at.map(|at| before + interp.count_chars(&part[..at]))
        }
    };
    match found {
        Some(at) => Ok(Value::Int(at as i128)),
        None if name == "count" => Ok(Value::Int(0)),
        None if name.ends_with("index") => Err(TemplateError::runtime("substring not found")),
        None => Ok(Value::Int(-1)),
    }
}

/// `text.replace(old, new, count)`; a negative count replaces all.
pub(super) fn replace(
    interp: &Interp<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Result<Value, TemplateError> {
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    let needle = interp.needle(text, old);
    let mut out = interp.printer.buffer();
    let mut from = 0;
    if needle.is_empty() {
        let mut done = 0;
        for (at, c) in text.char_indices() {
            if done == limit {
                break;
            }
            out.push_str(new)?;
            out.push(c)?;
            done += 1;
            from = at + c.len_utf8();
        }
        out.push_str(&text[from..])?;
        if done < limit {
            out.push_str(new)?;
        }
    } else {
        for (at, found) in text.match_indices(&*needle).take(limit) {
            out.push_str(&text[from..at])?;
            out.push_str(new)?;
            from = at + found.len();
        }
        out.push_str(&text[from..])?;
    }
    interp.string(interp.reshield(&[text, new], out.into_string()))
}

/// `center`, `ljust`, `rjust` and `zfill`.
pub(super) fn pad(
    interp: &Interp<'_>,
    text: &str,
    name: &str,
    width: usize,
    fill: char,
) -> Result<Value, TemplateError> {
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    interp.meter().check((missing as u64).saturating_mul(4).saturating_add(text.len() as u64))?;
    interp.meter().burn_bytes(missing)?;
    let run = |count: usize| fill.to_string().repeat(count);
    let padded = match name {
        "ljust" => format!("{text}{}", run(missing)),
        "rjust" => format!("{}{text}", run(missing)),
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", run(left), run(missing - left))
        }
    };
    interp.string(padded)
}

fn expand_tabs(interp: &Interp<'_>, text: &str, width: usize) -> Result<Value, TemplateError> {
    let mut out = interp.printer.buffer();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if width > 0 => {
                let spaces = width - column % width;
                interp.meter().check(spaces as u64)?;
                out.push_str(&" ".repeat(spaces))?;
                column += spaces;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c)?;
                column = 0;
            }
            c => {
                out.push(c)?;
                column += 1;
            }
        }
    }
    interp.string(out.into_string())
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            push_title(&mut out, c);
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

/// First character in title case, the rest in lower case.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::with_capacity(text.len());
    if let Some(first) = chars.next() {
        push_title(&mut out, first);
        out.push_str(&chars.as_str().to_lowercase());
    }
    out
}

/// The title case of a character that has none of its own: upper case, and lower case for what follows it.
fn push_title(out: &mut String, c: char) {
    let mut upper = c.to_uppercase();
    out.extend(upper.next());
    for rest in upper {
        out.extend(rest.to_lowercase());
    }
}

fn swap_case(c: char) -> Vec<char> {
    if c.is_uppercase() {
        c.to_lowercase().collect()
    } else if c.is_lowercase() {
        c.to_uppercase().collect()
    } else {
        vec![c]
    }
}

/// The `is…` methods.
fn classify(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match name {
        "isascii" => text.is_ascii(),
        "isprintable" => text.chars().all(is_printable),
        "isspace" => all(is_space),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "isdecimal" | "isdigit" => {
            all(|c| c.is_ascii_digit() || (c.is_numeric() && !c.is_alphabetic() && !c.is_ascii()))
        }
        "isnumeric" => all(char::is_numeric),
        "isidentifier" => !text.starts_with(|c: char| c.is_numeric()) && all(|c| c == '_' || c.is_alphanumeric()),
        "islower" => cased(text, char::is_lowercase, char::is_uppercase),
        "isupper" => cased(text, char::is_uppercase, char::is_lowercase),
        _ => text.chars().any(|c| c.is_uppercase() || c.is_lowercase()) && title(text) == text,
    }
}
