//! The fingerprint of a state: what a changing step expects to find, and what it leaves behind.
//!
//! It is `derive(context::FINGERPRINT, [type, version as decimal, compact(state)])`, where `state`
//! is the state of the resource without its volatile members, or `null` where it does not exist.
//! Provider and engine compute it alike, so a provider can compare it right where it writes.

use crate::{
    Digest, Pointer, TypeName,
    canonical::{self, CanonicalError},
    digest::context,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use serde_json::{Map, Value};

/// Computes the fingerprint of a state (see the module). `volatile` members (and display-only
/// ones, such as the text of a content that is also given by digest) do not take part.
///
/// # Errors
/// When the state breaks the number or depth profile of canonical JSON.
pub fn fingerprint(
    type_name: &TypeName,
    version: u32,
    state: Option<&Value>,
    volatile: &[Pointer],
) -> Result<Digest, CanonicalError> {
    let bytes = canonical::compact_without(state.unwrap_or(&Value::Null), volatile)?;
    Ok(Digest::derive(
        context::FINGERPRINT,
        &[type_name.as_str().as_bytes(), version.to_string().as_bytes(), &bytes],
    ))
}

/// Whether two states of one type have one fingerprint; copies and hashes nothing.
#[must_use]
pub fn alike(a: Option<&Value>, b: Option<&Value>, volatile: &[Pointer]) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let rest: Vec<&str> = volatile.iter().filter_map(|p| p.as_str().strip_prefix('/')).collect();
            alike_without(a, b, &rest)
        }
        (None, None) => true,
        (Some(state), None) | (None, Some(state)) => state.is_null(),
    }
}

fn alike_without(a: &Value, b: &Value, rest: &[&str]) -> bool {
    let (Value::Object(old), Value::Object(new)) = (a, b) else { return a == b };
    if rest.is_empty() {
        return old == new;
    }
    let takes_part = |key: &String| !matches!(canonical::below(rest, key), canonical::Below::Gone);
    let known = |map: &Map<String, Value>| map.keys().filter(|key| takes_part(key)).count();
    known(old) == known(new)
        && old.iter().all(|(key, old)| match canonical::below(rest, key) {
            canonical::Below::Gone => true,
            canonical::Below::Whole => new.get(key) == Some(old),
            canonical::Below::Part(rest) => new.get(key).is_some_and(|new| alike_without(old, new, &rest)),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// The definition, word by word.
    fn slowly(name: &TypeName, state: Option<&Value>, volatile: &[Pointer]) -> Digest {
        let mut reduced = state.cloned().unwrap_or(Value::Null);
        for pointer in volatile {
            pointer.remove(&mut reduced);
        }
        let bytes = serde_json::to_vec(&reduced).unwrap();
        Digest::derive(context::FINGERPRINT, &[name.as_str().as_bytes(), b"3", &bytes])
    }

    #[test]
    fn states_are_alike_if_their_fingerprints_are_equal() {
        let name: TypeName = "file.content".parse().unwrap();
        let states = [
            None,
            Some(json!({})),
            Some(json!({"text": 1})),
            Some(json!({"content": {"size": 1}})),
            Some(json!({"content": {"size": 1, "text": "a"}})),
            Some(json!({"content": {"size": 1, "text": "b"}})),
            Some(json!({"content": {"size": 2, "text": "b"}})),
            Some(json!({"content": {"text": "b"}, "x": 1})),
            Some(json!({"content": {}, "x": 1})),
            Some(json!({"content": [], "x": 1})),
            Some(json!({"x": 1})),
        ];
        for list in [&[][..], &["/content/text"], &["/content"], &["/content/text", "/x", "/text"]] {
            let volatile: Vec<Pointer> = list.iter().map(|text| Pointer::from(*text)).collect();
            for a in &states {
                for b in &states {
                    let print = |state: &Option<Value>| fingerprint(&name, 1, state.as_ref(), &volatile);
                    let equal = print(a).unwrap() == print(b).unwrap();
                    assert_eq!(alike(a.as_ref(), b.as_ref(), &volatile), equal, "{a:?} {b:?} {list:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_volatile_takes_no_part_wherever_it_is() {
        let name: TypeName = "file.content".parse().unwrap();
        let lists: [&[&str]; 5] = [
            &[],
            &["/content/text"],
            &["/detail", "/a~1b"],
            &["", "/list/0"],
            &["/content", "/content/text"],
        ];
        let states = [
            None,
            Some(json!({})),
            Some(json!({"content": {"text": "x", "size": 1}, "detail": null})),
            Some(json!({"detail": 1.5, "content": {"text": "y"}})),
            Some(json!({"content": "no object", "a/b": [1], "list": [1, 2]})),
        ];
        for list in lists {
            let volatile: Vec<Pointer> = list.iter().map(|text| Pointer::from(*text)).collect();
            for state in &states {
                match fingerprint(&name, 3, state.as_ref(), &volatile) {
                    Ok(quick) => {
                        assert_eq!(quick, slowly(&name, state.as_ref(), &volatile), "{list:?} {state:?}");
                    }
                    Err(_) => {
                        assert!(!list.contains(&"/detail") && state.as_ref().unwrap()["detail"] == 1.5);
                    }
                }
            }
        }
    }
}
