//! From the text of an expression to a syntax tree that is safe to evaluate.
//!
//! CEL itself has no bound on the work it does, iterates maps in random order, and knows doubles. So
//! the tree is checked first, and then three operations are replaced by our own, which count what
//! they do: walking a collection (`ORDERED`), joining two values (`JOIN`) and matching a regular
//! expression (`MATCHES`). Source texts cannot name them.

use super::Problem;
use crate::{
    codes,
    limits::{EXPRESSION_BRACKETS_MAX, EXPRESSION_MACROS_MAX, EXPRESSION_MAX_BYTES, EXPRESSION_NODES_MAX},
    suggest::closest,
};
use cel::{
    IdedExpr, ParseErrors, Program as Parsed,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators},
};
use std::ops::Range;

pub(super) const ORDERED: &str = "__ordered";
pub(super) const JOIN: &str = "__join";
pub(super) const MATCHES: &str = "__matches";

/// Functions and operators that an expression may use.
const FUNCTIONS: [&str; 25] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "bool",
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
];
/// What macros expand to, beside the above.
const INTERNAL: [&str; 2] = [operators::NOT_STRICTLY_FALSE, operators::IN];
const TARGET_FIELDS: [&str; 5] = ["name", "environment", "groups", "labels", "variables"];
const RESERVED: [&str; 1] = ["observed"];
/// What a target is, by group.
pub(super) const FACTS: &str = "facts";

/// An expression that has passed all checks which need no values.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) root: IdedExpr,
    /// Which of the values that it sees it names, in the order in which they stand.
    pub(super) uses: Vec<Use>,
    /// Groups that it asks for by name: `"web" in target.groups`.
    pub(super) groups: Vec<(String, Option<Range<usize>>)>,
}

/// A value that an expression names: `target.labels.role` is `target`, `labels`, `role`. What stands
/// in brackets counts if it is a literal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub path: Vec<(String, Option<Range<usize>>)>,
    /// Whether it is only asked whether it is there.
    pub asks: bool,
    /// Whether the result is this value, or this value with texts around it.
    pub bare: bool,
}

impl Use {
    /// Whether this names `path`, something in it, or something that it is in.
    pub fn meets(&self, path: &[String]) -> bool {
        self.path.iter().zip(path).all(|((name, _), other)| name == other)
    }

    /// How it is written up to the segment with this index.
    pub fn written(&self, end: usize) -> String {
        let mut out = String::new();
        for (name, _) in self.path.iter().take(end) {
            match (out.is_empty(), is_identifier(name)) {
                (true, _) => out.push_str(name),
                (false, true) => out.extend([".", name]),
                (false, false) => out.extend(["[\"", name, "\"]"]),
            }
        }
        out
    }
}

/// Whether a name can stand behind a dot.
pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What an expression may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sees {
    /// `target` only.
    Target,
    /// `target`, `params` and `outputs`.
    All,
    /// These and `each`.
    Each,
}

impl Program {
    /// Parses and checks an expression.
    pub fn new(source: &str, sees: Sees) -> Result<Self, Problem> {
        if source.len() > EXPRESSION_MAX_BYTES {
            return Err(Problem::new(
                codes::EXPR_TOO_LONG,
                format!("the expression has {} bytes, more than {EXPRESSION_MAX_BYTES}", source.len()),
            ));
        }
        if bracket_depth(source) > EXPRESSION_BRACKETS_MAX {
            return Err(Problem::new(
                codes::EXPR_TOO_COMPLEX,
                format!("brackets are nested deeper than {EXPRESSION_BRACKETS_MAX}"),
            ));
        }
        if source.trim().is_empty() {
            return Err(Problem::new(codes::EXPR_SYNTAX, "the expression is empty"));
        }
        let parsed = Parsed::compile(source).map_err(|errors| syntax(source, &errors))?;
        let mut check = Check {
            source,
            info: parsed.source_info(),
            sees,
            nodes: 0,
            bound: Vec::new(),
            noted: false,
            uses: Vec::new(),
            groups: Vec::new(),
            bare: true,
        };
        check.expression(parsed.expression(), 0)?;
        check.groups_of_facts()?;
        let Check { uses, groups, .. } = check;
        let mut root = parsed.expression().clone();
        replace(&mut root);
        Ok(Self { root, uses, groups })
    }
}

fn bracket_depth(source: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn syntax(source: &str, errors: &ParseErrors) -> Problem {
    let position = errors.errors.first().map_or((0, 0), |e| e.pos);
    let (line, column) = (usize::try_from(position.0).unwrap_or(0), usize::try_from(position.1).unwrap_or(0));
    let Some(index) = line.checked_sub(1) else {
        return Problem::new(codes::EXPR_SYNTAX, "this is not an expression");
    };
    let before: usize = source.split_inclusive('\n').take(index).map(str::len).sum();
    let text = source.get(before..).unwrap_or("");
    let chars = text.char_indices().nth(column.saturating_sub(1));
    match chars {
        Some((offset, c)) if !text.get(offset..).unwrap_or("").trim().is_empty() => {
            let start = before + offset;
            Problem::new(codes::EXPR_SYNTAX, format!("this is not an expression: unexpected `{c}`"))
                .at(Some(start..start + c.len_utf8()))
        }
        _ => {
            let end = source.trim_end().len();
            Problem::new(codes::EXPR_SYNTAX, "this is not an expression: it ends too early")
                .at(Some(end..end))
        }
    }
}

struct Check<'x> {
    source: &'x str,
    info: &'x SourceInfo,
    sees: Sees,
    nodes: usize,
    bound: Vec<String>,
    /// Whether the node at hand begins a value that was noted already.
    noted: bool,
    uses: Vec<Use>,
    groups: Vec<(String, Option<Range<usize>>)>,
    /// Whether what is looked at becomes the result, or a part of its text.
    bare: bool,
}

impl Check<'_> {
    /// The place of a node, as far as the parser noted it (in bytes, the last one included).
    fn place(&self, id: u64) -> Option<Range<usize>> {
        let (start, stop) = self.info.offset_for(id)?;
        let (start, mut end) = (usize::try_from(start).ok()?, usize::try_from(stop).ok()? + 1);
        while end < self.source.len() && !self.source.is_char_boundary(end) {
            end += 1;
        }
        self.source.get(start..end).map(|_| start..end)
    }

    fn is_free(&self, name: &str) -> bool {
        !self.bound.iter().any(|b| b == name)
    }

    fn expression(&mut self, node: &IdedExpr, macros: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > EXPRESSION_NODES_MAX {
            return Err(Problem::new(
                codes::EXPR_TOO_COMPLEX,
                format!("the expression has more than {EXPRESSION_NODES_MAX} parts"),
            ));
        }
        let path = self.path(node);
        // What begins a value is noted with it.
        let noted = std::mem::replace(&mut self.noted, path.is_some());
        let bare = std::mem::replace(&mut self.bare, false);
        if let Some(path) = path.filter(|_| !noted) {
            let asks = matches!(&node.expr, Expr::Select(select) if select.test);
            self.uses.push(Use { path, asks, bare });
        }
        let checked = self.node(node, macros, bare);
        (self.noted, self.bare) = (noted, bare);
        checked
    }

    fn node(&mut self, node: &IdedExpr, macros: usize, bare: bool) -> Result<(), Problem> {
        match &node.expr {
            Expr::Unspecified => Err(Problem::new(codes::EXPR_SYNTAX, "this is not an expression")),
            Expr::Literal(literal) => self.literal(literal, node.id),
            Expr::Ident(name) => self.name(name, node.id),
            Expr::Select(select) => {
                if let Expr::Ident(name) = &select.operand.expr
                    && self.is_free(name)
                {
                    let place = self.field_place(select.operand.id, &select.field, node.id);
                    if name == "target" && !TARGET_FIELDS.contains(&select.field.as_str()) {
                        return Err(Problem::new(
                            codes::EXPR_UNKNOWN_NAME,
                            format!("`target` has no `{}`", select.field),
                        )
                        .at(place)
                        .meant(closest(&select.field, TARGET_FIELDS))
                        .help(format!("`target` has {}", crate::fields::list(&TARGET_FIELDS))));
                    }
                }
                self.expression(&select.operand, macros)
            }
            Expr::Call(call) => self.call(call, node.id, macros, bare),
            Expr::Comprehension(inner) => self.comprehension(inner, node.id, macros),
            Expr::List(list) => list.elements.iter().try_for_each(|e| self.expression(e, macros)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(e) => {
                    self.expression(&e.key, macros)?;
                    self.expression(&e.value, macros)
                }
                EntryExpr::StructField(_) => Err(self.forbidden("messages", node.id)),
            }),
            Expr::Struct(_) => Err(self.forbidden("messages", node.id)),
        }
    }

    /// The names that lead from a free name to this value, if it is written so.
    fn path(&self, node: &IdedExpr) -> Option<Vec<(String, Option<Range<usize>>)>> {
        match &node.expr {
            Expr::Ident(name) if self.is_free(name) => Some(vec![(name.clone(), self.place(node.id))]),
            Expr::Select(select) => {
                let mut path = self.path(&select.operand)?;
                let place = self.field_place(select.operand.id, &select.field, node.id);
                path.push((select.field.clone(), place));
                Some(path)
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [operand, key] = call.args.as_slice() else { return None };
                let Expr::Literal(LiteralValue::String(name)) = &key.expr else { return None };
                let mut path = self.path(operand)?;
                path.push((name.inner().to_owned(), self.place(key.id)));
                Some(path)
            }
            _ => None,
        }
    }

    /// The place of `field` behind its operand; the node's own place is only that of the dot.
    fn field_place(&self, operand: u64, field: &str, node: u64) -> Option<Range<usize>> {
        let after = self.place(operand).map_or(0, |r| r.end);
        let found = self.source.get(after..)?.find(field);
        found.map(|at| after + at..after + at + field.len()).or_else(|| self.place(node))
    }

    fn forbidden(&self, what: &str, id: u64) -> Problem {
        Problem::new(codes::EXPR_FORBIDDEN, format!("expressions here have no {what}")).at(self.place(id))
    }

    fn literal(&self, literal: &LiteralValue, id: u64) -> Result<(), Problem> {
        match literal {
            LiteralValue::Double(_) => Err(self.forbidden("floating-point numbers", id)),
            LiteralValue::UInt(_) => Err(self.forbidden("unsigned numbers", id)),
            LiteralValue::Bytes(_) => Err(self.forbidden("byte strings", id)),
            LiteralValue::Boolean(_)
            | LiteralValue::Int(_)
            | LiteralValue::Null
            | LiteralValue::String(_) => Ok(()),
        }
    }

    fn name(&self, name: &str, id: u64) -> Result<(), Problem> {
        let known = match self.sees {
            Sees::Each => &["params", "target", "facts", "outputs", "secrets", "each"][..],
            Sees::All => &["params", "target", "facts", "outputs", "secrets"],
            Sees::Target => &["target"],
        };
        if !self.is_free(name) || known.contains(&name) {
            return Ok(());
        }
        if RESERVED.contains(&name) {
            return Err(Problem::new(
                codes::EXPR_NOT_AVAILABLE,
                format!("`{name}` is reserved, but not available in this release"),
            )
            .at(self.place(id)));
        }
        if name == FACTS {
            return Err(Problem::new(
                codes::EXPR_NOT_AVAILABLE,
                "facts do not select targets: they are read from those that are selected",
            )
            .at(self.place(id))
            .help("select by labels, and ask for facts in `when`"));
        }
        if name == "each" {
            return Err(Problem::new(codes::EXPR_UNKNOWN_NAME, "there is no `each` here")
                .at(self.place(id))
                .help("`each` is what a step with `for_each` goes through, and is seen in that step only"));
        }
        let bound: Vec<&str> =
            self.bound.iter().map(String::as_str).filter(|b| !b.starts_with('@')).collect();
        Err(Problem::new(codes::EXPR_UNKNOWN_NAME, format!("there is no `{name}` here"))
            .at(self.place(id))
            .meant(closest(name, known.iter().copied().chain(bound)))
            .help(format!("an expression here sees {}", crate::fields::list(known))))
    }

    fn call(&mut self, call: &CallExpr, id: u64, macros: usize, bare: bool) -> Result<(), Problem> {
        let name = call.func_name.as_str();
        if !FUNCTIONS.contains(&name) && !INTERNAL.contains(&name) {
            let words = FUNCTIONS.iter().copied().filter(|f| f.starts_with(|c: char| c.is_ascii_lowercase()));
            let all = words.clone().chain(["all", "exists", "exists_one", "filter", "map", "has"]);
            return Err(Problem::new(
                codes::EXPR_FORBIDDEN,
                format!("expressions here have no function `{name}` with this use"),
            )
            .at(self.place(id))
            .meant(closest(name, all))
            .help(format!("they have {}", crate::fields::list(&words.collect::<Vec<_>>()))));
        }
        if name == "matches" && call.args.len() + usize::from(call.target.is_some()) != 2 {
            return Err(Problem::new(codes::EXPR_EVALUATION, "`matches` takes a text and a pattern")
                .at(self.place(id)));
        }
        if name == operators::IN
            && let [key, list] = call.args.as_slice()
            && let Expr::Literal(LiteralValue::String(group)) = &key.expr
            && let Some(path) = self.path(list)
            && path.iter().map(|(name, _)| name.as_str()).eq(["target", "groups"])
        {
            self.groups.push((group.inner().to_owned(), self.place(key.id)));
        }
        if name == operators::IN
            && let [key, map] = call.args.as_slice()
            && let Expr::Literal(LiteralValue::String(member)) = &key.expr
            && let Some(mut path) = self.path(map)
            && path.first().is_some_and(|(root, _)| root == FACTS)
        {
            path.push((member.inner().to_owned(), self.place(key.id)));
            self.uses.push(Use { path, asks: true, bare: false });
            self.expression(key, macros)?;
            self.noted = true;
            return self.expression(map, macros);
        }
        call.target.as_deref().map_or(Ok(()), |t| self.expression(t, macros))?;
        call.args.iter().enumerate().try_for_each(|(at, argument)| {
            self.bare = bare && (name == operators::ADD || (name == operators::CONDITIONAL && at > 0));
            self.expression(argument, macros)
        })
    }

    /// Facts are named by their group, so that it is known what has to be read.
    fn groups_of_facts(&self) -> Result<(), Problem> {
        let whole = self.uses.iter().find_map(|used| match used.path.as_slice() {
            [(root, place)] if root == FACTS => Some(place.clone()),
            _ => None,
        });
        whole.map_or(Ok(()), |place| {
            Err(Problem::new(codes::EXPR_FORBIDDEN, "facts are asked for by the name of their group")
                .at(place)
                .help("such as `facts.os.id`"))
        })
    }

    fn comprehension(&mut self, inner: &ComprehensionExpr, id: u64, macros: usize) -> Result<(), Problem> {
        if macros >= EXPRESSION_MACROS_MAX {
            return Err(Problem::new(
                codes::EXPR_MACRO_NESTING,
                format!("macros are nested deeper than {EXPRESSION_MACROS_MAX}"),
            )
            .at(self.place(id))
            .help(
                "`all`, `exists`, `exists_one`, `filter` and `map` may stand in each other twice at most",
            ));
        }
        if inner.iter_var2.is_some() {
            return Err(self.forbidden("macros with two variables", id));
        }
        self.expression(&inner.iter_range, macros)?;
        self.bound.push(inner.accu_var.clone());
        self.expression(&inner.accu_init, macros)?;
        self.bound.push(inner.iter_var.clone());
        self.expression(&inner.loop_cond, macros + 1)?;
        self.expression(&inner.loop_step, macros + 1)?;
        self.bound.pop();
        self.expression(&inner.result, macros)?;
        self.bound.pop();
        Ok(())
    }
}

/// Puts our own operations in place.
fn replace(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
        Expr::Select(select) => replace(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(replace),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    replace(&mut entry.key);
                    replace(&mut entry.value);
                }
            }
        }
        Expr::Call(call) => {
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(replace);
            if call.func_name == "matches" {
                call.func_name = MATCHES.into();
                if let Some(target) = call.target.take() {
                    call.args.insert(0, *target);
                }
            }
            // The accumulators of macros grow by what `ORDERED` has counted already.
            let grows =
                matches!(call.args.first().map(|a| &a.expr), Some(Expr::Ident(n)) if n.starts_with('@'));
            if call.func_name == operators::ADD && !grows {
                call.func_name = JOIN.into();
            }
        }
        Expr::Comprehension(inner) => {
            for part in [
                &mut inner.iter_range,
                &mut inner.accu_init,
                &mut inner.loop_cond,
                &mut inner.loop_step,
                &mut inner.result,
            ] {
                replace(part);
            }
            let range = std::mem::take(&mut inner.iter_range);
            inner.iter_range = IdedExpr {
                id: range.id,
                expr: Expr::Call(CallExpr { func_name: ORDERED.into(), target: None, args: vec![range] }),
            };
        }
    }
}
