//! Traversal of a parsed rule. It keeps its own stack, so that no policy can overflow ours.

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Rule, RuleHead, Span};
use std::collections::BTreeSet;

/// Something to look at.
pub(crate) enum Item<'a> {
    /// A variable, or a chain of fields and indices that begins with one.
    Reference(Reference<'a>),
    /// A call; its function is also visited as a reference.
    Call { function: Reference<'a>, arguments: Vec<&'a Expr> },
    /// Any other expression.
    Other(&'a Expr),
    /// A statement of a body.
    Statement(&'a LiteralStmt),
}

/// `base.field[index]`.
pub(crate) struct Reference<'a> {
    /// Name of the variable that it begins with.
    pub base: &'a str,
    /// Where it begins.
    pub span: &'a Span,
    /// What follows.
    pub steps: Vec<Step<'a>>,
}

/// One component of a reference.
pub(crate) enum Step<'a> {
    /// `.field` or `["field"]`.
    Field(&'a str, &'a Span),
    /// `[anything else]`.
    Index,
}

impl<'a> Reference<'a> {
    /// Takes an expression apart; nothing if it does not begin with a variable.
    pub(crate) fn of(expr: &'a Expr) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = expr;
        loop {
            match rest {
                Expr::Var { span, .. } => {
                    steps.reverse();
                    return Some(Self { base: span.text(), span, steps });
                }
                Expr::RefDot { refr, field, .. } => {
                    steps.push(Step::Field(field.0.text(), &field.0));
                    rest = refr.as_ref();
                }
                Expr::RefBrack { refr, index, .. } => {
                    steps.push(match index.as_ref() {
                        Expr::String { span, value, .. } | Expr::RawString { span, value, .. } => {
                            value.as_string().map_or(Step::Index, |name| Step::Field(name, span))
                        }
                        _ => Step::Index,
                    });
                    rest = refr.as_ref();
                }
                _ => return None,
            }
        }
    }

    /// Base and fields up to the first index, joined by dots.
    pub(crate) fn dotted(&self) -> String {
        let mut text = self.base.to_owned();
        for step in &self.steps {
            let Step::Field(name, _) = step else { break };
            text.push('.');
            text.push_str(name);
        }
        text
    }
}

enum Part<'a> {
    Expr(&'a Expr),
    Query(&'a Query),
}

/// Visits everything in a rule but the name in its head.
pub(crate) fn visit<'a>(rule: &'a Rule, see: &mut dyn FnMut(Item<'a>)) {
    let mut stack = Vec::new();
    match rule {
        Rule::Default { args, value, .. } => {
            stack.extend(args.iter().map(|arg| Part::Expr(arg.as_ref())));
            stack.push(Part::Expr(value.as_ref()));
        }
        Rule::Spec { head, bodies, .. } => {
            let (refr, assign, key, args) = match head {
                RuleHead::Compr { refr, assign, .. } => (refr, assign.as_ref(), None, [].as_slice()),
                RuleHead::Set { refr, key, .. } => (refr, None, key.as_ref(), [].as_slice()),
                RuleHead::Func { refr, args, assign, .. } => (refr, assign.as_ref(), None, args.as_slice()),
            };
            push_indices(refr.as_ref(), &mut stack);
            stack.extend(assign.map(|assign| Part::Expr(assign.value.as_ref())));
            stack.extend(key.map(|key| Part::Expr(key.as_ref())));
            stack.extend(args.iter().map(|arg| Part::Expr(arg.as_ref())));
            for body in bodies {
                stack.extend(body.assign.as_ref().map(|assign| Part::Expr(assign.value.as_ref())));
                stack.push(Part::Query(body.query.as_ref()));
            }
        }
    }
    drain(stack, see);
}

/// Visits an expression and all below it.
fn visit_expr<'a>(expr: &'a Expr, see: &mut dyn FnMut(Item<'a>)) {
    drain(vec![Part::Expr(expr)], see);
}

fn drain<'a>(mut stack: Vec<Part<'a>>, see: &mut dyn FnMut(Item<'a>)) {
    while let Some(part) = stack.pop() {
        match part {
            Part::Expr(expr) => push_expr(expr, &mut stack, see),
            Part::Query(query) => {
                for statement in &query.stmts {
                    push_statement(statement, &mut stack);
                    see(Item::Statement(statement));
                }
            }
        }
    }
}

fn push_statement<'a>(statement: &'a LiteralStmt, stack: &mut Vec<Part<'a>>) {
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { key, value, collection, .. } => {
            stack.extend(key.as_ref().map(|key| Part::Expr(key.as_ref())));
            stack.push(Part::Expr(value.as_ref()));
            stack.push(Part::Expr(collection.as_ref()));
        }
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => stack.push(Part::Expr(expr.as_ref())),
        Literal::Every { domain, query, .. } => {
            stack.push(Part::Expr(domain.as_ref()));
            stack.push(Part::Query(query.as_ref()));
        }
    }
    for modifier in &statement.with_mods {
        stack.push(Part::Expr(modifier.refr.as_ref()));
        stack.push(Part::Expr(modifier.r#as.as_ref()));
    }
}

/// The expressions in the brackets of a reference.
fn push_indices<'a>(expr: &'a Expr, stack: &mut Vec<Part<'a>>) {
    let mut rest = expr;
    loop {
        match rest {
            Expr::RefDot { refr, .. } => rest = refr.as_ref(),
            Expr::RefBrack { refr, index, .. } => {
                stack.push(Part::Expr(index.as_ref()));
                rest = refr.as_ref();
            }
            Expr::Var { .. } => return,
            other => return stack.push(Part::Expr(other)),
        }
    }
}

fn push_expr<'a>(expr: &'a Expr, stack: &mut Vec<Part<'a>>, see: &mut dyn FnMut(Item<'a>)) {
    match expr {
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            push_indices(expr, stack);
            if let Some(reference) = Reference::of(expr) {
                see(Item::Reference(reference));
            }
            return;
        }
        Expr::Call { fcn, params, .. } => {
            stack.push(Part::Expr(fcn.as_ref()));
            stack.extend(params.iter().map(|param| Part::Expr(param.as_ref())));
            if let Some(function) = Reference::of(fcn.as_ref()) {
                let arguments = params.iter().map(|param| param.as_ref()).collect();
                see(Item::Call { function, arguments });
            }
            return;
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            stack.extend(items.iter().map(|item| Part::Expr(item.as_ref())));
        }
        Expr::Object { fields, .. } => {
            for (_, key, value) in fields {
                stack.push(Part::Expr(key.as_ref()));
                stack.push(Part::Expr(value.as_ref()));
            }
        }
        Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
            stack.push(Part::Expr(term.as_ref()));
            stack.push(Part::Query(query.as_ref()));
        }
        Expr::ObjectCompr { key, value, query, .. } => {
            stack.push(Part::Expr(key.as_ref()));
            stack.push(Part::Expr(value.as_ref()));
            stack.push(Part::Query(query.as_ref()));
        }
        Expr::UnaryExpr { expr, .. } => stack.push(Part::Expr(expr.as_ref())),
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => {
            stack.push(Part::Expr(lhs.as_ref()));
            stack.push(Part::Expr(rhs.as_ref()));
        }
        Expr::Membership { key, value, collection, .. } => {
            stack.extend(key.as_ref().map(|key| Part::Expr(key.as_ref())));
            stack.push(Part::Expr(value.as_ref()));
            stack.push(Part::Expr(collection.as_ref()));
        }
        _ => {}
    }
    see(Item::Other(expr));
}

/// The names that a rule binds itself: arguments, `some`, `every` and `:=`.
pub(crate) fn locals(rule: &Rule) -> BTreeSet<&str> {
    let mut patterns: Vec<&Expr> = Vec::new();
    let mut names = BTreeSet::new();
    match rule {
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } | Rule::Default { args, .. } => {
            patterns.extend(args.iter().map(|arg| arg.as_ref()));
        }
        Rule::Spec { .. } => {}
    }
    visit(rule, &mut |item| match item {
        Item::Statement(statement) => match &statement.literal {
            Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|var| var.text())),
            Literal::SomeIn { key, value, .. } => {
                patterns.extend(key.as_ref().map(|key| key.as_ref()));
                patterns.push(value.as_ref());
            }
            Literal::Every { key, value, .. } => {
                names.extend(key.as_ref().map(|key| key.text()));
                names.insert(value.text());
            }
            Literal::Expr { .. } | Literal::NotExpr { .. } => {}
        },
        Item::Other(Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. }) => patterns.push(lhs.as_ref()),
        _ => {}
    });
    for pattern in patterns {
        visit_expr(pattern, &mut |item| {
            if let Item::Reference(reference) = item {
                names.insert(reference.base);
            }
        });
    }
    names
}
