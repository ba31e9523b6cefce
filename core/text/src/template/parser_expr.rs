//! Expressions: Jinja2's grammar, with its precedences and its oddities (a filter binds tighter than arithmetic, a
//! test may take one argument without parentheses).

use std::sync::Arc;

use super::ast::{Args, BinOp, CmpOp, Cond, Const, Expr, Post};
use super::error::TemplateError;
use super::lexer::Tok;
use super::parser::{Parser, describe};
use super::value::Text;

/// How many `a if b if c` may follow each other without `else`.
const MAX_CHAINED_IFS: usize = 8;

impl Parser {
    /// One or more expressions separated by commas; more than one, or a trailing comma, make a tuple.
    pub(super) fn tuple(&mut self, with_condition: bool) -> Result<Expr, TemplateError> {
        self.tuple_until(with_condition, None)
    }

    pub(super) fn tuple_until(&mut self, with_condition: bool, end: Option<&str>) -> Result<Expr, TemplateError> {
        let first = self.expression(with_condition)?;
        if !self.at_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op(",")? {
            let ends = match self.peek() {
                Some(Tok::PrintEnd | Tok::BlockEnd | Tok::Op(")")) | None => true,
                Some(Tok::Name(name)) => Some(name.as_str()) == end,
                _ => false,
            };
            if ends {
                break;
            }
            items.push(self.expression(with_condition)?);
        }
        Ok(Expr::Tuple(items))
    }

    /// One expression; without `with_condition` an `if` after it belongs to something else.
    pub(super) fn expression(&mut self, with_condition: bool) -> Result<Expr, TemplateError> {
        self.nested(|parser| if with_condition { parser.condition() } else { parser.or() })
    }

    fn condition(&mut self) -> Result<Expr, TemplateError> {
        let mut then = self.or()?;
        for _ in 0..MAX_CHAINED_IFS {
            if !self.skip_name("if")? {
                return Ok(then);
            }
            let test = self.or()?;
            let otherwise = if self.skip_name("else")? { Some(self.expression(true)?) } else { None };
            then = Expr::Cond(Box::new(Cond { test, then, otherwise }));
        }
        Err(TemplateError::Limit { what: "conditions without else in a row", limit: MAX_CHAINED_IFS as u64 })
    }

    fn or(&mut self) -> Result<Expr, TemplateError> {
        let first = self.and()?;
        let mut terms = vec![first];
        while self.skip_name("or")? {
            terms.push(self.and()?);
        }
        Ok(collapse(terms, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, TemplateError> {
        let first = self.not()?;
        let mut terms = vec![first];
        while self.skip_name("and")? {
            terms.push(self.not()?);
        }
        Ok(collapse(terms, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, TemplateError> {
        if self.skip_name("not")? {
            return Ok(Expr::Not(Box::new(self.nested(Self::not)?)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr, TemplateError> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.peek() {
                Some(Tok::Op("==")) => CmpOp::Eq,
                Some(Tok::Op("!=")) => CmpOp::Ne,
                Some(Tok::Op("<")) => CmpOp::Lt,
                Some(Tok::Op("<=")) => CmpOp::Le,
                Some(Tok::Op(">")) => CmpOp::Gt,
                Some(Tok::Op(">=")) => CmpOp::Ge,
                Some(Tok::Name(name)) if name == "in" => CmpOp::In,
                Some(Tok::Name(name)) if name == "not" && self.second_is_in() => {
                    self.next()?;
                    CmpOp::NotIn
                }
                _ => break,
            };
            self.next()?;
            rest.push((op, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    fn sum(&mut self) -> Result<Expr, TemplateError> {
        self.arithmetic(Self::concat, &[("+", BinOp::Add), ("-", BinOp::Sub)])
    }

    fn concat(&mut self) -> Result<Expr, TemplateError> {
        let first = self.product()?;
        let mut terms = vec![first];
        while self.skip_op("~")? {
            terms.push(self.product()?);
        }
        Ok(collapse(terms, Expr::Concat))
    }

    fn product(&mut self) -> Result<Expr, TemplateError> {
        let ops = [("*", BinOp::Mul), ("/", BinOp::Div), ("//", BinOp::FloorDiv), ("%", BinOp::Rem)];
        self.arithmetic(Self::power, &ops)
    }

    fn power(&mut self) -> Result<Expr, TemplateError> {
        self.arithmetic(|parser| parser.unary(true), &[("**", BinOp::Pow)])
    }

    fn arithmetic(
        &mut self,
        operand: impl Fn(&mut Self) -> Result<Expr, TemplateError>,
        ops: &[(&str, BinOp)],
    ) -> Result<Expr, TemplateError> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(op) = ops.iter().find(|(op, _)| self.at_op(op)).map(|(_, op)| *op) {
            self.next()?;
            rest.push((op, operand(self)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Arith(Box::new(first), rest) })
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr, TemplateError> {
        let base = if self.skip_op("-")? {
            Expr::Neg(Box::new(self.nested(|parser| parser.unary(false))?))
        } else if self.skip_op("+")? {
            Expr::Pos(Box::new(self.nested(|parser| parser.unary(false))?))
        } else {
            self.primary()?
        };
        let mut chain = Vec::new();
        self.postfix(&mut chain)?;
        if with_filters {
            self.filters(&mut chain)?;
        }
        Ok(if chain.is_empty() { base } else { Expr::Postfix(Box::new(base), chain) })
    }

    fn primary(&mut self) -> Result<Expr, TemplateError> {
        Ok(match self.next()? {
            Tok::Name(name) => match name.as_str() {
                "true" | "True" => Expr::Const(Const::Bool(true)),
                "false" | "False" => Expr::Const(Const::Bool(false)),
                "none" | "None" => Expr::Const(Const::None),
                _ if name.starts_with(|c: char| c.is_numeric()) => return self.fail(format!("bad name '{name}'")),
                _ => {
                    match name.as_str() {
                        "varargs" => self.implicit.varargs = true,
                        "kwargs" => self.implicit.kwargs = true,
                        "caller" => self.implicit.caller = true,
                        _ => {}
                    }
                    Expr::Name(self.symbol(&name))
                }
            },
            Tok::Str(mut text) => {
                while let Some(Tok::Str(_)) = self.peek() {
                    if let Tok::Str(more) = self.next()? {
                        text.push_str(&more);
                    }
                }
                Expr::Const(Const::Str(Arc::new(Text::literal(text))))
            }
            Tok::Int(value) => Expr::Const(Const::Int(value)),
            Tok::Float(value) => Expr::Const(Const::Float(value)),
            Tok::Op("(") => {
                if self.skip_op(")")? {
                    return Ok(Expr::Tuple(Vec::new()));
                }
                let inner = self.tuple(true)?;
                self.expect_op(")")?;
                inner
            }
            Tok::Op("[") => Expr::List(self.sequence("]", |parser| parser.expression(true))?),
            Tok::Op("{") => Expr::Dict(self.sequence("}", |parser| {
                let key = parser.expression(true)?;
                parser.expect_op(":")?;
                Ok((key, parser.expression(true)?))
            })?),
            other => return self.fail(format!("unexpected {}", describe(&other))),
        })
    }

    /// Items separated by commas, the last of which may be followed by one, and the closing bracket.
    fn sequence<T>(
        &mut self,
        close: &str,
        item: impl Fn(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<Vec<T>, TemplateError> {
        let mut items = Vec::new();
        while !self.at_op(close) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.at_op(close) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        self.expect_op(close)?;
        Ok(items)
    }

    /// `.name`, `[item]` and `(arguments)`.
    fn postfix(&mut self, chain: &mut Vec<Post>) -> Result<(), TemplateError> {
        loop {
            match self.peek() {
                Some(Tok::Op(".")) => {
                    self.next()?;
                    match self.next()? {
                        Tok::Name(name) => chain.push(Post::Attr(name.into())),
                        Tok::Int(index) => chain.push(Post::Item(Expr::Const(Const::Int(index)))),
                        other => return self.fail(format!("expected a name after '.', found {}", describe(&other))),
                    }
                }
                Some(Tok::Op("[")) => {
                    self.next()?;
                    chain.push(self.subscript()?);
                }
                Some(Tok::Op("(")) => {
                    let args = self.arguments()?;
                    chain.push(Post::Call(args));
                }
                _ => return Ok(()),
            }
        }
    }

    fn subscript(&mut self) -> Result<Post, TemplateError> {
        let mut parts: [Option<Expr>; 3] = [None, None, None];
        let mut colons = 0;
        if !self.at_op(":") {
            let first = self.expression(true)?;
            if self.at_op(",") {
                let mut items = vec![first];
                while self.skip_op(",")? {
                    items.push(self.expression(true)?);
                }
                self.expect_op("]")?;
                return Ok(Post::Item(Expr::Tuple(items)));
            }
            parts[0] = Some(first);
        }
        while colons < 2 && self.skip_op(":")? {
            colons += 1;
            if !self.at_op(":") && !self.at_op("]") {
                parts[colons] = Some(self.expression(true)?);
            }
        }
        self.expect_op("]")?;
        match parts {
            [Some(item), None, None] if colons == 0 => Ok(Post::Item(item)),
            parts => Ok(Post::Slice(Box::new(parts))),
        }
    }

    /// `|filter`, `is test` and calls of their results.
    fn filters(&mut self, chain: &mut Vec<Post>) -> Result<(), TemplateError> {
        loop {
            if self.skip_op("|")? {
                let name = self.dotted_name()?;
                let args = if self.at_op("(") { self.arguments()? } else { Args::default() };
                chain.push(Post::Filter(name, args));
            } else if self.skip_name("is")? {
                let post = self.test()?;
                chain.push(post);
            } else if self.at_op("(") {
                let args = self.arguments()?;
                chain.push(Post::Call(args));
            } else {
                return Ok(());
            }
        }
    }

    fn test(&mut self) -> Result<Post, TemplateError> {
        let negated = self.skip_name("not")?;
        let name = self.dotted_name()?;
        let takes_argument = match self.peek() {
            Some(Tok::Name(word)) => match word.as_str() {
                "else" | "or" | "and" => false,
                "is" => return self.fail("tests cannot be chained with 'is'"),
                _ => true,
            },
            Some(Tok::Str(_) | Tok::Int(_) | Tok::Float(_) | Tok::Op("[" | "{")) => true,
            _ => false,
        };
        let args = if self.at_op("(") {
            self.arguments()?
        } else if takes_argument {
            let argument = self.nested(|parser| {
                let base = parser.primary()?;
                let mut chain = Vec::new();
                parser.postfix(&mut chain)?;
                Ok(if chain.is_empty() { base } else { Expr::Postfix(Box::new(base), chain) })
            })?;
            Args { positional: vec![argument], ..Args::default() }
        } else {
            Args::default()
        };
        Ok(Post::Test { name, args, negated })
    }

    pub(super) fn dotted_name(&mut self) -> Result<Arc<str>, TemplateError> {
        let mut name = self.identifier()?;
        while self.skip_op(".")? {
            name.push('.');
            name.push_str(&self.identifier()?);
        }
        Ok(name.into())
    }

    pub(super) fn arguments(&mut self) -> Result<Args, TemplateError> {
        self.expect_op("(")?;
        let mut args = Args::default();
        let mut first = true;
        while !self.at_op(")") {
            if !first {
                self.expect_op(",")?;
                if self.at_op(")") {
                    break;
                }
            }
            first = false;
            if self.skip_op("*")? {
                args.star = Some(self.expression(true)?);
            } else if self.skip_op("**")? {
                args.star_star = Some(self.expression(true)?);
            } else if matches!(self.peek(), Some(Tok::Name(_))) && self.second_is_assign() {
                let name = self.identifier()?;
                self.expect_op("=")?;
                args.named.push((name.into(), self.expression(true)?));
            } else if args.named.is_empty() && args.star.is_none() && args.star_star.is_none() {
                args.positional.push(self.expression(true)?);
            } else {
                return self.fail("a positional argument follows a named one");
            }
        }
        self.expect_op(")")?;
        Ok(args)
    }
}

/// The only term itself, several as one node.
fn collapse(mut terms: Vec<Expr>, node: fn(Vec<Expr>) -> Expr) -> Expr {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        last => {
            terms.extend(last);
            node(terms)
        }
    }
}
