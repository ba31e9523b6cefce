//! Small facts about characters and numbers as Python sees them.

/// Python's `str.isspace` for one character, which is also what `\s` matches and `strip()` removes.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\x1c'..='\x1f') || c.is_whitespace()
}

/// Whether `repr` shows the character as it is.
pub(super) fn is_printable(c: char) -> bool {
    // Rust escapes exactly what Python calls non-printable; behind another character it does not escape marks.
    !c.is_control()
        && (c == '\'' || c == '"' || c == '\\' || format!("a{c}").escape_debug().nth(1).is_none_or(|c| c != '\\'))
}

/// Python's `repr` of a float: the shortest digits that read back as the same number.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
