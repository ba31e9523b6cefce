//! The values of a template: Python's, as far as chat templates meet them.
//!
//! Invariants: lists and dicts never change after they were made (the sandbox of transformers forbids it too); a
//! container is at most [`MAX_DEPTH`] deep, so that printing, comparing and dropping it needs little stack; bytes are
//! charged to the rendering's meter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::ast::{For, MacroDef, Symbol};
use super::error::TemplateError;
use super::meter::{Charge, Meter};
use super::scope::Scope;

/// How deep values may nest.
pub(super) const MAX_DEPTH: u16 = 100;
/// Steps for each part of a key.
const KEY_STEPS: u64 = 16;
/// What a small allocation costs beyond its content.
const OVERHEAD: usize = 48;

/// A string; `markup` is set by `|safe` and `|escape`, whose result escapes what is added to it.
#[derive(Debug)]
pub(super) struct Text {
    text: Box<str>,
    pub(super) markup: bool,
    _charge: Charge,
}

impl Text {
    /// A literal of the template: it lives as long as the template and is not charged.
    pub(super) fn literal(text: String) -> Self {
        Self { text: text.into_boxed_str(), markup: false, _charge: Charge::default() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A missing value and, for the error when it is used, its name.
    Undefined(Option<Arc<str>>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<Text>),
    List(Rc<List>),
    Tuple(Rc<List>),
    Dict(Rc<Dict>),
    Range(Range),
    /// `dict.keys()` and its like: has a length, cannot be indexed.
    View(Rc<View>),
    /// A Python generator or iterator: each item comes once.
    Iter(Rc<Iter>),
    Namespace(Rc<Namespace>),
    Loop(Rc<LoopState>),
    Macro(Rc<Macro>),
    Function(Function),
    Method(Rc<Method>),
    Cycler(Rc<Cycler>),
    Joiner(Rc<Joiner>),
}

/// The items of a list or tuple.
#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Value>,
    depth: u16,
    _charge: Charge,
}

/// A dict in insertion order.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) entries: Vec<(Value, Value)>,
    index: HashMap<Key, usize>,
    depth: u16,
    _charge: Charge,
}

/// A hashable value; numbers that are equal in Python have equal keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    None,
    Int(i128),
    Float(u64),
    Str(Box<str>),
    Tuple(Vec<Key>),
    Undefined,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) stop: i128,
    pub(super) step: i128,
}

impl Range {
    pub(super) fn len(self) -> usize {
        let span = if self.step > 0 { self.stop - self.start } else { self.start - self.stop };
        if span <= 0 { 0 } else { ((span - 1) / self.step.abs() + 1) as usize }
    }

    pub(super) fn get(self, at: usize) -> Value {
        Value::Int(self.start + at as i128 * self.step)
    }
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) kind: &'static str,
    pub(super) list: Rc<List>,
}

#[derive(Debug)]
pub(super) struct Iter {
    pub(super) list: Rc<List>,
    pub(super) at: RefCell<usize>,
}

impl Iter {
    /// The items that have not come yet; afterwards none are left.
    pub(super) fn drain(&self) -> Vec<Value> {
        let at = self.at.replace(self.list.items.len());
        self.list.items[at..].to_vec()
    }

    pub(super) fn next(&self) -> Option<Value> {
        let mut at = self.at.borrow_mut();
        let item = self.list.items.get(*at).cloned();
        *at += usize::from(item.is_some());
        item
    }
}

/// A `namespace()`: the only value that changes.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) vars: RefCell<Vec<(Arc<str>, Value)>>,
}

/// The `loop` variable.
#[derive(Debug)]
pub(super) struct LoopState {
    pub(super) items: Rc<List>,
    pub(super) index: RefCell<usize>,
    pub(super) level: usize,
    pub(super) changed: RefCell<Option<Value>>,
    /// The loop in the tree, where it is recursive.
    pub(super) recursive: Option<Arc<For>>,
    pub(super) scope: Weak<Scope>,
}

/// A macro and the scope in which it was defined.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) definition: Arc<MacroDef>,
    /// Weak, because the scope holds the macro.
    pub(super) scope: Weak<Scope>,
}

#[derive(Debug)]
pub(super) struct Method {
    pub(super) on: Value,
    pub(super) name: Arc<str>,
}

#[derive(Debug)]
pub(super) struct Cycler {
    pub(super) items: Rc<List>,
    pub(super) at: RefCell<usize>,
}

#[derive(Debug)]
pub(super) struct Joiner {
    pub(super) separator: Value,
    pub(super) used: RefCell<bool>,
}

/// The functions that transformers and Jinja2 define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    RaiseException,
    StrftimeNow,
}

impl Value {
    /// A new string.
    pub(super) fn string(meter: &Arc<Meter>, text: impl Into<Box<str>>) -> Result<Value, TemplateError> {
        Self::text(meter, text, false)
    }

    pub(super) fn text(meter: &Arc<Meter>, text: impl Into<Box<str>>, markup: bool) -> Result<Value, TemplateError> {
        let text = text.into();
        let charge = meter.charge(OVERHEAD + text.len())?;
        Ok(Value::Str(Arc::new(Text { text, markup, _charge: charge })))
    }

    /// A dict of `entries`; a later entry with the same key replaces the value of an earlier one.
    pub(super) fn dict(meter: &Arc<Meter>, entries: Vec<(Value, Value)>) -> Result<Value, TemplateError> {
        let depth = depth_over(entries.iter().flat_map(|(key, value)| [key, value]))?;
        let mut keys = 0;
        let mut index = HashMap::with_capacity(entries.len());
        let mut unique: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
        meter.check(entries.len() as u64 * 128)?;
        for (key, value) in entries {
            keys += key.as_str().map_or(0, str::len);
            meter.burn(3)?;
            let hashed = key.key(meter)?;
            match index.get(&hashed) {
                Some(&at) => {
                    let entry: &mut (Value, Value) = &mut unique[at];
                    entry.1 = value;
                }
                None => {
                    index.insert(hashed, unique.len());
                    unique.push((key, value));
                }
            }
        }
        let charge = meter.charge(OVERHEAD + unique.len() * 128 + keys)?;
        Ok(Value::Dict(Rc::new(Dict { entries: unique, index, depth, _charge: charge })))
    }

    /// A new list.
    pub(super) fn list(meter: &Arc<Meter>, items: Vec<Value>) -> Result<Value, TemplateError> {
        Ok(Value::List(List::new(meter, items)?))
    }

    pub(super) fn tuple(meter: &Arc<Meter>, items: Vec<Value>) -> Result<Value, TemplateError> {
        Ok(Value::Tuple(List::new(meter, items)?))
    }

    /// An iterator over `items` that can be used once.
    pub(super) fn iter(meter: &Arc<Meter>, items: Vec<Value>) -> Result<Value, TemplateError> {
        Ok(Value::Iter(Rc::new(Iter { list: List::new(meter, items)?, at: RefCell::new(0) })))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn is_markup(&self) -> bool {
        matches!(self, Value::Str(text) if text.markup)
    }

    /// How many containers are inside each other here.
    pub(super) fn depth(&self) -> u16 {
        match self {
            Value::List(list) | Value::Tuple(list) => list.depth,
            Value::Dict(dict) => dict.depth,
            Value::View(view) => view.list.depth + 1,
            Value::Iter(iter) => iter.list.depth + 1,
            Value::Loop(state) => state.items.depth + 1,
            Value::Cycler(cycler) => cycler.items.depth + 1,
            Value::Method(method) => method.on.depth() + 1,
            Value::Joiner(joiner) => joiner.separator.depth() + 1,
            _ => 0,
        }
    }

    /// Python's name of the type, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Range(_) => "range",
            Value::View(view) => view.kind,
            Value::Iter(_) => "generator",
            Value::Namespace(_) => "namespace",
            Value::Loop(_) => "loop",
            Value::Macro(_) => "macro",
            Value::Function(_) | Value::Method(_) => "function",
            Value::Cycler(_) => "cycler",
            Value::Joiner(_) => "joiner",
        }
    }

    /// Python's `bool(value)`.
    pub(super) fn truthy(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) => !text.as_str().is_empty(),
            Value::List(list) | Value::Tuple(list) => !list.items.is_empty(),
            Value::Dict(dict) => !dict.entries.is_empty(),
            Value::Range(range) => range.len() > 0,
            Value::View(view) => !view.list.items.is_empty(),
            Value::Loop(state) => !state.items.items.is_empty(),
            _ => true,
        }
    }

    /// The error of using a missing value.
    pub(super) fn undefined_error(name: &Option<Arc<str>>) -> TemplateError {
        match name {
            Some(name) => TemplateError::runtime(format!("'{name}' is undefined")),
            None => TemplateError::runtime("a missing value is used"),
        }
    }

    /// The value as a dict key.
    pub(super) fn key(&self, meter: &Meter) -> Result<Key, TemplateError> {
        meter.burn(1)?;
        Ok(match self {
            Value::None => Key::None,
            Value::Bool(value) => Key::Int((*value).into()),
            Value::Int(value) => Key::Int(*value),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e30 => Key::Int(*value as i128),
            Value::Float(value) => Key::Float(value.to_bits()),
            Value::Str(text) => {
                meter.burn_bytes(text.as_str().len())?;
                meter.check(text.as_str().len() as u64)?;
                Key::Str(text.as_str().into())
            }
            Value::Tuple(list) => {
                // A tuple that shares its parts becomes a key that does not: pay for what the key takes.
                meter.burn(KEY_STEPS * list.items.len() as u64)?;
                Key::Tuple(list.items.iter().map(|item| item.key(meter)).collect::<Result<_, _>>()?)
            }
            Value::Undefined(_) => Key::Undefined,
            other => return Err(TemplateError::runtime(format!("unhashable type: '{}'", other.type_name()))),
        })
    }
}

/// One more than the deepest of `values`, if a container may be that deep.
pub(super) fn depth_over<'v>(values: impl Iterator<Item = &'v Value>) -> Result<u16, TemplateError> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(TemplateError::Limit { what: "nesting of values", limit: MAX_DEPTH.into() });
    }
    Ok(depth)
}

impl List {
    pub(super) fn new(meter: &Arc<Meter>, items: Vec<Value>) -> Result<Rc<List>, TemplateError> {
        let depth = depth_over(items.iter())?;
        let charge = meter.charge(OVERHEAD + items.capacity() * size_of::<Value>())?;
        meter.burn(items.len() as u64)?;
        Ok(Rc::new(List { items, depth, _charge: charge }))
    }
}

impl Dict {
    pub(super) fn get(&self, meter: &Meter, key: &Value) -> Result<Option<&Value>, TemplateError> {
        let key = key.key(meter)?;
        Ok(self.index.get(&key).map(|&at| &self.entries[at].1))
    }

    pub(super) fn get_str(&self, key: &str) -> Option<&Value> {
        // A short dict is searched faster than a key is built.
        if self.entries.len() <= 16 {
            return self.entries.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value);
        }
        self.index.get(&Key::Str(key.into())).map(|&at| &self.entries[at].1)
    }
}

/// The value of a variable in a scope.
pub(super) type Slot = (Symbol, Value);
