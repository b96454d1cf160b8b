//! Values as YAML. Each is read back as it is by readers of YAML 1.1 and of 1.2.

use super::read::{Plain, Quotes, plain};
use crate::edit::tree::New;
use serde_json::Value;

/// How the text is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) newline: &'static str,
    /// Columns that a mapping is deeper than the one it is in.
    pub(super) unit: usize,
    /// Columns that a list is deeper than the key it is under.
    pub(super) list: usize,
    /// Whether texts of several lines are written after `|`.
    pub(super) blocks: bool,
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn may_be_plain(text: &str, flow: bool) -> bool {
    let indicators =
        ['-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`'];
    plain(text) == Plain::Text
        && text.chars().all(is_printable)
        && text.trim() == text
        && !text.starts_with(indicators)
        && !text.starts_with("...")
        && !text.ends_with(':')
        && ![": ", " #"].iter().any(|part| text.contains(part))
        && !(flow && text.contains([',', '[', ']', '{', '}', ':', '?', '#']))
}

/// A text on one line; in the quotes of another, if it can be.
pub(super) fn text(text: &str, flow: bool, like: Quotes) -> String {
    if like == Quotes::Single && text.chars().all(is_printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    if like != Quotes::Double && may_be_plain(text, flow) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push('"');
    out
}

fn scalar(value: &Value, flow: bool, like: Quotes) -> String {
    match value {
        Value::String(it) => text(it, flow, like),
        other => other.to_string(),
    }
}

/// A value on one line, as within brackets. `like` says how the texts near it are quoted.
pub(super) fn flow(new: &New<'_>, like: Quotes) -> String {
    match new {
        New::Scalar(value) => scalar(value, true, like),
        New::Literal(literal) => (*literal).to_owned(),
        New::List(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, like)).collect();
            format!("[{}]", items.join(", "))
        }
        New::Map(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| flow_member(key, value, like)).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

pub(super) fn flow_member(key: &str, value: &New<'_>, like: Quotes) -> String {
    format!("{}: {}", text(key, true, like), flow(value, like))
}

impl Style {
    fn line(&self, column: usize) -> String {
        format!("{}{}", self.newline, " ".repeat(column))
    }

    /// What stands behind the colon of a key in this column, with the blank or line break before it.
    pub(super) fn after_key(&self, new: &New<'_>, column: usize, like: Quotes) -> String {
        match new {
            New::List(items) if !items.is_empty() => {
                let column = column + self.list;
                self.line(column) + &self.items(items, column)
            }
            New::Map(members) if !members.is_empty() => {
                let column = column + self.unit;
                self.line(column) + &self.members(members, column)
            }
            other => format!(" {}", self.one(other, column, like)),
        }
    }

    /// What stands behind the dash of an item in this column.
    pub(super) fn after_dash(&self, new: &New<'_>, column: usize, like: Quotes) -> String {
        match new {
            New::List(items) if !items.is_empty() => format!(" {}", self.items(items, column + 2)),
            New::Map(members) if !members.is_empty() => format!(" {}", self.members(members, column + 2)),
            other => format!(" {}", self.one(other, column, like)),
        }
    }

    pub(super) fn items(&self, items: &[New<'_>], column: usize) -> String {
        let items: Vec<String> =
            items.iter().map(|item| format!("-{}", self.after_dash(item, column, Quotes::None))).collect();
        items.join(&self.line(column))
    }

    pub(super) fn members(&self, members: &[(&str, New<'_>)], column: usize) -> String {
        let members: Vec<String> =
            members.iter().map(|(key, value)| self.member(key, value, column)).collect();
        members.join(&self.line(column))
    }

    pub(super) fn member(&self, key: &str, value: &New<'_>, column: usize) -> String {
        format!("{}:{}", text(key, false, Quotes::None), self.after_key(value, column, Quotes::None))
    }

    /// What is no collection of lines.
    fn one(&self, new: &New<'_>, column: usize, like: Quotes) -> String {
        match new {
            New::Scalar(Value::String(it)) if self.blocks && may_be_block(it) => {
                let (mark, body) = match it.strip_suffix('\n') {
                    Some(body) => ("|", body),
                    None => ("|-", it.as_str()),
                };
                let mut out = mark.to_owned();
                for line in body.split('\n') {
                    if line.is_empty() {
                        out.push_str(self.newline);
                    } else {
                        out.push_str(&self.line(column + self.unit));
                        out.push_str(line);
                    }
                }
                out
            }
            New::Scalar(value) => scalar(value, false, like),
            other => flow(other, Quotes::None),
        }
    }
}

/// Whether a text is well read after `|`.
fn may_be_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.split('\n').all(|line| line.trim_end() == line && line.chars().all(is_printable))
}
