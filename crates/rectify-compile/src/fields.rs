//! Reading the fields of our own documents: known ones, reserved ones, and the misspelt.

use crate::{
    codes,
    report::Cx,
    scalar,
    suggest::closest,
    tree::{Content, Entry, Node, Span},
};
use std::collections::BTreeMap;

/// A mapping whose keys have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'t, 's> {
    entries: &'t [Entry<'s>],
    /// Where to point when a field is missing.
    span: Span,
    what: &'static str,
    known: &'static [&'static str],
}

/// What may stand in a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// What the mapping is, with article.
    pub what: &'static str,
    /// Fields that are read.
    pub fields: &'static [&'static str],
    /// Fields of later releases.
    pub reserved: &'static [&'static str],
}

impl Known {
    pub const fn new(what: &'static str, fields: &'static [&'static str]) -> Self {
        Self { what, fields, reserved: &[] }
    }
}

#[cfg(feature = "schema")]
impl Known {
    /// The mapping as a schema. `member` says what each of the known fields holds.
    pub fn schema(&self, required: &[&str], member: impl Fn(&str) -> serde_json::Value) -> serde_json::Value {
        let members: serde_json::Map<_, _> =
            self.fields.iter().map(|field| ((*field).to_owned(), member(field))).collect();
        serde_json::json!({
            "type": "object",
            "properties": members,
            "required": required,
            "additionalProperties": false,
        })
    }
}

/// The members of a mapping, if it is one.
pub(crate) fn entries<'t, 's>(
    node: &'t Node<'s>,
    what: &str,
    cx: &mut Cx<'_, '_>,
) -> Option<&'t [Entry<'s>]> {
    if let Content::Map(entries) = &node.content {
        return Some(entries);
    }
    cx.error(
        codes::PROJECT_WRONG_TYPE,
        node.span,
        format!("expected {what}, which is a mapping, but there is {}", node.what()),
    )
    .help = shape(what.trim_matches('`'));
    None
}

/// How the fields look that a beginner gets wrong first.
fn shape(field: &str) -> Option<String> {
    let shape = match field {
        "metadata" => "metadata: {name: my-change}",
        "targets" => "targets: {select: target.labels.role == \"web\"}",
        "steps" => "steps: {my-step: {file.directory: {path: /srv/app}}}",
        "because" => "because: {text: why this is done}",
        _ => return None,
    };
    let every = if field == "targets" { "; for every target, `targets: {select: \"true\"}`" } else { "" };
    Some(format!("write it like this: `{shape}`{every}"))
}

/// The elements of a list, if it is one.
pub(crate) fn items<'t, 's>(node: &'t Node<'s>, what: &str, cx: &mut Cx<'_, '_>) -> Option<&'t [Node<'s>]> {
    if let Content::List(items) = &node.content {
        return Some(items);
    }
    cx.error(
        codes::PROJECT_WRONG_TYPE,
        node.span,
        format!("expected {what}, which is a list, but there is {}", node.what()),
    )
    .help = Some("write a list: `[first, second]`".into());
    None
}

impl<'t, 's> Fields<'t, 's> {
    /// Checks the keys of a mapping. `span` is where a missing field is reported.
    pub fn read(node: &'t Node<'s>, span: Span, known: &Known, cx: &mut Cx<'_, '_>) -> Option<Self> {
        let entries = entries(node, known.what, cx)?;
        for entry in entries {
            unknown(entry, known, &[], cx);
        }
        Some(Self { entries, span, what: known.what, known: known.fields })
    }

    /// The field, if it is there.
    pub fn get(&self, name: &str) -> Option<&'t Entry<'s>> {
        self.entries.iter().find(|e| e.key == name)
    }

    /// The field, or an error. One that is misspelt has been reported as unknown already.
    pub fn require(&self, name: &str, cx: &mut Cx<'_, '_>) -> Option<&'t Entry<'s>> {
        let entry = self.get(name);
        let misspelt = |e: &Entry<'_>| {
            !self.known.contains(&e.key.as_ref())
                && closest(&e.key, self.known.iter().copied()).is_some_and(|meant| meant == name)
        };
        if entry.is_none() && !self.entries.iter().any(misspelt) {
            cx.error(codes::PROJECT_MISSING_FIELD, self.span, format!("{} needs `{name}`", self.what)).help =
                shape(name);
        }
        entry
    }
}

/// Reads `true` or `false`.
pub(crate) fn boolean(node: &Node<'_>, what: &str, cx: &mut Cx<'_, '_>) -> Option<bool> {
    let value = match &node.content {
        Content::Scalar(scalar) => scalar::read(scalar, scalar::Types::BOOLEAN).ok(),
        _ => None,
    };
    let value = value.as_ref().and_then(serde_json::Value::as_bool);
    if value.is_none() {
        wrong(node, &format!("`true` or `false` as {what}"), cx);
    }
    value
}

/// Reports a key that is not among the known ones.
pub(crate) fn unknown(entry: &Entry<'_>, known: &Known, more: &[&str], cx: &mut Cx<'_, '_>) {
    let key = entry.key.as_ref();
    if known.fields.contains(&key) {
        return;
    }
    if known.reserved.contains(&key) {
        cx.error(
            codes::PROJECT_NOT_AVAILABLE,
            entry.key_span,
            format!("`{key}` is reserved, but not available in this release"),
        );
        return;
    }
    let candidate = closest(key, known.fields.iter().copied().chain(more.iter().copied()));
    let otherwise = format!("{} has {}", known.what, list(known.fields));
    cx.misspelt(
        codes::PROJECT_UNKNOWN_FIELD,
        entry.key_span,
        format!("{} has no field `{key}`", known.what),
        candidate,
        Some(otherwise),
    );
}

/// "`a`, `b` and `c`".
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => "nothing".into(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|w| format!("`{w}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// A text, taken as written.
pub(crate) fn text<'t>(node: &'t Node<'_>, what: &str, cx: &mut Cx<'_, '_>) -> Option<&'t str> {
    match &node.content {
        Content::Scalar(scalar) if !(scalar.plain && scalar.text.is_empty()) => {
            if scalar.text.contains("${{") {
                cx.error(
                    codes::EXPR_NOT_HERE,
                    node.span,
                    format!("{what} is literal: no expression is read here"),
                );
                return None;
            }
            Some(&scalar.text)
        }
        _ => {
            wrong(node, &format!("{what}, which is a text"), cx);
            None
        }
    }
}

/// An integer within bounds.
pub(crate) fn integer(node: &Node<'_>, what: &str, min: i64, max: i64, cx: &mut Cx<'_, '_>) -> Option<i64> {
    let number = match &node.content {
        Content::Scalar(scalar) if scalar.plain => scalar::integer(&scalar.text),
        _ => None,
    };
    match number {
        None => {
            wrong(node, &format!("{what}, which is a decimal integer without quotes"), cx);
            None
        }
        Some(number) if number < min || number > max => {
            cx.error(
                codes::PROJECT_VALUE,
                node.span,
                format!("{what} must be between {min} and {max}, not {number}"),
            );
            None
        }
        number => number,
    }
}

/// One of a few words.
pub(crate) fn word<'w>(
    node: &Node<'_>,
    what: &str,
    words: &[&'w str],
    cx: &mut Cx<'_, '_>,
) -> Option<&'w str> {
    let text = text(node, what, cx)?;
    let found = words.iter().find(|w| **w == text).copied();
    if found.is_none() {
        cx.misspelt(
            codes::PROJECT_VALUE,
            node.span,
            format!("{what} cannot be `{}`", short(text)),
            closest(text, words.iter().copied()),
            Some(format!("expected {}", list(words))),
        );
    }
    found
}

/// Something that is spelt like a name.
pub(crate) fn name<T: std::str::FromStr<Err = rectify_base::names::NameError>>(
    text: &str,
    at: Span,
    cx: &mut Cx<'_, '_>,
) -> Option<T> {
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            cx.error(codes::PROJECT_NAME, at, format!("`{}` is not a {}", short(text), error.kind)).help =
                Some(error.expected.into());
            None
        }
    }
}

/// A mapping of names to texts.
pub(crate) fn labels(node: &Node<'_>, what: &'static str, cx: &mut Cx<'_, '_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for entry in entries(node, what, cx).unwrap_or_default() {
        if let Some(text) = text(&entry.value, "the value of a label", cx) {
            labels.insert(entry.key.to_string(), text.to_owned());
        }
    }
    labels
}

/// Reports another kind of value than expected.
pub(crate) fn wrong(node: &Node<'_>, expected: &str, cx: &mut Cx<'_, '_>) {
    let got = match &node.content {
        Content::Scalar(s) if !(s.plain && s.text.is_empty()) => format!("`{}`", short(&s.text)),
        _ => node.what().to_owned(),
    };
    cx.error(codes::PROJECT_WRONG_TYPE, node.span, format!("expected {expected}, but there is {got}"));
}

/// The beginning of a text, fit for a message.
pub(crate) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let line = text.lines().next().unwrap_or("");
    let cut: String = line.chars().take(MAX).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}
