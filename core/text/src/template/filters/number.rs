//! Filters that give numbers, or print them.

use super::super::args::{CallArgs, int};
use super::super::error::TemplateError;
use super::super::interp::Interp;
use super::super::ops::Number;
use super::super::text::is_space;
use super::super::value::Value;

pub(super) fn apply(interp: &mut Interp<'_>, name: &str, value: Value, args: CallArgs) -> Result<Value, TemplateError> {
    match name {
        "abs" => {
            args.none(name)?;
            match Number::of(&value) {
                Some(Number::Int(value)) => Ok(Value::Int(value.saturating_abs())),
                Some(Number::Float(value)) => Ok(Value::Float(value.abs())),
                None => Err(TemplateError::runtime(format!("bad operand type for abs(): '{}'", value.type_name()))),
            }
        }
        "int" => {
            let [default, base] = args.bind(name, ["default", "base"])?;
            let base = base.map_or(Ok(10), |base| int("a base", &base))?;
            if let Value::Undefined(name) = &value {
                return Err(Value::undefined_error(name));
            }
            Ok(to_int(&value, base).map(Value::Int).unwrap_or(default.unwrap_or(Value::Int(0))))
        }
        "float" => {
            let [default] = args.bind(name, ["default"])?;
            if let Value::Undefined(name) = &value {
                return Err(Value::undefined_error(name));
            }
            let number = match &value {
                Value::Str(text) => parse_float(text.as_str()),
                other => Number::of(other).map(|number| match number {
                    Number::Int(value) => value as f64,
                    Number::Float(value) => value,
                }),
            };
            Ok(number.map(Value::Float).unwrap_or(default.unwrap_or(Value::Float(0.0))))
        }
        "round" => {
            let [precision, method] = args.bind(name, ["precision", "method"])?;
            let precision = precision.map_or(Ok(0), |precision| int(name, &precision))?;
            let method = method.as_ref().and_then(Value::as_str).unwrap_or("common").to_owned();
            round(&value, precision, &method)
        }
        _ => {
            let [binary] = args.bind(name, ["binary"])?;
            let bytes = match Number::of(&value) {
                Some(Number::Int(value)) => value as f64,
                Some(Number::Float(value)) => value,
                None => value.as_str().and_then(parse_float).ok_or_else(|| TemplateError::runtime("not a size"))?,
            };
            interp.string(file_size(bytes, binary.is_some_and(|binary| binary.truthy())))
        }
    }
}

fn to_int(value: &Value, base: i128) -> Option<i128> {
    let truncate = |value: f64| (value.is_finite() && value.abs() < 1e38).then_some(value as i128);
    match value {
        Value::Str(text) => parse_int(text.as_str(), base).or_else(|| parse_float(text.as_str()).and_then(truncate)),
        other => match Number::of(other)? {
            Number::Int(value) => Some(value),
            Number::Float(value) => truncate(value),
        },
    }
}

/// Python's `int(text, base)`.
fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    };
    let lower = digits.to_lowercase();
    let digits = if prefix.is_empty() { &lower } else { lower.strip_prefix(prefix).unwrap_or(&lower) };
    let radix = u32::try_from(base).ok().filter(|radix| (2..=36).contains(radix))?;
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") || digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok()
}

/// Python's `float(text)`.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn round(value: &Value, precision: i128, method: &str) -> Result<Value, TemplateError> {
    let Some(number) = Number::of(value) else {
        return Err(TemplateError::runtime(format!("type {} cannot be rounded", value.type_name())));
    };
    let places = precision.clamp(-300, 300) as i32;
    let scaled = |value: f64, round: fn(f64) -> f64| {
        let scale = 10f64.powi(places);
        Ok(Value::Float(round(value * scale) / scale))
    };
    match (method, number) {
        ("common", Number::Int(value)) if places >= 0 => Ok(Value::Int(value)),
        ("common", Number::Int(value)) => {
            let unit = 10i128.checked_pow(places.unsigned_abs()).unwrap_or(i128::MAX);
            let (down, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
            let up = rest * 2 > unit || (rest * 2 == unit && down % 2 != 0);
            Ok(Value::Int((down + i128::from(up)).saturating_mul(unit)))
        }
        // Formatting rounds the exact decimal value half to even, as Python does.
        ("common", Number::Float(value)) if places >= 0 && value.is_finite() => {
            Ok(Value::Float(format!("{value:.*}", places as usize).parse().unwrap_or(value)))
        }
        ("common", Number::Float(value)) => scaled(value, f64::round_ties_even),
        ("ceil", Number::Int(value)) => scaled(value as f64, f64::ceil),
        ("ceil", Number::Float(value)) => scaled(value, f64::ceil),
        ("floor", Number::Int(value)) => scaled(value as f64, f64::floor),
        ("floor", Number::Float(value)) => scaled(value, f64::floor),
        _ => Err(TemplateError::runtime("method must be common, ceil or floor")),
    }
}

fn file_size(bytes: f64, binary: bool) -> String {
    let (base, units) = if binary {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return "1 Byte".into();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc());
    }
    let mut unit = base;
    for name in units {
        unit *= base;
        if bytes < unit {
            return format!("{:.1} {name}", base * bytes / unit);
        }
    }
    format!("{:.1} {}", base * bytes / unit, units[7])
}
