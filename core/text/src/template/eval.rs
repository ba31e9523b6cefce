//! Expressions: names, operators, attributes, items, slices, calls.

use std::rc::Rc;
use std::sync::Arc;

use super::args::{CallArgs, int};
use super::ast::{Args, CmpOp, Const, Expr, Post, Symbol};
use super::error::TemplateError;
use super::interp::Interp;
use super::scope::Scope;
use super::value::{Function, LoopState, Method, Value};
use super::{checks, filters, functions, methods, ops};

impl Interp<'_> {
    pub(super) fn eval(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        self.meter().burn(1)?;
        match expr {
            Expr::Const(value) => Ok(constant(value)),
            Expr::Name(name) => self.lookup(*name, scope),
            other => self.deeper(|interp| interp.eval_compound(other, scope)),
        }
    }

    fn eval_compound(&mut self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        match expr {
            Expr::Const(value) => Ok(constant(value)),
            Expr::Name(name) => self.lookup(*name, scope),
            Expr::List(items) => {
                let items = self.eval_all(items, scope)?;
                Value::list(self.meter(), items)
            }
            Expr::Tuple(items) => {
                let items = self.eval_all(items, scope)?;
                Value::tuple(self.meter(), items)
            }
            Expr::Dict(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((self.eval(key, scope)?, self.eval(value, scope)?)))
                    .collect::<Result<_, TemplateError>>()?;
                Value::dict(self.meter(), entries)
            }
            Expr::Neg(value) => ops::negate(self.eval(value, scope)?),
            Expr::Pos(value) => ops::plus(self.eval(value, scope)?),
            Expr::Not(value) => Ok(Value::Bool(!self.eval(value, scope)?.truthy())),
            Expr::Arith(first, rest) => {
                let mut left = self.eval(first, scope)?;
                for (op, right) in rest {
                    let right = self.eval(right, scope)?;
                    left = ops::arithmetic(self, *op, &left, &right)?;
                }
                Ok(left)
            }
            Expr::Concat(terms) => {
                let mut out = self.printer.buffer();
                for term in terms {
                    let value = self.eval(term, scope)?;
                    self.printer.write_str(&mut out, &value)?;
                }
                self.string(out.into_string())
            }
            Expr::Compare(first, rest) => self.compare(first, rest, scope),
            Expr::And(terms) => self.short_circuit(terms, false, scope),
            Expr::Or(terms) => self.short_circuit(terms, true, scope),
            Expr::Cond(cond) => {
                if self.eval(&cond.test, scope)?.truthy() {
                    self.eval(&cond.then, scope)
                } else {
                    match &cond.otherwise {
                        Some(otherwise) => self.eval(otherwise, scope),
                        None => Ok(Value::Undefined(None)),
                    }
                }
            }
            Expr::Postfix(base, chain) => {
                let value = self.eval(base, scope)?;
                self.chain(value, chain, scope)
            }
        }
    }

    fn eval_all(&mut self, items: &[Expr], scope: &Rc<Scope>) -> Result<Vec<Value>, TemplateError> {
        items.iter().map(|item| self.eval(item, scope)).collect()
    }

    fn compare(&mut self, first: &Expr, rest: &[(CmpOp, Expr)], scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        let mut left = self.eval(first, scope)?;
        for (op, right) in rest {
            let right = self.eval(right, scope)?;
            if !ops::compare(self, *op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// `and` and `or`: the first term that decides, else the last.
    fn short_circuit(&mut self, terms: &[Expr], decides: bool, scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        let mut value = Value::None;
        for term in terms {
            value = self.eval(term, scope)?;
            if value.truthy() == decides {
                break;
            }
        }
        Ok(value)
    }

    /// The value of a name: a variable or a global function.
    pub(super) fn lookup(&mut self, name: Symbol, scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        let (found, looked) = scope.get(name);
        self.meter().burn(looked as u64 / 16)?;
        if let Some(value) = found {
            return Ok(value);
        }
        let text = &self.names()[name as usize];
        Ok(match functions::global(text) {
            Some(function) => Value::Function(function),
            None => Value::Undefined(Some(text.clone())),
        })
    }

    /// Applies the steps of a postfix chain to `value`.
    pub(super) fn chain(
        &mut self,
        mut value: Value,
        chain: &[Post],
        scope: &Rc<Scope>,
    ) -> Result<Value, TemplateError> {
        for post in chain {
            self.meter().burn(1)?;
            value = match post {
                Post::Attr(name) => self.attribute(&value, name)?,
                Post::Item(item) => {
                    let item = self.eval(item, scope)?;
                    self.item(&value, &item)?
                }
                Post::Slice(parts) => {
                    let mut bounds = [None, None, None];
                    for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                        if let Some(part) = part {
                            match self.eval(part, scope)? {
                                Value::None => {}
                                other => *bound = Some(int("a slice", &other)?),
                            }
                        }
                    }
                    ops::slice(self, &value, bounds)?
                }
                Post::Call(args) => {
                    self.meter().burn(2)?;
                    let args = self.arguments(args, scope)?;
                    self.call(&value, args)?
                }
                Post::Filter(name, args) => {
                    self.meter().burn(2)?;
                    let args = self.arguments(args, scope)?;
                    filters::apply(self, name, value, args)?
                }
                Post::Test { name, args, negated } => {
                    let args = self.arguments(args, scope)?;
                    Value::Bool(checks::test(self, name, &value, args)? != *negated)
                }
            };
        }
        Ok(value)
    }

    pub(super) fn arguments(&mut self, args: &Args, scope: &Rc<Scope>) -> Result<CallArgs, TemplateError> {
        let mut pos = self.eval_all(&args.positional, scope)?;
        if let Some(star) = &args.star {
            let star = self.eval(star, scope)?;
            pos.extend(self.items(&star)?);
        }
        let mut named = Vec::with_capacity(args.named.len());
        for (name, value) in &args.named {
            named.push((name.clone(), self.eval(value, scope)?));
        }
        if let Some(stars) = &args.star_star {
            match self.eval(stars, scope)? {
                Value::Dict(dict) => {
                    for (key, value) in &dict.entries {
                        named.push((super::args::str("a keyword", key)?.into(), value.clone()));
                    }
                }
                other => {
                    return Err(TemplateError::runtime(format!("** needs a dict, not a {}", other.type_name())));
                }
            }
        }
        Ok(CallArgs { pos, named })
    }

    /// `value.name`: an attribute if the type has it, else an item.
    pub(super) fn attribute(&mut self, value: &Value, name: &Arc<str>) -> Result<Value, TemplateError> {
        let method = || Value::Method(Rc::new(Method { on: value.clone(), name: name.clone() }));
        let missing = || Ok(Value::Undefined(Some(name.clone())));
        match value {
            Value::Undefined(what) => Err(Value::undefined_error(what)),
            Value::Dict(_) if methods::DICT.contains(&&**name) => Ok(method()),
            Value::Dict(dict) => match dict.get_str(name) {
                Some(found) => Ok(found.clone()),
                None => missing(),
            },
            Value::Str(_) if methods::STR.contains(&&**name) => Ok(method()),
            Value::List(_) | Value::Tuple(_) if methods::LIST.contains(&&**name) => Ok(method()),
            Value::Cycler(cycler) => match &**name {
                "current" => Ok(cycler.items.items[*cycler.at.borrow()].clone()),
                "next" | "reset" => Ok(method()),
                _ => missing(),
            },
            Value::Namespace(namespace) => {
                let vars = namespace.vars.borrow();
                self.meter().burn(1 + vars.len() as u64 / 8)?;
                match vars.iter().find(|(known, _)| known == name) {
                    Some((_, found)) => Ok(found.clone()),
                    None => missing(),
                }
            }
            Value::Loop(_) if matches!(&**name, "cycle" | "changed") => Ok(method()),
            Value::Loop(state) => match loop_attribute(state, name) {
                Some(found) => Ok(found),
                None => missing(),
            },
            Value::Macro(called) if &**name == "name" => self.string(&*called.definition.name),
            _ => missing(),
        }
    }

    /// `value[item]`: an item, else an attribute of that name.
    pub(super) fn item(&mut self, value: &Value, item: &Value) -> Result<Value, TemplateError> {
        let index = match item {
            Value::Int(index) => Some(*index),
            Value::Bool(index) => Some((*index).into()),
            _ => None,
        };
        let found = match (value, index) {
            (Value::Undefined(what), _) => return Err(Value::undefined_error(what)),
            (Value::Dict(dict), _) => match item.key(self.meter()) {
                Ok(_) => dict.get(self.meter(), item)?.cloned(),
                Err(TemplateError::Runtime { .. }) => None,
                Err(other) => return Err(other),
            },
            (Value::List(list) | Value::Tuple(list), Some(index)) => {
                position(index, list.items.len()).map(|at| list.items[at].clone())
            }
            (Value::Range(range), Some(index)) => position(index, range.len()).map(|at| range.get(at)),
            (Value::Str(text), Some(index)) => {
                let text = text.as_str();
                self.meter().burn_bytes(text.len())?;
                if !self.without_marks(text) {
                    self.meter().check(16 * text.len() as u64)?;
                    let units = self.units(text);
                    return match position(index, units.len()) {
                        Some(at) => self.string(units[at]),
                        None => Ok(Value::Undefined(None)),
                    };
                }
                let found = if index >= 0 {
                    usize::try_from(index).ok().and_then(|at| text.chars().nth(at))
                } else {
                    usize::try_from(-(index + 1)).ok().and_then(|at| text.chars().rev().nth(at))
                };
                match found {
                    Some(c) => Some(self.string(c.to_string())?),
                    None => None,
                }
            }
            _ => None,
        };
        match (found, item) {
            (Some(found), _) => Ok(found),
            (None, Value::Str(name)) => {
                let name: Arc<str> = name.as_str().into();
                match value {
                    Value::Dict(_) if !methods::DICT.contains(&&*name) => Ok(Value::Undefined(Some(name))),
                    _ => self.attribute(value, &name),
                }
            }
            (None, _) => Ok(Value::Undefined(None)),
        }
    }

    /// Calls `function`.
    pub(super) fn call(&mut self, function: &Value, args: CallArgs) -> Result<Value, TemplateError> {
        match function {
            Value::Macro(called) => self.call_macro(called, args),
            Value::Function(Function::Namespace) => functions::namespace(self, args),
            Value::Function(function) => functions::call(self, *function, args),
            Value::Method(method) => methods::call(self, &method.on, &method.name, args),
            Value::Loop(state) => self.recurse(state, args),
            Value::Joiner(joiner) => {
                args.none("joiner")?;
                if joiner.used.replace(true) { Ok(joiner.separator.clone()) } else { self.string("") }
            }
            Value::Undefined(name) => Err(Value::undefined_error(name)),
            other => Err(TemplateError::runtime(format!("a {} cannot be called", other.type_name()))),
        }
    }

    /// The items that iterating over `value` gives.
    pub(super) fn items(&self, value: &Value) -> Result<Vec<Value>, TemplateError> {
        let room = |count: usize| {
            self.meter().burn(count as u64)?;
            self.meter().check((count * size_of::<Value>()) as u64)
        };
        match value {
            Value::Undefined(_) => Ok(Vec::new()),
            Value::List(list) | Value::Tuple(list) => {
                room(list.items.len())?;
                Ok(list.items.clone())
            }
            Value::View(view) => {
                room(view.list.items.len())?;
                Ok(view.list.items.clone())
            }
            Value::Iter(iter) => {
                room(iter.list.items.len())?;
                Ok(iter.drain())
            }
            Value::Dict(dict) => {
                room(dict.entries.len())?;
                Ok(dict.entries.iter().map(|(key, _)| key.clone()).collect())
            }
            Value::Range(range) => {
                room(range.len())?;
                Ok((0..range.len()).map(|at| range.get(at)).collect())
            }
            Value::Str(text) => {
                // A character becomes a string of its own.
                room(3 * text.as_str().len())?;
                text.as_str().chars().map(|c| self.string(c.to_string())).collect()
            }
            other => Err(TemplateError::runtime(format!("'{}' object is not iterable", other.type_name()))),
        }
    }
}

fn constant(value: &Const) -> Value {
    match value {
        Const::None => Value::None,
        Const::Bool(value) => Value::Bool(*value),
        Const::Int(value) => Value::Int(*value),
        Const::Float(value) => Value::Float(*value),
        Const::Str(text) => Value::Str(text.clone()),
    }
}

/// The place that a Python index means in something of `len` items.
fn position(index: i128, len: usize) -> Option<usize> {
    let at = if index < 0 { index + len as i128 } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

fn loop_attribute(state: &LoopState, name: &str) -> Option<Value> {
    let at = *state.index.borrow();
    let length = state.items.items.len();
    let int = |value: usize| Some(Value::Int(value as i128));
    match name {
        "index" => int(at + 1),
        "index0" => int(at),
        "revindex" => int(length - at),
        "revindex0" => int(length - at - 1),
        "first" => Some(Value::Bool(at == 0)),
        "last" => Some(Value::Bool(at + 1 == length)),
        "length" => int(length),
        "depth" => int(state.level + 1),
        "depth0" => int(state.level),
        "previtem" => at.checked_sub(1).map(|at| state.items.items[at].clone()),
        "nextitem" => state.items.items.get(at + 1).cloned(),
        _ => None,
    }
}
