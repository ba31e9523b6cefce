//! Operators with Python's meaning: arithmetic, comparison, membership, slices.
//!
//! Whatever can make something large asks the meter before it does.

use std::cmp::Ordering;

use super::ast::{BinOp, CmpOp};
use super::error::TemplateError;
use super::filters::escape;
use super::format::percent;
use super::interp::Interp;
use super::meter::Meter;
use super::value::Value;

/// `-value`.
pub(super) fn negate(value: Value) -> Result<Value, TemplateError> {
    match value {
        Value::Bool(value) => Ok(Value::Int(-i128::from(value))),
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(too_big),
        Value::Float(value) => Ok(Value::Float(-value)),
        Value::Undefined(name) => Err(Value::undefined_error(&name)),
        other => Err(TemplateError::runtime(format!("bad operand type for unary -: '{}'", other.type_name()))),
    }
}

/// `+value`.
pub(super) fn plus(value: Value) -> Result<Value, TemplateError> {
    match value {
        Value::Bool(value) => Ok(Value::Int(value.into())),
        Value::Int(_) | Value::Float(_) => Ok(value),
        Value::Undefined(name) => Err(Value::undefined_error(&name)),
        other => Err(TemplateError::runtime(format!("bad operand type for unary +: '{}'", other.type_name()))),
    }
}

fn too_big() -> TemplateError {
    TemplateError::Limit { what: "bits of an integer", limit: 127 }
}

/// A number: Python counts `bool` as one.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value) -> Option<Number> {
        match value {
            Value::Bool(value) => Some(Number::Int((*value).into())),
            Value::Int(value) => Some(Number::Int(*value)),
            Value::Float(value) => Some(Number::Float(*value)),
            _ => None,
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

/// `left op right`.
pub(super) fn arithmetic(
    interp: &mut Interp<'_>,
    op: BinOp,
    left: &Value,
    right: &Value,
) -> Result<Value, TemplateError> {
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return numeric(op, a, b);
    }
    if let Value::Undefined(name) = left {
        return Err(Value::undefined_error(name));
    }
    match (op, left, right) {
        (BinOp::Rem, Value::Str(format), _) => percent(interp, format.as_str(), right),
        (_, _, Value::Undefined(name)) => Err(Value::undefined_error(name)),
        (BinOp::Add, Value::Str(a), Value::Str(b)) => {
            let markup = a.markup || b.markup;
            let mut out = interp.printer.buffer();
            for side in [a, b] {
                if markup && !side.markup {
                    escape(&mut out, side.as_str())?;
                } else {
                    out.push_str(side.as_str())?;
                }
            }
            Value::text(interp.meter(), out.into_string(), markup)
        }
        (BinOp::Add, Value::List(a), Value::List(b)) | (BinOp::Add, Value::Tuple(a), Value::Tuple(b)) => {
            let count = a.items.len() + b.items.len();
            interp.meter().check((count * size_of::<Value>()) as u64)?;
            let items = a.items.iter().chain(&b.items).cloned().collect();
            match left {
                Value::List(_) => Value::list(interp.meter(), items),
                _ => Value::tuple(interp.meter(), items),
            }
        }
        (BinOp::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), _) => repeat(interp, left, right),
        (BinOp::Mul, _, Value::Str(_) | Value::List(_) | Value::Tuple(_)) => repeat(interp, right, left),
        _ => {
            let sign = match op {
                BinOp::Add => "+",
                BinOp::Sub => "-",
                BinOp::Mul => "*",
                BinOp::Div => "/",
                BinOp::FloorDiv => "//",
                BinOp::Rem => "%",
                BinOp::Pow => "**",
            };
            let (a, b) = (left.type_name(), right.type_name());
            Err(TemplateError::runtime(format!("unsupported operand types for {sign}: '{a}' and '{b}'")))
        }
    }
}

/// `sequence * count`.
fn repeat(interp: &mut Interp<'_>, sequence: &Value, count: &Value) -> Result<Value, TemplateError> {
    let Some(Number::Int(count)) = Number::of(count) else {
        let what = format!("can't multiply sequence by non-int of type '{}'", count.type_name());
        return Err(TemplateError::runtime(what));
    };
    let count = u64::try_from(count.max(0)).unwrap_or(u64::MAX);
    let check = |unit: usize| {
        let bytes = count.saturating_mul(unit as u64);
        interp.meter().check(bytes)?;
        interp.meter().burn(bytes / 32)
    };
    match sequence {
        Value::Str(text) => {
            check(text.as_str().len())?;
            let repeated = if text.as_str().is_empty() { String::new() } else { text.as_str().repeat(count as usize) };
            Value::text(interp.meter(), repeated, text.markup)
        }
        Value::List(list) | Value::Tuple(list) => {
            check(list.items.len() * size_of::<Value>())?;
            let items = if list.items.is_empty() { Vec::new() } else { vec![&list.items[..]; count as usize].concat() };
            match sequence {
                Value::List(_) => Value::list(interp.meter(), items),
                _ => Value::tuple(interp.meter(), items),
            }
        }
        other => Err(TemplateError::runtime(format!("cannot repeat a {}", other.type_name()))),
    }
}

fn numeric(op: BinOp, a: Number, b: Number) -> Result<Value, TemplateError> {
    if let (Number::Int(a), Number::Int(b)) = (a, b) {
        let zero = || TemplateError::runtime("division by zero");
        return match op {
            BinOp::Add => a.checked_add(b).map(Value::Int).ok_or_else(too_big),
            BinOp::Sub => a.checked_sub(b).map(Value::Int).ok_or_else(too_big),
            BinOp::Mul => a.checked_mul(b).map(Value::Int).ok_or_else(too_big),
            BinOp::Div if b == 0 => Err(zero()),
            BinOp::Div => Ok(Value::Float(a as f64 / b as f64)),
            BinOp::FloorDiv | BinOp::Rem if b == 0 => Err(zero()),
            BinOp::FloorDiv => {
                let quotient = a.checked_div(b).ok_or_else(too_big)?;
                Ok(Value::Int(quotient - i128::from(a % b != 0 && (a < 0) != (b < 0))))
            }
            BinOp::Rem => {
                let remainder = a.checked_rem(b).ok_or_else(too_big)?;
                Ok(Value::Int(if remainder != 0 && (remainder < 0) != (b < 0) { remainder + b } else { remainder }))
            }
            BinOp::Pow if b < 0 && a == 0 => Err(zero()),
            BinOp::Pow if b < 0 => Ok(Value::Float((a as f64).powf(b as f64))),
            BinOp::Pow => match (a, u32::try_from(b)) {
                (0 | 1, _) => Ok(Value::Int(if b == 0 { 1 } else { a })),
                (-1, _) => Ok(Value::Int(if b % 2 == 0 { 1 } else { -1 })),
                (_, Ok(exponent)) => a.checked_pow(exponent).map(Value::Int).ok_or_else(too_big),
                (_, Err(_)) => Err(too_big()),
            },
        };
    }
    let (a, b) = (a.float(), b.float());
    let nonzero = |result: f64| {
        if b == 0.0 { Err(TemplateError::runtime("float division by zero")) } else { Ok(Value::Float(result)) }
    };
    match op {
        BinOp::Add => Ok(Value::Float(a + b)),
        BinOp::Sub => Ok(Value::Float(a - b)),
        BinOp::Mul => Ok(Value::Float(a * b)),
        BinOp::Div => nonzero(a / b),
        BinOp::FloorDiv => nonzero(floor_division(a, b).0),
        BinOp::Rem => nonzero(floor_division(a, b).1),
        BinOp::Pow if a < 0.0 && b.fract() != 0.0 => Err(TemplateError::runtime("a complex number")),
        BinOp::Pow if a == 0.0 && b < 0.0 => Err(TemplateError::runtime("0.0 cannot be raised to a negative power")),
        BinOp::Pow => Ok(Value::Float(a.powf(b))),
    }
}

/// Python's `divmod` of floats: the remainder has the divisor's sign.
fn floor_division(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 {
        if (remainder < 0.0) != (b < 0.0) {
            remainder += b;
            quotient -= 1.0;
        }
    } else {
        remainder = 0.0f64.copysign(b);
    }
    let floored = quotient.floor();
    let quotient = if quotient == 0.0 {
        0.0f64.copysign(a / b)
    } else if quotient - floored > 0.5 {
        floored + 1.0
    } else {
        floored
    };
    (quotient, remainder)
}

/// `left op right` for a comparison.
pub(super) fn compare(interp: &mut Interp<'_>, op: CmpOp, left: &Value, right: &Value) -> Result<bool, TemplateError> {
    Ok(match op {
        CmpOp::Eq => equals_seen(interp, left, right)?,
        CmpOp::Ne => !equals_seen(interp, left, right)?,
        CmpOp::In => contains(interp, right, left)?,
        CmpOp::NotIn => !contains(interp, right, left)?,
        CmpOp::Lt => order(interp.meter(), left, right, "<")? == Some(Ordering::Less),
        CmpOp::Gt => order(interp.meter(), left, right, ">")? == Some(Ordering::Greater),
        CmpOp::Le => matches!(order(interp.meter(), left, right, "<=")?, Some(Ordering::Less | Ordering::Equal)),
        CmpOp::Ge => matches!(order(interp.meter(), left, right, ">=")?, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// Equality as the template's author means it: the shield is not there.
fn equals_seen(interp: &Interp<'_>, a: &Value, b: &Value) -> Result<bool, TemplateError> {
    if let (Some(shield), Value::Str(a), Value::Str(b)) = (interp.shield, a, b) {
        interp.meter().burn_bytes(a.as_str().len() + b.as_str().len())?;
        return Ok(a
            .as_str()
            .chars()
            .filter(|c| *c != shield.mark())
            .eq(b.as_str().chars().filter(|c| *c != shield.mark())));
    }
    equals(interp.meter(), a, b)
}

/// Python's `==`.
pub(super) fn equals(meter: &Meter, a: &Value, b: &Value) -> Result<bool, TemplateError> {
    meter.burn(1)?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.float() == b.float(),
        });
    }
    Ok(match (a, b) {
        (Value::None, Value::None) | (Value::Undefined(_), Value::Undefined(_)) => true,
        (Value::Str(a), Value::Str(b)) => {
            meter.burn_bytes(a.as_str().len().min(b.as_str().len()))?;
            a.as_str() == b.as_str()
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            if a.items.len() != b.items.len() {
                return Ok(false);
            }
            for (a, b) in a.items.iter().zip(&b.items) {
                if !equals(meter, a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.entries.len() != b.entries.len() {
                return Ok(false);
            }
            for (key, value) in &a.entries {
                match b.get(meter, key)? {
                    Some(other) if equals(meter, value, other)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Range(a), Value::Range(b)) => {
            a.len() == b.len() && (a.len() == 0 || (a.start == b.start && (a.len() == 1 || a.step == b.step)))
        }
        (Value::Namespace(a), Value::Namespace(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Macro(a), Value::Macro(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Function(a), Value::Function(b)) => a == b,
        _ => false,
    })
}

/// Python's order; `None` where a NaN is involved, an error where the types have no order.
pub(super) fn order(meter: &Meter, a: &Value, b: &Value, op: &str) -> Result<Option<Ordering>, TemplateError> {
    meter.burn(1)?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(match (a, b) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        });
    }
    match (a, b) {
        (Value::Undefined(name), _) | (_, Value::Undefined(name)) => Err(Value::undefined_error(name)),
        (Value::Str(a), Value::Str(b)) => {
            meter.burn_bytes(a.as_str().len().min(b.as_str().len()))?;
            Ok(Some(a.as_str().cmp(b.as_str())))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            for (x, y) in a.items.iter().zip(&b.items) {
                if !equals(meter, x, y)? {
                    return order(meter, x, y, op);
                }
            }
            Ok(Some(a.items.len().cmp(&b.items.len())))
        }
        _ => {
            let (a, b) = (a.type_name(), b.type_name());
            Err(TemplateError::runtime(format!("'{op}' not supported between instances of '{a}' and '{b}'")))
        }
    }
}

/// `item in container`.
pub(super) fn contains(interp: &Interp<'_>, container: &Value, item: &Value) -> Result<bool, TemplateError> {
    let meter = interp.meter();
    let any = |items: &[Value]| {
        for candidate in items {
            if equals_seen(interp, candidate, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match container {
        Value::Str(text) => match item {
            Value::Str(part) => {
                meter.burn_bytes(text.as_str().len())?;
                let part = interp.needle(text.as_str(), part.as_str());
                Ok(text.as_str().contains(&*part))
            }
            Value::Undefined(name) => Err(Value::undefined_error(name)),
            other => {
                let what = format!("'in <string>' requires string as left operand, not {}", other.type_name());
                Err(TemplateError::runtime(what))
            }
        },
        Value::List(list) | Value::Tuple(list) => any(&list.items),
        Value::View(view) => any(&view.list.items),
        Value::Iter(iter) => any(&iter.drain()),
        Value::Dict(dict) => Ok(dict.get(meter, item)?.is_some()),
        Value::Range(_) => any(&interp.items(container)?),
        Value::Undefined(_) => Ok(false),
        other => Err(TemplateError::runtime(format!("argument of type '{}' is not iterable", other.type_name()))),
    }
}

/// Python's `len(value)`; the shield does not count.
pub(super) fn length(interp: &Interp<'_>, value: &Value) -> Result<usize, TemplateError> {
    Ok(match value {
        Value::Undefined(_) => 0,
        Value::Str(text) => {
            interp.meter().burn_bytes(text.as_str().len())?;
            interp.count_chars(text.as_str())
        }
        Value::List(list) | Value::Tuple(list) => list.items.len(),
        Value::Dict(dict) => dict.entries.len(),
        Value::Range(range) => range.len(),
        Value::View(view) => view.list.items.len(),
        Value::Loop(state) => state.items.items.len(),
        other => {
            return Err(TemplateError::runtime(format!("object of type '{}' has no len()", other.type_name())));
        }
    })
}

/// `value[start:stop:step]`.
pub(super) fn slice(
    interp: &Interp<'_>,
    value: &Value,
    [start, stop, step]: [Option<i128>; 3],
) -> Result<Value, TemplateError> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(TemplateError::runtime("slice step cannot be zero"));
    }
    let meter = interp.meter();
    match value {
        Value::Str(text) => {
            let text_in = text.as_str();
            meter.burn_bytes(4 * text_in.len())?;
            let picked: String = if interp.without_marks(text_in) {
                meter.check(5 * text_in.len() as u64)?;
                let chars: Vec<char> = text_in.chars().collect();
                indices(chars.len(), start, stop, step).map(|at| chars[at]).collect()
            } else {
                meter.check(17 * text_in.len() as u64)?;
                let units = interp.units(text_in);
                indices(units.len(), start, stop, step).map(|at| units[at]).collect()
            };
            let picked = if step == 1 { picked } else { interp.reshield(&[text_in], picked) };
            Value::text(meter, picked, text.markup)
        }
        Value::List(list) | Value::Tuple(list) => {
            let items: Vec<Value> =
                indices(list.items.len(), start, stop, step).map(|at| list.items[at].clone()).collect();
            match value {
                Value::List(_) => Value::list(meter, items),
                _ => Value::tuple(meter, items),
            }
        }
        Value::Range(range) => {
            // A slice of a range is used like a list of its numbers.
            let items = indices(range.len(), start, stop, step).map(|at| range.get(at)).collect();
            Value::list(meter, items)
        }
        Value::Undefined(name) => Err(Value::undefined_error(name)),
        other => Err(TemplateError::runtime(format!("'{}' object cannot be sliced", other.type_name()))),
    }
}

/// The places that a slice of something with `len` items visits, in its order.
fn indices(len: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> impl Iterator<Item = usize> {
    let len = len as i128;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: i128| (if bound < 0 { bound.saturating_add(len) } else { bound }).clamp(low, high);
    let start = start.map_or(if step > 0 { low } else { high }, clamp);
    let stop = stop.map_or(if step > 0 { high } else { low }, clamp);
    let step = step.clamp(-(len + 1), len + 1);
    std::iter::successors(Some(start), move |at| Some(at + step))
        .take_while(move |at| if step > 0 { *at < stop } else { *at > stop })
        .map(|at| at as usize)
}
