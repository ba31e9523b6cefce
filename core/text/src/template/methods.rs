//! Methods of Python's `dict`, `list` and loop helpers; those of `str` are in `methods_str`.
//!
//! Methods that change a value are missing on purpose: the sandbox of transformers refuses them.

use super::args::CallArgs;
use super::error::TemplateError;
use super::interp::Interp;
use super::methods_str;
use super::ops;
use super::value::{Dict, List, Value, View};

pub(super) use super::methods_str::STR;

/// Methods of a dict. They hide keys of the same name, as in Python (`x.items` is the method, `x['items']` the key).
pub(super) const DICT: [&str; 5] = ["get", "items", "keys", "values", "copy"];
/// Methods of a list or tuple.
pub(super) const LIST: [&str; 3] = ["count", "index", "copy"];

/// Calls `on.name(args)`.
pub(super) fn call(interp: &mut Interp<'_>, on: &Value, name: &str, args: CallArgs) -> Result<Value, TemplateError> {
    match on {
        Value::Str(text) => methods_str::call(interp, text, name, args),
        Value::Dict(dict) => match name {
            "get" => {
                let [key, default] = args.bind("get", ["key", "default"])?;
                let key = key.ok_or_else(|| TemplateError::runtime("get needs a key"))?;
                Ok(dict.get(interp.meter(), &key)?.cloned().unwrap_or(default.unwrap_or(Value::None)))
            }
            _ => {
                args.none(name)?;
                view(interp, on, dict, name)
            }
        },
        Value::List(list) | Value::Tuple(list) => match name {
            "copy" => {
                args.none(name)?;
                Ok(on.clone())
            }
            _ => search(interp, list, name, args),
        },
        Value::Loop(state) if name == "cycle" => args
            .pos
            .get(*state.index.borrow() % args.pos.len().max(1))
            .cloned()
            .ok_or_else(|| TemplateError::runtime("no items for cycling given")),
        Value::Loop(state) if name == "changed" => {
            let now = Value::tuple(interp.meter(), args.pos)?;
            let before = state.changed.replace(Some(now.clone()));
            match before {
                Some(before) => Ok(Value::Bool(!ops::equals(interp.meter(), &before, &now)?)),
                None => Ok(Value::Bool(true)),
            }
        }
        Value::Cycler(cycler) => {
            args.none(name)?;
            let mut at = cycler.at.borrow_mut();
            if name == "reset" {
                *at = 0;
                return Ok(Value::None);
            }
            let item = cycler.items.items[*at].clone();
            *at = (*at + 1) % cycler.items.items.len();
            Ok(item)
        }
        other => Err(TemplateError::runtime(format!("'{}' has no method '{name}'", other.type_name()))),
    }
}

fn view(interp: &Interp<'_>, on: &Value, dict: &Dict, name: &str) -> Result<Value, TemplateError> {
    let meter = interp.meter();
    meter.burn(dict.entries.len() as u64)?;
    let (kind, items) = match name {
        "keys" => ("dict_keys", dict.entries.iter().map(|(key, _)| key.clone()).collect()),
        "values" => ("dict_values", dict.entries.iter().map(|(_, value)| value.clone()).collect()),
        "items" => ("dict_items", pairs(interp, dict)?),
        _ => return Ok(on.clone()),
    };
    Ok(Value::View(std::rc::Rc::new(View { kind, list: List::new(meter, items)? })))
}

/// The entries of a dict as tuples.
pub(super) fn pairs(interp: &Interp<'_>, dict: &Dict) -> Result<Vec<Value>, TemplateError> {
    dict.entries.iter().map(|(key, value)| Value::tuple(interp.meter(), vec![key.clone(), value.clone()])).collect()
}

fn search(interp: &Interp<'_>, list: &List, name: &str, args: CallArgs) -> Result<Value, TemplateError> {
    let [item] = args.bind(name, ["value"])?;
    let item = item.ok_or_else(|| TemplateError::runtime(format!("{name} needs a value")))?;
    let mut count = 0;
    for (at, candidate) in list.items.iter().enumerate() {
        if ops::equals(interp.meter(), candidate, &item)? {
            if name == "index" {
                return Ok(Value::Int(at as i128));
            }
            count += 1;
        }
    }
    if name == "index" { Err(TemplateError::runtime("the value is not in the list")) } else { Ok(Value::Int(count)) }
}
