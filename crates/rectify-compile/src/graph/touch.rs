//! What a step touches, by the rules of its type's manifest.

use crate::{codes, fields::short, report::Cx, schema::Rule, tree::Entry, tree::Span};
use rectify_model::graph::{Access, Touch};
use serde_json::{Map, Value};

/// The kind whose names are normalised.
const PATH: &str = "path";

/// A touch, with the place of the property that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TouchAt {
    pub touch: Touch,
    pub span: Span,
}

/// The touches of a step, sorted, one a thing; a thing that is read and written is written.
pub(crate) fn of(
    desired: &Map<String, Value>,
    rules: &[Rule],
    call: &Entry<'_>,
    cx: &mut Cx<'_, '_>,
) -> Option<Vec<TouchAt>> {
    let mut touches: Vec<TouchAt> = Vec::with_capacity(rules.len());
    let mut sound = true;
    for rule in rules {
        let Some(value) = look_up(desired, &rule.tokens) else { continue };
        let name = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        let span = place(call, &rule.tokens);
        if rule.kind == PATH
            && let Some(why) = not_normal(&name)
        {
            sound = false;
            cx.error(codes::GRAPH_PATH, span, format!("the path `{}` {why}", short(&name))).help =
                Some("write it absolute, without `.`, `..`, `//` and a final `/`".into());
            continue;
        }
        let key = format!("{}:{name}", rule.kind);
        match touches.iter_mut().find(|t| t.touch.key == key) {
            Some(known) => known.touch.access = known.touch.access.max(rule.access),
            None => touches.push(TouchAt { touch: Touch { key, access: rule.access }, span }),
        }
    }
    touches.sort_by(|a, b| a.touch.cmp(&b.touch));
    debug_assert!(touches.iter().all(|t| matches!(t.touch.access, Access::Read | Access::Write)));
    sound.then_some(touches)
}

fn look_up<'v>(desired: &'v Map<String, Value>, tokens: &[String]) -> Option<&'v Value> {
    let (first, rest) = tokens.split_first()?;
    rest.iter().try_fold(desired.get(first)?, |value, token| match value {
        Value::Object(members) => members.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

pub(crate) fn place(call: &Entry<'_>, tokens: &[String]) -> Span {
    let mut node = &call.value;
    for token in tokens {
        match node.child(token) {
            Some((_, child)) => node = child,
            None => return call.key_span,
        }
    }
    node.span
}

/// Why a path does not name one thing in one spelling.
fn not_normal(path: &str) -> Option<&'static str> {
    if path == "/" {
        return None;
    }
    let Some(relative) = path.strip_prefix('/') else { return Some("is not absolute") };
    if path.ends_with('/') {
        return Some("ends in `/`");
    }
    if path.contains('\0') {
        return Some("contains a NUL");
    }
    relative.split('/').find_map(|part| match part {
        "" => Some("contains `//`"),
        "." => Some("contains `.`"),
        ".." => Some("contains `..`"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_has_one_path() {
        for path in ["/", "/etc", "/etc/x..y", "/a/...", "/a/.b"] {
            assert_eq!(not_normal(path), None, "{path}");
        }
        for path in ["", "etc", "./etc", "/etc/", "//etc", "/etc//x", "/etc/../x", "/.", "/a/./b", "/a\0b"] {
            assert!(not_normal(path).is_some(), "{path:?}");
        }
    }
}
