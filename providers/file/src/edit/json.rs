//! `file.json`: a value in a JSON text. The parser is serde_json's; it hands out the raw pieces of
//! the text, from whose addresses follows where they stand.

use super::{
    EditError,
    tree::{Goal, New, Setting, Splice, Step, indent_of, newline},
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, fmt, ops::Range};

/// The blanks of JSON.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether a text is one value with nothing around it.
pub(crate) fn is_value(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// The members of an object as written, in order, each as often as it is there.
struct Members<'s>(Vec<(&'s RawValue, &'s RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// A collection, one level deep.
enum Children<'s> {
    Map(Vec<(&'s RawValue, &'s RawValue)>),
    List(Vec<&'s RawValue>),
}

/// What a piece is, for messages.
fn kind(raw: &RawValue) -> &'static str {
    match raw.get().bytes().next() {
        Some(b'{') => "a mapping",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn children(raw: &RawValue) -> Option<Children<'_>> {
    match raw.get().bytes().next() {
        Some(b'{') => serde_json::from_str::<Members<'_>>(raw.get()).ok().map(|m| Children::Map(m.0)),
        Some(b'[') => serde_json::from_str(raw.get()).ok().map(Children::List),
        _ => None,
    }
}

fn key_is(raw: &RawValue, key: &str) -> bool {
    serde_json::from_str::<String>(raw.get()).is_ok_and(|text| text == key)
}

/// Whether a piece means a value. Members in any order; a key that stands twice means nothing.
fn means(raw: &RawValue, value: &Value) -> bool {
    match (children(raw), value) {
        (Some(Children::Map(members)), Value::Object(wanted)) => {
            let mut found: BTreeMap<String, &RawValue> = BTreeMap::new();
            for (key, value) in members {
                let Ok(key) = serde_json::from_str::<String>(key.get()) else { return false };
                if found.insert(key, value).is_some() {
                    return false;
                }
            }
            found.len() == wanted.len()
                && wanted.iter().all(|(key, value)| found.get(key).is_some_and(|raw| means(raw, value)))
        }
        (Some(Children::List(items)), Value::Array(wanted)) => {
            items.len() == wanted.len() && items.iter().zip(wanted).all(|(raw, value)| means(raw, value))
        }
        (None, scalar) => serde_json::from_str::<Value>(raw.get()).is_ok_and(|found| found == *scalar),
        _ => false,
    }
}

/// How the text is laid out.
struct Style<'s> {
    source: &'s str,
    newline: &'static str,
    unit: String,
    /// Whether a blank follows `:` and `,`.
    spaced: bool,
    /// Whether the text has several lines, or nothing in it yet.
    broad: bool,
}

impl<'s> Style<'s> {
    fn of(source: &'s str, root: &RawValue) -> Self {
        let inner = root.get().get(1..).unwrap_or_default();
        let lead = inner.get(..inner.len() - inner.trim_start_matches(BLANKS).len()).unwrap_or_default();
        let unit = match lead.rsplit_once('\n') {
            Some((_, blanks))
                if !blanks.is_empty() && !inner.trim_start_matches(BLANKS).starts_with(['}', ']']) =>
            {
                blanks.to_owned()
            }
            _ => "  ".into(),
        };
        let spaced = match children(root) {
            Some(Children::Map(members)) => members.first().is_none_or(|(key, value)| {
                let gap = range(source, key).end..range(source, value).start;
                source.get(gap).is_some_and(|gap| gap.contains(BLANKS))
            }),
            _ => true,
        };
        let broad = root.get().contains('\n') || matches!(root.get(), "{}" | "[]");
        Self { source, newline: newline(source), unit, spaced, broad }
    }

    /// Writes a value; `indent` is that of the line it begins in.
    fn write(&self, new: &New<'_>, indent: &str, broad: bool, out: &mut String) {
        match new {
            New::Literal(text) => out.push_str(text),
            New::Scalar(value) => out.push_str(&value.to_string()),
            New::List(items) => {
                self.collection('[', ']', items.iter().map(|item| (None, item)), indent, broad, out);
            }
            New::Map(members) => {
                let members = members.iter().map(|(key, value)| (Some(*key), value));
                self.collection('{', '}', members, indent, broad, out);
            }
        }
    }

    fn collection<'n>(
        &self,
        open: char,
        close: char,
        members: impl ExactSizeIterator<Item = (Option<&'n str>, &'n New<'n>)>,
        indent: &str,
        broad: bool,
        out: &mut String,
    ) {
        out.push(open);
        let inner = format!("{indent}{}", self.unit);
        let none = members.len() == 0;
        for (index, (key, value)) in members.enumerate() {
            if index > 0 {
                out.push(',');
            }
            if broad {
                out.push_str(self.newline);
                out.push_str(&inner);
            } else if index > 0 && self.spaced {
                out.push(' ');
            }
            self.member(key, value, &inner, broad, out);
        }
        if broad && !none {
            out.push_str(self.newline);
            out.push_str(indent);
        }
        out.push(close);
    }

    fn member(&self, key: Option<&str>, value: &New<'_>, indent: &str, broad: bool, out: &mut String) {
        if let Some(key) = key {
            out.push_str(&Value::from(key).to_string());
            out.push_str(if self.spaced { ": " } else { ":" });
        }
        self.write(value, indent, broad, out);
    }
}

/// Where a piece stands in the text that it was borrowed from.
fn range(source: &str, raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr().addr()).wrapping_sub(source.as_ptr().addr());
    start..start + raw.get().len()
}

/// The pieces to replace, so that the setting holds.
pub(crate) fn edit(source: &str, setting: &Setting) -> Result<Vec<Splice>, EditError> {
    if source.trim_matches(BLANKS).is_empty() {
        let Some(new) = New::below(&setting.place, &setting.goal) else {
            return if setting.goal == Goal::Absent { Ok(Vec::new()) } else { Err(setting.no_item(0, 0)) };
        };
        let style = Style { source, newline: newline(source), unit: "  ".into(), spaced: true, broad: true };
        let mut text = String::new();
        style.write(&new, "", true, &mut text);
        text.push_str(style.newline);
        return Ok(vec![Splice { range: 0..source.len(), text }]);
    }
    let root: &RawValue = serde_json::from_str(source).map_err(|e| {
        EditError::Unreadable(format!("the file is not JSON (line {}, column {}): {e}", e.line(), e.column()))
    })?;
    let style = Style::of(source, root);
    let mut node = root;
    let mut parent = None;
    for (depth, step) in setting.place.iter().enumerate() {
        let all = children(node);
        let found = match (&all, step) {
            (Some(Children::Map(members)), Step::Key(key)) => {
                let mut named = members.iter().enumerate().filter(|(_, (name, _))| key_is(name, key));
                let found = named.next();
                if named.next().is_some() {
                    return Err(setting.twice(depth + 1));
                }
                found.map(|(index, (_, value))| (index, *value))
            }
            (Some(Children::List(items)), Step::Index(index)) => {
                items.get(*index).map(|value| (*index, *value))
            }
            (None, _) if setting.goal == Goal::Absent => return Ok(Vec::new()),
            _ => return Err(setting.other_kind(depth, kind(node))),
        };
        match (found, all) {
            (Some((index, value)), Some(all)) => {
                parent = Some((node, all, index));
                node = value;
            }
            _ if setting.goal == Goal::Absent => return Ok(Vec::new()),
            (None, Some(all)) => {
                return insert(&style, setting, depth, node, &all).map(|splice| vec![splice]);
            }
            (_, None) => return Err(setting.other_kind(depth, kind(node))),
        }
    }
    let new = match &setting.goal {
        Goal::Value(value) if means(node, value) => return Ok(Vec::new()),
        Goal::Literal(literal) if node.get() == literal.as_str() => return Ok(Vec::new()),
        Goal::Absent => {
            let removal = parent.map(|(container, all, index)| removal(source, container, &all, index));
            return Ok(removal.into_iter().map(|range| Splice { range, text: String::new() }).collect());
        }
        goal => New::below(&[], goal),
    };
    let range = range(source, node);
    let mut text = String::new();
    if let Some(new) = new {
        // A list that stood in one line stays in one.
        let broad = match kind(node) {
            "a mapping" | "a list" if !matches!(node.get(), "{}" | "[]") => node.get().contains('\n'),
            _ => style.broad,
        };
        style.write(&new, indent_of(source, range.start), broad, &mut text);
    }
    Ok(vec![Splice { range, text }])
}

/// The ranges of the members of a collection, each from its key on.
fn ranges(source: &str, all: &Children<'_>) -> Vec<Range<usize>> {
    match all {
        Children::List(items) => items.iter().map(|raw| range(source, raw)).collect(),
        Children::Map(members) => {
            members.iter().map(|(key, value)| range(source, key).start..range(source, value).end).collect()
        }
    }
}

fn insert(
    style: &Style<'_>,
    setting: &Setting,
    depth: usize,
    container: &RawValue,
    all: &Children<'_>,
) -> Result<Splice, EditError> {
    let source = style.source;
    let members = ranges(source, all);
    let (key, rest) = match setting.place.get(depth) {
        Some(Step::Key(key)) => (Some(key.as_str()), depth + 1),
        Some(Step::Index(index)) if *index == members.len() => (None, depth + 1),
        _ => return Err(setting.no_item(depth, members.len())),
    };
    let rest = setting.place.get(rest..).unwrap_or_default();
    let Some(new) = New::below(rest, &setting.goal) else {
        return Err(setting.no_item(depth + 1, 0));
    };
    let mut text = String::new();
    let Some(last) = members.last() else {
        let whole = range(source, container);
        let indent = indent_of(source, whole.start);
        let inner = format!("{indent}{}", style.unit);
        if style.broad {
            text.push_str(style.newline);
            text.push_str(&inner);
        }
        style.member(key, &new, &inner, style.broad, &mut text);
        if style.broad {
            text.push_str(style.newline);
            text.push_str(indent);
        }
        return Ok(Splice { range: whole.start + 1..whole.end - 1, text });
    };
    let before = match members.iter().rev().nth(1) {
        Some(previous) => previous.end,
        None => range(source, container).start + 1,
    };
    let gap = source.get(before..last.start).unwrap_or_default();
    let lead = gap.rsplit_once(',').map_or(gap, |(_, lead)| lead);
    text.push(',');
    let broad = match lead.rsplit_once('\n') {
        Some((_, indent)) => {
            text.push_str(style.newline);
            text.push_str(indent);
            style.member(key, &new, indent, true, &mut text);
            true
        }
        None => false,
    };
    if !broad {
        text.push_str(match (members.len(), style.spaced) {
            (1, true) => " ",
            (1, false) => "",
            _ => lead,
        });
        style.member(key, &new, "", false, &mut text);
    }
    Ok(Splice { range: last.end..last.end, text })
}

/// What goes with a member: the comma and blanks after it, or before it if it is the last.
fn removal(source: &str, container: &RawValue, all: &Children<'_>, index: usize) -> Range<usize> {
    let members = ranges(source, all);
    let whole = range(source, container);
    let own = members.get(index).cloned().unwrap_or(whole.end - 1..whole.end - 1);
    match (index.checked_sub(1).and_then(|at| members.get(at)), members.get(index + 1)) {
        (_, Some(next)) => own.start..next.start,
        (Some(previous), None) => previous.end..own.end,
        (None, None) => whole.start + 1..whole.end - 1,
    }
}
