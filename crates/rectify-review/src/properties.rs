//! What a step is given: every property, unless its changes show it already.

use super::{bounded, diff::text_of, escape::visible};
use rectify_base::{Piece, Pointer, SecretText, secret_text};
use rectify_model::plan::Step;
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap};

/// A line of details below a step.
pub(super) enum Line {
    /// Our words about something, so far indented.
    Note(usize, String),
    /// A line of a unified diff.
    Diff(String),
}

/// The name of a place, without the slash that every place begins with.
pub(super) fn name_of(place: &Pointer) -> String {
    let path = place.as_str();
    visible(path.strip_prefix('/').unwrap_or(if path.is_empty() { "state" } else { path }))
}

/// Every leaf of the properties by its place. An array that fits into one line is one leaf.
pub(super) fn leaves(properties: &Map<String, Value>) -> BTreeMap<Pointer, Cow<'_, Value>> {
    let mut out = BTreeMap::new();
    let mut open: Vec<(Pointer, &Value)> =
        properties.iter().map(|(name, value)| (Pointer::root().child(name), value)).collect();
    while let Some((at, value)) = open.pop() {
        match value {
            _ if secret_text::is_marked(value) => drop(out.insert(at, Cow::Owned(with_names(value)))),
            Value::Object(members) if !members.is_empty() => {
                open.extend(members.iter().map(|(name, value)| (at.child(name), value)));
            }
            Value::Array(items) if items.iter().any(|item| !in_one_line(item)) => {
                open.extend(
                    items.iter().enumerate().map(|(index, item)| (at.child(&index.to_string()), item)),
                );
            }
            _ => drop(out.insert(at, Cow::Borrowed(value))),
        }
    }
    out
}

/// A text with secrets as it can be shown: their names stand for them.
fn with_names(value: &Value) -> Value {
    let Some(text) = SecretText::read(value) else { return value.clone() };
    let pieces = text.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Secret(name) => format!("(secret {name})"),
    });
    Value::String(pieces.collect())
}

fn in_one_line(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => !bounded::has_lines(text),
        _ => true,
    }
}

/// Whether the changes of a step show this property: as the value that a place will have, or as the
/// text of a content whose diff is shown.
fn changed(step: &Step, at: &Pointer, value: &Value) -> bool {
    step.changes.iter().any(|change| {
        let text = text_of(change.after.as_ref());
        let diffed = change.before.is_none() || text_of(change.before.as_ref()).is_some();
        &change.path == at
            && (change.after.as_ref() == Some(value) || (diffed && text.is_some() && text == value.as_str()))
    })
}

/// The properties that neither the changes show nor `headed`, the places that the line above shows.
pub(super) fn property_lines(step: &Step, headed: &[Pointer]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, value) in leaves(&step.desired) {
        if headed.contains(&at) || changed(step, &at, &value) {
            continue;
        }
        match value.as_str() {
            Some(text) if bounded::has_lines(text) => {
                let count = bounded::line_count(text);
                lines.push(Line::Note(1, format!("{}: {count} lines", name_of(&at))));
                lines.extend(bounded::lines(text).into_iter().map(|line| Line::Note(2, line)));
            }
            _ => lines.push(Line::Note(1, format!("{}: {}", name_of(&at), bounded::line(&value)))),
        }
    }
    if !lines.is_empty() {
        lines.insert(0, Line::Note(0, "properties:".into()));
    }
    lines
}
