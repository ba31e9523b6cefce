//! The arguments of a call after evaluation, and how they meet the parameters of what is called.

use std::sync::Arc;

use super::error::TemplateError;
use super::value::Value;

/// Evaluated arguments.
#[derive(Debug, Default)]
pub(super) struct CallArgs {
    pub(super) pos: Vec<Value>,
    pub(super) named: Vec<(Arc<str>, Value)>,
}

impl CallArgs {
    /// The arguments in the order of `names`, as Python binds them; what was not given is `None`.
    pub(super) fn bind<const N: usize>(
        self,
        what: &str,
        names: [&str; N],
    ) -> Result<[Option<Value>; N], TemplateError> {
        let mut bound = [const { None }; N];
        if self.pos.len() > N {
            let what = format!("{what} takes at most {N} arguments, {} were given", self.pos.len());
            return Err(TemplateError::runtime(what));
        }
        for (slot, value) in bound.iter_mut().zip(self.pos) {
            *slot = Some(value);
        }
        for (name, value) in self.named {
            let at = names.iter().position(|known| *known == &*name);
            match at.map(|at| &mut bound[at]) {
                Some(slot @ None) => *slot = Some(value),
                Some(Some(_)) => {
                    return Err(TemplateError::runtime(format!("{what} got two values for '{name}'")));
                }
                None => return Err(TemplateError::runtime(format!("{what} takes no argument '{name}'"))),
            }
        }
        Ok(bound)
    }

    /// Fails if there is any argument.
    pub(super) fn none(self, what: &str) -> Result<(), TemplateError> {
        self.bind::<0>(what, []).map(|_| ())
    }
}

/// A value as an integer argument; `bool` counts, as in Python.
pub(super) fn int(what: &str, value: &Value) -> Result<i128, TemplateError> {
    match value {
        Value::Int(value) => Ok(*value),
        Value::Bool(value) => Ok((*value).into()),
        other => Err(TemplateError::runtime(format!("{what} needs an integer, not a {}", other.type_name()))),
    }
}

/// A value as a string argument.
pub(super) fn str<'v>(what: &str, value: &'v Value) -> Result<&'v str, TemplateError> {
    match value {
        Value::Str(text) => Ok(text.as_str()),
        other => Err(TemplateError::runtime(format!("{what} needs a string, not a {}", other.type_name()))),
    }
}

/// A length or width, which must be small.
pub(super) fn size(what: &str, value: &Value) -> Result<usize, TemplateError> {
    let value = int(what, value)?;
    usize::try_from(value.max(0)).map_err(|_| TemplateError::Limit { what: "a width", limit: u32::MAX.into() })
}
