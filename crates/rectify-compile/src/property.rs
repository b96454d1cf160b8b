//! Properties of a step or gate: read as the schema of the type directs, then checked by it.

use crate::{
    codes, explain,
    expression::{Engine, Parameters, Part, Problem, Scope, Sees, locate, parts},
    fields::short,
    report::{Cx, Report},
    scalar::{self, Types},
    schema::{Shape, Type},
    tree::{Content, Entry, Node, Scalar, Span},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Evaluates expressions for one target; absent where the properties are literal.
pub(crate) type Evaluation<'e> = Option<(&'e mut Engine, &'e Scope)>;

/// Reads and checks the properties of `call`. `None` if anything is wrong, which is reported.
pub(crate) fn read(
    call: &Entry<'_>,
    ty: &Type<'_>,
    source: &str,
    file: &str,
    evaluation: Evaluation<'_>,
    report: &mut Report,
) -> Option<Map<String, Value>> {
    let validator = ty.validator(report)?;
    let before = report.len();
    let cx = &mut Cx::new(file, report);
    let mut value = Reader { source, evaluation, cx }.value(&call.value, ty.shape())?;
    if cx.count() > before {
        return None;
    }
    ty.shape().fill(&mut value);
    if !validator.is_valid(&value) {
        explain::all(validator.iter_errors(&value), call, ty.shape(), cx);
        return None;
    }
    match value {
        Value::Object(members) => Some(members),
        other => {
            let message =
                format!("the properties of `{}` are a mapping, not {}", call.key, explain::kind(&other));
            cx.error(codes::TYPE_MISMATCH, call.value.span, message);
            None
        }
    }
}

/// Reads a value as `shape` directs, without checking it. `None` if anything is wrong, which is reported.
pub(crate) fn value(
    node: &Node<'_>,
    shape: Shape<'_>,
    source: &str,
    evaluation: Evaluation<'_>,
    cx: &mut Cx<'_, '_>,
) -> Option<Value> {
    Reader { source, evaluation, cx }.value(node, shape)
}

struct Reader<'a, 'f, 'r> {
    source: &'a str,
    evaluation: Evaluation<'a>,
    cx: &'a mut Cx<'f, 'r>,
}

impl Reader<'_, '_, '_> {
    /// Reads on after an error, to find more of them; the value is of no use then.
    fn value(&mut self, node: &Node<'_>, shape: Shape<'_>) -> Option<Value> {
        match &node.content {
            Content::Scalar(scalar) => self.scalar(node, scalar, shape.types()),
            Content::List(items) => {
                let shape = shape.items();
                let values: Vec<_> = items.iter().map(|item| self.value(item, shape)).collect();
                values.into_iter().collect()
            }
            Content::Map(entries) => {
                let mut members = Map::new();
                let mut sound = true;
                for entry in entries {
                    if entry.key.contains("${{") {
                        let message = "a key is literal: no expression is read here";
                        self.cx.error(codes::EXPR_NOT_HERE, entry.key_span, message);
                    }
                    match self.value(&entry.value, shape.property(&entry.key)) {
                        Some(value) => {
                            members.insert(entry.key.to_string(), value);
                        }
                        None => sound = false,
                    }
                }
                sound.then_some(Value::Object(members))
            }
        }
    }

    fn scalar(&mut self, node: &Node<'_>, scalar: &Scalar<'_>, types: Types) -> Option<Value> {
        if scalar.text.contains("${{") {
            return self.template(node, &scalar.text);
        }
        match scalar::read(scalar, types) {
            Ok(value) => Some(value),
            Err(why) => {
                self.cx
                    .error(
                        codes::YAML_AMBIGUOUS,
                        node.span,
                        format!("`{}` is ambiguous: {}", short(&scalar.text), why.0),
                    )
                    .help = Some("put it in quotes if it is a text".into());
                None
            }
        }
    }

    fn template(&mut self, node: &Node<'_>, text: &str) -> Option<Value> {
        let parts = match parts(text) {
            Ok(parts) => parts,
            Err(problem) => {
                let range = problem.range.clone().unwrap_or(0..text.len());
                problem.report(locate(node, text, range, self.source), self.cx);
                return None;
            }
        };
        if let [Part::Expression(expression, range)] = parts.as_slice() {
            return self.evaluate(node, text, expression, range.start);
        }
        let mut out = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expression(expression, range) => {
                    match self.evaluate(node, text, expression, range.start)? {
                        Value::String(text) => out.push_str(&text),
                        Value::Number(number) => out.push_str(&number.to_string()),
                        Value::Bool(bool) => out.push_str(if bool { "true" } else { "false" }),
                        other => {
                            let at = locate(node, text, range.clone(), self.source);
                            let message = format!(
                                "the result is {}, which cannot stand in a text",
                                explain::kind(&other)
                            );
                            self.cx.error(codes::EXPR_NOT_TEXT, at, message).help =
                                Some("write the expression alone to get a typed value".into());
                            return None;
                        }
                    }
                }
            }
        }
        Some(Value::String(out))
    }

    fn evaluate(&mut self, node: &Node<'_>, text: &str, expression: &str, start: usize) -> Option<Value> {
        let (engine, scope) = self.evaluation.as_mut()?;
        match engine.evaluate(expression, scope) {
            Ok(value) => Some(value),
            Err(problem) => {
                let at = place(&problem, node, text, expression, start, self.source);
                problem.report(at, self.cx);
                None
            }
        }
    }
}

/// The calls whose outputs the expressions of a value name. `whole` says that it is an expression itself.
pub(crate) fn outputs(
    node: &Node<'_>,
    whole: bool,
    engine: &mut Engine,
    sees: Sees,
    found: &mut BTreeSet<String>,
) {
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| outputs(item, whole, engine, sees, found)),
        Content::Map(entries) => entries.iter().for_each(|e| outputs(&e.value, whole, engine, sees, found)),
        Content::Scalar(scalar) if !scalar.text.contains("outputs") => {}
        Content::Scalar(scalar) if whole => engine.outputs(&scalar.text, sees, found),
        Content::Scalar(scalar) => {
            for part in parts(&scalar.text).unwrap_or_default() {
                if let Part::Expression(expression, _) = part {
                    engine.outputs(expression, sees, found);
                }
            }
        }
    }
}

/// Reports what is wrong with the expressions of a value, as far as no value is needed for it.
pub(crate) fn look_over(
    node: &Node<'_>,
    source: &str,
    engine: &mut Engine,
    sees: Sees,
    parameters: &Parameters,
    cx: &mut Cx<'_, '_>,
) {
    match &node.content {
        Content::List(items) => {
            items.iter().for_each(|item| look_over(item, source, engine, sees, parameters, cx));
        }
        Content::Map(entries) => {
            entries.iter().for_each(|e| look_over(&e.value, source, engine, sees, parameters, cx));
        }
        Content::Scalar(scalar) if scalar.text.contains("${{") => match parts(&scalar.text) {
            Err(problem) => {
                let range = problem.range.clone().unwrap_or(0..scalar.text.len());
                problem.report(locate(node, &scalar.text, range, source), cx);
            }
            Ok(parts) => {
                for part in parts {
                    let Part::Expression(expression, range) = part else { continue };
                    if let Err(problem) = engine.check(expression, sees, parameters) {
                        let at = place(&problem, node, &scalar.text, expression, range.start, source);
                        problem.report(at, cx);
                    }
                }
            }
        },
        Content::Scalar(_) => {}
    }
}

/// The place in the source of a problem in an expression that begins at `start` of the scalar's text.
pub(crate) fn place(
    problem: &Problem,
    node: &Node<'_>,
    text: &str,
    expression: &str,
    start: usize,
    source: &str,
) -> Span {
    let leading = expression.len() - expression.trim_start().len();
    let range = problem.range.clone().unwrap_or(leading..expression.trim_end().len().max(leading));
    locate(node, text, start + range.start..start + range.end, source)
}
