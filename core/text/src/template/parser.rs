//! Statements: tokens to syntax tree. Expressions are in `parser_expr`.
//!
//! Accepts what Jinja2 accepts with transformers' extensions (`break`, `continue`, `generation`); what needs other
//! templates (`include`, `import`, `extends`) is an error here, because a model brings one template only.
//! Recursion is bounded by [`MAX_NESTING`].

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Args, Ast, Expr, For, MacroDef, Post, Stmt, StmtKind, Symbol, Target};
use super::error::TemplateError;
use super::lexer::{Tok, Token, lex};

/// How deep statements and expressions may nest, together.
pub(super) const MAX_NESTING: u32 = 80;

/// Parses a template whose newlines are already `\n`.
pub(super) fn parse(source: &str) -> Result<Ast, TemplateError> {
    let mut tokens = lex(source)?;
    tokens.reverse();
    let mut parser = Parser {
        tokens,
        line: 1,
        nesting: 0,
        loops: 0,
        implicit: Implicit::default(),
        names: Vec::new(),
        symbols: HashMap::new(),
    };
    let (body, _) = parser.body(&[])?;
    Ok(Ast { body, names: parser.names })
}

pub(super) struct Parser {
    /// Last first, so that the next one is popped.
    tokens: Vec<Token>,
    pub(super) line: u32,
    nesting: u32,
    /// Loops around the current statement, inside the current macro.
    loops: u32,
    pub(super) implicit: Implicit,
    names: Vec<Arc<str>>,
    symbols: HashMap<Arc<str>, Symbol>,
}

/// Which implicit names the current macro's body reads.
#[derive(Default)]
pub(super) struct Implicit {
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
    pub(super) caller: bool,
}

impl Parser {
    pub(super) fn fail<T>(&self, what: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::Syntax { line: self.line, what: what.into() })
    }

    pub(super) fn peek(&self) -> Option<&Tok> {
        self.tokens.last().map(|token| &token.kind)
    }

    pub(super) fn next(&mut self) -> Result<Tok, TemplateError> {
        match self.tokens.pop() {
            Some(token) => {
                self.line = token.line;
                Ok(token.kind)
            }
            None => self.fail("unexpected end of template"),
        }
    }

    pub(super) fn at_op(&self, op: &str) -> bool {
        matches!(self.peek(), Some(Tok::Op(found)) if *found == op)
    }

    pub(super) fn at_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Tok::Name(found)) if found == name)
    }

    /// Whether the token after the next one is `=` but not `==`.
    pub(super) fn second_is_assign(&self) -> bool {
        matches!(self.tokens.iter().rev().nth(1).map(|token| &token.kind), Some(Tok::Op("=")))
    }

    pub(super) fn second_is_in(&self) -> bool {
        matches!(self.tokens.iter().rev().nth(1).map(|token| &token.kind), Some(Tok::Name(name)) if name == "in")
    }

    pub(super) fn skip_op(&mut self, op: &str) -> Result<bool, TemplateError> {
        let found = self.at_op(op);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    pub(super) fn skip_name(&mut self, name: &str) -> Result<bool, TemplateError> {
        let found = self.at_name(name);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    pub(super) fn expect_op(&mut self, op: &str) -> Result<(), TemplateError> {
        match self.next()? {
            Tok::Op(found) if found == op => Ok(()),
            other => self.fail(format!("expected '{op}', found {}", describe(&other))),
        }
    }

    fn expect_name(&mut self, name: &str) -> Result<(), TemplateError> {
        match self.next()? {
            Tok::Name(found) if found == name => Ok(()),
            other => self.fail(format!("expected '{name}', found {}", describe(&other))),
        }
    }

    /// Any identifier.
    pub(super) fn identifier(&mut self) -> Result<String, TemplateError> {
        match self.next()? {
            Tok::Name(name) if !name.starts_with(|c: char| c.is_numeric()) => Ok(name),
            other => self.fail(format!("expected a name, found {}", describe(&other))),
        }
    }

    fn block_end(&mut self) -> Result<(), TemplateError> {
        match self.next()? {
            Tok::BlockEnd => Ok(()),
            other => self.fail(format!("expected the end of the tag, found {}", describe(&other))),
        }
    }

    /// The number of a name.
    pub(super) fn symbol(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.symbols.get(name) {
            return *symbol;
        }
        let symbol = self.names.len() as Symbol;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.symbols.insert(name, symbol);
        symbol
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(TemplateError::Limit { what: "nesting of the template", limit: MAX_NESTING.into() });
        }
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    /// Statements until a tag named in `ends`, whose name is returned with them, or until the end of the template
    /// where `ends` is empty. The tag's name is consumed, the rest of the tag is not.
    fn body(&mut self, ends: &[&str]) -> Result<(Vec<Stmt>, String), TemplateError> {
        let mut body = Vec::new();
        while let Some(token) = self.tokens.pop() {
            self.line = token.line;
            let line = token.line;
            let kind = match token.kind {
                Tok::Raw(text) => StmtKind::Raw(text.into_boxed_str()),
                Tok::PrintBegin => {
                    let expr = self.tuple(true)?;
                    match self.next()? {
                        Tok::PrintEnd => StmtKind::Print(expr),
                        other => return self.fail(format!("expected the end of print, found {}", describe(&other))),
                    }
                }
                Tok::BlockBegin => {
                    let tag = self.identifier()?;
                    if ends.contains(&tag.as_str()) {
                        return Ok((body, tag));
                    }
                    let kind = self.nested(|parser| parser.statement(&tag))?;
                    self.block_end()?;
                    kind
                }
                other => return self.fail(format!("unexpected {}", describe(&other))),
            };
            body.push(Stmt { line, kind });
        }
        match ends {
            [] => Ok((body, String::new())),
            _ => self.fail(format!("the template ends, expected {}", ends.join(" or "))),
        }
    }

    /// The body of a tag that has just been parsed up to its end, until one of `ends`.
    fn inner(&mut self, ends: &[&str]) -> Result<(Vec<Stmt>, String), TemplateError> {
        self.block_end()?;
        self.body(ends)
    }

    /// Everything of a statement but its last tag's end.
    fn statement(&mut self, tag: &str) -> Result<StmtKind, TemplateError> {
        match tag {
            "if" => self.if_statement(),
            "for" => self.for_statement(),
            "set" => self.set_statement(),
            "macro" => {
                let name = self.identifier()?;
                let definition = self.macro_definition(&name, "endmacro")?;
                Ok(StmtKind::Macro { name: self.symbol(&name), definition })
            }
            "call" => self.call_statement(),
            "with" => self.with_statement(),
            "filter" => {
                let filters = self.filter_chain()?;
                let (body, _) = self.inner(&["endfilter"])?;
                Ok(StmtKind::FilterBlock { filters, body })
            }
            "generation" => {
                let loops = std::mem::take(&mut self.loops);
                let (body, _) = self.inner(&["endgeneration"])?;
                self.loops = loops;
                Ok(StmtKind::Scope(body))
            }
            "autoescape" => match self.expression(true)? {
                Expr::Const(super::ast::Const::Bool(false)) => {
                    let (body, _) = self.inner(&["endautoescape"])?;
                    Ok(StmtKind::Scope(body))
                }
                _ => self.fail("only `autoescape false` is supported: chat templates are no HTML"),
            },
            "block" => {
                let name = self.identifier()?;
                while matches!(self.peek(), Some(Tok::Name(_))) {
                    self.next()?;
                }
                let (body, _) = self.inner(&["endblock"])?;
                self.skip_name(&name)?;
                Ok(StmtKind::Block(body))
            }
            "print" => Ok(StmtKind::Print(self.tuple(true)?)),
            "break" | "continue" if self.loops == 0 => self.fail(format!("'{tag}' outside of a loop")),
            "break" => Ok(StmtKind::Break),
            "continue" => Ok(StmtKind::Continue),
            "include" | "import" | "from" | "extends" => {
                self.fail(format!("'{tag}' needs another template, and a model brings only one"))
            }
            other => self.fail(format!("unknown tag '{other}'")),
        }
    }

    fn if_statement(&mut self) -> Result<StmtKind, TemplateError> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false)?;
            let (body, end) = self.inner(&["elif", "else", "endif"])?;
            branches.push((test, body));
            match end.as_str() {
                "elif" => {}
                "else" => {
                    let (otherwise, _) = self.inner(&["endif"])?;
                    return Ok(StmtKind::If { branches, otherwise });
                }
                _ => return Ok(StmtKind::If { branches, otherwise: Vec::new() }),
            }
        }
    }

    fn for_statement(&mut self) -> Result<StmtKind, TemplateError> {
        let target = self.target(true)?;
        self.expect_name("in")?;
        let iter = self.tuple_until(false, Some("recursive"))?;
        let test = if self.skip_name("if")? { Some(self.expression(true)?) } else { None };
        let recursive = self.skip_name("recursive")?;
        self.loops += 1;
        let inner = self.inner(&["endfor", "else"]);
        self.loops -= 1;
        let (body, end) = inner?;
        let otherwise = if end == "else" { self.inner(&["endfor"])?.0 } else { Vec::new() };
        Ok(StmtKind::For(Arc::new(For { target, iter, test, recursive, body, otherwise })))
    }

    fn set_statement(&mut self) -> Result<StmtKind, TemplateError> {
        let target = self.target(true)?;
        if self.skip_op("=")? {
            return Ok(StmtKind::Set { target, value: self.tuple(true)? });
        }
        let filters = if self.skip_op("|")? { self.filter_chain()? } else { Vec::new() };
        let (body, _) = self.inner(&["endset"])?;
        Ok(StmtKind::SetBlock { target, filters, body })
    }

    fn with_statement(&mut self) -> Result<StmtKind, TemplateError> {
        let mut bindings = Vec::new();
        while !matches!(self.peek(), Some(Tok::BlockEnd) | None) {
            if !bindings.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target(false)?;
            self.expect_op("=")?;
            bindings.push((target, self.expression(true)?));
        }
        let (body, _) = self.inner(&["endwith"])?;
        Ok(StmtKind::With { bindings, body })
    }

    fn call_statement(&mut self) -> Result<StmtKind, TemplateError> {
        let params = if self.at_op("(") { self.signature()? } else { Vec::new() };
        let call = self.expression(true)?;
        if !matches!(&call, Expr::Postfix(_, chain) if matches!(chain.last(), Some(Post::Call(_)))) {
            return self.fail("expected a call");
        }
        let definition = self.definition("caller", params, "endcall")?;
        Ok(StmtKind::CallBlock { call, definition })
    }

    fn macro_definition(&mut self, name: &str, end: &str) -> Result<Arc<MacroDef>, TemplateError> {
        let params = self.signature()?;
        self.definition(name, params, end)
    }

    fn definition(
        &mut self,
        name: &str,
        params: Vec<(Symbol, Option<Expr>)>,
        end: &str,
    ) -> Result<Arc<MacroDef>, TemplateError> {
        // A call may pass `varargs`, `kwargs` or `caller` only to a body that reads them.
        let loops = std::mem::take(&mut self.loops);
        let outer = std::mem::take(&mut self.implicit);
        let inner = self.inner(&[end]);
        self.loops = loops;
        let Implicit { varargs, kwargs, caller } = std::mem::take(&mut self.implicit);
        // As in Jinja2, a macro inside counts as part of the body.
        self.implicit = Implicit {
            varargs: varargs || outer.varargs,
            kwargs: kwargs || outer.kwargs,
            caller: caller || outer.caller,
        };
        let (body, _) = inner?;
        Ok(Arc::new(MacroDef { name: name.into(), params, varargs, kwargs, caller, body }))
    }

    fn signature(&mut self) -> Result<Vec<(Symbol, Option<Expr>)>, TemplateError> {
        self.expect_op("(")?;
        let mut params: Vec<(Symbol, Option<Expr>)> = Vec::new();
        while !self.at_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
            }
            let name = self.identifier()?;
            let symbol = self.symbol(&name);
            let default = if self.skip_op("=")? { Some(self.expression(true)?) } else { None };
            if default.is_none() && params.iter().any(|(_, default)| default.is_some()) {
                return self.fail("a parameter without default follows one with a default");
            }
            params.push((symbol, default));
        }
        self.expect_op(")")?;
        Ok(params)
    }

    /// What an assignment or a loop writes to.
    fn target(&mut self, tuple: bool) -> Result<Target, TemplateError> {
        let first = self.single_target()?;
        if !tuple || !self.at_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op(",")? {
            if matches!(self.peek(), Some(Tok::Name(name)) if name != "in") || self.at_op("(") {
                items.push(self.single_target()?);
            }
        }
        Ok(Target::Tuple(items))
    }

    fn single_target(&mut self) -> Result<Target, TemplateError> {
        if self.skip_op("(")? {
            let inner = self.nested(|parser| parser.target(true))?;
            self.expect_op(")")?;
            return Ok(inner);
        }
        let name = self.identifier()?;
        if matches!(name.as_str(), "true" | "false" | "none" | "True" | "False" | "None") {
            return self.fail(format!("cannot assign to '{name}'"));
        }
        let symbol = self.symbol(&name);
        if self.skip_op(".")? {
            return Ok(Target::Attr(symbol, self.identifier()?.into()));
        }
        Ok(Target::Name(symbol))
    }

    /// `a|b(c)|d` without the value: the filters of a `set` or `filter` block.
    fn filter_chain(&mut self) -> Result<Vec<Post>, TemplateError> {
        let mut filters = Vec::new();
        loop {
            let name = self.dotted_name()?;
            let args = if self.at_op("(") { self.arguments()? } else { Args::default() };
            filters.push(Post::Filter(name, args));
            if !self.skip_op("|")? {
                return Ok(filters);
            }
        }
    }
}

/// A token in words.
pub(super) fn describe(token: &Tok) -> String {
    match token {
        Tok::Raw(_) => "text".into(),
        Tok::PrintBegin => "'{{'".into(),
        Tok::PrintEnd => "'}}'".into(),
        Tok::BlockBegin => "'{%'".into(),
        Tok::BlockEnd => "'%}'".into(),
        Tok::Name(name) => format!("'{name}'"),
        Tok::Str(_) => "a string".into(),
        Tok::Int(value) => value.to_string(),
        Tok::Float(value) => value.to_string(),
        Tok::Op(op) => format!("'{op}'"),
    }
}
