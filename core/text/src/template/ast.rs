//! The syntax tree of a template.
//!
//! Invariant: chains (`a + b + c`, `x.y|f|g`, `elif`) are lists, not nested nodes, so that the tree is no deeper
//! than the parser's recursion and walking or dropping it cannot exhaust the stack.

use std::sync::Arc;

use super::value::Text;

/// A name, interned by the parser: an index into [`Ast::names`].
pub(super) type Symbol = u32;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Ast {
    pub(super) body: Vec<Stmt>,
    pub(super) names: Vec<Arc<str>>,
}

/// A statement and the line on which its tag starts.
#[derive(Debug)]
pub(super) struct Stmt {
    pub(super) line: u32,
    pub(super) kind: StmtKind,
}

#[derive(Debug)]
pub(super) enum StmtKind {
    Raw(Box<str>),
    Print(Expr),
    If {
        branches: Vec<(Expr, Vec<Stmt>)>,
        otherwise: Vec<Stmt>,
    },
    For(Arc<For>),
    Set {
        target: Target,
        value: Expr,
    },
    SetBlock {
        target: Target,
        filters: Vec<Post>,
        body: Vec<Stmt>,
    },
    With {
        bindings: Vec<(Target, Expr)>,
        body: Vec<Stmt>,
    },
    FilterBlock {
        filters: Vec<Post>,
        body: Vec<Stmt>,
    },
    /// A body with a scope of its own: `generation` and `autoescape`.
    Scope(Vec<Stmt>),
    /// `{% block %}`, which sees the template's top-level variables only.
    Block(Vec<Stmt>),
    Macro {
        name: Symbol,
        definition: Arc<MacroDef>,
    },
    CallBlock {
        call: Expr,
        definition: Arc<MacroDef>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) iter: Expr,
    pub(super) test: Option<Expr>,
    pub(super) recursive: bool,
    pub(super) body: Vec<Stmt>,
    pub(super) otherwise: Vec<Stmt>,
}

/// A macro or the body of a call block.
#[derive(Debug)]
pub(super) struct MacroDef {
    pub(super) name: Arc<str>,
    pub(super) params: Vec<(Symbol, Option<Expr>)>,
    /// Whether the body reads `varargs`, `kwargs`, `caller`: only then may a call pass them.
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
    pub(super) caller: bool,
    pub(super) body: Vec<Stmt>,
}

/// What an assignment writes to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Symbol),
    Attr(Symbol, Arc<str>),
    Tuple(Vec<Target>),
}

#[derive(Debug, Clone)]
pub(super) enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<Text>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CmpOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub(super) enum Expr {
    Const(Const),
    Name(Symbol),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    Not(Box<Expr>),
    /// Left-associative arithmetic of one precedence.
    Arith(Box<Expr>, Vec<(BinOp, Expr)>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(CmpOp, Expr)>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Cond(Box<Cond>),
    /// A value and what is applied to it, from left to right.
    Postfix(Box<Expr>, Vec<Post>),
}

#[derive(Debug)]
pub(super) struct Cond {
    pub(super) test: Expr,
    pub(super) then: Expr,
    pub(super) otherwise: Option<Expr>,
}

/// One step of a postfix chain.
#[derive(Debug)]
pub(super) enum Post {
    Attr(Arc<str>),
    Item(Expr),
    Slice(Box<[Option<Expr>; 3]>),
    Call(Args),
    Filter(Arc<str>, Args),
    Test { name: Arc<str>, args: Args, negated: bool },
}

/// The arguments of a call as they are written.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub(super) positional: Vec<Expr>,
    pub(super) named: Vec<(Arc<str>, Expr)>,
    pub(super) star: Option<Expr>,
    pub(super) star_star: Option<Expr>,
}
