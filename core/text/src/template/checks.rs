//! The tests that follow `is`.

use super::args::{CallArgs, int};
use super::ast::{BinOp, CmpOp};
use super::error::TemplateError;
use super::interp::Interp;
use super::value::Value;
use super::{filters, ops};

/// `value is name(args)`.
pub(super) fn test(interp: &mut Interp<'_>, name: &str, value: &Value, args: CallArgs) -> Result<bool, TemplateError> {
    let comparison = match name {
        "eq" | "==" | "equalto" => Some(CmpOp::Eq),
        "ne" | "!=" => Some(CmpOp::Ne),
        "lt" | "<" | "lessthan" => Some(CmpOp::Lt),
        "le" | "<=" => Some(CmpOp::Le),
        "gt" | ">" | "greaterthan" => Some(CmpOp::Gt),
        "ge" | ">=" => Some(CmpOp::Ge),
        "in" => Some(CmpOp::In),
        _ => None,
    };
    if let Some(op) = comparison {
        let [other] = args.bind(name, ["other"])?;
        let other = other.ok_or_else(|| TemplateError::runtime(format!("test '{name}' needs an argument")))?;
        return ops::compare(interp, op, value, &other);
    }
    match name {
        "sameas" => {
            let [other] = args.bind(name, ["other"])?;
            let other = other.ok_or_else(|| TemplateError::runtime("test 'sameas' needs an argument"))?;
            return Ok(value.type_name() == other.type_name() && ops::equals(interp.meter(), value, &other)?);
        }
        "divisibleby" => {
            let [divisor] = args.bind(name, ["num"])?;
            let divisor = divisor.ok_or_else(|| TemplateError::runtime("test 'divisibleby' needs an argument"))?;
            let remainder = ops::arithmetic(interp, BinOp::Rem, value, &divisor)?;
            return Ok(!remainder.truthy());
        }
        _ => args.none(name)?,
    }
    Ok(match name {
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "number" => ops::Number::of(value).is_some(),
        "string" => matches!(value, Value::Str(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "sequence" => matches!(
            value,
            Value::Undefined(_) | Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Range(_)
        ),
        "iterable" => matches!(
            value,
            Value::Undefined(_)
                | Value::Str(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Dict(_)
                | Value::Range(_)
                | Value::View(_)
                | Value::Iter(_)
                | Value::Loop(_)
        ),
        "callable" => matches!(
            value,
            Value::Undefined(_)
                | Value::Macro(_)
                | Value::Function(_)
                | Value::Method(_)
                | Value::Joiner(_)
                | Value::Loop(_)
        ),
        "odd" => int("test 'odd'", value)?.rem_euclid(2) == 1,
        "even" => int("test 'even'", value)?.rem_euclid(2) == 0,
        "escaped" => value.is_markup(),
        "lower" => cased(&interp.printer.to_str(value)?, char::is_lowercase, char::is_uppercase),
        "upper" => cased(&interp.printer.to_str(value)?, char::is_uppercase, char::is_lowercase),
        "filter" => value.as_str().is_some_and(filters::exists),
        "test" => value.as_str().is_some_and(|name| NAMES.contains(&name)),
        _ => return Err(TemplateError::runtime(format!("No test named '{name}'"))),
    })
}

/// Python's `islower` and `isupper`: a cased character, and none of the other case.
pub(super) fn cased(text: &str, wanted: fn(char) -> bool, other: fn(char) -> bool) -> bool {
    text.chars().any(wanted) && !text.chars().any(other)
}

/// All tests, for `'x' is test`.
const NAMES: [&str; 39] = [
    "odd",
    "even",
    "divisibleby",
    "defined",
    "undefined",
    "filter",
    "test",
    "none",
    "boolean",
    "false",
    "true",
    "integer",
    "float",
    "lower",
    "upper",
    "string",
    "mapping",
    "number",
    "sequence",
    "iterable",
    "callable",
    "sameas",
    "escaped",
    "in",
    "==",
    "eq",
    "equalto",
    "!=",
    "ne",
    ">",
    "gt",
    "greaterthan",
    "ge",
    ">=",
    "<",
    "lt",
    "lessthan",
    "le",
    "<=",
];
