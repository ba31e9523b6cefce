//! Global functions: Jinja2's, as its sandbox limits them, and the two of transformers.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::args::{CallArgs, int, str};
use super::error::TemplateError;
use super::interp::Interp;
use super::strftime::strftime;
use super::value::{Cycler, Function, Joiner, List, Range, Value};

/// The sandbox of Jinja2 allows no longer range.
const MAX_RANGE: u64 = 100_000;

/// The global function of that name.
pub(super) fn global(name: &str) -> Option<Function> {
    Some(match name {
        "range" => Function::Range,
        "dict" => Function::Dict,
        "namespace" => Function::Namespace,
        "cycler" => Function::Cycler,
        "joiner" => Function::Joiner,
        "raise_exception" => Function::RaiseException,
        "strftime_now" => Function::StrftimeNow,
        _ => return None,
    })
}

/// Calls a global function.
pub(super) fn call(interp: &mut Interp<'_>, function: Function, args: CallArgs) -> Result<Value, TemplateError> {
    match function {
        Function::Range => {
            let values = args.pos.iter().map(|value| int("range", value)).collect::<Result<Vec<_>, _>>()?;
            let (start, stop, step) = match values[..] {
                [stop] => (0, stop, 1),
                [start, stop] => (start, stop, 1),
                [start, stop, step] => (start, stop, step),
                _ => return Err(TemplateError::runtime("range takes one to three integers")),
            };
            if step == 0 {
                return Err(TemplateError::runtime("range() arg 3 must not be zero"));
            }
            if [start, stop, step].iter().any(|value| value.unsigned_abs() > u64::MAX.into()) {
                return Err(TemplateError::Limit { what: "bounds of a range", limit: u64::MAX });
            }
            let range = Range { start, stop, step };
            if range.len() as u64 > MAX_RANGE {
                return Err(TemplateError::Limit { what: "length of a range", limit: MAX_RANGE });
            }
            Ok(Value::Range(range))
        }
        Function::Dict => {
            let mut entries = Vec::new();
            match args.pos.first() {
                None => {}
                Some(Value::Dict(dict)) => entries.extend(dict.entries.iter().cloned()),
                Some(pairs) => {
                    for pair in interp.items(pairs)? {
                        match &interp.items(&pair)?[..] {
                            [key, value] => entries.push((key.clone(), value.clone())),
                            _ => return Err(TemplateError::runtime("dict needs pairs")),
                        }
                    }
                }
            }
            for (name, value) in args.named {
                entries.push((interp.string(&*name)?, value));
            }
            Value::dict(interp.meter(), entries)
        }
        Function::Namespace => namespace(interp, args),
        Function::Cycler => {
            if args.pos.is_empty() {
                return Err(TemplateError::runtime("cycler needs at least one item"));
            }
            let items = List::new(interp.meter(), args.pos)?;
            Ok(Value::Cycler(Rc::new(Cycler { items, at: RefCell::new(0) })))
        }
        Function::Joiner => {
            let [separator] = args.bind("joiner", ["sep"])?;
            let separator = match separator {
                Some(separator) => separator,
                None => interp.string(", ")?,
            };
            super::value::depth_over(std::iter::once(&separator))?;
            Ok(Value::Joiner(Rc::new(Joiner { separator, used: RefCell::new(false) })))
        }
        Function::RaiseException => {
            let [message] = args.bind("raise_exception", ["message"])?;
            let message = message.map(|message| interp.printer.to_str(&message)).transpose()?;
            Err(TemplateError::Raised(message.unwrap_or_default()))
        }
        Function::StrftimeNow => {
            let [format] = args.bind("strftime_now", ["format"])?;
            let format = format.ok_or_else(|| TemplateError::runtime("strftime_now needs a format"))?;
            let text = strftime(interp.meter(), str("strftime_now", &format)?, interp.clock.unix())?;
            interp.string(text)
        }
    }
}

/// `namespace(...)`: like `dict(...)`, but its attributes can be set.
pub(super) fn namespace(interp: &mut Interp<'_>, args: CallArgs) -> Result<Value, TemplateError> {
    let Value::Dict(dict) = call(interp, Function::Dict, args)? else {
        return Err(TemplateError::runtime("namespace needs names"));
    };
    let mut vars: Vec<(Arc<str>, Value)> = Vec::with_capacity(dict.entries.len());
    for (key, value) in &dict.entries {
        vars.push((str("namespace", key)?.into(), value.clone()));
    }
    interp.namespace(vars)
}
