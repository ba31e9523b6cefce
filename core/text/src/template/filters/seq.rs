//! Filters on lists, dicts and what else can be iterated.
//!
//! Where Python gives a generator, so does this: `map`, `select` and their like give their items once.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::args::{CallArgs, size, str};
use super::super::ast::BinOp;
use super::super::error::TemplateError;
use super::super::interp::Interp;
use super::super::methods::pairs;
use super::super::value::{List, Value};
use super::super::{checks, ops};

pub(super) fn apply(interp: &mut Interp<'_>, name: &str, value: Value, args: CallArgs) -> Result<Value, TemplateError> {
    match name {
        "length" | "count" => {
            args.none(name)?;
            Ok(Value::Int(ops::length(interp, &value)? as i128))
        }
        "first" => {
            args.none(name)?;
            match &value {
                Value::Iter(iter) => Ok(iter.next().unwrap_or(Value::Undefined(None))),
                Value::List(list) | Value::Tuple(list) => Ok(first_of(&list.items)),
                other => Ok(first_of(&interp.items(other)?)),
            }
        }
        "last" => {
            args.none(name)?;
            match &value {
                Value::List(list) | Value::Tuple(list) => Ok(last_of(&list.items)),
                Value::Iter(_) => Err(TemplateError::runtime("'generator' object is not reversible")),
                other => Ok(last_of(&interp.items(other)?)),
            }
        }
        "list" => {
            args.none(name)?;
            let items = interp.items(&value)?;
            Value::list(interp.meter(), items)
        }
        "items" => {
            args.none(name)?;
            let items = match &value {
                Value::Undefined(_) => Vec::new(),
                Value::Dict(dict) => pairs(interp, dict)?,
                _ => return Err(TemplateError::runtime("Can only get item pairs from a mapping.")),
            };
            Value::iter(interp.meter(), items)
        }
        "join" => join(interp, &value, args),
        "reverse" => {
            args.none(name)?;
            if let Value::Str(text) = &value {
                let reversed: String = text.as_str().chars().rev().collect();
                return interp.string(interp.reshield(&[text.as_str()], reversed));
            }
            let mut items = interp.items(&value)?;
            items.reverse();
            Value::iter(interp.meter(), items)
        }
        "attr" => {
            let [name] = args.bind(name, ["name"])?;
            let name = name.ok_or_else(|| TemplateError::runtime("attr needs a name"))?;
            let name: Arc<str> = str("attr", &name)?.into();
            match &value {
                // Only attributes, no items.
                Value::Dict(_) if !super::super::methods::DICT.contains(&&*name) => Ok(Value::Undefined(Some(name))),
                other => interp.attribute(other, &name),
            }
        }
        // Jinja2 does not even look at what is false.
        "map" | "select" | "reject" | "selectattr" | "rejectattr" if !value.truthy() => {
            Value::iter(interp.meter(), Vec::new())
        }
        "map" => map(interp, &value, args),
        "select" | "reject" | "selectattr" | "rejectattr" => select(interp, name, &value, args),
        "sort" => sort(interp, &value, args),
        "unique" => unique(interp, &value, args),
        "min" | "max" => extreme(interp, name, &value, args),
        "sum" => {
            let [attribute, start] = args.bind(name, ["attribute", "start"])?;
            let mut total = start.unwrap_or(Value::Int(0));
            for item in interp.items(&value)? {
                let item = attribute_of(interp, item, attribute.as_ref())?;
                total = ops::arithmetic(interp, BinOp::Add, &total, &item)?;
            }
            Ok(total)
        }
        "dictsort" => dict_sort(interp, &value, args),
        "batch" => {
            let [count, fill] = args.bind(name, ["linecount", "fill_with"])?;
            let count = size(name, &count.ok_or_else(|| TemplateError::runtime("batch needs a size"))?)?;
            if count == 0 {
                return Err(TemplateError::runtime("batch needs a size above 0"));
            }
            let mut rows = Vec::new();
            for row in interp.items(&value)?.chunks(count) {
                let mut row = row.to_vec();
                if let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None)) {
                    interp.meter().check((count * size_of::<Value>()) as u64)?;
                    row.resize(count, fill.clone());
                }
                rows.push(Value::list(interp.meter(), row)?);
            }
            Value::iter(interp.meter(), rows)
        }
        _ => {
            let [slices, fill] = args.bind(name, ["slices", "fill_with"])?;
            let slices = size(name, &slices.ok_or_else(|| TemplateError::runtime("slice needs a count"))?)?;
            slice(interp, &value, slices, fill)
        }
    }
}

fn first_of(items: &[Value]) -> Value {
    items.first().cloned().unwrap_or(Value::Undefined(None))
}

fn last_of(items: &[Value]) -> Value {
    items.last().cloned().unwrap_or(Value::Undefined(None))
}

fn join(interp: &mut Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"])?;
    let separator = separator.map_or(Ok(String::new()), |separator| interp.printer.to_str(&separator))?;
    let items = interp.items(value)?;
    let mut out = interp.printer.buffer();
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push_str(&separator)?;
        }
        let item = attribute_of(interp, item, attribute.as_ref())?;
        interp.printer.write_str(&mut out, &item)?;
    }
    interp.string(out.into_string())
}

/// `item.a.b` for the attribute `'a.b'`; the item itself without one.
fn attribute_of(interp: &mut Interp<'_>, item: Value, attribute: Option<&Value>) -> Result<Value, TemplateError> {
    attribute_or(interp, item, attribute, None)
}

/// [`attribute_of`], with `default` in the place of every step that finds nothing.
fn attribute_or(
    interp: &mut Interp<'_>,
    item: Value,
    attribute: Option<&Value>,
    default: Option<&Value>,
) -> Result<Value, TemplateError> {
    let fill = |found: Value| match (&found, default) {
        (Value::Undefined(_), Some(default)) => default.clone(),
        _ => found,
    };
    match attribute {
        None | Some(Value::None) => Ok(item),
        Some(Value::Str(path)) => {
            let mut item = item;
            for step in path.as_str().split('.') {
                interp.meter().burn(1)?;
                let key = match step.parse::<u32>() {
                    Ok(index) if step.bytes().all(|b| b.is_ascii_digit()) => Value::Int(index.into()),
                    _ => interp.string(step)?,
                };
                item = fill(interp.item(&item, &key)?);
            }
            Ok(item)
        }
        Some(index) => Ok(fill(interp.item(&item, index)?)),
    }
}

fn map(interp: &mut Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let items = interp.items(value)?;
    let mut mapped = Vec::with_capacity(items.len());
    if args.pos.is_empty() && args.named.iter().any(|(name, _)| &**name == "attribute") {
        let [attribute, default] = args.bind("map", ["attribute", "default"])?;
        for item in items {
            mapped.push(attribute_or(interp, item, attribute.as_ref(), default.as_ref())?);
        }
    } else {
        let Some((filter, rest)) = args.pos.split_first() else {
            return Err(TemplateError::runtime("map requires a filter argument"));
        };
        let filter = str("map", filter)?;
        for item in items {
            let args = CallArgs { pos: rest.to_vec(), named: args.named.clone() };
            mapped.push(super::apply(interp, filter, item, args)?);
        }
    }
    Value::iter(interp.meter(), mapped)
}

fn select(interp: &mut Interp<'_>, name: &str, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let wanted = name.starts_with("select");
    let mut pos = args.pos.into_iter();
    let attribute = if name.ends_with("attr") {
        Some(pos.next().ok_or_else(|| TemplateError::runtime(format!("{name} needs an attribute")))?)
    } else {
        None
    };
    let test = pos.next();
    let rest: Vec<Value> = pos.collect();
    let mut kept = Vec::new();
    for item in interp.items(value)? {
        let tested = attribute_of(interp, item.clone(), attribute.as_ref())?;
        let passed = match &test {
            None => tested.truthy(),
            Some(test) => {
                let args = CallArgs { pos: rest.clone(), named: args.named.clone() };
                checks::test(interp, str(name, test)?, &tested, args)?
            }
        };
        if passed == wanted {
            kept.push(item);
        }
    }
    Value::iter(interp.meter(), kept)
}

/// What an item is sorted or compared by: strings without regard to case unless asked.
fn sort_key(
    interp: &mut Interp<'_>,
    item: &Value,
    attribute: Option<&Value>,
    case_sensitive: bool,
) -> Result<Value, TemplateError> {
    let fold = |interp: &mut Interp<'_>, value: Value| match &value {
        Value::Str(text) if !case_sensitive => {
            interp.meter().burn_bytes(text.as_str().len())?;
            interp.string(text.as_str().to_lowercase())
        }
        _ => Ok(value),
    };
    // `attribute='a,b'` sorts by both.
    match attribute {
        Some(Value::Str(paths)) if paths.as_str().contains(',') => {
            let mut keys = Vec::new();
            for path in paths.as_str().split(',') {
                let path = interp.string(path)?;
                let key = attribute_of(interp, item.clone(), Some(&path))?;
                keys.push(fold(interp, key)?);
            }
            Value::tuple(interp.meter(), keys)
        }
        other => {
            let key = attribute_of(interp, item.clone(), other)?;
            fold(interp, key)
        }
    }
}

/// A stable merge sort by key that stops at the first pair without an order. (The standard library's sort may panic
/// where NaNs make the order inconsistent.)
fn sort_by_key(
    interp: &Interp<'_>,
    mut keyed: Vec<(Value, Value)>,
    reverse: bool,
) -> Result<Vec<Value>, TemplateError> {
    let mut width = 1;
    while width < keyed.len() {
        let mut merged = Vec::with_capacity(keyed.len());
        for pair in keyed.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                // Reversed, equal items still keep their order.
                let (low, high) = if reverse { (a, b) } else { (b, a) };
                if ops::order(interp.meter(), &low.0, &high.0, "<")? == Some(Ordering::Less) {
                    merged.push(b.clone());
                    right = &right[1..];
                } else {
                    merged.push(a.clone());
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        keyed = merged;
        width *= 2;
    }
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn sort(interp: &mut Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [reverse, case_sensitive, attribute] = args.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let truthy = |value: Option<Value>| value.is_some_and(|value| value.truthy());
    let (reverse, case_sensitive) = (truthy(reverse), truthy(case_sensitive));
    let mut keyed = Vec::new();
    for item in interp.items(value)? {
        keyed.push((sort_key(interp, &item, attribute.as_ref(), case_sensitive)?, item));
    }
    let sorted = sort_by_key(interp, keyed, reverse)?;
    Value::list(interp.meter(), sorted)
}

fn dict_sort(interp: &mut Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [case_sensitive, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let truthy = |value: Option<Value>| value.is_some_and(|value| value.truthy());
    let at = match by.as_ref().and_then(Value::as_str) {
        None | Some("key") => 0,
        Some("value") => 1,
        Some(_) => return Err(TemplateError::runtime("You can only sort by either \"key\" or \"value\"")),
    };
    let (case_sensitive, reverse) = (truthy(case_sensitive), truthy(reverse));
    let Value::Dict(dict) = value else {
        return Err(TemplateError::runtime(format!("'{}' object has no items", value.type_name())));
    };
    let mut keyed = Vec::new();
    for pair in pairs(interp, dict)? {
        keyed.push((sort_key(interp, &pair, Some(&Value::Int(at)), case_sensitive)?, pair));
    }
    let sorted = sort_by_key(interp, keyed, reverse)?;
    Value::list(interp.meter(), sorted)
}

fn unique(interp: &mut Interp<'_>, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [case_sensitive, attribute] = args.bind("unique", ["case_sensitive", "attribute"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.truthy());
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for item in interp.items(value)? {
        let key = sort_key(interp, &item, attribute.as_ref(), case_sensitive)?;
        if seen.insert(key.key(interp.meter())?) {
            kept.push(item);
        }
    }
    Value::iter(interp.meter(), kept)
}

fn extreme(interp: &mut Interp<'_>, name: &str, value: &Value, args: CallArgs) -> Result<Value, TemplateError> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"])?;
    let case_sensitive = case_sensitive.is_some_and(|value| value.truthy());
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best: Option<(Value, Value)> = None;
    for item in interp.items(value)? {
        let key = sort_key(interp, &item, attribute.as_ref(), case_sensitive)?;
        let better = match &best {
            None => true,
            Some((best, _)) => ops::order(interp.meter(), &key, best, "<")? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::Undefined(None), |(_, item)| item))
}

/// Jinja2's `slice`: a given number of columns of nearly equal length.
fn slice(interp: &mut Interp<'_>, value: &Value, slices: usize, fill: Option<Value>) -> Result<Value, TemplateError> {
    let items = interp.items(value)?;
    if slices == 0 {
        return Err(TemplateError::runtime("slice needs a count above 0"));
    }
    interp.meter().check((slices * size_of::<List>()) as u64)?;
    let (per_slice, longer) = (items.len() / slices, items.len() % slices);
    let mut columns = Vec::new();
    let mut at = 0;
    for column in 0..slices {
        let length = per_slice + usize::from(column < longer);
        let mut part = items[at..at + length].to_vec();
        at += length;
        if let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None))
            && column >= longer
        {
            part.push(fill.clone());
        }
        columns.push(Value::list(interp.meter(), part)?);
    }
    Value::iter(interp.meter(), columns)
}
