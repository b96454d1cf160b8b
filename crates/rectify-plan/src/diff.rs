//! What changes between two states, by place.
//!
//! An object that has a volatile member for display beside its digest (`/content/text`) is one
//! place, shown whole on both sides; other volatile members take no part. Arrays are one place:
//! an index says little about what moved.

use rectify_base::Pointer;
use rectify_model::plan::Change;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The places that the volatile pointers of a type make special.
struct Shape {
    volatile: BTreeSet<Pointer>,
    /// Parents of volatile members, other than the root, with the names of those members.
    whole: BTreeMap<Pointer, Vec<String>>,
}

impl Shape {
    fn new(volatile: &[Pointer]) -> Self {
        let mut whole: BTreeMap<Pointer, Vec<String>> = BTreeMap::new();
        for pointer in volatile {
            let mut tokens = pointer.tokens();
            if let Some(last) = tokens.pop()
                && !tokens.is_empty()
            {
                whole.entry(Pointer::from_tokens(tokens.iter().map(String::as_str))).or_default().push(last);
            }
        }
        Self { volatile: volatile.iter().cloned().collect(), whole }
    }

    /// Whether two values of one place are equal but for volatile members.
    fn same(&self, at: &Pointer, before: &Value, after: &Value) -> bool {
        let Some(names) = self.whole.get(at) else { return before == after };
        let reduced = |value: &Value| {
            let mut value = value.clone();
            if let Value::Object(map) = &mut value {
                for name in names {
                    map.remove(name);
                }
            }
            value
        };
        reduced(before) == reduced(after)
    }
}

/// The changes that lead from one state to another, sorted by place.
pub(crate) fn changes(before: Option<&Value>, after: Option<&Value>, volatile: &[Pointer]) -> Vec<Change> {
    let shape = Shape::new(volatile);
    let mut changes = Vec::new();
    let empty = Map::new();
    let members = |state: Option<&Value>| match state {
        Some(Value::Object(map)) => Some(map.clone()),
        Some(_) => None,
        None => Some(empty.clone()),
    };
    match (members(before), members(after)) {
        (Some(old), Some(new)) => objects(&shape, &Pointer::root(), &old, &new, &mut changes),
        _ => push(&mut changes, &Pointer::root(), before, after),
    }
    // Something comes to exist, or goes, without any member: say so.
    if changes.is_empty() && before.is_some() != after.is_some() {
        push(&mut changes, &Pointer::root(), before, after);
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn objects(
    shape: &Shape,
    at: &Pointer,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Change>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let at = at.child(name);
        if shape.volatile.contains(&at) {
            continue;
        }
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if shape.same(&at, old, new) => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) if !shape.whole.contains_key(&at) => {
                objects(shape, &at, old, new, out);
            }
            (old, new) => push(out, &at, old, new),
        }
    }
}

fn push(out: &mut Vec<Change>, at: &Pointer, before: Option<&Value>, after: Option<&Value>) {
    out.push(Change { path: at.clone(), before: before.cloned(), after: after.cloned() });
}
