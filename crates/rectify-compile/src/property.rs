//! Properties of a step or gate: read as the schema of the type directs, then checked by it.

use crate::{
    codes,
    expression::{Engine, Part, Problem, Scope, locate, parts},
    fields::{list, short},
    report::{Cx, Report},
    scalar::{self, Types},
    schema::{Shape, Type},
    suggest::closest,
    tree::{Content, Entry, Node, Scalar, Span},
};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind},
};
use rectify_base::Pointer;
use serde_json::{Map, Value};

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
        for error in validator.iter_errors(&value) {
            explain(&error, call, ty.shape(), cx);
        }
        return None;
    }
    match value {
        Value::Object(members) => Some(members),
        other => {
            let message = format!("the properties of `{}` are a mapping, not {}", call.key, kind(&other));
            cx.error(codes::TYPE_MISMATCH, call.value.span, message);
            None
        }
    }
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
                            let message =
                                format!("the result is {}, which cannot stand in a text", kind(&other));
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

/// Says in our words what the schema finds wrong, at the place where it was written.
fn explain(error: &ValidationError<'_>, call: &Entry<'_>, shape: Shape<'_>, cx: &mut Cx<'_, '_>) {
    use ValidationErrorKind as Kind;
    let tokens = Pointer::from(error.instance_path().as_str()).tokens();
    let (mut key_span, mut node, mut shape) = (call.key_span, &call.value, shape);
    for token in &tokens {
        shape = match &node.content {
            Content::List(_) => shape.items(),
            _ => shape.property(token),
        };
        let Some((span, child)) = node.child(token) else { break };
        (key_span, node) = (span, child);
    }
    let name = tokens.last().map_or_else(|| format!("`{}`", call.key), |t| format!("`{t}`"));
    let instance = error.instance();
    let value_span = match &node.content {
        Content::Scalar(s) if s.plain && s.text.is_empty() => key_span,
        _ => node.span,
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for property in unexpected {
                let at = node.child(property).map_or(value_span, |(span, _)| span);
                let names = shape.names();
                cx.misspelt(
                    codes::TYPE_UNKNOWN_PROPERTY,
                    at,
                    format!("{name} has no property `{}`", short(property)),
                    closest(property, names.iter().copied()),
                    Some(format!("{name} has {}", list(&names))),
                );
            }
        }
        Kind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            cx.error(
                codes::TYPE_MISSING_PROPERTY,
                key_span,
                format!("{name} needs the property `{property}`"),
            );
        }
        Kind::Type { kind: expected } => {
            let expected = match expected {
                TypeKind::Single(one) => article(one.as_str()).to_owned(),
                TypeKind::Multiple(several) => {
                    several.iter().map(|t| article(t.as_str())).collect::<Vec<_>>().join(" or ")
                }
            };
            let message = format!("{name} must be {expected}, but there is {}", shown(instance));
            cx.error(codes::TYPE_MISMATCH, value_span, message).help =
                mismatch_help(node, &expected, instance);
        }
        Kind::Pattern { pattern } => {
            let message = format!("{name} cannot be {}", shown(instance));
            cx.error(codes::TYPE_PATTERN, value_span, message).help =
                Some(format!("it must match `{pattern}`"));
        }
        Kind::Enum { options } => {
            let words =
                options.as_array().map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>());
            let words = words.filter(|w| !w.is_empty()).unwrap_or_else(|| shape.words());
            let candidate = instance.as_str().and_then(|t| closest(t, words.iter().copied()));
            cx.misspelt(
                codes::TYPE_ENUM,
                value_span,
                format!("{name} cannot be {}", shown(instance)),
                candidate,
                Some(format!("expected one of {}", list(&words))),
            );
        }
        Kind::Constant { expected_value } => {
            let message = format!("{name} must be {}, not {}", shown(expected_value), shown(instance));
            cx.error(codes::TYPE_ENUM, value_span, message);
        }
        Kind::Minimum { limit } => range(cx, value_span, &name, instance, &format!("at least {limit}")),
        Kind::Maximum { limit } => range(cx, value_span, &name, instance, &format!("at most {limit}")),
        Kind::ExclusiveMinimum { limit } => range(cx, value_span, &name, instance, &format!("above {limit}")),
        Kind::ExclusiveMaximum { limit } => range(cx, value_span, &name, instance, &format!("below {limit}")),
        Kind::MinLength { limit } => length(cx, value_span, &name, "characters", "at least", *limit),
        Kind::MaxLength { limit } => length(cx, value_span, &name, "characters", "at most", *limit),
        Kind::MinItems { limit } => length(cx, value_span, &name, "elements", "at least", *limit),
        Kind::MaxItems { limit } => length(cx, value_span, &name, "elements", "at most", *limit),
        Kind::MinProperties { limit } => length(cx, value_span, &name, "members", "at least", *limit),
        Kind::MaxProperties { limit } => length(cx, value_span, &name, "members", "at most", *limit),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            // The branch that is of the right type at all is the one that was meant.
            let here = error.instance_path();
            let off = |e: &ValidationError<'_>| {
                e.instance_path() == here && matches!(e.kind(), Kind::Type { .. } | Kind::Constant { .. })
            };
            let mut meant = context.iter().filter(|branch| !branch.iter().any(off));
            match (meant.next(), meant.next()) {
                (Some(branch), None) => {
                    for inner in branch {
                        // Their paths begin at the root again.
                        explain(inner, call, shape.root(), cx);
                    }
                }
                _ => {
                    let message = format!("{name} fits none of the forms it may have: {}", shown(instance));
                    cx.error(codes::TYPE_INVALID, value_span, message);
                }
            }
        }
        _ => {
            let message = format!("{name} is not valid: {}", short(&error.masked().to_string()));
            cx.error(codes::TYPE_INVALID, value_span, message);
        }
    }
}

fn range(cx: &mut Cx<'_, '_>, at: Span, name: &str, got: &Value, rule: &str) {
    cx.error(codes::TYPE_RANGE, at, format!("{name} must be {rule}, not {}", shown(got)));
}

fn length(cx: &mut Cx<'_, '_>, at: Span, name: &str, unit: &str, rule: &str, limit: u64) {
    cx.error(codes::TYPE_LENGTH, at, format!("{name} must have {rule} {limit} {unit}"));
}

fn mismatch_help(node: &Node<'_>, expected: &str, got: &Value) -> Option<String> {
    let Content::Scalar(scalar) = &node.content else { return None };
    if scalar.text.contains("${{") {
        return match got {
            Value::Number(_) | Value::Bool(_) if expected.contains("a text") => {
                Some("write `string(…)` in the expression to make it a text".into())
            }
            _ => None,
        };
    }
    if !scalar.plain && expected.contains("integer") && scalar::integer(&scalar.text).is_some() {
        return Some("remove the quotes".into());
    }
    if scalar.plain && expected.contains("`true`") {
        return Some("write `true` or `false`, without quotes".into());
    }
    if scalar.plain && expected.contains("integer") {
        return Some("integers are decimal, without leading zeros, and within ±(2^53−1)".into());
    }
    None
}

fn article(json_type: &str) -> &'static str {
    match json_type {
        "null" => "nothing",
        "boolean" => "`true` or `false`",
        "integer" | "number" => "an integer",
        "string" => "a text",
        "array" => "a list",
        _ => "a mapping",
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text `{}`", short(text)),
        Value::Number(number) => format!("the number {number}"),
        Value::Bool(bool) => format!("`{bool}`"),
        other => kind(other).to_owned(),
    }
}
