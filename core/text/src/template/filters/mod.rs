//! The filters: Jinja2's built-in ones and transformers' `tojson`.
//!
//! Left out, and therefore errors: what no chat template uses (`groupby`, `pprint`, `random`, `urlize`, `xmlattr`).

mod number;
mod seq;
mod strings;

use super::args::CallArgs;
use super::error::TemplateError;
use super::interp::Interp;
use super::value::Value;

pub(super) use strings::escape;

/// All filters.
const NAMES: [&str; 49] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
];

/// Whether there is such a filter.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// `value|name(args)`.
pub(super) fn apply(interp: &mut Interp<'_>, name: &str, value: Value, args: CallArgs) -> Result<Value, TemplateError> {
    match name {
        "abs" | "float" | "int" | "round" | "filesizeformat" => number::apply(interp, name, value, args),
        "capitalize" | "center" | "e" | "escape" | "forceescape" | "format" | "indent" | "lower" | "replace"
        | "safe" | "string" | "striptags" | "title" | "tojson" | "trim" | "truncate" | "upper" | "urlencode"
        | "wordcount" | "wordwrap" => strings::apply(interp, name, value, args),
        "attr" | "batch" | "count" | "dictsort" | "first" | "items" | "join" | "last" | "length" | "list" | "map"
        | "max" | "min" | "reject" | "rejectattr" | "reverse" | "select" | "selectattr" | "slice" | "sort" | "sum"
        | "unique" => interp.deeper(|interp| seq::apply(interp, name, value, args)),
        "d" | "default" => {
            let [default, boolean] = args.bind(name, ["default_value", "boolean"])?;
            let missing = matches!(value, Value::Undefined(_))
                || (boolean.is_some_and(|boolean| boolean.truthy()) && !value.truthy());
            match (missing, default) {
                (false, _) => Ok(value),
                (true, Some(default)) => Ok(default),
                (true, None) => interp.string(""),
            }
        }
        _ => Err(TemplateError::runtime(format!("No filter named '{name}'"))),
    }
}
