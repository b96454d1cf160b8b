//! Properties of a step or gate: read as the schema of the type directs, then checked by it.

use crate::{
    beside::{self, Beside},
    codes, explain,
    expression::{Engine, Parameters, Part, Problem, Scope, Sees, locate, parts},
    fields::short,
    limits::TEXT_MAX_BYTES,
    report::{Cx, Report},
    scalar::{self, Types},
    schema::{Shape, Type},
    secrets,
    tree::{Content, Entry, Node, Scalar, Span},
};
use rectify_base::{Piece, SecretText, secret_text::MARK};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, ops::Range};

/// Evaluates expressions for one target; absent where the properties are literal.
pub(crate) type Evaluation<'e, 'f> = Option<(&'e mut Engine<'f>, &'e Scope)>;

/// Reads and checks the properties of `call`. `None` if anything is wrong, which is reported.
pub(crate) fn read(
    call: &Entry<'_>,
    ty: &Type<'_>,
    source: &str,
    file: &str,
    evaluation: Evaluation<'_, '_>,
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
    let judged = secrets::judged(&value, ty.shape(), call, cx);
    if cx.count() > before {
        return None;
    }
    if !validator.is_valid(&judged) {
        explain::all(validator.iter_errors(&judged), call, ty.shape(), cx);
        return None;
    }
    drop(judged);
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
    evaluation: Evaluation<'_, '_>,
    cx: &mut Cx<'_, '_>,
) -> Option<Value> {
    Reader { source, evaluation, cx }.value(node, shape)
}

struct Reader<'a, 'e, 'f, 'r> {
    source: &'a str,
    evaluation: Evaluation<'a, 'e>,
    cx: &'a mut Cx<'f, 'r>,
}

/// Where a text with expressions is written.
#[derive(Clone, Copy)]
enum Written<'w> {
    /// In a scalar of a source text.
    Scalar(&'w Node<'w>, &'w str),
    /// In a file of its own.
    File,
}

impl Written<'_> {
    /// The place in the file of a range of the text.
    fn at(self, text: &str, range: Range<usize>) -> Span {
        match self {
            Self::Scalar(node, source) => locate(node, text, range, source),
            Self::File => Span::new(range.start, range.end),
        }
    }
}

impl Reader<'_, '_, '_, '_> {
    /// Reads on after an error, to find more of them; the value is of no use then.
    fn value(&mut self, node: &Node<'_>, shape: Shape<'_>) -> Option<Value> {
        match &node.content {
            Content::Scalar(scalar) => self.scalar(node, scalar, shape.types()),
            Content::List(items) => {
                let shape = shape.items();
                let values: Vec<_> = items.iter().map(|item| self.value(item, shape)).collect();
                values.into_iter().collect()
            }
            Content::Map(entries) if beside::names_file(entries, shape.types()) => self.taken(entries),
            Content::Map(entries) => {
                let mut members = Map::new();
                let mut sound = true;
                for entry in entries {
                    if entry.key.contains("${{") {
                        let message = "a key is literal: no expression is read here";
                        self.cx.error(codes::EXPR_NOT_HERE, entry.key_span, message);
                    }
                    if entry.key == MARK {
                        let message =
                            format!("`{MARK}` is how graphs refer to secrets; no source may hold it");
                        self.cx.error(codes::EXPR_SECRET, entry.key_span, message).help =
                            Some("write `${{ secrets.NAME }}`".into());
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
            let parts = self.parts(&scalar.text, Written::Scalar(node, self.source))?;
            let written = Written::Scalar(node, self.source);
            return match parts.as_slice() {
                [Part::Expression(expression, range)] => {
                    self.evaluate(&scalar.text, written, expression, range.start)
                }
                parts => self.joined(&scalar.text, written, parts),
            };
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

    /// A text from a file. Problems in it are shown there, and from where it was taken.
    fn taken(&mut self, entries: &[Entry<'_>]) -> Option<Value> {
        let (engine, scope) = self.evaluation.as_mut()?;
        let taken = engine.beside.take(entries, self.cx)?;
        if taken.role == beside::Role::File || !taken.text.contains("${{") {
            return Some(Value::String(taken.text.to_owned()));
        }
        let before = self.cx.count();
        let evaluation = Some((&mut **engine, &**scope));
        let mut inner = Reader { source: taken.text, evaluation, cx: &mut self.cx.within(taken.path) };
        let value = inner
            .parts(taken.text, Written::File)
            .and_then(|parts| inner.joined(taken.text, Written::File, &parts));
        self.cx.label_since(before, taken.span, "taken here");
        value
    }

    fn parts<'x>(&mut self, text: &'x str, written: Written<'_>) -> Option<Vec<Part<'x>>> {
        match parts(text) {
            Ok(parts) => Some(parts),
            Err(problem) => {
                let range = problem.range.clone().unwrap_or(0..text.len());
                problem.report(written.at(text, range), self.cx);
                None
            }
        }
    }

    /// The pieces as one text.
    fn joined(&mut self, text: &str, written: Written<'_>, parts: &[Part<'_>]) -> Option<Value> {
        let (mut out, mut length) = (Vec::new(), 0);
        for part in parts {
            let range = match part {
                Part::Text(text) => {
                    length += text.len();
                    out.push(Piece::Text(text.to_string()));
                    continue;
                }
                Part::Expression(expression, range) => {
                    let value = self.evaluate(text, written, expression, range.start)?;
                    let Some(pieces) = pieces(&value) else {
                        let message =
                            format!("the result is {}, which cannot stand in a text", explain::kind(&value));
                        self.cx.error(codes::EXPR_NOT_TEXT, written.at(text, range.clone()), message).help =
                            Some("write the expression alone to get a typed value".into());
                        return None;
                    };
                    length += pieces.iter().map(written_length).sum::<usize>();
                    out.extend(pieces);
                    range
                }
            };
            if length > TEXT_MAX_BYTES {
                let message = format!("the text becomes longer than {TEXT_MAX_BYTES} bytes");
                self.cx.error(codes::EXPR_WORK, written.at(text, range.clone()), message).help =
                    Some("write less into one text".into());
                return None;
            }
        }
        let plain = out.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Secret(_) => "",
        });
        let plain = Value::String(plain.collect());
        Some(SecretText::join(out).map_or(plain, |text| text.to_value()))
    }

    fn evaluate(
        &mut self,
        text: &str,
        written: Written<'_>,
        expression: &str,
        start: usize,
    ) -> Option<Value> {
        let (engine, scope) = self.evaluation.as_mut()?;
        match engine.evaluate(expression, scope) {
            Ok(value) => Some(value),
            Err(problem) => {
                let range = range(&problem, expression, start);
                problem.report(written.at(text, range), self.cx);
                None
            }
        }
    }
}

/// What a value is in a text; absent if it cannot stand there.
fn pieces(value: &Value) -> Option<Vec<Piece>> {
    if let Some(text) = SecretText::read(value) {
        return Some(text.pieces().to_vec());
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        _ => return None,
    };
    Some(vec![Piece::Text(text)])
}

fn written_length(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.len(),
        Piece::Secret(name) => name.as_str().len(),
    }
}

/// Goes through the expressions of a value, those in templates that it names included. `whole` says that
/// it is an expression itself.
pub(crate) fn expressions(node: &Node<'_>, whole: bool, beside: &Beside<'_>, found: &mut dyn FnMut(&str)) {
    let mut within = |text: &str| {
        for part in parts(text).unwrap_or_default() {
            if let Part::Expression(expression, _) = part {
                found(expression);
            }
        }
    };
    if let Some((_, text, _)) = beside.template(node) {
        return within(text);
    }
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| expressions(item, whole, beside, found)),
        Content::Map(entries) => entries.iter().for_each(|e| expressions(&e.value, whole, beside, found)),
        Content::Scalar(scalar) if whole => found(&scalar.text),
        Content::Scalar(scalar) if !scalar.text.contains("${{") => {}
        Content::Scalar(scalar) => within(&scalar.text),
    }
}

/// The calls whose outputs the expressions of a value name. `whole` says that it is an expression itself.
pub(crate) fn outputs(
    node: &Node<'_>,
    whole: bool,
    engine: &mut Engine<'_>,
    sees: Sees,
    found: &mut BTreeSet<String>,
) {
    let beside = engine.beside.clone();
    expressions(node, whole, &beside, &mut |expression| {
        if expression.contains("outputs") {
            engine.outputs(expression, sees, found);
        }
    });
}

/// Reports what is wrong with the expressions of a value, as far as no value is needed for it.
pub(crate) fn look_over(
    node: &Node<'_>,
    source: &str,
    engine: &mut Engine<'_>,
    sees: Sees,
    parameters: &Parameters,
    cx: &mut Cx<'_, '_>,
) {
    if let Some((path, text, span)) = engine.beside.template(node) {
        let before = cx.count();
        check(text, Written::File, engine, sees, parameters, &mut cx.within(path));
        return cx.label_since(before, span, "taken here");
    }
    match &node.content {
        Content::List(items) => {
            items.iter().for_each(|item| look_over(item, source, engine, sees, parameters, cx));
        }
        Content::Map(entries) => {
            entries.iter().for_each(|e| look_over(&e.value, source, engine, sees, parameters, cx));
        }
        Content::Scalar(scalar) if scalar.text.contains("${{") => {
            check(&scalar.text, Written::Scalar(node, source), engine, sees, parameters, cx);
        }
        Content::Scalar(_) => {}
    }
}

fn check(
    text: &str,
    written: Written<'_>,
    engine: &mut Engine<'_>,
    sees: Sees,
    parameters: &Parameters,
    cx: &mut Cx<'_, '_>,
) {
    match parts(text) {
        Err(problem) => {
            let range = problem.range.clone().unwrap_or(0..text.len());
            problem.report(written.at(text, range), cx);
        }
        Ok(parts) => {
            for part in parts {
                let Part::Expression(expression, place) = part else { continue };
                if let Err(problem) = engine.check(expression, sees, parameters) {
                    let range = range(&problem, expression, place.start);
                    problem.report(written.at(text, range), cx);
                }
            }
        }
    }
}

/// The range in a text of a problem in an expression that begins at `start` of it.
fn range(problem: &Problem, expression: &str, start: usize) -> Range<usize> {
    let leading = expression.len() - expression.trim_start().len();
    let range = problem.range.clone().unwrap_or(leading..expression.trim_end().len().max(leading));
    start + range.start..start + range.end
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
    locate(node, text, range(problem, expression, start), source)
}
