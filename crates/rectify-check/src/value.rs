//! Small questions about states.

use alloc::{string::String, vec::Vec};
use rectify_base::{Pointer, fingerprint::alike};
use rectify_model::plan::Change;
use serde_json::{Map, Value};

/// Whether two states are equal but for volatile members.
pub(crate) fn same(a: Option<&Value>, b: Option<&Value>, volatile: &[Pointer]) -> bool {
    alike(a, b, volatile)
}

/// Carries out changes on a state; nothing there counts as an empty object.
pub(crate) fn carried_out(state: Option<&Value>, changes: &[Change]) -> Value {
    let mut state = state.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    for change in changes {
        let tokens = change.path.tokens();
        match tokens.split_last() {
            None => state = change.after.clone().unwrap_or_else(|| Value::Object(Map::new())),
            Some((last, parents)) => put(&mut state, parents, last, change.after.as_ref()),
        }
    }
    state
}

fn put(state: &mut Value, parents: &[String], last: &str, value: Option<&Value>) {
    let mut here = state;
    for token in parents {
        let Value::Object(map) = here else { return };
        here = map.entry(token.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(map) = here {
        match value {
            Some(value) => drop(map.insert(last.into(), value.clone())),
            None => drop(map.remove(last)),
        }
    }
}

/// The directories above a path, nearest first, as touch keys. None for other kinds of things.
pub(crate) fn above(key: &str) -> impl Iterator<Item = &str> {
    let path = key.strip_prefix("path:").unwrap_or_default();
    let begin = key.len() - path.len();
    path.match_indices('/').rev().filter(|(at, _)| *at > 0).filter_map(move |(at, _)| key.get(..begin + at))
}

/// Places of texts that are shown beside a digest of the same content: the parents of volatile
/// members named `text`.
pub(crate) fn shown_contents(volatile: &[Pointer]) -> Vec<Pointer> {
    let parent = |pointer: &Pointer| {
        let mut tokens = pointer.tokens();
        (tokens.pop().as_deref() == Some("text"))
            .then(|| Pointer::from_tokens(tokens.iter().map(String::as_str)))
    };
    volatile.iter().filter_map(parent).collect()
}
