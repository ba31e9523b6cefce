//! Runs a template: statements, loops, macros. Expressions are in `eval`.
//!
//! One interpreter lives for one rendering. Every step takes fuel, every value is charged, and nested evaluation is
//! bounded by [`MAX_DEPTH`], so that any template ends soon and in bounded memory.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use inkling_base::Clock;

use super::args::CallArgs;
use super::ast::{Ast, Expr, For, MacroDef, Post, Stmt, StmtKind, Symbol, Target};
use super::error::TemplateError;
use super::meter::{Buffer, Meter};
use super::print::Printer;
use super::scope::Scope;
use super::value::{List, LoopState, Macro, Namespace, Value};
use crate::shield::Shield;

/// How deep evaluation may nest: expressions, statements and macro calls together. That deep, a thread of 256 KiB is
/// still enough; a tool's schema of 40 levels fits.
const MAX_DEPTH: u32 = 400;
/// How many `namespace()` a rendering may make; they live until it ends.
const MAX_NAMESPACES: usize = 20_000;

/// What a statement does to the loop around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The state of one rendering.
pub(super) struct Interp<'a> {
    ast: &'a Ast,
    pub(super) printer: Printer,
    pub(super) clock: &'a dyn Clock,
    pub(super) shield: Option<&'a Shield<'a>>,
    root: Rc<Scope>,
    /// The output of the template and, above it, of the captures that are open.
    out: Vec<Buffer>,
    depth: u32,
    /// All namespaces. They may hold each other in a circle or a long chain, so they are emptied one by one.
    namespaces: Vec<Rc<Namespace>>,
    loop_name: Option<Symbol>,
}

impl Drop for Interp<'_> {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            let vars = namespace.vars.take();
            drop(vars);
        }
    }
}

impl<'a> Interp<'a> {
    pub(super) fn new(ast: &'a Ast, meter: &Arc<Meter>, clock: &'a dyn Clock, shield: Option<&'a Shield<'a>>) -> Self {
        let printer = Printer { meter: meter.clone(), shield: shield.map(|shield| shield.mark()) };
        let loop_name = ast.names.iter().position(|name| &**name == "loop").map(|at| at as Symbol);
        Self {
            ast,
            out: vec![printer.buffer()],
            printer,
            clock,
            shield,
            root: Rc::default(),
            depth: 0,
            namespaces: Vec::new(),
            loop_name,
        }
    }

    /// The names that the template uses, by symbol.
    pub(super) fn names(&self) -> &'a [Arc<str>] {
        &self.ast.names
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.printer.meter
    }

    /// Defines a variable of the input.
    pub(super) fn define(&self, name: Symbol, value: Value) {
        self.root.set(name, value);
    }

    /// Renders the whole template.
    pub(super) fn run(mut self) -> Result<String, TemplateError> {
        let root = self.root.clone();
        self.exec(&self.ast.body, &root)?;
        Ok(self.out.pop().map(Buffer::into_string).unwrap_or_default())
    }

    /// A string value.
    pub(super) fn string(&self, text: impl Into<Box<str>>) -> Result<Value, TemplateError> {
        Value::string(self.meter(), text)
    }

    /// What the template looks for in `text`, as the shield left it there.
    pub(super) fn needle<'s>(&self, text: &str, needle: &'s str) -> Cow<'s, str> {
        match self.shield {
            Some(shield) => shield.needle(text, needle),
            None => Cow::Borrowed(needle),
        }
    }

    /// `result` with the control tokens shielded that none of `inputs` has.
    pub(super) fn reshield(&self, inputs: &[&str], result: String) -> String {
        match self.shield {
            Some(shield) => shield.again(inputs, result),
            None => result,
        }
    }

    /// Whether the shield left no mark in `text`.
    pub(super) fn without_marks(&self, text: &str) -> bool {
        self.shield.is_none_or(|shield| !text.contains(shield.mark()))
    }

    /// How many characters `text` has; marks do not count.
    pub(super) fn count_chars(&self, text: &str) -> usize {
        let mark = self.shield.map(|shield| shield.mark());
        text.chars().filter(|c| Some(*c) != mark).count()
    }

    /// The characters of `text`, each with the marks behind it, the first with those before it.
    pub(super) fn units<'s>(&self, text: &'s str) -> Vec<&'s str> {
        let mark = self.shield.map(|shield| shield.mark());
        let mut starts: Vec<usize> = text.char_indices().filter(|(_, c)| Some(*c) != mark).map(|(at, _)| at).collect();
        if let Some(first) = starts.first_mut() {
            *first = 0;
        }
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect()
    }

    /// `text` without the shield's mark at its start.
    pub(super) fn without_mark_before<'s>(&self, text: &'s str) -> &'s str {
        self.shield.map_or(text, |shield| text.trim_start_matches(shield.mark()))
    }

    /// `text` without the shield's mark at its end.
    pub(super) fn without_mark_after<'s>(&self, text: &'s str) -> &'s str {
        self.shield.map_or(text, |shield| text.trim_end_matches(shield.mark()))
    }

    /// Runs `work` one level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        if self.depth >= MAX_DEPTH {
            return Err(TemplateError::Limit { what: "nesting of calls", limit: MAX_DEPTH.into() });
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn write(&mut self, text: &str) -> Result<(), TemplateError> {
        match self.out.last_mut() {
            Some(out) => out.push_str(text),
            None => Ok(()),
        }
    }

    fn print(&mut self, value: &Value) -> Result<(), TemplateError> {
        match self.out.last_mut() {
            Some(out) => self.printer.write_str(out, value),
            None => Ok(()),
        }
    }

    /// What `work` writes, as a string value.
    fn capture(&mut self, work: impl FnOnce(&mut Self) -> Result<(), TemplateError>) -> Result<Value, TemplateError> {
        let level = self.out.len();
        self.out.push(self.printer.buffer());
        let result = work(self);
        let buffer = self.out.drain(level..).next();
        result?;
        let text = buffer.map(Buffer::into_string).unwrap_or_default();
        self.string(text)
    }

    fn exec(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Result<Flow, TemplateError> {
        for stmt in body {
            self.meter().burn(1)?;
            let flow = self.deeper(|interp| interp.statement(&stmt.kind, scope)).map_err(|error| match error {
                TemplateError::Runtime { line: 0, what } => TemplateError::Runtime { line: stmt.line, what },
                other => other,
            })?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Runs a body whose `break` and `continue` the parser has ruled out.
    fn exec_all(&mut self, body: &[Stmt], scope: &Rc<Scope>) -> Result<(), TemplateError> {
        self.exec(body, scope).map(|_| ())
    }

    fn statement(&mut self, stmt: &StmtKind, scope: &Rc<Scope>) -> Result<Flow, TemplateError> {
        match stmt {
            StmtKind::Raw(text) => self.write(text)?,
            StmtKind::Print(expr) => {
                let value = self.eval(expr, scope)?;
                self.print(&value)?;
            }
            StmtKind::If { branches, otherwise } => {
                for (test, body) in branches {
                    if self.eval(test, scope)?.truthy() {
                        return self.exec(body, scope);
                    }
                }
                return self.exec(otherwise, scope);
            }
            StmtKind::For(node) => {
                let iterable = self.eval(&node.iter, scope)?;
                return self.for_loop(node, iterable, scope, 0);
            }
            StmtKind::Set { target, value } => {
                let value = self.eval(value, scope)?;
                self.assign(target, value, scope)?;
            }
            StmtKind::SetBlock { target, filters, body } => {
                let value = self.filtered_capture(filters, body, scope)?;
                self.assign(target, value, scope)?;
            }
            StmtKind::With { bindings, body } => {
                let inner = Scope::inside(scope);
                for (target, value) in bindings {
                    // Later bindings do not see earlier ones.
                    let value = self.eval(value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.exec(body, &inner);
            }
            StmtKind::FilterBlock { filters, body } => {
                let value = self.filtered_capture(filters, body, scope)?;
                self.print(&value)?;
            }
            StmtKind::Scope(body) => return self.exec(body, &Scope::inside(scope)),
            StmtKind::Block(body) => {
                let inner = Scope::inside(&self.root.clone());
                self.exec_all(body, &inner)?;
            }
            StmtKind::Macro { name, definition } => scope.set(*name, self.closure(definition, scope)),
            StmtKind::CallBlock { call, definition } => {
                let caller = self.closure(definition, scope);
                let value = self.call_with_caller(call, caller, scope)?;
                self.print(&value)?;
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn closure(&self, definition: &Arc<MacroDef>, scope: &Rc<Scope>) -> Value {
        Value::Macro(Rc::new(Macro { definition: definition.clone(), scope: Rc::downgrade(scope) }))
    }

    fn filtered_capture(&mut self, filters: &[Post], body: &[Stmt], scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        let value = self.capture(|interp| interp.exec_all(body, &Scope::inside(scope)))?;
        self.chain(value, filters, scope)
    }

    fn call_with_caller(&mut self, call: &Expr, caller: Value, scope: &Rc<Scope>) -> Result<Value, TemplateError> {
        let Expr::Postfix(base, chain) = call else { return Err(TemplateError::runtime("expected a call")) };
        let Some((Post::Call(args), before)) = chain.split_last() else {
            return Err(TemplateError::runtime("expected a call"));
        };
        let function = self.eval(base, scope)?;
        let function = self.chain(function, before, scope)?;
        let mut args = self.arguments(args, scope)?;
        args.named.push(("caller".into(), caller));
        self.call(&function, args)
    }

    /// Runs a loop over `iterable`; `level` counts the recursive calls around it.
    fn for_loop(
        &mut self,
        node: &Arc<For>,
        iterable: Value,
        scope: &Rc<Scope>,
        level: usize,
    ) -> Result<Flow, TemplateError> {
        let mut items = self.items(&iterable)?;
        if let Some(test) = &node.test {
            let mut kept = Vec::new();
            for item in items {
                let inner = Scope::inside(scope);
                self.assign(&node.target, item.clone(), &inner)?;
                if self.eval(test, &inner)?.truthy() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            return self.exec(&node.otherwise, &Scope::inside(scope));
        }
        let state = Rc::new(LoopState {
            items: List::new(self.meter(), items)?,
            index: RefCell::new(0),
            level,
            changed: RefCell::default(),
            recursive: node.recursive.then(|| node.clone()),
            scope: Rc::downgrade(scope),
        });
        for (at, item) in state.items.items.iter().enumerate() {
            *state.index.borrow_mut() = at;
            let inner = Scope::inside(scope);
            if let Some(name) = self.loop_name {
                inner.set(name, Value::Loop(state.clone()));
            }
            self.meter().burn(1)?;
            self.assign(&node.target, item.clone(), &inner)?;
            if self.exec(&node.body, &inner)? == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// `loop(items)` inside a recursive loop.
    pub(super) fn recurse(&mut self, state: &LoopState, args: CallArgs) -> Result<Value, TemplateError> {
        let [items] = args.bind("loop", ["iterable"])?;
        let (Some(node), Some(scope), Some(items)) = (state.recursive.clone(), state.scope.upgrade(), items) else {
            return Err(TemplateError::runtime("the loop is not recursive"));
        };
        let level = state.level + 1;
        self.capture(|interp| interp.deeper(|interp| interp.for_loop(&node, items, &scope, level)).map(|_| ()))
    }

    fn assign(&mut self, target: &Target, value: Value, scope: &Rc<Scope>) -> Result<(), TemplateError> {
        match target {
            Target::Name(name) => {
                scope.set(*name, value);
                Ok(())
            }
            Target::Attr(name, attribute) => match self.lookup(*name, scope)? {
                Value::Namespace(namespace) => {
                    let mut vars = namespace.vars.borrow_mut();
                    self.meter().burn(1 + vars.len() as u64 / 8)?;
                    let _old = match vars.iter_mut().find(|(name, _)| name == attribute) {
                        Some(slot) => Some(std::mem::replace(&mut slot.1, value)),
                        None => {
                            vars.push((attribute.clone(), value));
                            None
                        }
                    };
                    drop(vars);
                    Ok(())
                }
                other => {
                    let what = format!("cannot assign attribute '{attribute}' of a {}", other.type_name());
                    Err(TemplateError::runtime(what))
                }
            },
            Target::Tuple(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    let what = format!("cannot unpack {} values into {} names", items.len(), targets.len());
                    return Err(TemplateError::runtime(what));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
                Ok(())
            }
        }
    }

    /// Calls a macro and returns what it wrote.
    pub(super) fn call_macro(&mut self, called: &Macro, args: CallArgs) -> Result<Value, TemplateError> {
        // A call makes a scope and a buffer.
        self.meter().burn(8)?;
        let definition = &called.definition;
        let Some(outer) = called.scope.upgrade() else {
            let what = format!("macro '{}' is called after the block that defined it", definition.name);
            return Err(TemplateError::runtime(what));
        };
        let scope = Scope::inside(&outer);
        let refuse = |what: &str| Err(TemplateError::runtime(format!("macro '{}' takes no {what}", definition.name)));
        let mut named = args.named;
        let mut positional = args.pos.into_iter();
        self.deeper(|interp| {
            for (param, default) in &definition.params {
                let name = &interp.ast.names[*param as usize];
                let given = named.iter().position(|(given, _)| given == name).map(|at| named.remove(at).1);
                let value = match (positional.next(), given) {
                    (Some(_), Some(_)) => return refuse(&format!("second value for '{name}'")),
                    (Some(value), None) | (None, Some(value)) => value,
                    (None, None) => match default {
                        Some(default) => interp.eval(default, &scope)?,
                        None => Value::Undefined(Some(name.clone())),
                    },
                };
                scope.set(*param, value);
            }
            if definition.caller
                && let Some(symbol) = interp.symbol("caller")
                && !definition.params.iter().any(|(param, _)| *param == symbol)
            {
                let at = named.iter().position(|(name, _)| &**name == "caller");
                let caller = at.map(|at| named.remove(at).1);
                scope.set(symbol, caller.unwrap_or_else(|| Value::Undefined(Some("caller".into()))));
            }
            let rest: Vec<Value> = positional.collect();
            if definition.varargs
                && let Some(symbol) = interp.symbol("varargs")
            {
                scope.set(symbol, Value::tuple(interp.meter(), rest)?);
            } else if !rest.is_empty() {
                return refuse(&format!("more than {} arguments", definition.params.len()));
            }
            if definition.kwargs
                && let Some(symbol) = interp.symbol("kwargs")
            {
                let entries = named
                    .into_iter()
                    .map(|(name, value)| Ok((interp.string(&*name)?, value)))
                    .collect::<Result<_, _>>()?;
                scope.set(symbol, super::value::Value::dict(interp.meter(), entries)?);
            } else if let Some((name, _)) = named.first() {
                return refuse(&format!("argument '{name}'"));
            }
            interp.capture(|interp| interp.exec_all(&definition.body, &scope))
        })
    }

    fn symbol(&self, name: &str) -> Option<Symbol> {
        self.ast.names.iter().position(|known| &**known == name).map(|at| at as Symbol)
    }

    /// A new namespace.
    pub(super) fn namespace(&mut self, vars: Vec<(Arc<str>, Value)>) -> Result<Value, TemplateError> {
        if self.namespaces.len() >= MAX_NAMESPACES {
            return Err(TemplateError::Limit { what: "namespaces", limit: MAX_NAMESPACES as u64 });
        }
        let namespace = Rc::new(Namespace { vars: RefCell::new(vars) });
        self.namespaces.push(namespace.clone());
        Ok(Value::Namespace(namespace))
    }
}
