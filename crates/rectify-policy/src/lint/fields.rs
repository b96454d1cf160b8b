//! Fields of the input. A misspelt field does not fail: it is undefined, and a rule that asks for
//! it silently never fires. So every path that begins at `input` is followed through the schema,
//! also through `some … in …`, `every`, imports and variables that stand for a part of it. Where
//! a shape is not known (an argument of a function, say) nothing is claimed.

use super::{
    names::imports,
    place, position,
    walk::{Item, Reference, Step, visit},
};
use crate::{INPUT_SCHEMA, PolicyError, codes};
use regorus::unstable::{Expr, Literal, Module, Ref, Rule, Span};
use serde_json::Value;
use std::collections::BTreeMap;

/// Assignments are followed this many steps, which is more than people write.
const ROUNDS: usize = 4;

/// A part of the schema, or nothing known.
type Shape<'s> = Option<&'s Value>;

/// What variables stand for.
type Shapes<'a, 's> = BTreeMap<&'a str, Shape<'s>>;

struct Schema {
    root: Value,
}

/// A field that is not there.
struct Unknown<'a> {
    span: &'a Span,
    message: String,
}

impl Schema {
    /// Follows `$ref` and the alternative to `null`.
    fn resolve<'s>(&'s self, mut shape: &'s Value) -> &'s Value {
        for _ in 0..16 {
            if let Some(name) = shape.get("$ref").and_then(Value::as_str) {
                let Some(next) = name.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                    break;
                };
                shape = next;
            } else if let Some(choices) = shape.get("anyOf").and_then(Value::as_array) {
                let is_null = |choice: &Value| choice.get("type").and_then(Value::as_str) == Some("null");
                let Some(next) = choices.iter().find(|choice| !is_null(choice)) else { break };
                shape = next;
            } else {
                break;
            }
        }
        shape
    }

    /// What stands in an array or in a map.
    fn member<'s>(&'s self, shape: Shape<'s>) -> Shape<'s> {
        let shape = shape?;
        let member = shape.get("items").or_else(|| shape.get("additionalProperties"))?;
        member.is_object().then(|| self.resolve(member))
    }

    fn field<'a, 's>(
        &'s self,
        shape: Shape<'s>,
        name: &str,
        span: &'a Span,
    ) -> Result<Shape<'s>, Unknown<'a>> {
        let Some(shape) = shape else { return Ok(None) };
        if let Some(properties) = shape.get("properties").and_then(Value::as_object) {
            if let Some(found) = properties.get(name) {
                return Ok(Some(self.resolve(found)));
            }
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            let message = format!("the input has no field `{name}` here, only {}", names.join(", "));
            return Err(Unknown { span, message });
        }
        match shape.get("type").and_then(Value::as_str) {
            Some("object") => Ok(self.member(Some(shape))),
            Some(kind) => {
                Err(Unknown { span, message: format!("`{name}` is asked of a value of type {kind}") })
            }
            None => Ok(None),
        }
    }

    fn follow<'a, 's>(&'s self, start: Shape<'s>, steps: &[Step<'a>]) -> Result<Shape<'s>, Unknown<'a>> {
        steps.iter().try_fold(start, |shape, step| match step {
            Step::Field(name, span) => self.field(shape, name, span),
            Step::Index => Ok(self.member(shape)),
        })
    }

    fn of_reference<'a, 's>(
        &'s self,
        reference: &Reference<'a>,
        shapes: &Shapes<'a, 's>,
    ) -> Result<Shape<'s>, Unknown<'a>> {
        let start = if reference.base == "input" {
            Some(&self.root)
        } else {
            shapes.get(reference.base).copied().flatten()
        };
        self.follow(start, &reference.steps)
    }

    fn of_expr<'a, 's>(&'s self, expr: &'a Expr, shapes: &Shapes<'a, 's>) -> Shape<'s> {
        self.of_reference(&Reference::of(expr)?, shapes).ok().flatten()
    }

    /// One more round of what variables stand for, given the round before.
    fn bind<'a, 's>(
        &'s self,
        rule: &'a Rule,
        before: &Shapes<'a, 's>,
        imported: &Shapes<'a, 's>,
    ) -> Shapes<'a, 's> {
        let mut shapes = imported.clone();
        let mut bind = |name: &'a str, shape: Shape<'s>| {
            let same = |old: &Shape<'s>| match (old, shape) {
                (Some(old), Some(new)) => std::ptr::eq(*old, new),
                (None, None) => true,
                _ => false,
            };
            match shapes.get_mut(name) {
                // The name stands for different things in different places of the rule.
                Some(old) if !same(old) => *old = None,
                Some(_) => {}
                None => drop(shapes.insert(name, shape)),
            }
        };
        visit(rule, &mut |item| match item {
            Item::Statement(statement) => match &statement.literal {
                Literal::SomeIn { value, collection, .. } => {
                    if let Expr::Var { span, .. } = value.as_ref() {
                        bind(span.text(), self.member(self.of_expr(collection.as_ref(), before)));
                    }
                }
                Literal::Every { value, domain, .. } => {
                    bind(value.text(), self.member(self.of_expr(domain.as_ref(), before)));
                }
                _ => {}
            },
            Item::Other(Expr::AssignExpr { lhs, rhs, .. }) => {
                if let Expr::Var { span, .. } = lhs.as_ref() {
                    bind(span.text(), self.of_expr(rhs.as_ref(), before));
                }
            }
            _ => {}
        });
        shapes
    }

    /// Fields of an object that is written out, such as the input of a test.
    fn check_literal<'a, 's>(&'s self, expr: &'a Expr, shape: Shape<'s>, found: &mut Vec<Unknown<'a>>) {
        let mut stack = vec![(expr, shape)];
        while let Some((expr, shape)) = stack.pop() {
            match expr {
                Expr::Object { fields, .. } if shape.is_some() => {
                    for (_, key, value) in fields {
                        let (Expr::String { span, value: name, .. }
                        | Expr::RawString { span, value: name, .. }) = key.as_ref()
                        else {
                            continue;
                        };
                        let Ok(name) = name.as_string() else { continue };
                        match self.field(shape, name, span) {
                            Ok(below) => stack.push((value.as_ref(), below)),
                            Err(unknown) => found.push(unknown),
                        }
                    }
                }
                Expr::Array { items, .. } => {
                    stack.extend(items.iter().map(|item| (item.as_ref(), self.member(shape))));
                }
                _ => {}
            }
        }
    }

    fn check_rule<'a, 's>(&'s self, rule: &'a Rule, imported: &Shapes<'a, 's>, found: &mut Vec<Unknown<'a>>) {
        let mut shapes = imported.clone();
        for _ in 0..ROUNDS {
            shapes = self.bind(rule, &shapes, imported);
        }
        visit(rule, &mut |item| match item {
            Item::Reference(reference) => found.extend(self.of_reference(&reference, &shapes).err()),
            Item::Call { function, arguments } if function.dotted() == "object.get" => {
                let [object, Expr::String { span, value, .. }, ..] = arguments.as_slice() else { return };
                let Ok(name) = value.as_string() else { return };
                found.extend(self.field(self.of_expr(object, &shapes), name, span).err());
            }
            Item::Statement(statement) => {
                for modifier in &statement.with_mods {
                    let shape = self.of_expr(modifier.refr.as_ref(), &shapes);
                    self.check_literal(modifier.r#as.as_ref(), shape, found);
                }
            }
            _ => {}
        });
    }
}

/// Refuses the first field, in the order of files and lines, that the input never has.
pub(crate) fn check_fields(modules: &[Ref<Module>]) -> Result<(), PolicyError> {
    let root = serde_json::from_str(INPUT_SCHEMA).map_err(|error| {
        PolicyError::new(codes::POLICY_EVALUATION, "", format!("schema of the input: {error}"))
    })?;
    let schema = Schema { root };
    let mut first: Option<((String, u32, u32), PolicyError)> = None;
    for module in modules {
        let mut found = Vec::new();
        let mut imported = Shapes::new();
        for (name, reference) in imports(module.as_ref()) {
            if reference.base == "input" {
                match schema.of_reference(&reference, &Shapes::new()) {
                    Ok(shape) => drop(imported.insert(name, shape)),
                    Err(unknown) => found.push(unknown),
                }
            }
        }
        for rule in &module.policy {
            schema.check_rule(rule.as_ref(), &imported, &mut found);
        }
        for unknown in found {
            let position = position(unknown.span);
            if first.as_ref().is_none_or(|(before, _)| position < *before) {
                let place = place(unknown.span);
                let code = codes::POLICY_UNKNOWN_INPUT_FIELD;
                first = Some((position, PolicyError::new(code, place, unknown.message)));
            }
        }
    }
    first.map_or(Ok(()), |(_, error)| Err(error))
}
