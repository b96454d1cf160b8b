//! Texts with secrets among properties: where they may stand, and how they are judged.

use crate::{codes, fields, graph::touch, report::Cx, schema::Shape, tree::Entry};
use rectify_base::{Piece, Pointer, SecretText, secret_text};
use serde_json::Value;
use std::borrow::Cow;

/// The keyword by which a property's schema says that it takes secrets.
const KEYWORD: &str = "x-rectify-secret";
/// What stands for a secret while a text is judged by its schema.
const STAND_IN: &str = "secret";

/// Whether a value holds a text with secrets anywhere.
pub(crate) fn holds(value: &Value) -> bool {
    let mut found = false;
    secret_text::each(value, &Pointer::root(), &mut |_, _| found = true);
    found
}

/// The properties as their schema judges them: as if secrets were ordinary texts. Reports those that
/// stand where none may.
pub(crate) fn judged<'v>(
    value: &'v Value,
    shape: Shape<'_>,
    call: &Entry<'_>,
    cx: &mut Cx<'_, '_>,
) -> Cow<'v, Value> {
    if !holds(value) {
        return Cow::Borrowed(value);
    }
    secret_text::each(value, &Pointer::root(), &mut |place, _| {
        let tokens = place.tokens();
        if !may_stand(shape, &tokens) {
            let property = tokens.first().map(String::as_str).unwrap_or_default();
            let message = format!("`{property}` of `{}` does not take a secret", call.key);
            cx.error(codes::SECRET_NOT_HERE, touch::place(call, &tokens), message).help = Some(advice(shape));
        }
    });
    Cow::Owned(plain(value))
}

fn may_stand(shape: Shape<'_>, tokens: &[String]) -> bool {
    let mut shape = shape;
    for token in tokens {
        let within = shape.property(token);
        shape = if within.says(KEYWORD) || !within.names().is_empty() || shape.items().is_unknown() {
            within
        } else {
            shape.items()
        };
        if shape.says(KEYWORD) {
            return true;
        }
    }
    false
}

/// Where a secret can go instead.
fn advice(shape: Shape<'_>) -> String {
    let takes: Vec<&str> =
        shape.names().into_iter().filter(|name| shape.property(name).says(KEYWORD)).collect();
    if takes.is_empty() {
        return "put it into a private file with `file.content`, or give it to a command as `stdin`".into();
    }
    format!(
        "plans, process lists and environments are seen by others; here {} can hold one",
        fields::list(&takes)
    )
}

fn plain(value: &Value) -> Value {
    if let Some(text) = SecretText::read(value) {
        let pieces = text.pieces().iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Secret(_) => STAND_IN,
        });
        return Value::String(pieces.collect());
    }
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}
