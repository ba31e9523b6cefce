//! Variables. A scope sees its parents' variables as they are when they are read, and writes only its own, which is
//! how Jinja2's generated Python behaves.

use std::cell::RefCell;
use std::rc::Rc;

use super::ast::Symbol;
use super::value::{Slot, Value};

/// The variables of a loop pass, macro call, block or the template itself.
#[derive(Debug, Default)]
pub(super) struct Scope {
    vars: RefCell<Vec<Slot>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    /// A scope inside `parent`.
    pub(super) fn inside(parent: &Rc<Scope>) -> Rc<Scope> {
        Rc::new(Scope { vars: RefCell::default(), parent: Some(parent.clone()) })
    }

    /// Sets a variable of this scope.
    pub(super) fn set(&self, name: Symbol, value: Value) {
        let mut vars = self.vars.borrow_mut();
        // The old value is dropped after the borrow ends.
        let _old = match vars.iter_mut().find(|(symbol, _)| *symbol == name) {
            Some(slot) => Some(std::mem::replace(&mut slot.1, value)),
            None => {
                vars.push((name, value));
                None
            }
        };
        drop(vars);
    }

    /// The innermost variable of that name, and how many were looked at.
    pub(super) fn get(&self, name: Symbol) -> (Option<Value>, usize) {
        let mut looked = 0;
        let mut scope = Some(self);
        while let Some(current) = scope {
            let vars = current.vars.borrow();
            looked += vars.len() + 1;
            if let Some((_, value)) = vars.iter().find(|(symbol, _)| *symbol == name) {
                return (Some(value.clone()), looked);
            }
            scope = current.parent.as_deref();
        }
        (None, looked)
    }
}
