//! Splits a template into raw text and tokens, with Jinja2's whitespace control.
//!
//! The settings are those of transformers: `trim_blocks`, `lstrip_blocks`, no trailing newline kept. Called by the
//! parser only. One pass; memory is linear in the source.

use super::error::TemplateError;
use super::text::is_space;

/// A token with the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) line: u32,
    pub(super) kind: Tok,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    Raw(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Str(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
}

/// Longest first, so that the first that fits is the right one.
const OPERATORS: [&str; 25] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",",
];

/// Splits `source`, whose newlines are already `\n`.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, TemplateError> {
    let source = source.strip_suffix('\n').unwrap_or(source);
    let mut lexer = Lexer { source, at: 0, line: 1, line_starting: true, tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.root()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: u32,
    /// Whether what was matched last ended with a newline; decides whether blanks before a tag are stripped.
    line_starting: bool,
    tokens: Vec<Token>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn fail<T>(&self, what: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::Syntax { line: self.line, what: what.into() })
    }

    fn push(&mut self, kind: Tok) {
        self.tokens.push(Token { line: self.line, kind });
    }

    /// Moves over `bytes`, counting lines.
    fn advance(&mut self, bytes: usize) -> &'s str {
        let passed = &self.rest()[..bytes];
        self.line += passed.bytes().filter(|&b| b == b'\n').count() as u32;
        self.at += bytes;
        self.line_starting = passed.ends_with('\n');
        passed
    }

    /// Raw text up to the next tag, and that tag.
    fn root(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some(tag) = find_tag(rest) else {
            let text = self.advance(rest.len());
            self.push(Tok::Raw(text.to_owned()));
            return Ok(());
        };
        let sign = rest[tag + 2..].chars().next().filter(|c| matches!(c, '-' | '+'));
        let open = &rest[tag..tag + 2];
        self.emit_raw(&rest[..tag], sign, open != "{{");
        self.advance(tag);
        if let Some(length) = raw_begin(self.rest()) {
            self.advance(length);
            return self.raw_block();
        }
        self.advance(2 + sign.map_or(0, char::len_utf8));
        match open {
            "{#" => self.comment(),
            "{%" => {
                self.push(Tok::BlockBegin);
                self.code("%}", Tok::BlockEnd)
            }
            _ => {
                self.push(Tok::PrintBegin);
                self.code("}}", Tok::PrintEnd)
            }
        }
    }

    /// The text before a tag, stripped as the tag's sign and `lstrip_blocks` say.
    fn emit_raw(&mut self, text: &str, sign: Option<char>, lstrip: bool) {
        let mut kept = text;
        if sign == Some('-') {
            kept = text.trim_end_matches(is_space);
        } else if sign != Some('+') && lstrip {
            let line_start = text.rfind('\n').map_or(0, |at| at + 1);
            if (line_start > 0 || self.line_starting) && text[line_start..].chars().all(is_space) {
                kept = &text[..line_start];
            }
        }
        if !kept.is_empty() {
            self.push(Tok::Raw(kept.to_owned()));
        }
    }

    /// After an end marker at the current place: its sign, itself, and the whitespace it swallows.
    fn end_length(&self, marker: &str, trims: bool) -> Option<usize> {
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix('-').and_then(|r| r.strip_prefix(marker)) {
            return Some(rest.len() - after.trim_start_matches(is_space).len());
        }
        if trims && rest.strip_prefix('+').is_some_and(|r| r.starts_with(marker)) {
            return Some(1 + marker.len());
        }
        let after = rest.strip_prefix(marker)?;
        Some(marker.len() + usize::from(trims && after.starts_with('\n')))
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else { return self.fail("missing end of comment tag") };
        let signed = end > 0 && matches!(rest.as_bytes()[end - 1], b'-' | b'+');
        self.advance(end - usize::from(signed));
        let length = self.end_length("#}", true).unwrap_or(2);
        self.advance(length);
        Ok(())
    }

    /// The body of `{% raw %}` up to and with `{% endraw %}`.
    fn raw_block(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(at) = rest[from..].find("{%").map(|at| at + from) {
            let sign = rest[at + 2..].chars().next().filter(|c| matches!(c, '-' | '+'));
            let name = rest[at + 2 + sign.map_or(0, char::len_utf8)..].trim_start_matches(is_space);
            if let Some(after) = name.strip_prefix("endraw") {
                let end = rest.len() - after.trim_start_matches(is_space).len();
                let mut probe =
                    Lexer { source: self.source, at: self.at + end, line: 0, line_starting: false, tokens: Vec::new() };
                if let Some(length) = probe.end_length("%}", true) {
                    probe.at += length;
                    self.emit_raw(&rest[..at], sign, true);
                    self.advance(end + length);
                    return Ok(());
                }
            }
            from = at + 2;
        }
        self.fail("missing end of raw directive")
    }

    /// Tokens up to and with the end marker.
    fn code(&mut self, end: &'static str, token: Tok) -> Result<(), TemplateError> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            if self.rest().is_empty() {
                return self.fail(format!("the template ends inside a tag, `{end}` is missing"));
            }
            // Inside brackets `}}` closes two dicts and no tag.
            if open.is_empty()
                && let Some(length) = self.end_length(end, end == "%}")
            {
                self.push(token);
                self.advance(length);
                return Ok(());
            }
            self.token(&mut open)?;
        }
    }

    fn token(&mut self, open: &mut Vec<u8>) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        if is_space(first) {
            self.advance(rest.len() - rest.trim_start_matches(is_space).len());
        } else if first.is_ascii_digit() {
            self.number()?;
        } else if first == '_' || first.is_alphanumeric() {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            self.push(Tok::Name(rest[..length].to_owned()));
            self.advance(length);
        } else if matches!(first, '\'' | '"') {
            self.string(first)?;
        } else if let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            match *op {
                "(" | "[" | "{" => open.push(op.as_bytes()[0]),
                ")" | "]" | "}" => {
                    let wanted = match *op {
                        ")" => b'(',
                        "]" => b'[',
                        _ => b'{',
                    };
                    if open.pop() != Some(wanted) {
                        return self.fail(format!("unexpected '{op}'"));
                    }
                }
                _ => {}
            }
            self.push(Tok::Op(op));
            self.advance(op.len());
        } else {
            return self.fail(format!("unexpected character {first:?}"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let after_dot = self.source[..self.at].ends_with('.');
        let integer = digits(rest);
        if !after_dot && let Some(length) = float_length(rest, integer) {
            let text = rest[..length].replace('_', "");
            let Ok(value) = text.parse() else { return self.fail(format!("bad number {text}")) };
            self.push(Tok::Float(value));
            self.advance(length);
            return Ok(());
        }
        let lower: String = rest.chars().take(2).map(|c| c.to_ascii_lowercase()).collect();
        let radix = match lower.as_str() {
            "0x" => 16,
            "0o" => 8,
            "0b" => 2,
            _ => 10,
        };
        let (length, text) = if radix == 10 {
            (integer, &rest[..integer])
        } else {
            let body = rest[2..].find(|c: char| c != '_' && !c.is_digit(radix)).unwrap_or(rest.len() - 2);
            (2 + body, &rest[2..2 + body])
        };
        let text = text.replace('_', "");
        if radix == 10 && text.len() > 1 && text.starts_with('0') && text.bytes().any(|b| b != b'0') {
            return self.fail(format!("leading zero in {text}"));
        }
        let Ok(value) = i128::from_str_radix(&text, radix) else { return self.fail(format!("bad number {text}")) };
        self.push(Tok::Int(value));
        self.advance(length);
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), TemplateError> {
        let rest = self.rest();
        let mut escaped = false;
        let Some(end) = rest[1..].find(|c: char| {
            let closes = !escaped && c == quote;
            escaped = !escaped && c == '\\';
            closes
        }) else {
            return self.fail("a string is not closed");
        };
        match unescape(&rest[1..1 + end]) {
            Ok(text) => self.push(Tok::Str(text)),
            Err(what) => return self.fail(what),
        }
        self.advance(end + 2);
        Ok(())
    }
}

/// Where the next `{{`, `{%` or `{#` starts.
fn find_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(1)).find(|&i| bytes[i] == b'{' && matches!(bytes[i + 1], b'{' | b'%' | b'#'))
}

/// The length of a `{% raw %}` tag at the start of `text`.
fn raw_begin(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start_matches(is_space);
    let rest = rest.strip_prefix("raw")?.trim_start_matches(is_space);
    let rest = match rest.strip_prefix("-%}") {
        Some(after) => after.trim_start_matches(is_space),
        None => rest.strip_prefix("%}")?,
    };
    Some(text.len() - rest.len())
}

/// How many bytes of `text` are digits with single underscores between them.
fn digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while length < bytes.len() {
        let separator = bytes[length] == b'_' && length > 0 && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !bytes[length].is_ascii_digit() && !separator {
            break;
        }
        length += 1;
    }
    length
}

/// The length of a float at the start of `text` whose integer part has `integer` bytes.
fn float_length(text: &str, integer: usize) -> Option<usize> {
    let mut length = integer;
    let mut is_float = false;
    if text[length..].starts_with('.') {
        let fraction = digits(&text[length + 1..]);
        if fraction > 0 {
            length += 1 + fraction;
            is_float = true;
        }
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = digits(unsigned);
        if count > 0 {
            length = text.len() - unsigned.len() + count;
            is_float = true;
        }
    }
    is_float.then_some(length)
}

/// Python's escapes in a string literal; an unknown escape keeps its backslash.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { return Err("a string ends with a backslash".into()) };
        let mut used = escape.len_utf8();
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0'..='7' => {
                used = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let code = u32::from_str_radix(&rest[..used], 8).unwrap_or(0);
                out.extend(char::from_u32(code));
            }
            'x' | 'u' | 'U' => {
                let (code, length) = hex_escape(rest)?;
                used = length;
                let mut code = code;
                // A pair of surrogates stands for one character; a lone one is no text.
                if (0xD800..0xDC00).contains(&code)
                    && let Some(low) = rest[used..].strip_prefix('\\')
                    && let Ok((second @ 0xDC00..0xE000, length)) = hex_escape(low)
                {
                    code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
                    used += 1 + length;
                }
                out.push(char::from_u32(code).ok_or_else(|| format!("\\{escape} escape is no character"))?);
            }
            'N' => return Err("named character escapes are not supported".into()),
            other => {
                out.push('\\');
                out.push(other);
            }
        }
        rest = &rest[used..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The code and length of `xNN`, `uNNNN` or `UNNNNNNNN`.
fn hex_escape(text: &str) -> Result<(u32, usize), String> {
    let length = match text.as_bytes().first() {
        Some(b'x') => 3,
        Some(b'u') => 5,
        Some(b'U') => 9,
        _ => return Err("not a hexadecimal escape".into()),
    };
    text.get(1..length)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .map(|code| (code, length))
        .ok_or_else(|| "a hexadecimal escape is too short".into())
}
